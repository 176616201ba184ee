"""Check the bookkeeping: the identity, the sessions and the segments."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from collector.database import GIVEN_UP, Tables
from collector.events import OHLCV, TRADE, Channel, iso_text
from collector.query.audit.finding import EXAMPLES, Finding
from collector.query.between import is_filled
from collector.query.clock_steps import CLOCKS_DIFFER_NS, ClockSteps, step_s

TERMS = ("written", "merged", "sampled_out", "rejected", "dropped", "pending")
STREAM = ("exchange", "symbol", "channel")


def findings(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    """Yield the findings."""
    yield from _identity(connection, tables)
    yield from _written(connection, tables)
    yield from _given_up(connection, tables)
    yield from _spans(connection, tables)
    steps = ClockSteps.read(connection, tables)
    yield from _steps(steps)
    yield from _overlaps(connection, tables, steps)
    yield from _sessions(connection, tables, steps)


def _identity(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    """Check that what came in is accounted for (the identity of docs/data.md)."""
    for row in connection.execute(sa.select(tables.accounting)).mappings():
        settled = sum(row[term] for term in TERMS)
        came = row["received"] + row["carried_in"]
        if came != settled:
            yield Finding("identity", f"{_name(row)}: {came} came in, {settled} are accounted for")
        if min(row[term] for term in (*TERMS, "received", "carried_in")) < 0:
            yield Finding("identity", f"{_name(row)}: a term is below 0")
        reasons = sum(json.loads(row["rejected_reasons"]).values())
        if reasons != row["rejected"]:
            yield Finding("identity", f"{_name(row)}: {row['rejected']} rejected, for {reasons} reasons")


def _written(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    """Compare the rows that accounting counts as written with those of the segments.

    Rows that one session left in the spool are written by another, in segments of the first: where that
    happened, only the sums over all sessions of a stream are compared.
    """
    accounting, coverage = tables.accounting, tables.coverage
    by_session = [coverage.c[name] for name in ("session_id", *STREAM)]
    query = sa.select(*by_session, sa.func.sum(coverage.c.rows)).group_by(*by_session)
    held = {tuple(row[:4]): int(row[4]) for row in connection.execute(query)}
    sums: dict[tuple[str, ...], list[int]] = {}
    for row in connection.execute(sa.select(accounting)).mappings():
        key = tuple(row[name] for name in STREAM)
        one = sums.setdefault(key, [0, 0, 0, 0])
        in_segments = held.pop((row["session_id"], *key), 0)
        for number, value in enumerate((row["written"], in_segments, row["carried_in"], row["pending"])):
            one[number] += value
        if row["written"] != in_segments and not (row["carried_in"] or row["pending"]):
            text = f"{_name(row)}: {row['written']} counted as written, {in_segments} in its segments"
            yield Finding("written", text)
    for key, (written, in_segments, carried_in, pending) in sums.items():
        name = " ".join(key)
        if written != in_segments and carried_in:
            text = f"{name}: {written} counted as written by all sessions, {in_segments} in all segments"
            yield Finding("written", text)
        if carried_in > pending:
            yield Finding("identity", f"{name}: {carried_in} carried in, {pending} were left over")
    for (session, *stream), rows in held.items():
        if rows:
            text = f"{' '.join(stream)}: {rows} rows in segments of session {session}, which counted none"
            yield Finding("written", text)


def _given_up(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    """Check that a segment ends where rows were given up: else coverage claims what was lost.

    What a session brought in from the spool of another one is in that one's segments.
    """
    accounting, coverage = tables.accounting, tables.coverage
    ended = sa.select(*(coverage.c[name] for name in ("session_id", *STREAM))).where(
        coverage.c.end_cause.in_(GIVEN_UP)
    )
    told = {tuple(row) for row in connection.execute(ended)}
    told |= {row[1:] for row in told}
    for row in connection.execute(sa.select(accounting).where(accounting.c.rejected > 0)).mappings():
        key = tuple(row[name] for name in STREAM)
        reasons = json.loads(row["rejected_reasons"])
        lost = sum(reasons.get(cause, 0) for cause in GIVEN_UP)
        if lost and (key if row["carried_in"] else (row["session_id"], *key)) not in told:
            where = f"no segment of session {row['session_id']} ends there"
            text = f"{_name(row)}: {lost} rows were given up, {where}"
            yield Finding("given up", text)


def _spans(connection: sa.Connection, tables: Tables) -> Iterator[Finding]:
    """Check that each segment begins before it ends, and is alive until then at least."""
    table = tables.coverage
    wrong = sa.or_(table.c.alive_until_ns < table.c.end_ns, table.c.end_ns < table.c.start_ns)
    for row in connection.execute(sa.select(table).where(wrong)).mappings():
        span = f"from {row['start_ns']} to {row['end_ns']}, alive until {row['alive_until_ns']}"
        yield Finding("segment span", f"{_segment(row)}: {span}")
    more = table.c.disagreed > table.c.witnessed
    for row in connection.execute(sa.select(table).where(more)).mappings():
        text = f"{_segment(row)}: {row['disagreed']} of {row['witnessed']} comparisons disagreed"
        yield Finding("witnesses", text)


def _steps(steps: ClockSteps) -> Iterator[Finding]:
    """Yield a note for each step."""
    for session_id, ends in steps.ends.items():
        for detail, times in steps.count(session_id).items():
            count = sum(one.detail == detail and not one.was_earlier for one in ends)
            word = "set back" if step_s(detail) < 0 else "put forward"
            text = f"session {session_id}: its clock was {word} by {detail.lstrip('+-')}"
            text += f", {times} times" if times > 1 else ""
            text += f"; {count} segments end there, dated by the clock of before"
            yield Finding("clock step", text, is_note=True)


def _overlaps(connection: sa.Connection, tables: Tables, steps: ClockSteps) -> Iterator[Finding]:
    """Check that the segments of one stream do not overlap, each placed by the clock that was right.

    Those that overlap by their stamps alone are a note: a clock was set back, in a session or between two; so
    are those of a spool, which another collector may have written while this one had the stream.
    """
    found = [dict(row) for row in connection.execute(sa.select(tables.coverage)).mappings()]
    # What REST filled meets the live segments around it, by rows that are stored once.
    coverage = [row for row in found if not is_filled(row)]
    stamped = _overlapping(coverage)
    for row in coverage:
        row["off_ns"] = steps.after_ns(row["session_id"], row["segment_id"])
    placed = [
        {
            **row,
            "start_ns": row["start_ns"] + row["off_ns"],
            "alive_until_ns": row["alive_until_ns"] + row["off_ns"],
        }
        for row in coverage
    ]
    by_id = {row["segment_id"]: row for row in coverage}
    wrong = {
        pair: name
        for pair, name in _overlapping(placed).items()
        if not _follow_each_other(connection, tables, *(by_id[one] for one in pair))
    }
    for pair, name in wrong.items():
        yield Finding("segment overlap", f"segments {pair[0]} and {pair[1]} of {name} overlap")
    known = {frozenset(pair) for pair in wrong}
    told = [
        f"{pair[0]} and {pair[1]} of {name}" for pair, name in stamped.items() if frozenset(pair) not in known
    ]
    if told:
        shown, more = ", ".join(told[:EXAMPLES]), len(told) - EXAMPLES
        shown += f" and {more} more pairs" if more > 0 else ""
        text = f"{shown} overlap in time, for the clock was set back or two collectors had the stream"
        yield Finding(
            "segment overlap", f"segments {text}: loaders refuse or split them (on_gap)", is_note=True
        )


def _follow_each_other(
    connection: sa.Connection, tables: Tables, one: Mapping[str, Any], other: Mapping[str, Any]
) -> bool:
    """Return whether a session wrote one of two segments after another session had written the other.

    Rows are numbered in the order in which they are stored; those that a spool held come late, and bars are
    replaced where they are.
    """
    if one["session_id"] == other["session_id"]:
        return False
    of_stream = [tables.accounting.c[name] == one[name] for name in STREAM]
    carried_in = sa.select(sa.func.max(tables.accounting.c.carried_in)).where(*of_stream)
    channel = Channel.of(one["channel"])
    if channel.family == OHLCV or connection.execute(carried_in).scalar():
        return True
    table = tables.trades if channel.family == TRADE else tables.hot
    first, second = (_ids(connection, table, row) for row in (one, other))
    return None in (*first, *second) or first[1] < second[0] or second[1] < first[0]


def _ids(connection: sa.Connection, table: sa.Table, segment: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the first and the last number of a segment's rows in a table; None where it has none."""
    begin, end = iso_text(segment["start_ns"]), iso_text(segment["alive_until_ns"])
    query = sa.select(sa.func.min(table.c.id), sa.func.max(table.c.id)).where(
        table.c.symbol == segment["symbol"],
        table.c.exchange == segment["exchange"],
        table.c.timestamp.between(begin, end),
        table.c.segment_id == segment["segment_id"],
    )
    first, last = connection.execute(query).one()
    return first, last


