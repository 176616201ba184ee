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
# Prices move by ticks, and sizes, spreads and flow come again and again. Where they do not, and the different
# ones take more than this in a row group, the rest of them are kept as they are.
_OFTEN_THE_SAME = ("bid_", "ask_", "mid_price", "price", "size", "spread", "ofi", "data_quality_score")
_DICTIONARY_BYTES = 65_536


def write_parquet(path: Path, schema: Any, rows: Iterator[Any]) -> None:
    """Write Parquet: zstd, a row group a chunk; in pandas whole numbers stay whole where one is missing.

    Whole numbers and texts, which differ little from row to row, are kept as their differences, and what
    comes again and again as its place in a list: both are read in a fraction of the time.
    """
    parquet = extra("pyarrow.parquet", "parquet")
    types = extra("pyarrow", "parquet").types
    whole = [one.name for one in schema if types.is_int64(one.type)]
    texts = [one.name for one in schema if types.is_string(one.type)]
    listed = [one.name for one in schema if types.is_dictionary(one.type)]
    listed += [
        one.name for one in schema if types.is_float64(one.type) and one.name.startswith(_OFTEN_THE_SAME)
    ]
    with parquet.ParquetWriter(
        path,
        schema.with_metadata({b"pandas": _for_pandas(whole)}),
        compression="zstd",
        compression_level=_ZSTD_LEVEL,
        use_dictionary=listed,
        dictionary_pagesize_limit=_DICTIONARY_BYTES,
        column_encoding={
            **dict.fromkeys(whole, "DELTA_BINARY_PACKED"),
            **dict.fromkeys(texts, "DELTA_BYTE_ARRAY"),
        },
    ) as writer:
        for table in rows:
            writer.write_table(table)


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
