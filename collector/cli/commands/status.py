"""Define the command `status`."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from collector.cli.options import DEFAULT_DATABASE, DEFAULT_TABLE, AsJson, DatabaseUrl, TableName
from collector.cli.plain import SECONDS_NS, counted, instant, reader_text, span
from collector.cli.table import Column, print_table, print_text
from collector.events import UNKNOWN

TERMS = ("received", "written", "merged", "sampled_out", "rejected", "dropped", "pending")
HEADINGS = ("received", "written", "merged", "sampled", "rejected", "dropped", "pending")
EXIT_DEAD, EXIT_STALE = 3, 4
REMARKS = {
    "stale": ": it lives, and has written nothing for a while",
    "dead": ": its collector is gone and has not ended it",
    "crashed": ": nobody collects since what it was to collect",
}

Sessions = Sequence[Mapping[str, Any]]


def status(
    *,
    db: DatabaseUrl = DEFAULT_DATABASE,
    table: TableName = DEFAULT_TABLE,
    as_json: AsJson = False,
    of_sessions: Annotated[
        bool, typer.Option("--sessions", help="The sessions instead of the streams: which write, which died.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="End with 3 where a collector died, 4 where one writes nothing.")
    ] = False,
) -> int:
    """Show, stream by stream, what came in and what became of it; which collectors write now, which died.

    Example: python run.py status --db ./demo.db --sessions --json

    Exit codes: 0 told; with --check 3 a collector died and nobody took over, 4 one lives and writes nothing.
    """
    from collector.query import sessions_now  # noqa: PLC0415

    found = sessions_now(db, table_name=table)
    if of_sessions:
        _show_sessions(found, as_json=as_json)
    else:
        _show_streams(db, table, as_json=as_json)
        if not as_json:
            for line in (*_session_lines(found), *reader_lines(db), *_trouble_lines(db, table)):
                print_text(line)
    return exit_code(found) if check else 0


def exit_code(sessions: Sessions) -> int:
    """Return what `--check` ends with: the worst comes first."""
    if any(one["missed"] for one in sessions):
        return EXIT_DEAD
    return EXIT_STALE if any(one["state"] == "stale" for one in sessions) else 0


def _show_streams(db: str, table: str, *, as_json: bool) -> None:
    from collector.query import missing, nothing_yet  # noqa: PLC0415
    from collector.query import status as read  # noqa: PLC0415

    absent = dict.fromkeys(map(tuple, missing(db, table_name=table)))
    known = {tuple(_names(one)): one for one in read(db, table_name=table)}
    known |= {key: nothing_yet(key) for key in absent if key not in known}
    streams = [{**one, "missing": key in absent} for key, one in known.items()]
    if as_json:
        print(json.dumps(streams))
        return
    shown = [one for one in streams if one["symbol"] != UNKNOWN or one["received"]]
    rows = [[*_names(one), *(f"{one[term]:,}" for term in TERMS), _remark(one)] for one in shown]
    names = [Column(name, "name") for name in ("exchange", "symbol", "channel")]
    print_table([*names, *map(Column, HEADINGS), Column("", "note")], rows)
    if absent:
        print_text(f"{counted(len(absent), 'stream')} configured and not collected: marked `missing` above")


def _trouble_lines(db: str, table: str) -> Iterator[str]:
    from collector.cli.waiting import waiting_texts  # noqa: PLC0415
    from collector.query import failing_chores  # noqa: PLC0415
    from collector.sinks import SinkOptions  # noqa: PLC0415

    for text in waiting_texts(db, SinkOptions(table_name=table)):
        yield f"{text}: the next start on this database brings them in"
    for one in failing_chores(db, table_name=table):
        yield f"job {one['chore']} failed {instant(one['at_ns'])}: {one['problem']}"


def reader_lines(db: str) -> list[str]:
    """Return a line for each process whose long read lets the log of an SQLite file grow."""
    from collector.database import database_url, log_readers, sqlite_path  # noqa: PLC0415

    path = sqlite_path(database_url(db))
    return [] if path is None else [reader_text(one) for one in log_readers(path)]


def _show_sessions(sessions: Sessions, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([{**one, "wanted": json.loads(one["wanted"])} for one in sessions]))
        return
    rows = [
        [
            *(one["state"], f"{one['pid']} on {one['host']}", instant(one["started_ns"])),
            *(_instant(one["ended_ns"]), _instant(one["committed_ns"]), f"{one['batches'] or 0:,}"),
            one["end_cause"] or "",
        ]
        for one in sessions
    ]
    times = [Column(name, "text") for name in ("started", "ended", "last commit")]
    columns = [Column("state", "name"), Column("process", "name"), *times, Column("batches")]
    print_table([*columns, Column("cause", "text")], rows)


def _names(stream: Mapping[str, Any]) -> list[str]:
    return [stream["exchange"], stream["symbol"], stream["channel"]]


def _remark(stream: Mapping[str, Any]) -> str:
    """Return why events were rejected, after a word where the last session has nothing of the stream."""
    reasons = [f"{reason}={count:,}" for reason, count in sorted(stream["reasons"].items())]
    return " ".join([*(["missing"] if stream["missing"] else []), *reasons])


def _session_lines(sessions: Sessions) -> list[str]:
    """Return a line with the count, then one for each session that writes, and for each that died."""
    if not sessions:
        return ["no collector has written here yet"]
    told = [one for one in sessions if one["state"] in ("writing", "stale") or one["missed"]]
    text = counted(len(sessions), "session")
    newest = sessions[0]
    if not told or newest["ended_ns"] is not None:
        ended = max((one for one in sessions if one["ended_ns"] is not None), key=lambda one: one["ended_ns"])
        text += f"; the last ended {instant(ended['ended_ns'])} ({ended['end_cause'] or 'unknown'})"
        text += f"; process {ended['pid']} on {ended['host']}"
    writing = sum(one["state"] in ("writing", "stale") for one in sessions)
    return [f"{text}; {writing or 'none'} writing now", *map(_line, told)]


def _line(session: Mapping[str, Any]) -> str:
    committed_ns = session["committed_ns"] or session["started_ns"]
    age_s = max((time.time_ns() - committed_ns) / SECONDS_NS, 0.0)
    who = f"process {session['pid']} on {session['host']}, since {instant(session['started_ns'])}"
    return f"  {session['state']}: {who}, last commit {span(age_s)} ago{REMARKS.get(session['state'], '')}"


def _instant(at_ns: int | None) -> str:
    return "" if at_ns is None else instant(at_ns)
