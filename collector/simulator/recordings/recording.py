"""Recorded frames from files, in the forms in which people record them."""

import gzip
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from collector.errors import UserError

_STAMPED = re.compile(r"(\d{13,19})\s+(.*)", re.DOTALL)
_EMBEDDED = re.compile(r'"frame":\s*(\{.*\})\}\s*$', re.DOTALL)
_STEP_WITHOUT_TIMES_NS = 10_000_000


class Recorded(NamedTuple):
    """One frame as the exchange sent it, and when it was received."""

    at_ns: int
    text: str


def read_recording(path: str | Path) -> Iterator[Recorded]:
    """Read the frames of a file (plain, .gz or .zip), one a line, received ones only.

    Known forms: `<time> <frame>`; JSON lines with the frame as text under `data` (and `ts` in seconds) or
    `payload` (and `recv_ts_ns`), or embedded under `frame` (and `rx_ns`); bare frames, 10 ms apart.
    """
    at_ns = 0
    for line in _lines(Path(path)):
        recorded = _frame(line.strip(), at_ns + _STEP_WITHOUT_TIMES_NS)
        if recorded is not None:
            at_ns = recorded.at_ns
            yield recorded


def _lines(path: Path) -> Iterator[str]:
    if not path.is_file():
        raise UserError(f"no recording at {path}")
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as rows:
            for row in rows:
                yield row.decode()
    else:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            yield from lines


def _frame(line: str, at_ns: int) -> Recorded | None:
    if not line:
        return None
    stamped = _STAMPED.fullmatch(line)
    if stamped:
        return Recorded(int(stamped[1]) * 10 ** (19 - len(stamped[1])), stamped[2])
    return _object(json.loads(line), line, at_ns)


def _object(row: dict[str, Any], line: str, at_ns: int) -> Recorded | None:
    if "payload" in row:
        return Recorded(row["recv_ts_ns"], row["payload"])
    if "rx_ns" in row:
        embedded = _EMBEDDED.search(line)
        return Recorded(row["rx_ns"], embedded[1]) if embedded and row.get("dir") != "tx" else None
    if isinstance(row.get("data"), str):
        wanted = row.get("t") == "recv" or (row.get("t") == "http" and "/depth?" in row.get("url", ""))
        return Recorded(int(row["ts"] * 1e9), row["data"]) if wanted else None
    is_note = "captured_at" in row or row.get("t") in {"header", "connect", "send"}
    return None if is_note else Recorded(at_ns, line)
