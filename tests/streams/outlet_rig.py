"""A buffer, a bus and what came out of them, for one stream at a time."""

from collections.abc import Sequence

from collector.buffer.buffer import Buffer
from collector.events import market
from collector.events.batch import Batch, Liveness
from collector.events.bus import EventBus
from collector.events.messages import MarketData
from collector.events.notices import PotentialHalt, SegmentChanged
from collector.ids import SegmentIds
from collector.streams.stream import Outlet, Stream

SECOND_NS = 1_000_000_000
NOW_NS = 1_700_000_000 * SECOND_NS


class OutletRig:
    """Streams under test take messages a millisecond apart; each swap is checked against the identity."""

    def __init__(self, max_rows: int = 1000) -> None:
        self.buffer = Buffer(levels_per_row=1, max_rows=max_rows, flush_rows=max_rows)
        self.events = EventBus()
        self.changes: list[SegmentChanged] = []
        self.alarms: list[PotentialHalt] = []
        self.trades: list[market.Trade] = []
        self.candles: list[market.Candle] = []
        self.events.attach(SegmentChanged, self.changes.append)
        self.events.attach(PotentialHalt, self.alarms.append)
        self.outlet = Outlet(self.buffer, self.events, SegmentIds().next)
        self.now_ns = NOW_NS
        self.liveness = Liveness(NOW_NS)
        self._rows = 0

    def listen(self) -> None:
        self.events.attach(market.Trade, self.trades.append)
        self.events.attach(market.Candle, self.candles.append)

    def take(self, stream: Stream, *messages: MarketData) -> None:
        for message in messages:
            self.pass_time(0.001)
            stream.take(message, self.now_ns, self.liveness)

    def pass_time(self, seconds: float) -> None:
        self.now_ns += int(seconds * SECOND_NS)
        self.liveness.heard_ns = self.now_ns

    def swap(self) -> Batch:
        batch = self.buffer.swap()
        self._rows += batch.rows + len(batch.trades) + len(batch.candles)
        settled = sum(one.merged + one.dropped + sum(one.rejected.values()) for one in batch.counts.values())
        assert not batch.counts or sum(one.received for one in batch.counts.values()) == self._rows + settled
        return batch

    def causes(self) -> Sequence[str]:
        return [change.cause for change in self.changes if not change.verified]
