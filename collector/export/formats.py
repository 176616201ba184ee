"""Write one day's rows as a file of a format."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from collector.query.extras import extra

Write = Callable[[Path, Any, Iterator[Any]], None]

_ZSTD_LEVEL = 3


def write_parquet(path: Path, schema: Any, rows: Iterator[Any]) -> None:
    """Write Parquet: zstd, a row group a chunk."""
    parquet = extra("pyarrow.parquet", "parquet")
    dictionaries = [one.name for one in schema if extra("pyarrow", "parquet").types.is_dictionary(one.type)]
    with parquet.ParquetWriter(
        path, schema, compression="zstd", compression_level=_ZSTD_LEVEL, use_dictionary=dictionaries
    ) as writer:
        for table in rows:
            writer.write_table(table)


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
