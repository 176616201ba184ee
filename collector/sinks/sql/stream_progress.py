"""Keep how far a stream is read, and the sessions that came of it, beside the rows that were read."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlalchemy as sa

from collector.database import DAMAGED, Tables
from collector.sinks.sql import multi_row
from collector.sinks.sql.crashed_sessions import (
    CRASH,
    close_crashed,
    end_segments,
    extend_to_last_sign,
    reopen,
)

if TYPE_CHECKING:
    from collector.sinks.sql.state_rows import Row

_FORGOTTEN_AFTER_NS = 366 * 86_400 * 10**9  # no stream keeps anything longer


@dataclass(frozen=True, slots=True)
class ShardPosition:
    """Where the reading of a shard goes on."""

    position: str
    finished: bool = False  # it is closed and read to its end
    read_up_to_ns: int = field(default=0, compare=False)  # all that had come by then was read; 0: by now


@dataclass(frozen=True, slots=True)
class StreamProgress:
    """What is stored with the write sets that were read from a stream, in their transaction."""

    source: str
    positions: Mapping[str, ShardPosition] = field(default_factory=dict)  # by shard
    heard_ns: Mapping[str, int] = field(default_factory=dict)  # by session: when its last arrived
    losses: Sequence["Loss"] = ()  # behind the write sets, before what comes next


@dataclass(frozen=True, slots=True)
class Loss:
    """Something of the stream that is known to be missing."""

    detail: str
    market: tuple[str, str] | None = None  # exchange and symbol; None: of which is not known


def positions_of(connection: sa.Connection, tables: Tables, source: str) -> dict[str, ShardPosition]:
    """Return how far each shard of the stream is read."""
    table = tables.stream_positions.c
    columns = (table.shard, table.position, table.finished, table.updated_ns)
    found = connection.execute(sa.select(*columns).where(table.source == source))
    return {row.shard: ShardPosition(row.position, bool(row.finished), row.updated_ns) for row in found}


def read_up_to(connection: sa.Connection, tables: Tables, source: str, at_ns: int) -> int:
    """Note that of no shard anything was unread at this time; return of how many."""
    table = tables.stream_positions
    of_the_stream = sa.and_(table.c.source == source, table.c.finished == 0)
    return connection.execute(sa.update(table).where(of_the_stream).values(updated_ns=at_ns)).rowcount


def take_up(connection: sa.Connection, tables: Tables, progress: StreamProgress) -> list[str]:
    """Note of whom something came; return the sessions that were taken for dead, and are open again."""
    if not progress.heard_ns:
        return []
    table = tables.stream_sessions
    query = sa.select(table.c.session_id).where(
        table.c.session_id.in_(progress.heard_ns), table.c.silent == 1
    )
    silent = list(connection.execute(query).scalars())
    for session_id in silent:
        reopen(connection, tables, session_id)
    rows: list[Row] = [
        {"session_id": session_id, "source": progress.source, "heard_ns": heard_ns, "silent": 0}
        for session_id, heard_ns in progress.heard_ns.items()
    ]
    multi_row.upsert(connection, table, rows, rules=(("heard_ns", "largest"),))
    return silent


def settle(connection: sa.Connection, tables: Tables, progress: StreamProgress) -> None:
    """Store the positions; end what a session left open that another one says has crashed."""
    sessions = tables.sessions.c
    query = sa.select(sessions.session_id).where(
        sessions.session_id.in_(progress.heard_ns), sessions.end_cause == CRASH
    )
    if dead := list(connection.execute(query).scalars()):
        end_segments(connection, tables, dead, CRASH)
        extend_to_last_sign(connection, tables, dead)
    for loss in progress.losses:
        _end_before(connection, tables, progress.source, loss)
    now_ns = time.time_ns()
    rows: list[Row] = [
        {
            "source": progress.source,
            "shard": shard,
            "position": one.position,
            "finished": int(one.finished),
            "updated_ns": one.read_up_to_ns or now_ns,
        }
        for shard, one in progress.positions.items()
    ]
    multi_row.upsert(connection, tables.stream_positions, rows)


def _end_before(connection: sa.Connection, tables: Tables, source: str, loss: Loss) -> None:
    """End the segments that may have lost something: what comes next of them is in segments of its own."""
    coverage, heard = tables.coverage, tables.stream_sessions.c
    of_the_stream = sa.select(heard.session_id).where(heard.source == source)
    may_go_on = sa.or_(coverage.c.end_cause.is_(None), coverage.c.end_cause == CRASH)
    ended = sa.update(coverage).where(coverage.c.session_id.in_(of_the_stream), may_go_on)
    if loss.market is not None:
        exchange, symbol = loss.market
        ended = ended.where(coverage.c.exchange == exchange, coverage.c.symbol == symbol)
    connection.execute(ended.values(end_cause=DAMAGED, detail=loss.detail.replace("\0", "\\0")))


def close_silent(connection: sa.Connection, tables: Tables, source: str, before_ns: int) -> int:
    """End the sessions of the stream of which nothing came since then; return how many were open."""
    heard, sessions = tables.stream_sessions, tables.sessions.c
    query = sa.select(heard.c.session_id).where(
        heard.c.source == source, heard.c.silent == 0, heard.c.heard_ns < before_ns
    )
    quiet = list(connection.execute(query).scalars())
    if not quiet:
        return 0
    are_open = sa.select(sessions.session_id).where(
        sessions.session_id.in_(quiet), sessions.ended_ns.is_(None)
    )
    silent = list(connection.execute(are_open).scalars())
    close_crashed(connection, tables, quiet)  # what an ended one left open is over as well
    connection.execute(sa.update(heard).where(heard.c.session_id.in_(silent)).values(silent=1))
    # An end that its own collector told is never taken back, and nobody comes back after so long.
    is_ended = heard.c.session_id.in_([one for one in quiet if one not in silent])
    is_old = sa.and_(heard.c.source == source, heard.c.heard_ns < before_ns - _FORGOTTEN_AFTER_NS)
    connection.execute(sa.delete(heard).where(sa.or_(is_ended, is_old)))
    return len(silent)
