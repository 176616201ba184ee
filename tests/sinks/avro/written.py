"""Write sets as the writer makes them: books, levels, trades, bars, events and rejected rows."""

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from collector.buffer.buffer import Buffer
from collector.events.batch import Liveness, SegmentClosed, SegmentOpened, StreamKey
from collector.events.columns import NO_INT, NO_NUMBER
from collector.events.notices import SegmentChanged, State, SystemState
from collector.features.market_rows import MarketRows
from collector.features.options import Sampling
from collector.features.rows import BookRows
from collector.features.stream_facts import StreamFacts
from collector.sinks.contract import Rows, SessionState, Value, WriteSet
from collector.writer.event_log import EventLog
from collector.writer.poison import sift
from collector.writer.prepare import Preparation

LEVELS = 12
START_NS = 1_700_000_000_123_456_789
SESSION = SessionState("session-1", START_NS, "0.1.0", "host", 42, '{"bybit": ["BTC/USDT:USDT", "ЮЛЯ/USDT"]}')
MARKETS = (
    ("bybit", "BTC/USDT:USDT"),
    ("bybit", "ЮЛЯ/USDT"),  # a name beyond ASCII
    ("kraken", "BTC/USDT:USDT"),
)
NEW_SEGMENTS = itertools.count(2**61)  # after a hole
CHANNELS = ("book.50", "trade", "ohlcv.1m")


