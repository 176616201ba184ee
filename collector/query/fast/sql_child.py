"""Read rows of SQLite as columns: the program of a child process, which imports nothing of this package.

A second SQLite library in a process would let go of the locks of the first: POSIX locks belong to a process,
and whoever closes a file drops all that its process holds on it. So this one has a process to itself.

It answers each line of JSON on its input with one on its output. Behind a line with `rows` come their
columns: numbers as eight bytes each, one column after the other, then texts as a batch of Arrow.
"""

import json
import math
import os
import signal
import sys
from typing import Any, BinaryIO


class Database:
    """A connection that only reads."""

    def __init__(self, uri: str, busy_ms: int) -> None:
        import adbc_driver_manager  # noqa: PLC0415  (found where the first question says)
        import adbc_driver_sqlite  # noqa: PLC0415

        self._connection: Any = adbc_driver_manager.AdbcConnection(adbc_driver_sqlite.connect(uri))
        self._make_statement: Any = adbc_driver_manager.AdbcStatement
        for pragma in (f"busy_timeout = {busy_ms}", "query_only = ON", "trusted_schema = OFF"):
            self.value(f"PRAGMA {pragma}")

    def value(self, sql: str) -> Any:
        """Return the first value of the answer to a question, or None."""
        found = [batch.column(0)[0].as_py() for batch in self.batches(sql, [], 1)]
        return found[0] if found else None

    def batches(self, sql: str, values: list[Any], rows: int) -> Any:
        """Yield what a question finds, so many rows at a time, as batches of Arrow."""
        import pyarrow as pa  # noqa: PLC0415

        statement = self._make_statement(self._connection)
        try:
            statement.set_options(**{"adbc.sqlite.query.batch_rows": str(rows)})
            statement.set_sql_query(sql)
            if values:
                names = [str(place) for place in range(len(values))]
                statement.bind(pa.record_batch([pa.array([one]) for one in values], names=names))
            handle, _ = statement.execute_query()
            yield from pa.RecordBatchReader._import_from_c(handle.address)  # noqa: SLF001
        finally:
            statement.close()


def typed(sql: str, kinds: dict[str, str]) -> str:
    """Return the question with a first row that has a value of each kind, so that no type is guessed.

    The library takes the type of a column from its first rows. A last column says of each row whether one of
    its texts is no text: that would be made one in silence.
    """
    examples = {"int": "0", "float": "0.5", "text": "'x'"}
    first = ", ".join(f'{examples[kind]} AS "{name}"' for name, kind in kinds.items())
    texts = [name for name, kind in kinds.items() if kind == "text"]
    if not texts:
        return f"SELECT {first} UNION ALL SELECT * FROM ({sql})"
    others = " OR ".join(f"typeof(\"{name}\") NOT IN ('text', 'null')" for name in texts)
    return f"SELECT {first}, 0 UNION ALL SELECT *, {others} FROM ({sql})"


def send_rows(database: Database, question: dict[str, Any], answers: BinaryIO) -> int:
    """Write the rows of a question; return how many there were. A value of another type is a TypeError."""
    import pyarrow as pa  # noqa: PLC0415

    kinds, words = list(question["kinds"].values()), set(question["words"])
    wanted = {"int": pa.int64(), "float": pa.float64(), "text": pa.string()}
    numbers = [place for place, kind in enumerate(kinds) if kind != "text"]
    texts = [place for place, kind in enumerate(kinds) if kind == "text"]
    are_words = [list(question["kinds"])[place] in words for place in texts]
    sent, skipped = 0, 1  # the row of examples
    for batch in database.batches(
        typed(question["sql"], question["kinds"]), question["values"], question["rows"]
    ):
        if [column.type for column in batch.columns[: len(kinds)]] != [wanted[kind] for kind in kinds]:
            raise TypeError("a column holds values of another type than its own")
        rows = batch.slice(skipped)
        skipped = max(0, skipped - batch.num_rows)
        if not rows.num_rows:
            continue
        if texts and _numbers(rows.column(len(kinds))).any():
            raise TypeError("a column of texts holds other values")
        if any(kinds[place] == "int" and rows.column(place).null_count for place in numbers):
            raise TypeError("a whole number is missing where none may be")
        packed = _packed(pa, [rows.column(place) for place in texts], are_words)
        _write_line(answers, {"rows": rows.num_rows, "bytes": len(packed)})
        answers.writelines(_numbers(rows.column(place)) for place in numbers)
        answers.write(packed)
        answers.flush()
        sent += rows.num_rows
    return sent


def _numbers(column: Any) -> Any:
    """Return a column's numbers as they lie in memory, NaN where one is missing; nothing is copied."""
    import numpy as np  # noqa: PLC0415

    is_known, values = column.buffers()
    form = np.float64 if str(column.type) == "double" else np.int64
    found = np.frombuffer(values, dtype=form)[column.offset : column.offset + len(column)]
    if column.null_count:
        bits = np.unpackbits(np.frombuffer(is_known, dtype=np.uint8), bitorder="little")
        found = np.where(bits[column.offset : column.offset + len(column)], found, math.nan)
    return found


def _packed(pa: Any, columns: list[Any], are_words: list[bool]) -> Any:
    """Return texts as one message; those of a few words as these and where each stands."""
    if not columns:
        return b""
    for column in columns:
        column.validate(full=True)
    told = [
        column.dictionary_encode() if is_word else column
        for column, is_word in zip(columns, are_words, strict=True)
    ]
    names = [str(place) for place in range(len(told))]
    sink = pa.BufferOutputStream()
    batch = pa.record_batch(told, names=names)
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def _write_line(answers: BinaryIO, told: dict[str, Any]) -> None:
    answers.write(json.dumps(told).encode() + b"\n")


def _answer(database: Database, question: dict[str, Any], answers: BinaryIO) -> dict[str, Any]:
    match question["do"]:
        case "version":
            return {"version": database.value("PRAGMA data_version")}
        case "begin":
            database.value("BEGIN")
            database.value("SELECT 1 FROM sqlite_schema LIMIT 1")
            return {"version": database.value("PRAGMA data_version")}
        case "end":
            database.value("COMMIT")
            return {}
        case _:
            return {"end": send_rows(database, question, answers)}


def main() -> None:
    """Open the database that the first line names; answer questions until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the parent decides
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    database: Database | None = None
    for line in questions:
        question = json.loads(line)
        try:
            if database is None:
                sys.path[:] = question["path"]
                database = Database(question["uri"], question["busy_ms"])
                found = os.stat(question["file"])  # noqa: PTH116  (one import less at each start)
                told: dict[str, Any] = {"file": [found.st_dev, found.st_ino]}
            else:
                told = _answer(database, question, answers)
        except BrokenPipeError:
            return
        except Exception as error:  # noqa: BLE001  (whatever it is, the parent is told and reads by itself)
            told = {"error": f"{type(error).__name__}: {error}"}
        _write_line(answers, told)
        answers.flush()


if __name__ == "__main__":
    main()
