"""Keep the records that cannot be stored, with the reason, in a file of JSON lines."""

import base64
import json
import os
from pathlib import Path

from collector.consume.stream import StreamRecord
from collector.errors import UserError

# What comes twice was read after the last position that was stored: these are the newest.
MOST_KNOWN = 100_000


class DeadLetters:
    """A file with a line for each record that is given up, each once. Used by one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[tuple[str, str, str], None] = {}  # in the order in which they came
        self._lines: list[str] = []

    def open(self) -> None:
        """Read which records are in it, or raise UserError: what is given up must find its place."""
        try:
            with self.path.open("a+", encoding="utf-8") as file:
                file.seek(0)
                for line in file:
                    self._learn(_name_of(line))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"the file of dead letters {self.path} cannot be used: {error}") from error

    def add(self, source: str, shard: str, record: StreamRecord, reason: str) -> bool:
        """Take a record, to be written with the next `flush`; False for one that is there already."""
        name = source, shard, record.sequence_number
        if name in self._known:
            return False
        self._learn(name)
        line = {
            "source": source,
            "shard": shard,
            "sequence_number": record.sequence_number,
            "partition_key": record.partition_key,
            "arrived_ns": record.arrived_ns,
            "reason": reason,
            "data": base64.b64encode(record.data).decode(),
        }
        self._lines.append(json.dumps(line) + "\n")
        return True

    def _learn(self, name: tuple[str, str, str]) -> None:
        self._known[name] = None
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]

    def flush(self) -> None:
        """Make durable what was taken, or raise UserError. Before the position that passes it is stored."""
        if not self._lines:
            return
        try:
            with self.path.open("a", encoding="utf-8") as file:
                if not _ends_with_a_line(self.path):
                    file.write("\n")
                file.writelines(self._lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UserError(f"the file of dead letters {self.path} cannot be written: {error}") from error
        self._lines.clear()


def _name_of(line: str) -> tuple[str, str, str]:
    """Return what a line is of; a line that was broken off is of nothing."""
    try:
        told = json.loads(line)
        return str(told["source"]), str(told["shard"]), str(told["sequence_number"])
    except (ValueError, KeyError, TypeError):
        return "", "", ""


def _ends_with_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
