"""Define what goes on between a walk through the past and whoever asks for it and stores what comes.

A walk is a generator: it yields requests and is sent the page that answers each, and it yields portions of
what came, in the order of time. It knows neither network nor database, so that one walk serves a database,
a frame and a test alike.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from collector.events import CandleMessage, StreamKey, TradeMessage
from collector.exchanges import Bound, MarketKind, Page, Past, RestSnapshot

Rows = Sequence[TradeMessage] | Sequence[CandleMessage]


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is asked for of one stream: a time without a hole of ours in it, on the exchange's clock."""

    key: StreamKey
    kind: MarketKind
    market_id: str
    past: Past
    start_ms: int
    end_ms: int
    names: Mapping[str, str]  # the parameters that name the stream
    seek: Past | None = None  # tells the id of a time, where `past` has none


class Lack(NamedTuple):
    """A time of which the exchange itself has nothing, where there should be something."""

    start_ms: int
    end_ms: int
    text: str


class Portion(NamedTuple):
    """What came, in the order of time, and until when nothing is missing any more."""

    parts: Sequence[Rows | Lack]
    until_ms: int
    begins_ms: int | None = None  # what was before cannot be had; None: all since the stretch's start came


Walk = Generator[RestSnapshot | Portion, Page | None, None]
Found = TypeVar("Found")
Seeking = Generator[RestSnapshot | Portion, Page | None, Found]  # a part of a walk that finds something

LooksWhole = Callable[[Page], bool]


def bounded(bound: Bound, value: int) -> dict[str, str]:
    """Return the parameters for rows from, or up to, a time in ms or an id, itself included.

    An exclusive bound has no direction of its own: callers move the value by one.
    """
    return {bound.name: str(value)} | dict([bound.also] if bound.also else [])


def holds(rows: int, page: Page) -> bool:
    """Return whether a page has so many rows."""
    return len(page.trades) + len(page.bars) >= rows


def ask(stretch: Stretch, past: Past, more: Mapping[str, str], rows: int | None = None) -> Seeking[Page]:
    """Ask for a page, and return it with the oldest row first."""
    limit = {past.limit: str(rows or past.rows)} if past.limit else {}
    page = yield RestSnapshot(past.ccxt_method, {**stretch.names, **limit, **more}, past.weight)
    assert page is not None  # noqa: S101  (whoever drives a walk answers its requests)
    if past.newest_first:
        return page._replace(trades=page.trades[::-1], bars=page.bars[::-1])
    return page


def ask_surely(
    stretch: Stretch, past: Past, more: Mapping[str, str], looks_whole: LooksWhole
) -> Seeking[Page]:
    """Ask for a page, and once more where something seems to be missing: an answer may be empty by mistake.

    What two answers do not have, the exchange does not have.
    """
    page = yield from ask(stretch, past, more)
    if looks_whole(page):
        return page
    again = yield from ask(stretch, past, more)
    return max(page, again, key=lambda one: len(one.trades) + len(one.bars))
