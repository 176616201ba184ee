"""Hours of books as a collector stores them, made without a socket: the simulator's markets, in bursts."""

import json
import random
from collections.abc import Iterator

from bench.row_writers import LEVELS, ROWS_A_TRANSACTION
from collector.buffer.buffer import Buffer
from collector.events.batch import Batch, Liveness, SegmentOpened, StreamKey
from collector.features.rows import BookRows
from collector.features.stream_facts import StreamFacts
from collector.ids import SegmentIds, new_id
from collector.simulator.exchanges.bybit.protocol import Bybit
from collector.simulator.market.instruments import describe, pair_of
from collector.simulator.market.market import Market
from collector.sinks.contract import SessionState
from collector.sinks.sql.sink import SqlSink
from collector.writer.prepare import Preparation

BASES = ("BTC", "ETH", "SOL", "BNB", "LTC", "LINK", "XRP", "ADA", "DOGE", "TRX")
HOUR_NS = 3_600 * 10**9
_BOOK_LEVELS = 50
_MOST_PACE_CHANGES_S = 1.0
_PACES = (0.1, 0.4, 0.5, 1.0, 3.0)  # bursts, as those of the simulator
_DELAY_MS = (4.0, 12.0)  # of the network


class Book:
    """One market: each update is some moves after the one before."""

    def __init__(self, number: int, rows_a_second: float, segment: int, at_ns: int) -> None:
        base = BASES[number % len(BASES)]
        self.number = number
        self.key = StreamKey("bybit", f"{base}/USDT:USDT", f"book.{_BOOK_LEVELS}")
        pair = pair_of(self.key.symbol)
        self._of = describe("bybit", pair, Bybit.conventions(pair))
        self._market = Market(base, self._of.start_ticks, self._of.typical_lots, 2 * LEVELS)
        self._draw = random.Random(number)
        self._rate = rows_a_second
        self._pace, self._pace_until_ns = 1.0, at_ns
        self.segment = segment
        self.received = 0
        self.at_ns = at_ns
        self._sequence = 10**9 * (number + 1)

    def append_until(self, end_ns: int, buffer: Buffer) -> None:
        """Append the updates received before an instant."""
        draw, market = self._draw, self._market
        while True:
            if self.at_ns >= self._pace_until_ns:
                self._pace = draw.choice(_PACES)
                self._pace_until_ns = self.at_ns + int(draw.expovariate(_MOST_PACE_CHANGES_S) * 1e9)
            due_ns = self.at_ns + int(draw.expovariate(self._rate * self._pace) * 1e9)
            if due_ns >= end_ns:
                self.at_ns = end_ns
                return
            self.at_ns = due_ns
            market.step()
            self._sequence += 1 + market.event % 7
            self.received += 1
            exchange_ms = int(due_ns / 1e6 - draw.uniform(*_DELAY_MS))
            bids, asks = (self._of.levels(side.top(LEVELS)) for side in (market.bids, market.asks))
            levels = [
                *(p for p, _ in bids),
                *(s for _, s in bids),
                *(p for p, _ in asks),
                *(s for _, s in asks),
            ]
            buffer.append(
                self.number, self.received, due_ns, exchange_ms, self._sequence, self.segment, LEVELS, levels
            )


class SimulatedDay:
    """Markets of a simulated exchange, written by the collector's own preparation and sink."""

    def __init__(self, sink: SqlSink, markets: int, rows_a_second: float, start_ns: int) -> None:
        self._sink = sink
        self._buffer = Buffer(
            levels_per_row=LEVELS, max_rows=ROWS_A_TRANSACTION, flush_rows=ROWS_A_TRANSACTION
        )
        ids = SegmentIds()
        self._books = [Book(number, rows_a_second, ids.next(), start_ns) for number in range(markets)]
        self._live = Liveness(start_ns)
        for book in self._books:
            self._buffer.register(book.key)
            opened = SegmentOpened(book.segment, book.number, start_ns, "sequence", self._live)
            self._buffer.open_segment(opened)
        session = SessionState(new_id(), start_ns, "0", "host", 1, json.dumps({}))
        rows = BookRows(self._facts, LEVELS)
        self._preparation = Preparation(session, self._buffer.key, rows.settle, most_rows=ROWS_A_TRANSACTION)
        self._rows_a_second = rows_a_second * markets
        self.at_ns = start_ns

    def batches(self, until_ns: int, *, every_ns: int = 10**10) -> Iterator[Batch]:
        """Make what comes until an instant; a batch has some hundred rows, as where many markets are."""
        while self.at_ns < until_ns:
            self.at_ns = min(self.at_ns + every_ns, until_ns)
            for book in self._books:
                book.append_until(self.at_ns, self._buffer)
            self._live.heard_ns = self.at_ns
            yield self._buffer.swap()

    def write(self, batch: Batch) -> int:
        """Prepare and commit a batch; return how many rows it has."""
        rows = batch.rows  # they are taken out of it
        for write_set in self._preparation.write_sets(batch, extend_alive=True):
            self._sink.write(write_set)
        return rows

    def _facts(self, number: int) -> StreamFacts:
        return StreamFacts(self._books[number].key, _BOOK_LEVELS, "simulator")
