"""Turn the numbers of a batch into the columns of the hot table, and of the table of levels."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from collector.events import (
    INT_COLUMNS,
    KNOWN_LEVELS,
    NO_INT,
    SEGMENT,
    STORED,
    STREAM,
    Batch,
    Columns,
    Fates,
    Settled,
    Value,
    iso_texts,
)
from collector.features.deep import deep, only_known
from collector.features.flow import LastStates
from collector.features.options import FeatureSet
from collector.features.practical import TOTAL_LEVELS, Book, Flags, Floats, Integers, practical, quality
from collector.features.runs import Runs
from collector.features.sampling import Sampler, States
from collector.features.stream_facts import StreamFacts, Streams, levels_in_base


def nullable(numbers: Floats) -> list[Value]:
    """Return the numbers; NaN is None."""
    return _with_nulls(numbers, np.isnan(numbers))


def nullables(columns: Mapping[str, Floats]) -> dict[str, list[Value]]:
    """Return the numbers of columns of one length; NaN is None. All are asked for one at once."""
    numbers = np.stack(tuple(columns.values()))
    missing = np.isnan(numbers)
    lists: list[list[Value]] = numbers.tolist()
    if missing.any():
        for column, row in np.argwhere(missing).tolist():
            lists[column][row] = None
    return dict(zip(columns, lists, strict=True))


def nullable_integers(numbers: Integers) -> list[Value]:
    """Return the whole numbers; NO_INT is None."""
    return _with_nulls(numbers, numbers == NO_INT)


def _with_nulls(numbers: Floats | Integers, missing: npt.NDArray[np.bool_]) -> list[Value]:
    values: list[Value] = numbers.tolist()
    if missing.any():
        for position in np.flatnonzero(missing).tolist():
            values[position] = None
    return values


NO_FLAGS: Flags = np.zeros(0, dtype=np.bool_)
NOBODY: Integers = np.zeros(0, dtype=np.int64)
NOTHING = Settled("book", {}, NOBODY, NOBODY, NOBODY, NOBODY)


class BookRows:
    """Computes rows, batch after batch. Pure but for what order flow and sampling need remembered."""

    def __init__(
        self,
        facts_of: Callable[[int], StreamFacts],
        levels_per_row: int,
        features: FeatureSet = "practical",
    ) -> None:
        self._levels_per_row = levels_per_row
        self._deep = features == "deep"
        self._streams = Streams(facts_of)
        flow_levels = TOTAL_LEVELS if self._deep else 1
        self._last = LastStates(flow_levels)
        self._sampler = Sampler(flow_levels)
        self._unverified: set[int] = set()

    def settle(self, batch: Batch, *, is_last: bool = False) -> Settled:
        """Return the rows of a batch and of states held since an earlier one; after the last, none is."""
        self._unverified |= {one.segment_id for one in batch.opened if one.verification == "none"}
        settled = self._settle(batch, is_last=is_last)
        for closed in batch.closed:
            self._last.forget(closed.segment_id)
            self._sampler.forget(closed.segment_id)
            self._unverified.discard(closed.segment_id)
        return settled

    def _settle(self, batch: Batch, *, is_last: bool) -> Settled:
        new = self._states(batch) if len(batch.integers) else None
        held = self._sampler.holds
        if new is not None and not self._streams.sampled:
            return self._settled(new)
        if new is None and not held:
            return NOTHING
        ended = {one.segment_id for one in batch.closed}

        def over(segment: int, until_ns: int) -> bool:
            return is_last or segment in ended or batch.heard_ns.get(segment, 0) >= until_ns

        states, fates = self._sampler.settle(new, self._streams.modes, self._streams.windows_ns, over)
        return self._settled(states, fates, held)

    def _states(self, batch: Batch) -> States:
        integers = np.frombuffer(batch.integers, dtype=np.int64).reshape(-1, INT_COLUMNS)
        levels = np.frombuffer(batch.levels, dtype=np.float64).reshape(-1, 4, self._levels_per_row)
        self._streams.learn(integers[:, STREAM])
        if self._streams.contracts:
            levels = levels_in_base(levels, integers[:, STREAM], self._streams.contracts)
        if self._deep:
            levels = only_known(levels, integers[:, KNOWN_LEVELS])
        steps = self._last.steps(levels, Runs.of(integers[:, SEGMENT]))
        moved = steps.moved() if self._streams.sampled else NO_FLAGS
        return States(levels, integers, steps.flow(), moved)

    def _settled(self, states: States, fates: Fates | None = None, held_before: int = 0) -> Settled:
        received_at_ns, _, sequences, streams, segments, _ = states.integers.T
        stored = states if fates is None else states[fates == STORED]
        columns: Columns = {}
        beside: tuple[tuple[str, Columns], ...] = ()
        if len(stored.integers):
            common = self._common(stored.integers)
            columns = {**common, **self._book(stored)}
            if self._deep:
                numbers = deep(stored.levels, stored.flow, stored.integers[:, KNOWN_LEVELS])
                beside = (("levels", {**common, **nullables(numbers)}),)
        return Settled(
            "book",
            columns,
            streams,
            segments,
            received_at_ns,
            sequences,
            fates=fates,
            held_before=held_before,
            beside=beside,
        )

    def _common(self, integers: Integers) -> Columns:
        """Return the columns that both tables have."""
        received_at_ns, _, sequences, numbers, segments, _ = integers.T
        streams = self._streams
        return {
            "timestamp": iso_texts(received_at_ns),
            "symbol": streams.symbols[numbers].tolist(),
            "exchange": streams.exchanges[numbers].tolist(),
            "sequence": nullable_integers(sequences),
            "data_source": streams.data_sources[numbers].tolist(),
            "received_at_ns": received_at_ns.tolist(),
            "segment_id": segments.tolist(),
            "depth": streams.depths[numbers].tolist(),
        }

    def _book(self, stored: States) -> Columns:
        """Return the columns that the hot table has alone."""
        received_at_ns, exchange_ms, _, _, segments, known_levels = stored.integers.T
        book = Book.of(stored.levels)
        ten_known = known_levels >= TOTAL_LEVELS
        verified = not self._unverified or np.isin(segments, list(self._unverified), invert=True)
        exchange_ms_or_nan = np.where(exchange_ms == NO_INT, np.nan, exchange_ms.astype(np.float64))
        score = quality(book, ten_known, received_at_ns, exchange_ms_or_nan, verified)
        return {
            **nullables({**practical(book, ten_known), "ofi": stored.flow[:, 0]}),
            "exchange_timestamp": nullable_integers(exchange_ms),
            "data_quality_score": score.tolist(),
        }
