"""Compare this machine's clock with those of the exchanges, and warn while it is off."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from collector.app.jobs import Ending
from collector.errors import CollectorError, StreamError
from collector.events import PotentialHalt
from collector.loggers import get_logger

if TYPE_CHECKING:  # it brings ccxt
    from collector.network import ClockAnswer

CODE = "clock_off"

Ask = Callable[[], "ClockAnswer"]
log = get_logger(__name__)


class ClockCheck:
    """Asks each exchange for its time by REST."""

    def __init__(
        self,
        asks: Mapping[str, Ask],  # by exchange
        *,
        most_off_s: float,
        publish: Callable[[PotentialHalt], None] = lambda _: None,
    ) -> None:
        self._asks = asks
        self._most_off_s = most_off_s
        self._publish = publish
        self._is_off: dict[str, bool] = {}  # as of the last answer

    def check(self, ending: Ending) -> str:
        """Return by how much each exchange's clock is ahead of ours.

        Raises CollectorError at the end, with those that did not answer.
        """
        told, silent = [], []
        for exchange, ask in self._asks.items():
            if ending.is_asked:
                break
            try:
                answer = ask()
            except StreamError as error:
                silent.append(f"{exchange} does not tell its time: {error}")
                continue
            told.append(f"{exchange} {answer.ahead_s:+.3f} s")
            self._judge(exchange, answer)
        if silent:
            raise CollectorError("; ".join([*silent, *told]))
        return ", ".join(told)

    def _judge(self, exchange: str, answer: "ClockAnswer") -> None:
        """Raise an alarm once, until the clocks agree again: an answer may be off by half its way."""
        was_off = self._is_off.get(exchange, False)
        is_off = self._is_off[exchange] = abs(answer.ahead_s) - answer.round_trip_s / 2 > self._most_off_s
        if is_off and not was_off:
            side = "behind" if answer.ahead_s > 0 else "ahead of"
            reason = (
                f"this machine is {abs(answer.ahead_s):.2f} s {side} {exchange}; "
                "set its clock: run chrony or systemd-timesyncd"
            )
            self._publish(PotentialHalt(exchange, CODE, reason, time.time_ns()))
        if was_off and not is_off:
            log.info("clock.agrees_again", exchange=exchange, ahead_s=round(answer.ahead_s, 3))
