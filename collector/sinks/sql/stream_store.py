"""Store what is read from a stream, with how far it is read: both or neither."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import sqlalchemy as sa

from collector.database import make_tables
from collector.errors import DatabaseInUse
from collector.events import StreamKey
from collector.sinks.contract import Receipt, Rows, SessionState, WriteSet
from collector.sinks.sql.sink import SqlSink
from collector.sinks.sql.stream_progress import (
    Loss,
    ShardPosition,
    StreamProgress,
    close_silent,
    positions_of,
    read_up_to,
)
from collector.sinks.sql.upkeep import prune_batches

_CONSUMED = "consumed"  # in the place of a channel: the lock of a stream that is read


class StreamStore:
    """A database into which one stream is read, by one process at a time. Used by one thread."""

    def __init__(self, sink: SqlSink, source: str) -> None:
        self.source = source
        self._sink = sink
        self._tables = make_tables(sink.table_name)

    def claim(self, session: SessionState) -> None:
        """Record the session and keep others from this stream; raise DatabaseInUse where one reads it.

        A file is kept from all others by its lock already.
        """
        try:
            self._sink.claim(session, [StreamKey(self.source, "", _CONSUMED)])
        except DatabaseInUse as error:
            raise DatabaseInUse(
                f"{self.source} is read into {self._sink.name} by another process already: {error}"
            ) from None

    def positions(self) -> dict[str, ShardPosition]:
        """Return how far each shard is read."""
        found: dict[str, ShardPosition] = {}

        def read(connection: sa.Connection) -> int:
            found.update(positions_of(connection, self._tables, self.source))
            return len(found)

        self._sink.maintain(read)
        return found

    def write(
        self,
        write_sets: Sequence[WriteSet],
        positions: Mapping[str, ShardPosition],
        heard_ns: Mapping[str, int],
        losses: Sequence[Loss] = (),
    ) -> list[Receipt]:
        """Commit in one transaction what of the write sets is not stored yet, and the positions behind it."""
        return self._sink.write_all(write_sets, StreamProgress(self.source, positions, heard_ns, losses))

    def read_up_to(self, at_ns: int) -> None:
        """Note that of no shard anything was unread at this time."""
        self._sink.maintain(lambda connection: read_up_to(connection, self._tables, self.source, at_ns))

    def refuses(self, rows: Rows) -> str | None:
        """Return why these rows cannot be stored, or None if they can be. Stores nothing."""
        return self._sink.refuses(rows)

    def stored(self, batch_ids: Collection[str]) -> set[str]:
        """Return which of these batches are stored."""
        found: set[str] = set()
        ledger = self._tables.batches.c.batch_id

        def read(connection: sa.Connection) -> int:
            found.update(connection.execute(sa.select(ledger).where(ledger.in_(batch_ids))).scalars())
            return len(found)

        if batch_ids:
            self._sink.maintain(read)
        return found

    def prune(self, before_ns: int, rows: int) -> Iterator[int]:
        """Delete old batch ids, a slice at each step; yield how many are gone."""
        for chore in prune_batches(self._tables, before_ns, "", rows):
            yield self._sink.maintain(chore)

    def close_silent(self, before_ns: int) -> int:
        """End the sessions of the stream of which nothing came since then; return how many were open."""
        return self._sink.maintain(
            lambda connection: close_silent(connection, self._tables, self.source, before_ns)
        )
