"""Turn the trades of one stream into rows, segments and counts."""

from dataclasses import dataclass, replace
from typing import Protocol, cast

from collector.book import CONTINUED, MERGED, Did, Outcome
from collector.events import (
    NO_INT,
    TRADE_KINDS,
    ContractSize,
    Liveness,
    MarketData,
    Side,
    StreamKey,
    StreamNow,
    Trade,
    TradeMessage,
)
from collector.streams.paired_stream import Held, PairedStream
from collector.streams.plausible import trade_problem
from collector.streams.recent_trades import MOST_IDS, MOST_IDS_OF_TWO, RecentTrades, SeenIds, SeenNumbers
from collector.streams.stream import RETIRED, UNSYNCED, Outlet, Topic


class TradeWitness(Protocol):
    """Compares trades with the books and bars of their market."""

    def traded(self, received_at_ns: int, price: float, exchange_ms: int) -> None:
        """Take a trade."""


@dataclass(frozen=True, slots=True)
class TradeRule:
    """What is known of an exchange's trades, and what is asked of them."""

    numbered: bool  # ids follow each other without a hole: a jump shows that trades are missing
    most_off_s: float  # between a trade's time and our clock


class TradeStream(PairedStream):
    """The trades of one market. Where ids are numbers without a hole they prove that none is missing."""

    def __init__(
        self, key: StreamKey, topic: Topic, outlet: Outlet, rule: TradeRule, *, standby: bool = False
    ) -> None:
        super().__init__(key, topic, outlet, standby=standby)
        self._rule = rule
        self._seen: RecentTrades = SeenNumbers() if rule.numbered else SeenIds()
        self._last: TradeMessage | None = None  # the newest on the current socket
        self._shown: TradeMessage | None = None  # the latest, received at `last_update_at_ns`
        self.witness: TradeWitness | None = None  # who compares the books of the market with the trades

    @property
    def verification(self) -> str:
        """Return what proves that no trade is missing."""
        return "sequence" if self._rule.numbered else "connection"

    def glance(self) -> StreamNow:
        """Return the state of the stream, with its latest trade. Call it in the websocket thread."""
        at_ns, contract = self.last_update_at_ns, self.topic.contract
        trade = None if self._shown is None else _event(self.key, self._shown, at_ns, contract)
        return replace(super().glance(), trade=trade)

    def take(self, message: MarketData, received_at_ns: int, liveness: Liveness) -> Outcome:
        """Settle a trade: one row, or one count."""
        received = self._receive()
        if self._retired or not self._is_asked:
            return self._reject(received, RETIRED if self._retired else UNSYNCED)
        if not isinstance(message, TradeMessage):
            return self._reject(received, "malformed", "a message that is no trade")
        if self._standby or self._beside is not None:
            outcome = self._settle_beside(message, received, received_at_ns)
            if outcome is not None:
                return outcome
            received = self._tally.received
        self._check_number(message, received_at_ns, liveness)
        problem = self._problem(message, received_at_ns)
        if problem is not None:
            return self._reject_implausible(received, received_at_ns, problem)
        if not self._seen.add(message.trade_id, message.number):
            self._buffer.count_merged(self.number, received)
            return MERGED
        self._store(message, received, received_at_ns, liveness)
        if self._segment_id is None:  # not stored: another connection may bring it when there is room
            self._seen.take_back(message.trade_id, message.number)
        if self.witness is not None and message.marked is None and not message.past:
            self.witness.traded(received_at_ns, message.price, message.exchange_ms)
        if self._events.wanted(Trade):
            self._events.publish(_event(self.key, message, received_at_ns, self.topic.contract))
        return CONTINUED

    def _problem(self, trade: TradeMessage, received_at_ns: int) -> tuple[str, str] | None:
        """Return why a trade is not stored, as a reason and a detail; None if it is."""
        if trade.is_placeholder:
            self._seen.add(trade.trade_id, trade.number)  # the id is used up
        return trade_problem(trade, received_at_ns, self._rule.most_off_s * 1e3)

    def _settle_beside(self, trade: TradeMessage, received: int, received_at_ns: int) -> Outcome | None:
        """Settle a trade that the other connection's stream stored or may still store; None: store it now."""
        other = self._beside
        if other is None:
            return self._reject(received, UNSYNCED)
        received = self._count_held_before()
        follows = self._follows(trade)
        if self._is_seen(trade):
            self._joined = True
            self._last = self._newer(trade)
            self._buffer.count_merged(self.number, received)
            return MERGED
        if not other._is_fed or self._nobody_stores:  # noqa: SLF001  (the other of the pair)
            return None
        self._last = self._newer(trade)
        if follows and not self._held:
            self._joined = True
            return None
        self._hold(Held(received_at_ns, trade))
        return Outcome(Did.REJECTED, UNSYNCED)

    def _follows(self, trade: TradeMessage) -> bool:
        """Return whether nothing lies between what is stored and this trade."""
        last, is_owner = self._last, self._segment_id is not None
        if trade.number is None:
            return self._joined or is_owner
        if trade.past or self._seen.has(str(trade.number - 1), trade.number - 1):
            return True
        if last is None or last.number is None:
            return is_owner
        return (self._joined or is_owner) and last.number == trade.number - 1

    def _share(self, other: PairedStream) -> None:
        """Share with the other connection's stream which trades are stored."""
        assert isinstance(other, TradeStream)  # noqa: S101  (a stream is replaced by one of its kind)
        self._seen = other._seen  # noqa: SLF001  (the other of the pair)
        self._seen.keep(MOST_IDS_OF_TWO)

    def part(self) -> None:
        """Go on without the other connection's stream."""
        super().part()
        self._seen.keep(MOST_IDS)

    def _compare(self, liveness: Liveness) -> None:
        """Count what was stored meanwhile; a market silent on both connections has nothing under way."""
        self._count_held()
        if self._last is None and self._silent_since_subscribed(liveness):
            self._joined = True

    def _count_held(self) -> None:
        """Count as merged what the other stream stored meanwhile."""
        self._count_stored(lambda held: self._is_seen(cast("TradeMessage", held)))

    def _is_seen(self, trade: TradeMessage) -> bool:
        return self._seen.has(trade.trade_id, trade.number)

    def _go_on_alone(self, after_ns: int) -> None:
        if self._held:
            self._last = None  # the first of them begins
        super()._go_on_alone(after_ns)

    def _store_held(self, held: Held) -> None:
        """Store a trade that waited."""
        trade, received = cast("TradeMessage", held.message), self._receive()
        self._check_number(trade, held.received_at_ns, self._liveness)
        problem = trade_problem(trade, held.received_at_ns, self._rule.most_off_s * 1e3)
        if problem is not None:
            self._reject_implausible(received, held.received_at_ns, problem)
        elif self._seen.add(trade.trade_id, trade.number):
            self._store(trade, received, held.received_at_ns, self._liveness)
        else:
            self._buffer.count_merged(self.number, received)

    def _take_segment_of(self, other: PairedStream, liveness: Liveness) -> None:
        assert isinstance(other, TradeStream)  # noqa: S101  (a stream is replaced by one of its kind)
        super()._take_segment_of(other, liveness)
        if other._last is not None:  # noqa: SLF001  (the other of the pair)
            self._last = self._newer(other._last)  # noqa: SLF001

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
                self._close("sequence_gap", detail, alive_until_ns=None)
                self._open_segment(received_at_ns, liveness)
        self._last = self._newer(trade)

    def _store(self, trade: TradeMessage, received: int, received_at_ns: int, liveness: Liveness) -> None:
        self.last_update_at_ns, self._exchange_ms, self._shown = received_at_ns, trade.exchange_ms, trade
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
            trade.singles,
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
