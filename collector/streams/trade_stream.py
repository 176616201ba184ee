"""Turn the trades of one stream into rows, segments and counts."""

from dataclasses import dataclass
from typing import Protocol

from collector.book import CONTINUED, MERGED, Outcome
from collector.events import (
    NO_INT,
    TRADE_KINDS,
    ContractSize,
    Liveness,
    MarketData,
    Side,
    StreamKey,
    Trade,
    TradeMessage,
)
from collector.streams.plausible import trade_problem
from collector.streams.recent_trades import RecentTrades, SeenIds, SeenNumbers
from collector.streams.stream import RETIRED, UNSYNCED, Outlet, Stream, Topic


class TradeWitness(Protocol):
    """Compares trades with the books of their market."""

    def traded(self, received_at_ns: int, price: float) -> None:
        """Take a trade."""


@dataclass(frozen=True, slots=True)
class TradeRule:
    """What is known of an exchange's trades, and what is asked of them."""

    numbered: bool  # ids follow each other without a hole: a jump shows that trades are missing
    most_off_s: float  # between a trade's time and our clock


class TradeStream(Stream):
    """The trades of one market. Where ids are numbers without a hole they prove that none is missing."""

    def __init__(
        self, key: StreamKey, topic: Topic, outlet: Outlet, rule: TradeRule, *, standby: bool = False
    ) -> None:
        super().__init__(key, topic, outlet, standby=standby)
        self._rule = rule
        self._seen: RecentTrades = SeenNumbers() if rule.numbered else SeenIds()
        self._last: TradeMessage | None = None  # the newest on the current socket
        self.witness: TradeWitness | None = None  # who compares the books of the market with the trades

    @property
    def verification(self) -> str:
        """Return what proves that no trade is missing."""
        return "sequence" if self._rule.numbered else "connection"

    def take(self, message: MarketData, received_at_ns: int, liveness: Liveness) -> Outcome:
        """Settle a trade: one row, or one count."""
        received = self._receive()
        if self._retired or not self._is_asked:
            return self._reject(received, RETIRED if self._retired else UNSYNCED)
        if not isinstance(message, TradeMessage):
            return self._reject(received, "malformed", "a message that is no trade")
        if self._standby:
            self._last = self._newer(message)
            self._buffer.count_merged(self.number, received)
            return MERGED
        self._check_number(message, received_at_ns, liveness)
        problem = trade_problem(message, received_at_ns, self._rule.most_off_s * 1e3)
        if problem is not None:
            if message.is_placeholder:
                self._seen.add(message.trade_id, message.number)  # the id is used up
            return self._reject(received, *problem)
        if not self._seen.add(message.trade_id, message.number):
            self._buffer.count_merged(self.number, received)
            return MERGED
        self._store(message, received, received_at_ns, liveness)
        if self.witness is not None and message.marked is None and not message.past:
            self.witness.traded(received_at_ns, message.price)
        if self._events.wanted(Trade):
            self._events.publish(_event(self.key, message, received_at_ns, self.topic.contract))
        return CONTINUED

    def take_over(self, other: Stream, liveness: Liveness) -> bool:
        """Continue another stream's segment, if what this one has seen begins within what that one took.

        Or if this one saw no trade for a while: then there was none between them either.
        """
        assert isinstance(other, TradeStream)  # noqa: S101  (a stream is replaced by one of its kind)
        last = self._last
        if last is None:
            if not self._silent_since_subscribed(liveness):
                return False
        elif not other._seen.has(last.trade_id, last.number):  # noqa: SLF001  (the other of the pair)
            return False
        self._seen = other._seen  # noqa: SLF001
        self._last = other._last if last is None else other._newer(last)  # noqa: SLF001
        self._take_segment_of(other, liveness)
        return True

    def forget(self) -> None:
        """Forget the last id: trades are missing, and that is known."""
        self._last = None

    def _newer(self, trade: TradeMessage) -> TradeMessage:
        """Return this trade or the newest before it, whichever has the higher number."""
        last = self._last
        if last is None or last.number is None or trade.number is None or trade.number > last.number:
            return trade
        return last

    def _check_number(self, trade: TradeMessage, received_at_ns: int, liveness: Liveness) -> None:
        """End the segment where numbers jump; what follows begins another."""
        last = self._last
        if last is not None and last.number is not None and trade.number is not None:
            missing = trade.number - last.number - 1
            if missing > 0 and self._segment_id is not None:
                detail = f"trade {trade.number} after {last.number}"
                self.end_segment("sequence_gap", detail, alive_until_ns=None)
                self._open_segment(received_at_ns, liveness)
        self._last = self._newer(trade)

    def _store(self, trade: TradeMessage, received: int, received_at_ns: int, liveness: Liveness) -> None:
        self.last_update_at_ns, self._exchange_ms = received_at_ns, trade.exchange_ms
        segment_id = self._segment_for_a_row(received, received_at_ns, liveness)
        if segment_id is None:
            return
        stored = self._buffer.append_trade(
            received,
            (trade.price, trade.size),
            (
                received_at_ns,
                trade.exchange_ms,
                NO_INT if trade.number is None else trade.number,
                self.number,
                segment_id,
                trade.side is Side.BUY,
                TRADE_KINDS.index(trade.kind),
            ),
            trade.trade_id,
            trade.marked,
        )
        self._stored(stored, received_at_ns)


def _event(key: StreamKey, trade: TradeMessage, received_at_ns: int, contract: ContractSize | None) -> Trade:
    return Trade(
        exchange=key.exchange,
        symbol=key.symbol,
        exchange_ms=trade.exchange_ms,
        received_at_ns=received_at_ns,
        trade_id=trade.trade_id,
        price=trade.price,
        size=trade.size if contract is None else contract.in_base(trade.size),
        side=trade.side,
        kind=trade.kind,
        marked=trade.marked,
    )