class World:
    """A buffer and the writer's preparation behind it, fed with random events of all markets."""

    def __init__(
        self,
        seed: int,
        *,
        deep: bool = False,
        sampled: bool = False,
        most_rows: int = 10_000,
        markets: int = 3,
    ) -> None:
        self._drawn = random.Random(seed)
        self._buffer = Buffer(levels_per_row=LEVELS, max_rows=100_000, flush_rows=100_000)
        keys = [StreamKey(*market, channel) for market in MARKETS[:markets] for channel in CHANNELS]
        self._streams = [self._buffer.register(key) for key in keys]
        self._segments = dict.fromkeys(self._streams, 0)
        self._received: Counter[int] = Counter()
        self._next_segment = 2**62
        self._now_ns = START_NS
        self._events = EventLog(SESSION.session_id, lambda: self._now_ns)
        sampling = Sampling("interval", 1) if sampled else Sampling()

        def facts(number: int) -> StreamFacts:
            return StreamFacts(keys[number], 50, "simulator", sampling)

        self._preparation = Preparation(
            SESSION,
            keys.__getitem__,
            BookRows(facts, LEVELS, "deep" if deep else "practical").settle,
            most_rows=most_rows,
            market_rows=MarketRows(facts).settle,
            beside=self._events.take,
        )

    def events(self, count: int) -> None:
        """Bring so many events of any stream, and what happens between them."""
        for _ in range(count):
            self._now_ns += self._drawn.choice([1, 1_000, 300_000, 5_000_000])
            stream = self._drawn.choice(self._streams)
            if not self._segments[stream] or self._drawn.random() < 0.01:
                self._begin_segment(stream)
            self._received[stream] += 1
            [self._book, self._trade, self._candle][stream % 3](stream)
            if self._drawn.random() < 0.05:
                self._received[stream] += 1
                self._buffer.count_rejected(stream, self._received[stream], "crossed")

    def write_sets(self, *, is_last: bool = False) -> list[WriteSet]:
        """Return what the writer makes of it."""
        batch = self._buffer.swap()
        return list(self._preparation.write_sets(batch, extend_alive=True, is_last=is_last))

    def ended(self) -> WriteSet:
        """Return the write set that ends the session."""
        return self._preparation.ended(self._now_ns, "stopped")

    def _begin_segment(self, stream: int) -> None:
        exchange, symbol, channel = self._buffer.key(stream)
        old = self._segments[stream]
        if old:
            until_ns = self._drawn.choice([None, self._now_ns])
            self._buffer.close_segment(SegmentClosed(old, "disconnected", "reset by peer", until_ns))
        self._next_segment += 1
        self._segments[stream] = self._next_segment
        self._buffer.open_segment(
            SegmentOpened(self._next_segment, stream, self._now_ns, "sequence", Liveness(self._now_ns))
        )
        change = exchange, symbol, channel, self._next_segment, self._now_ns
        self._events.note(SegmentChanged(*change, verified=True))
        self._events.note(SystemState(exchange, "public-1", State.CONNECTED, self._now_ns))

    def _book(self, stream: int) -> None:
        drawn = self._drawn.random
        gone = self._drawn.choice([0, 0, 2, 8])  # levels that the book does not have
        levels: list[float] = []
        for first, step in ((100.0, -0.1), (100.1 + drawn(), 0.1)):
            prices = [first + step * level for level in range(LEVELS - gone)]
            sizes = [drawn() * 10 ** self._drawn.randint(-12, 12) for _ in prices]
            nothing = [NO_NUMBER] * gone
            levels += [*prices, *nothing, *sizes, *nothing]
        self._buffer.append(
            stream,
            self._received[stream],
            self._now_ns,
            self._drawn.choice([None, self._now_ns // 10**6]),
            self._drawn.choice([None, self._received[stream], 2**63 - 1]),
            self._segments[stream],
            self._drawn.choice([1, 5, 10]),
            levels,
        )

    def _trade(self, stream: int) -> None:
        number = self._received[stream]
        told = self._drawn.choice([NO_INT, self._now_ns // 10**6])
        integers = (self._now_ns, told, number, stream, self._segments[stream], number % 2, number % 3 % 2)
        trade_id = self._drawn.choice([str(number), f"id-{number}-Ω", str(2**70 + number)])
        numbers = (self._drawn.random() * 1e5 or 1.0, 5e-324)
        self._buffer.append_trade(number, numbers, integers, trade_id, self._drawn.choice([None, "ADL"]))

    def _candle(self, stream: int) -> None:
        number = self._received[stream]
        opened, low = 1.0 + self._drawn.random(), 0.1 + 0.2
        vwap, count = self._drawn.choice([(NO_NUMBER, NO_INT), (0.1 + 0.2, 7)])
        numbers = (opened, 1e15, low, opened, 0.0, vwap)
        at_ms = self._now_ns // 10**6
        integers = (
            self._now_ns,
            at_ms,
            at_ms // 60_000 * 60_000,
            stream,
            self._segments[stream],
            number % 2,
            count,
        )
        self._buffer.append_candle(number, numbers, integers)


def some_write_sets(seed: int, events: Sequence[int], **how: Any) -> Iterator[WriteSet]:
    """Yield what the writer makes of so many events, batch by batch, and the end of the session."""
    world = World(seed, **how)
    for count in events:
        world.events(count)
        yield from world.write_sets()
    yield from world.write_sets(is_last=True)
    yield world.ended()


def sifted(write_set: WriteSet, bad: int) -> WriteSet:
    """Return the write set as the writer leaves it once a database has refused some of its rows."""

    def refuses(rows: Rows) -> str | None:
        found = [
            one for one in rows.columns.get("received_at_ns", ()) if isinstance(one, int) and one % 7 == bad
        ]
        return "refused" if found else None

    return sift(write_set, refuses, START_NS, NEW_SEGMENTS.__next__).write_set


def carried_in(write_set: WriteSet) -> WriteSet:
    """Return the write set as a later session brings it in."""
    return replace(write_set, by="session-2", is_after_loss=True)


def flat(rows: Sequence[Rows]) -> dict[tuple[str, object, object, object], list[tuple[Value, ...]]]:
    """Return the rows of each table, market and stream, in order, as tuples of names and values."""
    found: dict[tuple[str, object, object, object], list[Any]] = {}
    for one in rows:
        names = sorted(one.columns)
        for values in zip(*(one.columns[name] for name in names), strict=True):
            row = dict(zip(names, values, strict=True))
            whose = one.table, row.get("exchange"), row.get("symbol"), one.stream
            found.setdefault(whose, []).append(
                tuple((name, type(value), value) for name, value in row.items())
            )
    return found
