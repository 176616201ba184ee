"""Take records: put their parts together, keep what is unreadable aside, and commit all with its position."""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from collector.consume.checkpoints import Checkpoints, Taken
from collector.consume.committer import Committer, Group
from collector.consume.dead_letters import DeadLetters
from collector.consume.stream import StreamRecord
from collector.errors import BadRecord, UserError
from collector.loggers import get_logger
from collector.sinks import Assembler, Loss, OpenPart, ShardPosition, StreamStore, WriteSet

# Then the oldest parts in single form that are not complete are given up:
MOST_OPEN_ROWS = 100_000  # of theirs are held
MOST_WAITING = 1_000_000  # records were read since the oldest of them began

_NUMBER = re.compile(r"(?P<before>.*)/(?P<number>\d+)", re.DOTALL)  # a part's id: batch, key, number
_NO_MARKET = "session"  # begins the key of what is no market's: events, and ends of sessions

log = get_logger(__name__)


class Intake:
    """What was read since the last commit, and the parts that are not complete. Used by one thread."""

    def __init__(
        self,
        store: StreamStore,
        dead_letters: DeadLetters,
        committer: Committer,
        watched: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._store = store
        self._dead_letters = dead_letters
        self._committer = committer
        self._watched = watched
        self._counts = committer.counts
        self._sessions: set[str] = set()  # of which it is known that they do not write here themselves
        self.begin()

    def begin(self) -> None:
        """Forget all that is not committed: it is read again."""
        self._assembler = Assembler()
        self._checkpoints = Checkpoints()
        self._group = Group()
        self.has_stored = False  # anything since then
        self._stuck = ""  # the place that held back the positions when they were last stored

    @property
    def rows(self) -> int:
        """Return how many rows wait to be committed."""
        return self._group.rows

    @property
    def waiting(self) -> int:
        """Return how many events are of parts that are not complete."""
        return sum(len(one.events) for one in self._assembler.open_parts)

    def take(self, shard: str, record: StreamRecord) -> None:
        """Take a record. Raises SinkError where the database is away, UserError for what must not go on."""
        place = self._checkpoints.take(Taken(shard, record.sequence_number, record.arrived_ns))
        try:
            write_set = self._assembler.take(record.data, place)
        except BadRecord as error:
            self._give_up(shard, record, error.reason)
            return
        if write_set is None:
            return
        if self._group.losses:  # what comes now is behind them
            self.commit(before=place)
        self._check_session(write_set, record.partition_key)
        self._check_part_before(write_set, place)
        self._group.add(write_set, record.arrived_ns)

    def end(self, shard: str, position: str) -> None:
        """Note that a shard was read to its end; `position`: where that began."""
        self._checkpoints.end(shard, position)

    def lose(self, loss: Loss) -> None:
        """Note that something is missing behind all that was taken."""
        self._group.lose(loss)

    def commit(self, ended: Mapping[str, ShardPosition] | None = None, *, before: str | None = None) -> None:
        """Store what was taken, and how far that is; dead letters first, as a position passes them.

        `before`: the place of a record that is taken, but is not in what is stored.
        """
        self._forget_stored_parts()
        self.give_up_old_parts(before_ns=0)
        places = [int(one) for one in (before, self._assembler.earliest_open) if one is not None]
        positions = self._checkpoints.settled(min(places, default=None)) | dict(ended or {})
        group, self._group = self._group, Group()
        self._dead_letters.flush()
        if group or positions:
            self._committer.commit(group, positions)
            self.has_stored = True

    def give_up_old_parts(self, before_ns: int) -> None:
        """Give up the parts that began before then, or are too many: the rest of them does not come."""
        open_rows = self.waiting
        for part in self._assembler.open_parts:
            taken = self._checkpoints.at(part.position)
            is_old = taken.arrived_ns < before_ns or self._checkpoints.since(part.position) > MOST_WAITING
            if not is_old and open_rows <= MOST_OPEN_ROWS:
                break
            open_rows -= len(part.events)
            self._give_up_part(part, taken)

    def _give_up_part(self, part: OpenPart, taken: Taken) -> None:
        market = next(((one["exchange"], one["symbol"]) for one in part.events.values()), None)
        reason = (
            f"the part {part.part_id} was never complete: {len(part.events)} events without their end "
            "(coverage: false in the settings of who wrote it?)"
        )
        key = ":".join(market or ())
        record = StreamRecord(taken.sequence_number, key, b"", taken.arrived_ns)
        self._assembler.forget(part.part_id)
        self._add_dead_letter(taken.shard, record, reason)
        if market is not None:
            self._group.lose(Loss(reason, market))

    def _forget_stored_parts(self) -> None:
        """Forget parts that are stored: reading went on within them, behind their first records."""
        earliest = self._assembler.earliest_open
        if earliest is not None and earliest == self._stuck:
            with self._watched():
                stored = self._store.stored([one.part_id for one in self._assembler.open_parts])
            for part_id in stored:
                self._assembler.forget(part_id)
        self._stuck = earliest or ""

    def _check_session(self, write_set: WriteSet, key: str) -> None:
        """Refuse to store once more what a session has written into this database itself."""
        session_id = write_set.session.session_id
        if session_id in self._sessions:
            return
        batch_id, is_part, _ = write_set.batch_id.rpartition(f"/{key}/")
        with self._watched():
            if is_part and self._store.stored([batch_id]):
                raise UserError(
                    f"session {session_id} writes into this database itself: its rows would be there twice; "
                    "read the stream into another database"
                )
        self._sessions.add(session_id)

    def _check_part_before(self, write_set: WriteSet, place: str) -> None:
        """Note that something is missing where the part before it, of the same write set, is not there."""
        found = _NUMBER.fullmatch(write_set.batch_id)
        if found is None or found["number"] == "0":
            return
        before = f"{found['before']}/{int(found['number']) - 1}"
        if any(one.batch_id == before for one in self._group.write_sets):
            return
        with self._watched():
            if self._store.stored([before]):
                return
        log.error("consume.part_missing", part=before)
        for market in dict.fromkeys((one.exchange, one.symbol) for one in write_set.segments):
            self._group.lose(Loss(f"the part {before} is missing", market))
        self.commit(before=place)

    def _give_up(self, shard: str, record: StreamRecord, reason: str) -> None:
        """Keep a record that cannot be stored aside; what it was of has a hole."""
        self._add_dead_letter(shard, record, reason)
        exchange, _, symbol = record.partition_key.partition(":")
        if symbol and exchange != _NO_MARKET and record.partition_key.isprintable():  # or it names none
            self._group.lose(Loss(f"a record of the stream is unreadable: {reason}", (exchange, symbol)))

    def _add_dead_letter(self, shard: str, record: StreamRecord, reason: str) -> None:
        if self._dead_letters.add(self._store.source, shard, record, reason):
            self._counts.dead += 1
            log.error(
                "consume.dead_letter",
                shard=shard,
                sequence_number=record.sequence_number,
                key=record.partition_key,
                reason=reason,
                file=str(self._dead_letters.path),
            )
