"""Check the rows of the hot table: their segments, their order, and the columns derived from others."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from collector.events import BBO, NO_INT, iso_texts
from collector.features import LastStates, Runs, derived
from collector.query.audit.chunks import (
    Chunk,
    Flags,
    Floats,
    Integers,
    chunks,
    differs,
    floats,
    integers,
    of,
)
from collector.query.audit.finding import Finding, Ledger
from collector.query.audit.segments import Held, Segment, Segments

BEST = ("bid_price_1", "bid_size_1", "ask_price_1", "ask_size_1")
TOTALS = ("total_bid_volume_10", "total_ask_volume_10")
DERIVED = ("mid_price", "spread", "spread_bps", "microprice", "order_book_imbalance")
NUMBERS = (*BEST, *TOTALS, *DERIVED, "ofi", "data_quality_score")
COLUMNS = (
    *("id", "timestamp", "exchange", "symbol", "depth", "segment_id", "sequence", "received_at_ns"),
    *NUMBERS,
)


def findings(
    connection: sa.Connection, hot: sa.Table, segments: Segments, done: Callable[[int], None]
) -> Iterator[Finding]:
    """Yield the findings in the rows that name a segment; others were written by something else."""
    query = sa.select(*(hot.c[name] for name in COLUMNS)).where(hot.c.segment_id.is_not(None))
    check = _Check(segments, Ledger(hot.name))
    for chunk in chunks(connection, query.order_by(hot.c.id)):
        check.rows(chunk)
        done(len(chunk["id"]))
    yield from check.ledger.findings()


@dataclass(slots=True)
class _End:
    """The last row of a segment so far."""

    at_ns: int | None = None
    sequence: int | None = None


class _Check:
    """Checks chunk after chunk, and keeps the last state of each segment."""

    def __init__(self, segments: Segments, ledger: Ledger) -> None:
        self._segments = segments
        self._last = LastStates(1)
        self._ends: dict[int, _End] = {}  # of the rows seen, by segment
        self.ledger = ledger

    def rows(self, chunk: Chunk) -> None:
        """Check rows; they come in the order of their ids."""
        ids = integers(chunk["id"])
        numbers = {name: floats(chunk[name]) for name in NUMBERS}
        received, segment_ids = integers(chunk["received_at_ns"]), integers(chunk["segment_id"])
        runs = Runs.of(segment_ids)
        known = [self._segments.by_id.get(segment) for segment in runs.segments]
        self._streams(chunk, ids, runs, known)
        self._values(ids, numbers)
        with np.errstate(all="ignore"):  # what is stored may be anything
            follows = derived(numbers)
        for name, expected in follows.items():
            wrong = of(ids, differs(numbers[name], expected))
            self.ledger.add("features", f"whose {name} does not follow from the stored columns", wrong)
        self._flow(ids, received, numbers, runs, known)
        texts = iso_texts(np.where(received == NO_INT, 0, received))
        stale = np.fromiter(
            (text != stored for text, stored in zip(texts, chunk["timestamp"], strict=True)), bool, len(ids)
        )
        self.ledger.add("timestamp", "whose timestamp is not the instant of receipt", of(ids, stale))
        self._order(ids, received, integers(chunk["sequence"]), runs, known)

    def _streams(self, chunk: Chunk, ids: Integers, runs: Runs, known: list[Segment | None]) -> None:
        """Find rows whose segment is not known, or is one of another stream."""
        stray: list[int] = []
        for segment, start, end in zip(known, runs.starts.tolist(), runs.ends.tolist(), strict=True):
            here = runs.order[start : end + 1].tolist()
            if segment is None:
                stray += ids[here].tolist()
                continue
            coverage = segment.coverage
            depth = "1" if segment.channel.family == BBO else segment.channel.detail
            stream = coverage["exchange"], coverage["symbol"], depth
            stray += [
                int(ids[at])
                for at in here
                if (chunk["exchange"][at], chunk["symbol"][at], str(chunk["depth"][at])) != stream
            ]
        self.ledger.add("stray rows", "in no coverage segment of their stream", sorted(stray))

    def _values(self, ids: Integers, numbers: dict[str, Floats]) -> None:
        """Find rows that no verified book can give."""
        bid, bid_size, ask, ask_size = (numbers[name] for name in BEST)
        with np.errstate(invalid="ignore"):
            crossed = bid >= ask
            negative = (bid <= 0) | (ask <= 0) | (bid_size <= 0) | (ask_size <= 0)
            less = (numbers[TOTALS[0]] < bid_size) | (numbers[TOTALS[1]] < ask_size)
            score = numbers["data_quality_score"]
            off = (score < 0) | (score > 1)
        infinite = np.zeros(len(ids), dtype=np.bool_)
        for column in numbers.values():
            infinite |= np.isinf(column)
        self.ledger.add("values", "whose bid is not below the ask", of(ids, crossed))
        self.ledger.add("values", "with a price or a size that is not above 0", of(ids, negative))
        self.ledger.add("values", "with totals smaller than the best level", of(ids, less))
        self.ledger.add("values", "with an infinite number", of(ids, infinite))
        self.ledger.add("values", "whose data_quality_score is not in [0, 1]", of(ids, off))

    def _flow(
        self,
        ids: Integers,
        received: Integers,
        numbers: dict[str, Floats],
        runs: Runs,
        known: list[Segment | None],
    ) -> None:
        """Find rows whose order flow is not that against the row before; where each state is a row."""
        states = np.stack([numbers[name] for name in BEST], axis=1)[:, :, np.newaxis]
        steps = self._last.steps(states, runs)
        checked = np.zeros(len(ids), dtype=np.bool_)
        for segment, start, end, first in zip(known, runs.starts, runs.ends, steps.first, strict=True):
            if segment is not None and segment.every_row_is_here:
                # The row before the first one may be missing in a database restored from a backup.
                here = runs.order[start : end + 1]
                checked[here[first:]] = True
                checked[here] &= ~self._follows_moved(segment, received[here])
        wrong = checked & differs(numbers["ofi"], steps.flow()[:, 0])
        self.ledger.add("features", "whose ofi does not follow from the row before", of(ids, wrong))

    def _order(
        self, ids: Integers, received: Integers, sequences: Integers, runs: Runs, known: list[Segment | None]
    ) -> None:
        """Find rows that do not come after the one before in their segment, and count all rows."""
        unordered: list[int] = []
        for segment, number, start, end in zip(
            known, runs.segments, runs.starts.tolist(), runs.ends.tolist(), strict=True
        ):
            here = runs.order[start : end + 1]
            numbered = sequences[here] != NO_INT
            before = self._ends.setdefault(number, _End())
            unordered += of(ids[here], _not_after(received[here], before.at_ns, may_repeat=~numbered))
            before.at_ns = int(received[here][-1])
            if numbered.any():
                wrong = _not_after(sequences[here][numbered], before.sequence, may_repeat=False)
                unordered += of(ids[here][numbered], wrong)
                before.sequence = int(sequences[here][numbered][-1])
            if segment is not None:
                unordered += of(ids[here], _among_moved(segment, received[here], sequences[here]))
                count_rows(segment.held, received[here], sequences[here])
        self.ledger.add("order", "not after the row before in sequence and receipt", sorted(set(unordered)))

    def _follows_moved(self, segment: Segment, received: Integers) -> Flags:
        """Return which rows stand behind rows in a file: the row before them is not in the table."""
        files = np.sort([one.last_ns for one in segment.moved])
        before = self._ends.get(int(segment.coverage["segment_id"]), _End()).at_ns
        earlier = received[0] if before is None else before
        passed = np.searchsorted(files, np.concatenate([[earlier], received]), side="right")
        follows: Flags = np.diff(passed) > 0
        return follows


def _among_moved(segment: Segment, received: Integers, sequences: Integers) -> Flags:
    """Return which rows lie between the rows of a file: a file has all that there were."""
    among = np.zeros(len(received), dtype=np.bool_)
    for one in segment.moved:
        among |= (received > one.first_ns) & (received < one.last_ns)
        if one.first_sequence is not None and one.last_sequence is not None:
            among |= (sequences >= one.first_sequence) & (sequences <= one.last_sequence)
    return among


def count_rows(held: Held, received: Integers, sequences: Integers) -> None:
    """Count rows of a segment into its sums."""
    if not held.rows:
        held.first_ns, held.last_ns = int(received.min()), int(received.max())
    held.rows += len(received)
    held.first_ns = min(held.first_ns, int(received.min()))
    held.last_ns = max(held.last_ns, int(received.max()))
    numbered = sequences[sequences != NO_INT]
    if len(numbered):
        low, high = int(numbered.min()), int(numbered.max())
        held.numbers += len(numbered)
        held.first_sequence = low if held.first_sequence is None else min(held.first_sequence, low)
        held.last_sequence = high if held.last_sequence is None else max(held.last_sequence, high)


def _not_after(values: Integers, before: int | None, *, may_repeat: Flags | bool) -> Flags:
    """Return which values are not above the one before them; some may be the same.

    One frame may bring several updates of a market: without numbers they have nothing that grows.
    """
    former = np.empty_like(values)
    former[1:] = values[:-1]
    former[0] = values[0] - 1 if before is None else before
    not_after: Flags = (values < former) | ((values == former) & np.logical_not(may_repeat))
    return not_after
