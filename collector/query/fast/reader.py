"""Ask a child process for rows of SQLite, and take them as arrays.

It is started by fork and exec: nothing of this process is in it but what it is told.
"""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import numpy.typing as npt

from collector.errors import CollectorError
from collector.query.database import extra

if TYPE_CHECKING:
    from io import BufferedReader

Array = npt.NDArray[Any]
BATCH_ROWS = 16_384  # a column of a batch fits a core's cache
_PROGRAM = Path(__file__).with_name("sql_child.py")
_PIPE_BYTES = 1 << 20
_BUSY_MS = 5_000


class ChildFailed(CollectorError):  # noqa: N818  (a state of another process)
    """The child died, or told of an error: whoever asked reads by itself."""


class Reader:
    """A child process that reads one SQLite file; one question at a time."""

    def __init__(self, uri: str, file: Path) -> None:
        self._file = file
        self._process = subprocess.Popen(  # noqa: S603  (our own program, in our own interpreter)
            [sys.executable, "-I", "-S", str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # it computes nothing
        )
        assert self._process.stdin is not None  # noqa: S101  (as asked above)
        self._questions, self._answers = self._process.stdin, cast("BufferedReader", self._process.stdout)
        self._is_busy = False
        self._version: object = None
        self._known: object = None
        try:
            _widen(self._answers.fileno())
            self._send({"path": sys.path, "uri": uri, "file": str(file), "busy_ms": _BUSY_MS})
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Return the process's number."""
        return self._process.pid

    @property
    def is_free(self) -> bool:
        """Whether it can be asked: it lives, and no answer is under way."""
        return not self._is_busy and self._process.returncode is None

    def close(self) -> None:
        """End the process. Idempotent. It only reads: there is nothing that it could leave behind."""
        self._process.kill()
        with suppress(OSError):  # a question that it did not take
            self._questions.close()
        self._answers.close()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def look(self) -> None:
        """Remember what the database was like before another connection begins its transaction."""
        if self._known is None:
            self._known = self._told()["file"]
        self._version = self._asked({"do": "version"})["version"]

    def begin(self) -> bool:
        """Begin a transaction; return whether it sees what one sees that began after the last look.

        The child's connection is told the same number then and now only if nothing was committed between.
        """
        version = self._asked({"do": "begin"})["version"]
        found = self._file.stat()
        if version == self._version and self._known == [found.st_dev, found.st_ino]:
            return True
        self.end()
        return False

    def end(self) -> None:
        """End the transaction."""
        self._asked({"do": "end"})

    def rows(
        self, sql: str, values: Sequence[object], kinds: Mapping[str, str], words: Sequence[str]
    ) -> Generator[dict[str, Array], None, None]:
        """Yield what a question finds as columns, a batch at a time, in its order."""
        self._is_busy = True
        self._send(
            {"do": "read", "sql": sql, "values": values, "kinds": kinds, "words": words, "rows": BATCH_ROWS}
        )
        try:
            while "end" not in (told := self._told()):
                yield self._columns(told["rows"], told["bytes"], kinds)
            self._is_busy = False
        finally:
            if self._is_busy:  # the rest of the answer would be taken for that to another question
                self.close()

    def _columns(self, rows: int, text_bytes: int, kinds: Mapping[str, str]) -> dict[str, Array]:
        numbers = [name for name, kind in kinds.items() if kind != "text"]
        block = np.empty((len(numbers), rows), dtype=np.int64)
        self._fill(block.data.cast("B") if block.size else memoryview(b""))
        found: dict[str, Array] = {}
        for name, values in zip(numbers, block, strict=True):
            found[name] = values if kinds[name] == "int" else values.view(np.float64)
        if text_bytes:
            packed = np.empty(text_bytes, dtype=np.uint8)
            self._fill(packed.data)
            texts = [name for name, kind in kinds.items() if kind == "text"]
            batch = extra("pyarrow", "parquet").ipc.open_stream(packed).read_next_batch()
            found |= {name: _objects(column) for name, column in zip(texts, batch.columns, strict=True)}
        return {name: found[name] for name in kinds}

    def _fill(self, into: memoryview) -> None:
        done = 0
        while done < len(into):
            taken = self._answers.readinto(into[done:])
            if not taken:
                raise self._died()
            done += taken

    def _asked(self, question: Mapping[str, object]) -> dict[str, Any]:
        self._send(question)
        return self._told()

    def _send(self, question: Mapping[str, object]) -> None:
        try:
            self._questions.write(json.dumps(question).encode() + b"\n")
            self._questions.flush()
        except (OSError, ValueError) as error:
            raise self._died() from error

    def _told(self) -> dict[str, Any]:
        line = self._answers.readline() if not self._answers.closed else b""
        if not line.endswith(b"\n"):
            raise self._died()
        told: dict[str, Any] = json.loads(line)
        if "error" in told:
            raise ChildFailed(str(told["error"]))
        return told

    def _died(self) -> ChildFailed:
        self.close()
        return ChildFailed(f"the process that read ended with status {self._process.returncode}")


def _objects(column: Any) -> Array:
    if not hasattr(column, "dictionary"):
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.object_)
    words: Array = np.array([*column.dictionary.to_pylist(), None], dtype=np.object_)
    places: Array = column.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)
    return words[places]


def _widen(pipe: int) -> None:
    """Let a pipe hold a batch, so that both sides work at the same time; only Linux can."""
    with suppress(OSError, AttributeError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