def _overlapping(coverage: Sequence[Mapping[str, Any]]) -> dict[tuple[int, int], str]:
    """Return the pairs of one stream that overlap, each with the one before that reaches furthest."""
    found: dict[tuple[int, int], str] = {}
    furthest: Mapping[str, Any] | None = None
    order = (*STREAM, "start_ns", "segment_id")
    for row in sorted(coverage, key=lambda one: tuple(one[name] for name in order)):
        if furthest is None or any(furthest[name] != row[name] for name in STREAM):
            furthest = row
            continue
        differ_ns = CLOCKS_DIFFER_NS if furthest.get("off_ns", 0) != row.get("off_ns", 0) else 0
        if furthest["alive_until_ns"] > row["start_ns"] + differ_ns:
            found[furthest["segment_id"], row["segment_id"]] = " ".join(row[name] for name in STREAM)
        if row["alive_until_ns"] >= furthest["alive_until_ns"]:
            furthest = row
    return found


def _sessions(connection: sa.Connection, tables: Tables, steps: ClockSteps) -> Iterator[Finding]:
    """Check that segments belong to a session, are not alive after its end, and end when it does."""
    coverage, sessions = tables.coverage, tables.sessions
    query = (
        sa.select(coverage, sessions.c.ended_ns, sessions.c.session_id.label("known"))
        .outerjoin(sessions, sessions.c.session_id == coverage.c.session_id)
        .where(
            sa.or_(
                sessions.c.session_id.is_(None),
                coverage.c.alive_until_ns > sessions.c.ended_ns + CLOCKS_DIFFER_NS,
                sa.and_(sessions.c.ended_ns.is_not(None), coverage.c.end_cause.is_(None)),
            )
        )
    )
    for row in connection.execute(query).mappings():
        if row["known"] is None:
            yield Finding("sessions", f"{_segment(row)}: its session {row['session_id']} is not known")
        elif row["end_cause"] is None:
            yield Finding("sessions", f"{_segment(row)}: open, though its session ended at {row['ended_ns']}")
        elif row["alive_until_ns"] + steps.after_ns(row["session_id"], row["segment_id"]) > (
            row["ended_ns"] + CLOCKS_DIFFER_NS
        ):
            span = f"alive until {row['alive_until_ns']}, its session ended at {row['ended_ns']}"
            yield Finding("segment span", f"{_segment(row)}: {span}")
    backwards = sessions.c.ended_ns < sessions.c.started_ns
    for row in connection.execute(sa.select(sessions).where(backwards)).mappings():
        set_back_ns = -steps.after_ns(row["session_id"])
        if set_back_ns <= 0 or row["ended_ns"] + set_back_ns + CLOCKS_DIFFER_NS < row["started_ns"]:
            yield Finding("sessions", f"session {row['session_id']} ended before it began")


def _segment(row: sa.RowMapping) -> str:
    return f"segment {row['segment_id']} of {_name(row)}"


def _name(row: sa.RowMapping) -> str:
    return f"{row['exchange']} {row['symbol']} {row['channel']}"
