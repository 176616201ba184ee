"""Turn batches of events into write sets: rows, coverage, accounting."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from collector.events import HELD, Batch, Settled, StreamKey, Witnessed, loads
from collector.ids import new_id
from collector.sinks import AccountingState, Rows, SessionState, WriteSet
from collector.writer.coverage import Coverage
from collector.writer.increments import Increments


class MakesRows(Protocol):
    """Makes rows of the book states of one batch after the other."""

    def __call__(self, batch: Batch, /, *, is_last: bool) -> Settled:
        """Return the rows, and what became of the states that gave none."""


class Preparation:
    """Makes the write sets of one session. Pure but for what it remembers from batch to batch."""

    def __init__(
        self,
        session: SessionState,
        key_of: Callable[[int], StreamKey],
        book_rows: MakesRows,
        *,
        most_rows: int,
        market_rows: Callable[[Batch], Iterable[Settled]] = lambda _: (),
        compare_bars: Callable[[Batch], Mapping[int, Witnessed]] = lambda _: {},
        beside: Callable[[], tuple[Rows, ...]] = tuple,
    ) -> None:
        self._session = session
        self._book_rows = book_rows
        self._market_rows = market_rows
        self._compare_bars = compare_bars
        self._beside = beside  # rows that are no stream's: what happened
        self._most_rows = most_rows
        self._coverage = Coverage(session.session_id, key_of)
        self._accounting = Increments(session.session_id, key_of)

    def write_sets(self, batch: Batch, *, extend_alive: bool, is_last: bool = False) -> Iterator[WriteSet]:
        """Yield write sets in order, of at most `most_rows` rows each; none when nothing happened.

        After the last batch, no update is held for a later one.
        """
        for opened in batch.opened:
            self._coverage.open(opened)
        held, earlier = set[int](), list[Settled]()
        for load, is_last_load in loads(self._portions(batch, held, is_last=is_last), self._most_rows):
            for one in load:
                self._coverage.extend(one)
            rows = tuple(Rows(table, columns, one.stream) for one in load for table, columns in one.tables)
            if not is_last_load:
                yield self._write_set(rows, self._accounting.part(load))
                earlier += (one.without_rows() for one in load)
                continue
            self._settle(batch, held, extend_alive=extend_alive)
            increments = self._accounting.settle(batch.counts, earlier, load)
            write_set = self._write_set((*rows, *self._beside()), increments)
            if write_set.rows or write_set.segments or write_set.accounting:
                yield write_set

    def _portions(self, batch: Batch, held: set[int], *, is_last: bool) -> Iterator[Settled]:
        """Yield the rows as they are made, so many at a time: those of a long batch would take much memory.

        In `held` are, in the end, the segments with an update that waits for its window to be over.
        """
        left = batch.rows
        for piece in batch.take_pieces(self._most_rows):
            left -= piece.rows
            book = self._book_rows(piece, is_last=is_last and not left)
            held.clear()
            held.update(_held(book))
            yield book
        yield from self._market_rows(batch)

    def ended(self, ended_ns: int, cause: str) -> WriteSet:
        """Return the write set that ends the session."""
        return WriteSet(new_id(), replace(self._session, ended_ns=ended_ns, end_cause=cause), self._beside())

    def _settle(self, batch: Batch, held: Collection[int], *, extend_alive: bool) -> None:
        """Update the segments with what is true only after the last row of the batch."""
        if extend_alive:
            self._coverage.alive(batch.heard_ns, held)
        self._coverage.witnessed(batch.witnessed)
        self._coverage.witnessed(self._compare_bars(batch))
        for closed in batch.closed:
            self._coverage.close(closed)

    def _write_set(self, rows: tuple[Rows, ...], increments: tuple[AccountingState, ...]) -> WriteSet:
        return WriteSet(new_id(), self._session, rows, self._coverage.take_changed(), increments)


def _held(book: Settled) -> set[int]:
    """Return the segments with an update that waits for its window to be over."""
    return set() if book.fates is None else set(book.segments[book.fates == HELD].tolist())
