"""Bring in what an earlier session left in the spool: both sessions' identities stay exact."""

from dataclasses import replace

from collector.sinks.contract import AccountingState, SessionState, WriteSet

CRASH = "crash"


def carried_in(write_set: WriteSet, by: str) -> WriteSet:
    """Return the write set of an earlier session as the session `by` commits it.

    What came in and found no row stays with the session that saw it; its rows stay pending there, as they
    were when it ended, and are carried in and written here. If it said no goodbye, it crashed; a later
    write set of its own knows better.
    """
    accounting: list[AccountingState] = []
    for one in write_set.accounting:
        accounting.append(replace(one, written=0, pending=one.pending + one.written))
        if one.written:
            stream = one.exchange, one.symbol, one.channel
            accounting.append(AccountingState(by, *stream, carried_in=one.written, written=one.written))
    segments = tuple(
        replace(one, end_cause=CRASH) if one.end_cause is None else one for one in write_set.segments
    )
    return replace(
        write_set,
        session=_ended(write_set),
        segments=segments,
        accounting=tuple(accounting),
        by=by,
    )


def _ended(write_set: WriteSet) -> SessionState:
    session = write_set.session
    if session.ended_ns is not None:
        return session
    last_ns = max((one.alive_until_ns for one in write_set.segments), default=session.started_ns)
    return replace(session, ended_ns=last_ns, end_cause=CRASH)
