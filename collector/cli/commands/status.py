"""Define the command `status`."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from collector.cli.options import DEFAULT_DATABASE, DEFAULT_TABLE, AsJson, DatabaseUrl, TableName
from collector.cli.plain import SECONDS_NS, instant, print_table, span
from collector.events import UNKNOWN

TERMS = ("received", "written", "merged", "sampled_out", "rejected", "dropped", "pending")
HEADINGS = ("received", "written", "merged", "sampled", "rejected", "dropped", "pending")
QUIET_S = 30.0  # a session that runs and has committed nothing for so long deserves a word


def status(
    *, db: DatabaseUrl = DEFAULT_DATABASE, table: TableName = DEFAULT_TABLE, as_json: AsJson = False
) -> int:
    """Show, stream by stream, what came in and what became of it; whether a collector writes it now.

    Example: python run.py status --db ./demo.db --json
    """
    from collector.cli.waiting import waiting_texts  # noqa: PLC0415
    from collector.query import (  # noqa: PLC0415
        failing_chores,
        missing,
        nothing_yet,
        sessions,
    )
    from collector.query import status as read  # noqa: PLC0415
    from collector.sinks import SinkOptions  # noqa: PLC0415

    absent = dict.fromkeys(map(tuple, missing(db, table_name=table)))
    known = {tuple(_names(one)): one for one in read(db, table_name=table)}
    known |= {key: nothing_yet(key) for key in absent if key not in known}
    streams = [{**one, "missing": key in absent} for key, one in known.items()]
    if as_json:
        print(json.dumps(streams))
        return 0
    shown = [one for one in streams if one["symbol"] != UNKNOWN or one["received"]]
    rows = [[*_names(one), *(f"{one[term]:,}" for term in TERMS), _remark(one)] for one in shown]
    print_table(("exchange", "symbol", "channel", *HEADINGS, ""), rows, left=3)
    if absent:
        count = len(absent)
        print(f"{count} stream{'s'[: count != 1]} configured and not collected: marked `missing` above")
    print(_session_text(sessions(db, table_name=table)))
    for text in waiting_texts(db, SinkOptions(table_name=table)):
        print(f"{text}: the next start on this database brings them in")
    for one in failing_chores(db, table_name=table):
        print(f"housekeeping: {one['chore']} failed {instant(one['at_ns'])}: {one['problem']}")
    return 0


def _names(stream: Mapping[str, Any]) -> list[str]:
    return [stream["exchange"], stream["symbol"], stream["channel"]]


def _remark(stream: Mapping[str, Any]) -> str:
    """Return why events were rejected, after a word where the last session has nothing of the stream."""
    reasons = [f"{reason}={count:,}" for reason, count in sorted(stream["reasons"].items())]
    return " ".join([*(["missing"] if stream["missing"] else []), *reasons])


def _session_text(sessions: Sequence[Mapping[str, Any]]) -> str:
    if not sessions:
        return "no collector has written here yet"
    newest = sessions[0]
    count = f"{len(sessions)} session{'s'[: len(sessions) != 1]}"
    who = f"process {newest['pid']} on {newest['host']}"
    if newest["ended_ns"] is not None:
        cause = newest["end_cause"] or "unknown"
        return f"{count}; the last ended {instant(newest['ended_ns'])} ({cause}); {who}"
    since = f"since {instant(newest['started_ns'])}"
    committed_ns = newest["committed_ns"] or newest["started_ns"]
    age_s = (time.time_ns() - committed_ns) / SECONDS_NS
    quiet = "" if age_s < QUIET_S else f", and has written nothing for {span(age_s)}: does it still run?"
    return f"{count}; one writes {since}: {who}, last commit {span(max(age_s, 0.0))} ago{quiet}"
