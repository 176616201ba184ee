"""The commands that read what was stored: `status`, `coverage`, `verify`."""

import json
import sys
from typing import Annotated

import typer

from collector.cli.options import DEFAULT_DATABASE, DEFAULT_TABLE, AsJson, DatabaseUrl, TableName

EXIT_FAILED = 1


def status(
    *, db: DatabaseUrl = DEFAULT_DATABASE, table: TableName = DEFAULT_TABLE, as_json: AsJson = False
) -> int:
    """Show, stream by stream, what came in and what became of it.

    Example: python run.py status --db ./demo.db --json
    """
    from collector.query.status import status as read  # noqa: PLC0415

    streams = read(db, table_name=table)
    if as_json:
        print(json.dumps(streams))
        return 0
    for one in streams:
        name = f"{one['exchange']} {one['symbol']} {one['channel']}"
        terms = ("received", "written", "merged", "sampled_out", "rejected", "dropped", "pending")
        print(f"{name}: " + ", ".join(f"{term} {one[term]:,}" for term in terms))
    return 0


def coverage(
    *,
    db: DatabaseUrl = DEFAULT_DATABASE,
    table: TableName = DEFAULT_TABLE,
    symbol: Annotated[str | None, typer.Option("--symbol", help="Only this symbol.")] = None,
    gaps_only: Annotated[bool, typer.Option("--gaps-only", help="Only the holes.")] = False,
    as_json: AsJson = False,
) -> int:
    """Show which intervals of each stream are verified, and why each ended.

    Example: python run.py coverage --db ./demo.db --gaps-only
    """
    from collector.query import coverage as reader  # noqa: PLC0415

    frame = (reader.gaps if gaps_only else reader.coverage)(db, symbol, table_name=table)
    if as_json:
        print(frame.to_json(orient="records"))
        return 0
    for row in frame.to_dict(orient="records"):
        name = f"{row['exchange']} {row['symbol']} {row['channel']}"
        if gaps_only:
            begin, end, rest = row["from_ns"], row["until_ns"], f"after {row['cause']}"
        else:
            begin, end = row["start_ns"], row["alive_until_ns"]
            rest = f"{row['rows']:,} rows, {row['verification']}, ended: {row['end_cause'] or 'not yet'}"
        detail = f" ({row['detail']})" if row["detail"] else ""
        print(f"{name}  {_instant(begin)} to {_instant(end)}  {(end - begin) / 1e9:,.3f} s  {rest}{detail}")
    return 0


def verify(
    *, db: DatabaseUrl = DEFAULT_DATABASE, table: TableName = DEFAULT_TABLE, as_json: AsJson = False
) -> int:
    """Audit a database: identity, coverage against rows, order, features. Exit code 0: all holds; 1: not.

    Example: python run.py verify --db ./demo.db
    """
    from collector.cli.progress import progress  # noqa: PLC0415
    from collector.query.audit import audit  # noqa: PLC0415

    with progress("rows", shown=not as_json) as on_progress:
        found = audit(db, table_name=table, on_progress=on_progress)
    if as_json:
        findings = [{"check": one.check, "text": one.text} for one in found.findings]
        print(json.dumps({"passed": found.passed, "rows": found.rows, "findings": findings}))
    else:
        for finding in found.findings:
            print(f"{finding.check}: {finding.text}")
        looked_at = f"{found.rows:,} rows, {found.segments:,} segments, {found.streams:,} streams"
        problems = len(found.findings)
        print(
            f"verified: {looked_at}"
            if found.passed
            else f"{problems} finding{'s'[: problems != 1]} in {looked_at}"
        )
        sys.stdout.flush()
    return 0 if found.passed else EXIT_FAILED


def _instant(at_ns: int) -> str:
    from collector.features.rows import iso_text  # noqa: PLC0415

    return iso_text(at_ns)
