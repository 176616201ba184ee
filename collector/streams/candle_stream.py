"""Turn the bars of one stream into rows, segments and counts."""

from dataclasses import dataclass
from typing import cast

from msgspec.structs import replace

from collector.book import CONTINUED, MERGED, Did, Outcome
from collector.events import (
    NO_INT,
    NO_NUMBER,
    Candle,
    CandleMessage,
    ContractSize,
    Liveness,
    MarketData,
    StreamKey,
)
from collector.streams.paired_stream import Held, PairedStream
from collector.streams.plausible import candle_problem
from collector.streams.stream import RETIRED, UNSYNCED, Outlet, Topic

EARLY_MS = 2_000  # a bar may come before the trade that it tells of, on another connection
LEAST_TRADES = 3  # that no bar tells of, until the stream is suspicious: single ones may belong to no bar
NS_A_MS, NS_A_S = 1_000_000, 1_000_000_000
MOST_BARS = 4  # of which the stored state is remembered: a late correction is of the one before


@dataclass(frozen=True, slots=True)
class CandleRule:
    """What is known of an exchange's bars, and what is asked of them."""

    confirms: bool  # the exchange says when a bar is over; else the next one's beginning says it
    most_off_s: float  # between a bar's time and our clock


class CandleStream(PairedStream):
    """The bars of one market at one interval, each sent again and again until it is over."""

    verification = "connection"

    def __init__(
        self, key: StreamKey, topic: Topic, outlet: Outlet, rule: CandleRule, *, standby: bool = False
    ) -> None:
        super().__init__(key, topic, outlet, standby=standby)
        self._rule = rule
        self._last: CandleMessage | None = None  # the newest bar, as it was sent last
        self._states: dict[int, CandleMessage] = {}  # of the newest bars, what is stored
        self._untold_ns: list[int] = []  # receipt of the first trades of which no bar told

    def take(self, message: MarketData, received_at_ns: int, liveness: Liveness) -> Outcome:
        """Settle the state of a bar: one row, or one count."""
        received = self._receive()
        if self._retired or not self._is_asked:
            return self._reject(received, RETIRED if self._retired else UNSYNCED)
        if not isinstance(message, CandleMessage):
            return self._reject(received, "malformed", "a message that is no bar")
        self._untold_ns.clear()
        problem = candle_problem(message, received_at_ns, self._rule.most_off_s * 1e3)
        if problem is not None:
            return self._reject_implausible(received, received_at_ns, problem)
        last = self._last
        if self._rule.confirms and self._is_over(message):
            return self._reject(received, "stale", "the bar was over")
        if (
            not self._rule.confirms
            and last is not None
            and message.open_ms < last.open_ms
            and not message.confirmed
        ):
            message = replace(message, confirmed=True)
        if last is None or message.open_ms >= last.open_ms:
            self._last = message
        if self._standby or self._beside is not None:
            outcome = self._settle_beside(message, received, received_at_ns)
            if outcome is not None:
                return outcome
            received = self._tally.received
        self._store(message, received, received_at_ns, liveness)
        if last is not None and message.open_ms > last.open_ms and not last.confirmed:
            self._confirm(last, received_at_ns, liveness)
        return CONTINUED

    def traded(self, received_at_ns: int, exchange_ms: int) -> None:
        """Take note of a trade that a bar must tell as well."""
        told_ms = self._exchange_ms
        if told_ms is None:  # by our clock, then
            told_ms, exchange_ms = (at_ns // NS_A_MS for at_ns in (self.last_update_at_ns, received_at_ns))
        if len(self._untold_ns) < LEAST_TRADES and exchange_ms > told_ms + EARLY_MS:
            self._untold_ns.append(received_at_ns)

    def stalls(self, now_ns: int, patience_s: float) -> bool:
        """Return whether the stream, covered as it is, has told nothing of trades for so long."""
        is_suspicious = self.verified and len(self._untold_ns) == LEAST_TRADES
        return is_suspicious and now_ns - self._untold_ns[-1] > patience_s * NS_A_S

    def end_at_step(self, step_ns: int, heard_ns: int, detail: str) -> bool:
        """End the segment on the clock of before, by which trades were received as well."""
        self._untold_ns.clear()
        return super().end_at_step(step_ns, heard_ns, detail)

    def _is_over(self, bar: CandleMessage) -> bool:
        """Return whether this is an earlier state of a bar that was confirmed, or of one before."""
        last = self._last
        was_over = last is not None and (bar.open_ms, False) < (last.open_ms, last.confirmed)
        return was_over and not bar.confirmed

    def _settle_beside(self, bar: CandleMessage, received: int, received_at_ns: int) -> Outcome | None:
        """Settle what the other connection's stream stored or may still store; None: store it now."""
        other = self._beside
        if other is None:
            return self._reject(received, UNSYNCED)
        received = self._count_held_before()
        if not other._is_fed or self._nobody_stores:  # noqa: SLF001  (the other of the pair)
            return None
        if self._is_stored(bar):
            self._joined = True
            self._buffer.count_merged(self.number, received)
            return MERGED
        if self._states and bar.open_ms < min(self._states):
            return self._reject(received, "stale", "the bar was over before")
        if self._segment_id is not None or (self._joined and not self._held):
            return None
        self._hold(Held(received_at_ns, bar))
        return Outcome(Did.REJECTED, UNSYNCED)

    def _is_stored(self, bar: CandleMessage) -> bool:
        """Return whether this state of a bar, or a later one, is stored."""
        stored = self._states.get(bar.open_ms)
        if stored is None:
            return False
        is_older = (bar.volume, bar.confirmed) < (stored.volume, stored.confirmed)
        return is_older or _state(bar) == _state(stored)

    def _share(self, other: PairedStream) -> None:
        """Share with the other connection's stream which states are stored."""
        assert isinstance(other, CandleStream)  # noqa: S101  (a stream is replaced by one of its kind)
        self._states = other._states  # noqa: SLF001  (the other of the pair)

    def _compare(self, liveness: Liveness) -> None:
        """Count what was stored meanwhile; a market silent on both connections has nothing under way."""
        self._count_held()
        if self._last is None and self._silent_since_subscribed(liveness):
            self._joined = True

    def _count_held(self) -> None:
        """Count as merged what the other stream stored meanwhile."""
        self._count_stored(lambda held: self._is_stored(cast("CandleMessage", held)))

    def _store_held(self, held: Held) -> None:
        """Store the state of a bar that waited."""
        self._store(cast("CandleMessage", held.message), self._receive(), held.received_at_ns, self._liveness)

    def _take_segment_of(self, other: PairedStream, liveness: Liveness) -> None:
        assert isinstance(other, CandleStream)  # noqa: S101  (a stream is replaced by one of its kind)
        super()._take_segment_of(other, liveness)
        if self._last is None:
            self._last = other._last  # noqa: SLF001  (the other of the pair)

    def forget(self) -> None:
        """Forget the last bar: how it ended was not seen."""
        self._last = None
        self._untold_ns.clear()

    def _confirm(self, bar: CandleMessage, received_at_ns: int, liveness: Liveness) -> None:
        """Store a bar as confirmed because a later one began: an event that no frame holds."""
        if not self._rule.confirms:
            self._store(replace(bar, confirmed=True), self._receive(), received_at_ns, liveness)

    def _store(self, bar: CandleMessage, received: int, received_at_ns: int, liveness: Liveness) -> None:
        self.last_update_at_ns, self._exchange_ms = received_at_ns, bar.exchange_ms
        segment_id = self._segment_for_a_row(received, received_at_ns, liveness)
        if segment_id is None:
            return
        vwap = NO_NUMBER if bar.vwap is None else bar.vwap
        stored = self._buffer.append_candle(
            received,
            (bar.open, bar.high, bar.low, bar.close, bar.volume, vwap),
            (
                received_at_ns,
                NO_INT if bar.exchange_ms is None else bar.exchange_ms,
                bar.open_ms,
                self.number,
                segment_id,
                bar.confirmed,
                NO_INT if bar.count is None else bar.count,
            ),
        )
        self._stored(stored, received_at_ns)
        if stored:
            self._states[bar.open_ms] = bar
            if len(self._states) > MOST_BARS:
                del self._states[min(self._states)]
        if self._events.wanted(Candle):
            self._events.publish(_event(self.key, bar, received_at_ns, self.topic.contract))


def _state(bar: CandleMessage) -> tuple[object, ...]:
    return bar.volume, bar.confirmed, bar.close, bar.count


def _event(key: StreamKey, bar: CandleMessage, received_at_ns: int, contract: ContractSize | None) -> Candle:
    return Candle(
        exchange=key.exchange,
        symbol=key.symbol,
        exchange_ms=bar.exchange_ms,
        received_at_ns=received_at_ns,
        interval=bar.interval,
        open_ms=bar.open_ms,
        open=bar.open,
        high=bar.high,
        low=bar.low,
        close=bar.close,
        volume=bar.volume if contract is None else contract.in_base(bar.volume),
        confirmed=bar.confirmed,
        vwap=bar.vwap,
        count=bar.count,
    )
