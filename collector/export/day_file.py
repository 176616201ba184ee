"""Write the file of one day."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from collector.database import make_durable
from collector.export.cut import Cut
from collector.export.day_rows import LEFT_OUT, WHOLE, day_tables, schema
from collector.export.utc_days import Day
from collector.query import MixedRowsError, Part, extra

_BLOCK = 1 << 20


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a name to write to; rename it to the path when all is written, remove it otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.tmp")
    try:
        yield beside
        make_durable(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    make_durable(path.parent)


def sha256(path: Path, check: Callable[[], None] = lambda: None) -> str:
    """Return the checksum of a file; `check` is called again and again, and may raise to end it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            check()
            digest.update(block)
    return digest.hexdigest()


Write = Callable[[Path, Any, Iterator[Any]], None]

_ZSTD_LEVEL = 9  # twice the time of level 3, which is little beside reading the rows, for 4 % less
# Sizes, spreads and flow come again and again; prices, and what is computed of many numbers, do so less.
_OFTEN_THE_SAME = ("size", "bid_size", "ask_size", "spread", "ofi")
_HARDLY_EVER = ("spread_bps",)


def write_parquet(path: Path, schema: Any, rows: Iterator[Any]) -> None:
    """Write Parquet: zstd, a row group a chunk; in pandas whole numbers stay whole where one is missing.

    Whole numbers and texts, which grow from row to row, are kept as their differences.
    """
    parquet = extra("pyarrow.parquet", "parquet")
    types = extra("pyarrow", "parquet").types
    dictionaries = [one.name for one in schema if types.is_dictionary(one.type) or _repeats(one.name)]
    grown = {one.name: "DELTA_BINARY_PACKED" for one in schema if types.is_int64(one.type)}
    grown |= {one.name: "DELTA_BYTE_ARRAY" for one in schema if types.is_string(one.type)}
    told = schema.with_metadata(
        {b"pandas": _for_pandas(one.name for one in schema if types.is_int64(one.type))}
    )
    with parquet.ParquetWriter(
        path,
        told,
        compression="zstd",
        compression_level=_ZSTD_LEVEL,
        use_dictionary=dictionaries,
        column_encoding=grown,
    ) as writer:
        for table in rows:
            writer.write_table(table)


def _repeats(name: str) -> bool:
    return name.startswith(_OFTEN_THE_SAME) and name not in _HARDLY_EVER


def _for_pandas(whole: Iterable[str]) -> bytes:
    """Return what tells pandas to read columns as Int64: it makes floats of them where a value is missing."""
    columns = [
        {"name": name, "field_name": name, "pandas_type": "int64", "numpy_type": "Int64", "metadata": None}
        for name in whole
    ]
    return json.dumps({"index_columns": [], "column_indexes": [], "columns": columns}).encode()


def write_csv(path: Path, schema: Any, rows: Iterator[Any]) -> None:
    """Write CSV with a line of names; what is missing is empty."""
    csv = extra("pyarrow.csv", "parquet")
    plain = extra("pyarrow", "parquet").schema(
        [(one.name, getattr(one.type, "value_type", one.type)) for one in schema]
    )
    with csv.CSVWriter(path, plain) as writer:
        for table in rows:
            writer.write_table(table.cast(plain))


FORMATS: dict[str, Write] = {"parquet": write_parquet, "csv": write_csv}


def write_day(
    connection: sa.Connection,
    table: sa.Table,
    day: Day,
    path: Path,
    form: str,
    left_out: tuple[str, ...] = LEFT_OUT,
    parts: tuple[Part, ...] = (),
    check: Callable[[], None] = lambda: None,
    cut: Cut = WHOLE,
) -> int:
    """Write the day's rows, those in the table and those in `parts`; the file appears whole.

    `check` is called every few thousand rows, and may raise to end it. Returns how many rows it has.
    """
    columns = schema(table, left_out)
    with whole_file(path) as unfinished:
        try:
            with closing(day_tables(connection, table, day, left_out, parts, check, cut)) as rows:
                return write_rows(unfinished, form, columns, rows)
        except MixedRowsError:
            found = day_tables(connection, table, day, left_out, parts, check, cut, are_alike=False)
            with closing(found) as rows:
                return write_rows(unfinished, form, columns, rows)


def write_rows(path: Path, form: str, columns: Any, tables: Iterable[Any]) -> int:
    """Write tables one after the other; return how many rows they have."""
    written = 0

    def counted() -> Iterator[Any]:
        nonlocal written
        for table in tables:
            written += table.num_rows
            yield table

    FORMATS[form](path, columns, counted())
    return written
