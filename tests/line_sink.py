"""A sink of the tests' own: a line of JSON for each write set. It hangs, refuses or fails when told to."""

import json
import threading
from pathlib import Path
from typing import Any

from collector.errors import SinkError, UserError
from collector.sinks.contract import Capabilities, Receipt, Rows, WriteSet

SCHEME = "lines"


class LineSink:
    """Appends a line for each batch id that the file does not have."""

    file = None

    def __init__(self, path: Path, *, most_rows: int | None = None) -> None:
        self.path = path
        self.name = f"{SCHEME}://{path}"
        self.capabilities = Capabilities(transactions=True, idempotent=True, most_rows=most_rows)
        self.goes_on = threading.Event()  # while it is not set, a write hangs
        self.goes_on.set()
        self.hears = True  # whether `abort` ends a write that hangs
        self.error: Exception | None = None  # what every write raises
        self.poison: set[int] = set()  # sequences of rows that are refused for what they are
        self.writes = 0
        self._written_by: dict[str, str] | None = None
        self._aborted = threading.Event()

    def open(self) -> None:
        if not self.path.parent.is_dir():
            raise UserError(f"the folder {self.path.parent} does not exist")
        self._written_by = {line["batch_id"]: line["by"] for line in lines_of(self.path)}

    def write(self, write_set: WriteSet) -> Receipt:
        assert self._written_by is not None, "open() comes first"
        self._aborted.clear()
        self.writes += 1
        while not self.goes_on.wait(0.005):
            if self.hears and self._aborted.is_set():
                raise SinkError("interrupted", transient=True)
        if self.error is not None:
            raise self.error
        if any(map(self.refuses, write_set.rows)):
            raise SinkError("bad rows", transient=False)
        if write_set.batch_id in self._written_by:
            return Receipt(repeated=True, written_by=self._written_by[write_set.batch_id])
        with self.path.open("a") as file:
            file.write(json.dumps(line_of(write_set)) + "\n")
        self._written_by[write_set.batch_id] = write_set.written_by
        return Receipt()

    def refuses(self, rows: Rows) -> str | None:
        bad = self.poison.intersection(rows.columns.get("sequence", ()))
        return f"bad sequences {sorted(bad)}" if bad else None

    def abort(self) -> None:
        self._aborted.set()

    @property
    def is_open(self) -> bool:
        return self._written_by is not None

    def close(self) -> None:
        self._written_by = None


def line_of(write_set: WriteSet) -> dict[str, Any]:
    return {
        "batch_id": write_set.batch_id,
        "session": write_set.session.session_id,
        "by": write_set.written_by,
        "sequences": [one for rows in write_set.rows for one in rows.columns.get("sequence", ())],
        "written": sum(one.written for one in write_set.accounting),
    }


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
