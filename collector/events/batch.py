"""Define what one thread hands to the other: streams, segments, rows, and how each event was settled."""

from array import array  # noqa: TC003  (a dataclass asks for its annotations at run time)
from collections import Counter
from collections.abc import Iterator  # noqa: TC003
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from collector.events.columns import NO_INT, CandleColumns, TradeColumns

__all__ = [
    "EXCHANGE_MS",
    "INT_COLUMNS",
    "KNOWN_LEVELS",
    "NO_INT",
    "RECEIVED",
    "SEGMENT",
    "SEQUENCE",
    "STREAM",
    "UNKNOWN",
    "Batch",
    "Counts",
    "Liveness",
    "SegmentClosed",
    "SegmentOpened",
    "StreamKey",
    "Tally",
    "Witnessed",
]

# The integers of a row. KNOWN_LEVELS: how many best levels the exchange has shown, at most 10.
RECEIVED, EXCHANGE_MS, SEQUENCE, STREAM, SEGMENT, KNOWN_LEVELS = range(6)
INT_COLUMNS = 6

UNKNOWN = "_unknown"  # frames that cannot be mapped to a stream are counted under this name


class StreamKey(NamedTuple):
    """The identity of a stream: one channel of one market of one exchange."""

    exchange: str
    symbol: str
    channel: str


@dataclass(slots=True)
class Liveness:
    """The time at which a connection last sent something. Written by the websocket thread, read at a swap."""

    heard_ns: int = 0
    connection: str = ""  # its name; none where the past is fetched


@dataclass(frozen=True, slots=True)
class SegmentOpened:
    """A book became verified, or the exchange confirmed a subscription of trades or bars."""

    segment_id: int
    stream: int
    start_ns: int
    verification: str
    liveness: Liveness
    covers_silence: bool = False  # nothing said means that nothing happened: covered without a row
    origin: str | None = None  # of its stream, as the buffer knows it


@dataclass(frozen=True, slots=True)
class SegmentClosed:
    """A segment ended, at the last update that is proven, or later while its connection was alive."""

    segment_id: int
    cause: str
    detail: str
    alive_until_ns: int | None  # None: doubt reaches back to the last proven update


@dataclass(slots=True)
class Witnessed:
    """How often a segment was compared with something independent, and how often they disagreed."""

    compared: int = 0
    disagreed: int = 0


@dataclass(slots=True)
class Tally:
    """How many events of a stream were mapped so far, counted where they come in, by the websocket thread."""

    received: int = 0


@dataclass(slots=True)
class Counts:
    """How many events of a stream came in, and what became of those that are no rows."""

    received: int = 0
    merged: int = 0
    dropped: int = 0
    rejected: dict[str, int] = field(default_factory=dict)

    def copy(self) -> "Counts":
        """Return a copy that later events do not change."""
        return Counts(self.received, self.merged, self.dropped, dict(self.rejected))

    def __add__(self, other: "Counts") -> "Counts":
        """Return the counts of both: of what came live and what REST brought of one stream."""
        rejected = Counter(self.rejected) + Counter(other.rejected)
        return Counts(
            self.received + other.received,
            self.merged + other.merged,
            self.dropped + other.dropped,
            dict(rejected),
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """What the writer takes at one swap: rows, what happened to segments, and how events were settled."""

    levels: "array[float]"  # per row: 4 x levels_per_row numbers, as OrderBook.top returns them
    integers: "array[int]"  # per row: INT_COLUMNS numbers, in the order above
    opened: tuple[SegmentOpened, ...]
    closed: tuple[SegmentClosed, ...]
    heard_ns: dict[int, int]  # by segment open after this batch: its connection was alive until then
    counts: dict[int, Counts]  # by stream, for every stream with a new event
    trades: TradeColumns = field(default_factory=TradeColumns)
    candles: CandleColumns = field(default_factory=CandleColumns)
    witnessed: dict[int, Witnessed] = field(default_factory=dict)  # by segment, since the batch before

    @property
    def rows(self) -> int:
        """Count the rows of books."""
        return len(self.integers) // INT_COLUMNS

    def take_pieces(self, most_rows: int) -> "Iterator[Batch]":
        """Yield it in batches of at most so many rows of books, as if they had been swapped one by one.

        What was opened comes with the first; all that is no row of a book comes with the last. The rows are
        taken out of it: what is dealt with takes no memory while the rest waits.
        """
        rest: list[tuple[array[float], array[int]]] = []  # the last first
        numbers_per_row = len(self.levels) // self.rows if self.rows else 0
        for first in range((self.rows - 1) // most_rows * most_rows, 0, -most_rows):
            places = slice(first * numbers_per_row, None), slice(first * INT_COLUMNS, None)
            rest.append((self.levels[places[0]], self.integers[places[1]]))
            del self.levels[places[0]], self.integers[places[1]]
        piece, opened = (self.levels[:], self.integers[:]), self.opened
        del self.levels[:], self.integers[:]
        while rest:
            yield Batch(*piece, opened, (), {}, {})
            piece, opened = rest.pop(), ()
        yield replace(self, levels=piece[0], integers=piece[1], opened=opened)
