"""Have the exchanges' lists of markets looked at again: what is new is collected, what is gone ends."""

import time
from typing import TYPE_CHECKING

from collector.app.jobs import Ending
from collector.errors import CollectorError
from collector.live import Feed, StreamThread

if TYPE_CHECKING:
    from concurrent.futures import Future

CALL_TIMEOUT_S = 10.0  # for the loop that collects to take it up
LOOK_S = 0.1


class MarketsLook:
    """Asks every exchange that is collected, all at the same time."""

    def __init__(self, stream: StreamThread, timeout_s: float) -> None:
        self._stream = stream
        self._timeout_s = timeout_s

    def look(self, ending: Ending) -> str:
        """Return how many markets each exchange lists. Raises CollectorError where one does not answer.

        What an exchange answers later counts as well: its list is asked for until it comes. An exchange
        that has given none yet is at it already.
        """
        feeds = self._stream.feeds
        asked = self._stream.call(
            lambda: [(feed, feed.look_again()) for feed in feeds if feed.ready], CALL_TIMEOUT_S
        )
        until_s = time.monotonic() + self._timeout_s
        while not all(looked.done() for _, looked in asked):
            if ending.wait(LOOK_S) or time.monotonic() > until_s:
                break
        return self._told(asked)

    @staticmethod
    def _told(asked: list[tuple[Feed, "Future[None]"]]) -> str:
        silent = ", ".join(feed.exchange for feed, looked in asked if not looked.done())
        if silent:
            raise CollectorError(f"{silent}: no list of markets yet; it is asked for until it comes")
        unranked = [feed.universe.trouble for feed, _ in asked if feed.universe.trouble is not None]
        if unranked:
            raise CollectorError("; ".join(unranked))
        return ", ".join(_listed(feed) for feed, _ in asked if feed.markets)


def _listed(feed: Feed) -> str:
    text = f"{feed.exchange} lists {len(feed.markets.by_symbol) if feed.markets else 0:,}"
    count = len(feed.universe.members)
    return f"{text}, {count:,} of them traded most" if feed.universe.is_wanted else text
