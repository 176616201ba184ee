"""Define the command `verify`."""

import json
import sys

from collector.cli.options import DEFAULT_DATABASE, DEFAULT_TABLE, AsJson, DatabaseUrl, TableName
from collector.cli.plain import counted
from collector.cli.table import print_text

EXIT_FAILED = 1


def verify(
    *, db: DatabaseUrl = DEFAULT_DATABASE, table: TableName = DEFAULT_TABLE, as_json: AsJson = False
) -> int:
    """Audit a database: identity, coverage, order, features, trades, bars. Names the rows that are wrong.

    Example: python run.py verify --db ./demo.db

    What is no fault but should be known is a note: a clock that was stepped, say.

    Exit codes: 0 all holds; 1 something does not; 2 it could not be read.
    """
    from collector.cli.plain import progress  # noqa: PLC0415
    from collector.query import run_audit  # noqa: PLC0415

    with progress("rows", shown=not as_json) as on_progress:
        found = run_audit(db, table_name=table, on_progress=on_progress)
    if as_json:
        findings, notes = (
            [{"check": one.check, "text": one.text} for one in told] for told in (found.findings, found.notes)
        )
        told = {"passed": found.passed, "rows": found.rows, "findings": findings, "notes": notes}
        print(json.dumps(told))
    else:
        for finding in found.findings:
            print_text(f"{finding.check}: {finding.text}")
        for note in found.notes:
            print_text(f"note, no fault: {note.check}: {note.text}")
        counts = {"row": found.rows, "segment": found.segments, "stream": found.streams}
        looked_at = ", ".join(counted(count, noun) for noun, count in counts.items())
        found_text = "verified:" if found.passed else f"{counted(len(found.findings), 'finding')} in"
        print_text(f"{found_text} {looked_at}")
        sys.stdout.flush()
    return 0 if found.passed else EXIT_FAILED
