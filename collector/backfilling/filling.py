"""Put what REST brings of a stretch into the buffer: rows, segments and counts, as a live stream does."""

from collections.abc import Callable, Sequence

from collector.backfilling.pages import Lack, Portion, Rows, Stretch
from collector.buffer import Buffer
from collector.errors import StreamError
from collector.events import (
    FILLED,
    NO_INT,
    NO_NUMBER,
    REST,
    TRADE_KINDS,
    CandleMessage,
    ContractSize,
    Liveness,
    SegmentClosed,
    SegmentOpened,
    Side,
    TradeMessage,
)
from collector.streams import candle_problem, trade_problem

NS_A_MS = 1_000_000
CLOCKS_DIFFER_MS = 60_000.0  # what is dated later than now by more is implausible
BY_ID, BY_REST = "sequence", "rest"  # what proves a filled segment


class Filling:
    """One stretch on its way into the buffer. Used by one thread at a time.

    Segments stand in exchange time. What the exchange has nothing of is a segment of its own without a row,
    which says so: it is not asked for again.
    """

    def __init__(
        self,
        stretch: Stretch,
        buffer: Buffer,
        new_segment_id: Callable[[], int],
        contract: ContractSize | None = None,
    ) -> None:
        self._stretch = stretch
        self._buffer = buffer
        self._new_segment_id = new_segment_id
        self._number = buffer.register(stretch.key, contract, REST)
        self._tally = buffer.tally(self._number)
        self._segment: tuple[int, Liveness] | None = None
        self._until_ms = stretch.start_ms
        self.rows = 0

    def take(self, portion: Portion, received_at_ns: int) -> None:
        """Put in a portion; the segment reaches as far as the portion does."""
        if portion.begins_ms is not None:
            self._until_ms = portion.begins_ms
        for part in portion.parts:
            if isinstance(part, Lack):
                self._lack(part)
            else:
                self._append(part, received_at_ns)
        _, liveness = self._segment or self._open(_verification(portion.parts))
        self._until_ms = max(self._until_ms, portion.until_ms)
        liveness.heard_ns = self._until_ms * NS_A_MS

    def end(self) -> None:
        """End the segment that is open, where it stands."""
        if self._segment is not None:
            segment_id, _ = self._segment
            closed = SegmentClosed(segment_id, FILLED, "", self._until_ms * NS_A_MS)
            self._buffer.close_segment(closed)
            self._segment = None

    def _lack(self, lack: Lack) -> None:
        self._until_ms = max(self._until_ms, lack.start_ms)
        self.end()
        segment_id, _ = self._open(BY_REST)
        until_ns = lack.end_ms * NS_A_MS
        self._buffer.close_segment(SegmentClosed(segment_id, FILLED, lack.text, until_ns))
        self._segment, self._until_ms = None, lack.end_ms

    def _append(self, rows: Rows, received_at_ns: int) -> None:
        segment_id, _ = self._segment or self._open(_verification([rows]))
        for row in rows:
            if not self._buffer.has_room:
                self._give_way()
            received = self._tally.received = self._tally.received + 1
            if isinstance(row, TradeMessage):
                stored = self._append_trade(row, received, received_at_ns, segment_id)
            else:
                stored = self._append_bar(row, received, received_at_ns, segment_id)
            self.rows += stored

    def _give_way(self) -> None:
        """End the segment at its last row: what comes has to be asked for again."""
        if self._segment is not None:
            self._buffer.close_segment(SegmentClosed(self._segment[0], FILLED, "", alive_until_ns=None))
            self._segment = None
        raise StreamError("the buffer is full: the database does not keep up")

    def _append_trade(self, trade: TradeMessage, received: int, received_at_ns: int, segment_id: int) -> bool:
        problem = trade_problem(trade, received_at_ns, CLOCKS_DIFFER_MS)
        if problem is not None:
            self._buffer.count_rejected(self._number, received, problem[0])
            return False
        integers = (
            *(received_at_ns, trade.exchange_ms, NO_INT if trade.number is None else trade.number),
            *(self._number, segment_id, int(trade.side is Side.BUY), TRADE_KINDS.index(trade.kind)),
        )
        numbers = trade.price, trade.size
        return self._buffer.append_trade(
            received, numbers, integers, trade.trade_id, trade.marked, trade.singles
        )

    def _append_bar(self, bar: CandleMessage, received: int, received_at_ns: int, segment_id: int) -> bool:
        problem = candle_problem(bar, received_at_ns, CLOCKS_DIFFER_MS)
        if problem is not None:
            self._buffer.count_rejected(self._number, received, problem[0])
            return False
        vwap = NO_NUMBER if bar.vwap is None else bar.vwap
        integers = (
            *(received_at_ns, NO_INT, bar.open_ms, self._number, segment_id, int(bar.confirmed)),
            NO_INT if bar.count is None else bar.count,
        )
        numbers = bar.open, bar.high, bar.low, bar.close, bar.volume, vwap
        return self._buffer.append_candle(received, numbers, integers)

    def _open(self, verification: str) -> tuple[int, Liveness]:
        segment_id, liveness = self._new_segment_id(), Liveness(self._until_ms * NS_A_MS)
        self._segment = segment_id, liveness
        opened = SegmentOpened(
            segment_id,
            self._number,
            self._until_ms * NS_A_MS,
            verification,
            liveness,
            covers_silence=True,
        )
        self._buffer.open_segment(opened)
        return self._segment


def _verification(parts: Sequence[Rows | Lack]) -> str:
    """Return what proves rows: their ids where these are numbers that follow each other."""
    rows = [row for part in parts if not isinstance(part, Lack) for row in part[:1]]
    return BY_ID if rows and isinstance(rows[0], TradeMessage) and rows[0].number is not None else BY_REST
