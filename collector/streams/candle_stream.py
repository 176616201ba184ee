"""Turn the bars of one stream into rows, segments and counts."""

from dataclasses import dataclass

from msgspec.structs import replace

from collector.book.verified import CONTINUED, MERGED, Outcome
from collector.events import market
from collector.events.batch import Liveness, StreamKey
from collector.events.columns import NO_INT, NO_NUMBER
from collector.events.contract_size import ContractSize
from collector.events.messages import Candle, MarketData
from collector.streams.plausible import candle_problem
from collector.streams.stream import RETIRED, UNSYNCED, Outlet, Stream, Topic


@dataclass(frozen=True, slots=True)
class CandleRule:
    """What is known of an exchange's bars, and what is asked of them."""

    confirms: bool  # the exchange says when a bar is over; else the next one's beginning says it
    most_off_s: float  # between a bar's time and our clock


class CandleStream(Stream):
    """The bars of one market at one interval, each sent again and again until it is over."""

    verification = "connection"

    def __init__(
        self, key: StreamKey, topic: Topic, outlet: Outlet, rule: CandleRule, *, standby: bool = False
    ) -> None:
        super().__init__(key, topic, outlet, standby=standby)
        self._rule = rule
        self._last: Candle | None = None  # the newest bar, as it was sent last

    def take(self, message: MarketData, received_at_ns: int, liveness: Liveness) -> Outcome:
        """Settle the state of a bar: one row, or one count."""
        received = self._receive()
        if self._retired or not self._is_asked:
            return self._reject(received, RETIRED if self._retired else UNSYNCED)
        if not isinstance(message, Candle):
            return self._reject(received, "malformed", "a message that is no bar")
        problem = candle_problem(message, received_at_ns, self._rule.most_off_s * 1e3)
        if problem is not None:
            return self._reject(received, *problem)
        last = self._last
        if self._rule.confirms:
            is_over = last is not None and (message.open_ms, False) < (last.open_ms, last.confirmed)
            if is_over and not message.confirmed:
                return self._reject(received, "stale", "the bar was over")
        elif last is not None and message.open_ms < last.open_ms and not message.confirmed:
            message = replace(message, confirmed=True)
        if last is None or message.open_ms >= last.open_ms:
            self._last = message
        if self._standby:
            self._buffer.count_merged(self.number, received)
            return MERGED
        self._store(message, received, received_at_ns, liveness)
        if last is not None and message.open_ms > last.open_ms and not last.confirmed:
            self._confirm(last, received_at_ns, liveness)
        return CONTINUED

    def take_over(self, other: Stream, liveness: Liveness) -> bool:
        """Continue another stream's segment, if both received the same bar last, or this one none."""
        assert isinstance(other, CandleStream)  # noqa: S101  (a stream is replaced by one of its kind)
        ours, theirs = self._last, other._last  # noqa: SLF001  (the other of the pair)
        if ours is None:
            if not self._silent_since_subscribed(liveness):
                return False
            self._last = theirs
        elif theirs is None or _state(ours) != _state(theirs):
            return False
        self._take_segment_of(other, liveness)
        return True

    def forget(self) -> None:
        """Forget the last bar: how it ended was not seen."""
        self._last = None

    def _confirm(self, bar: Candle, received_at_ns: int, liveness: Liveness) -> None:
        """Store a bar as confirmed because a later one began: an event that no frame holds."""
        if not self._rule.confirms:
            self._store(replace(bar, confirmed=True), self._receive(), received_at_ns, liveness)

    def _store(self, bar: Candle, received: int, received_at_ns: int, liveness: Liveness) -> None:
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
        if self._events.wanted(market.Candle):
            self._events.publish(_event(self.key, bar, received_at_ns, self.topic.contract))


def _state(bar: Candle) -> tuple[object, ...]:
    return bar.open_ms, bar.close, bar.volume, bar.confirmed, bar.count


def _event(key: StreamKey, bar: Candle, received_at_ns: int, contract: ContractSize | None) -> market.Candle:
    return market.Candle(
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
