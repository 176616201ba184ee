"""Live rows and rows that REST brought of one market, through buffer, preparation and sink."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from collector.buffer.buffer import Buffer
from collector.events.batch import Liveness, SegmentClosed, SegmentOpened, StreamKey
from collector.events.columns import NO_INT, NO_NUMBER, REST, TRADE_KINDS
from collector.features.market_rows import MarketRows
from collector.features.rows import BookRows
from collector.features.stream_facts import StreamFacts
from collector.sinks.contract import Receipt, SessionState
from collector.sinks.sql.sink import SqlSink
from collector.writer.prepare import Preparation

SYMBOL = "BTC/USDT"
TRADES = StreamKey("binance", SYMBOL, "trade")
MINUTES = StreamKey("binance", SYMBOL, "ohlcv.1m")
MINUTE_MS = 60_000
BEGIN_MS = 1_767_225_600_000  # 2026-01-01
NS_A_MS = 1_000_000
LAG_NS = 5 * NS_A_MS  # of a live message, from its exchange


@dataclass
class TwoOrigins:
    """One session of a collector whose trades and bars of a market come live and, later, by REST."""

    url: str
    session_id: str = "session-1"
    ids: Iterator[int] = field(default_factory=lambda: count(101))

    def __post_init__(self) -> None:
        self.buffer = Buffer(levels_per_row=1, max_rows=100_000, flush_rows=100)
        session = SessionState(self.session_id, BEGIN_MS * NS_A_MS, "0", "host", 1, "{}")
        self.preparation = Preparation(
            session,
            self.buffer.key,
            BookRows(self._facts, 1).settle,
            most_rows=1_000,
            market_rows=MarketRows(self._facts).settle,
        )
        self.sink = SqlSink(self.url, auto_migrate=True, synchronous="OFF")
        self.sink.open()
        self.sink.claim(session, [TRADES, MINUTES])
        self._liveness: dict[int, Liveness] = {}
        self._received: dict[int, int] = {}
        self._is_stopped = False

    def _facts(self, number: int) -> StreamFacts:
        return StreamFacts(self.buffer.key(number), 0, "simulator", origin=self.buffer.origin(number))

    def open(self, key: StreamKey, at_ms: int, origin: str | None = None, verification: str = "") -> int:
        """Begin a segment, live unless REST is said."""
        segment, stream = next(self.ids), self.buffer.register(key, None, origin)
        at_ns = at_ms * NS_A_MS
        self._liveness[segment] = Liveness(at_ns)
        verification = verification or ("rest" if origin == REST else "sequence")
        self.buffer.open_segment(
            SegmentOpened(segment, stream, at_ns, verification, self._liveness[segment], covers_silence=True)
        )
        return segment

    def close(self, segment: int, until_ms: int, cause: str) -> None:
        self.buffer.close_segment(SegmentClosed(segment, cause, "", until_ms * NS_A_MS))

    def trades(
        self,
        segment: int,
        ids_and_ms: list[tuple[int, int]],
        received_ms: int | None = None,
        *,
        kind: str = "trade",
        price: float = 100.0,
    ) -> None:
        """Put in trades; those with a receipt are REST's, the others come live."""
        stream = self.buffer.register(TRADES, None, None if received_ms is None else REST)
        for number, at_ms in ids_and_ms:
            received_ns = at_ms * NS_A_MS + LAG_NS if received_ms is None else received_ms * NS_A_MS
            integers = (received_ns, at_ms, number, stream, segment, 1, TRADE_KINDS.index(kind))
            self.buffer.append_trade(self._count(stream), (price, 0.5), integers, str(number), None)

    def bars(
        self,
        segment: int,
        opens_ms: list[int],
        received_ms: int | None = None,
        *,
        confirmed: bool = True,
        close: float = 100.0,
        volume: float = 0.5,
    ) -> None:
        """Put in states of bars; those with a receipt are REST's, the others come live as the bar ends."""
        stream = self.buffer.register(MINUTES, None, None if received_ms is None else REST)
        for open_ms in opens_ms:
            end_ns = (open_ms + MINUTE_MS) * NS_A_MS
            received_ns = end_ns + LAG_NS if received_ms is None else received_ms * NS_A_MS
            if not confirmed:
                received_ns -= 10_000 * NS_A_MS
            integers = (received_ns, NO_INT, open_ms, stream, segment, int(confirmed), NO_INT)
            numbers = (100.0, max(100.0, close), min(100.0, close), close, volume, NO_NUMBER)
            self.buffer.append_candle(self._count(stream), numbers, integers)

    def _count(self, stream: int) -> int:
        self._received[stream] = self._received.get(stream, 0) + 1
        return self._received[stream]

    def flush(self) -> list[Receipt]:
        """Commit what was put in."""
        batch = self.buffer.swap()
        return [self.sink.write(one) for one in self.preparation.write_sets(batch, extend_alive=True)]

    def stop(self) -> None:
        """Commit the rest and end the session, some while after everything. Idempotent."""
        if self._is_stopped:
            return
        self._is_stopped = True
        self.flush()
        self.sink.write(self.preparation.ended((BEGIN_MS + 100 * 24 * 3_600_000) * NS_A_MS, "stopped"))
        self.sink.close()
