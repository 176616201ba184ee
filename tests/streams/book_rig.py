"""One book and what became of what it took."""

from collector.book.verified import VerifiedBook
from collector.buffer.buffer import Buffer
from collector.events.batch import Liveness, StreamKey
from collector.events.bus import EventBus
from collector.events.messages import Delta, Snapshot
from collector.events.notices import SegmentChanged
from collector.exchanges.bybit.rule import Continuity
from collector.ids import SegmentIds
from collector.streams.book_stream import BookStream
from collector.streams.stream import Outlet, Topic

KEY = StreamKey("bybit", "BTC/USDT:USDT", "book.50")
TOPIC = "orderbook.50.BTCUSDT"


class Rig:
    def __init__(self, max_rows: int = 100, book: VerifiedBook | None = None) -> None:
        self.buffer = Buffer(levels_per_row=1, max_rows=max_rows, flush_rows=1000)
        self.notices: list[SegmentChanged] = []
        self.events = events = EventBus()
        events.attach(SegmentChanged, self.notices.append)
        self.stream = BookStream(
            KEY,
            Topic(TOPIC, TOPIC, "BTCUSDT", "linear", 50),
            Outlet(self.buffer, events, SegmentIds().next),
            VerifiedBook(Continuity(), 50) if book is None else book,
            levels_per_row=1,
        )
        self.now_ns = 0

    def snapshot(self, sequence: int) -> None:
        self.take(Snapshot(TOPIC, sequence, 1, [(100.0, 1.0)], [(101.0, 1.0)]))

    def delta(self, sequence: int) -> None:
        self.take(Delta(TOPIC, sequence, 1, [(100.0, float(sequence))], []))

    def take(self, message: Snapshot | Delta) -> None:
        self.now_ns += 10
        self.stream.take(message, self.now_ns, Liveness(self.now_ns))

    def settled(self) -> tuple[int, int, int, int, dict[str, int]]:
        """Return received, rows, merged, dropped, rejected; the identity must hold."""
        batch = self.buffer.swap()
        counts = batch.counts[0]
        assert counts.received == batch.rows + counts.merged + counts.dropped + sum(counts.rejected.values())
        return counts.received, batch.rows, counts.merged, counts.dropped, counts.rejected


def told(sequence: int | None, size: float = 1.0, at_ms: int = 1) -> Snapshot:
    return Snapshot(TOPIC, sequence, at_ms, [(100.0, size)], [(101.0, 1.0)])
