"""Commit what was read, with how far it was read; take out what the database refuses for its content."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from collector.database import POISON
from collector.errors import SinkError
from collector.loggers import get_logger
from collector.sinks import Loss, Receipt, ShardPosition, StreamStore, WriteSet, without_rows
from collector.writer import sift

log = get_logger(__name__)


@dataclass(slots=True)
class Counts:
    """What became of the records of a stream since the start."""

    records: int = 0
    parts: int = 0  # stored now
    rows: int = 0  # in them
    repeated: int = 0  # parts that were stored before
    dead: int = 0  # records in the file of dead letters
    losses: int = 0  # times that something is known to be missing
    poison: int = 0  # rows that the database refused for their content

    @property
    def is_something_missing(self) -> bool:
        """Return whether something of the stream is not in the database."""
        return bool(self.dead or self.losses or self.poison)


@dataclass(slots=True)
class Group:
    """What one transaction stores."""

    write_sets: list[WriteSet] = field(default_factory=list)
    heard_ns: dict[str, int] = field(default_factory=dict)  # by session
    rows: int = 0
    losses: list[Loss] = field(default_factory=list)  # behind the write sets

    def __bool__(self) -> bool:
        """Return whether there is anything to store."""
        return bool(self.write_sets or self.losses)

    def add(self, write_set: WriteSet, arrived_ns: int) -> None:
        """Add what arrived in the stream then."""
        self.write_sets.append(write_set)
        self.rows += write_set.row_count
        session_id = write_set.session.session_id
        self.heard_ns[session_id] = max(self.heard_ns.get(session_id, 0), arrived_ns)

    def lose(self, loss: Loss) -> None:
        """Note that something is missing behind what was added; of the same market once is enough."""
        if all(one.market != loss.market for one in self.losses):
            self.losses.append(loss)


class Committer:
    """Writes groups to the database. Every call raises SinkError where it is away."""

    def __init__(
        self,
        store: StreamStore,
        counts: Counts,
        watched: Callable[[], AbstractContextManager[None]] = nullcontext,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._store = store
        self.counts = counts
        self._watched = watched
        self._now_ns = now_ns

    def commit(self, group: Group, positions: Mapping[str, ShardPosition]) -> None:
        """Store a group and the positions behind it: in one transaction, unless a row is refused for good."""
        try:
            receipts = self._write(group.write_sets, positions, group.heard_ns, group.losses)
        except SinkError as error:
            if error.transient:
                raise
            receipts = [self._alone(one, group.heard_ns) for one in group.write_sets]
            self._write([], positions, group.heard_ns, group.losses)
        for write_set, receipt in zip(group.write_sets, receipts, strict=True):
            if receipt.repeated:
                self.counts.repeated += 1
            else:
                self.counts.parts += 1
                self.counts.rows += write_set.row_count
        self.counts.losses += len(group.losses)

    def _alone(self, write_set: WriteSet, heard_ns: Mapping[str, int]) -> Receipt:
        """Store one write set, if need be without the rows that are refused, or without any."""
        try:
            return self._write([write_set], {}, heard_ns)[0]
        except SinkError as error:
            if error.transient:
                raise
            refused = str(error)
        with self._watched():
            sifted = sift(write_set, self._store.refuses, self._now_ns())
        self.counts.poison += sifted.found
        log.error("rows.rejected", batch=write_set.batch_id, rows=sifted.found, error=refused)
        try:
            return self._write([sifted.write_set], {}, heard_ns)[0]
        except SinkError as error:
            if error.transient:
                raise
            log.error("batch.rejected", batch=write_set.batch_id, error=str(error))  # noqa: TRY400
            left = without_rows(sifted.write_set, POISON, str(error))
            return self._write([left], {}, heard_ns)[0]

    def _write(
        self,
        write_sets: Sequence[WriteSet],
        positions: Mapping[str, ShardPosition],
        heard_ns: Mapping[str, int],
        losses: Sequence[Loss] = (),
    ) -> list[Receipt]:
        with self._watched():
            return self._store.write(write_sets, positions, heard_ns, losses)
