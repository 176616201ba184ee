"""Read the rows of one day, whole, in order, as an Arrow table a chunk."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import sqlalchemy as sa

from collector.errors import QueryError
from collector.export.cut import Cut
from collector.export.utc_days import BARS, Day, within
from collector.query import (
    CATEGORIES,
    CHUNK_ROWS,
    NO_INT,
    Array,
    Chunk,
    Part,
    Series,
    Span,
    StoredStream,
    Value,
    even,
    extra,
    joined,
    kind_of,
    length,
    picked,
)

LEFT_OUT = ("id", "timestamp", "created_at")  # numbering, the text of received_at_ns, and our own delay
CHECKED_ROWS = 8_192  # read between two looks at whether to go on: a tenth of a second
WHOLE = Cut()
_NEARLY_ALWAYS_ALIKE = ("depth", "data_source")


def schema(table: sa.Table, left_out: tuple[str, ...] = LEFT_OUT) -> Any:
    """Return the Arrow schema of a table's files: whole ns in int64, names as dictionaries."""
    arrow = extra("pyarrow", "parquet")
    types = {"float": arrow.float64(), "int": arrow.int64(), "text": arrow.string()}
    names = [column.name for column in table.columns if column.name not in left_out]
    names.sort(key=lambda name: name != "received_at_ns")  # the first column is when
    return arrow.schema(
        [
            (
                name,
                arrow.dictionary(arrow.int32(), arrow.string())
                if name in CATEGORIES
                else types[kind_of(table.c[name])],
            )
            for name in names
        ]
    )


def day_tables(
    connection: sa.Connection,
    table: sa.Table,
    day: Day,
    left_out: tuple[str, ...] = LEFT_OUT,
    parts: tuple[Part, ...] = (),
    check: Callable[[], None] = lambda: None,
    cut: Cut = WHOLE,
    *,
    are_alike: bool = True,
) -> Generator[Any, None, None]:
    """Yield the day's rows in the order of time, bars in that of their beginning.

    What nearly always is the same in all rows is proven and not read, which fails with MixedRowsError.
    """
    arrow = extra("pyarrow", "parquet")
    wanted = schema(table, left_out)
    stream = _stream(connection, table, day, parts, are_alike=are_alike)
    constants = stream.constants
    series = Series(stream, tuple(name for name in wanted.names if name not in constants))
    read = _checking(series, connection, check, cut.read_span(day.kind))
    chunks: Iterator[Chunk] = cut.applied(day.kind, read, constants)
    if day.kind in BARS:
        chunks = iter([_by_beginning(joined(list(chunks), series.kinds))])
    for chunk in even(chunks, CHUNK_ROWS):
        rows = length(chunk)
        yield arrow.table(
            [
                _array(chunk[one.name], one.type)
                if one.name in chunk
                else _constant(constants[one.name], rows, one.type)
                for one in wanted
            ],
            schema=wanted,
        )


def _checking(
    series: Series, connection: sa.Connection, check: Callable[[], None], span: Span
) -> Generator[Chunk, None, None]:
    # What reads is closed before the connection is, also when the check raises.
    with closing(_read(series, connection, span)) as chunks:
        for chunk in chunks:
            check()
            yield chunk


def _read(series: Series, connection: sa.Connection, span: Span) -> Generator[Chunk, None, None]:
    yield from series.read(connection, span, min(CHECKED_ROWS, CHUNK_ROWS))


def _stream(
    connection: sa.Connection, table: sa.Table, day: Day, parts: tuple[Part, ...], *, are_alike: bool
) -> StoredStream:
    where = (
        table.c.symbol == day.symbol,
        table.c.exchange == day.exchange,
        *within(table, day.kind, day.date),
        table.c.id <= day.last_id,
    )
    stream = StoredStream(table, day.symbol, day.exchange, where, parts=parts)
    names = [name for name in _NEARLY_ALWAYS_ALIKE if name in table.c]
    if not are_alike:
        return stream
    first = stream.between(None, None).with_only_columns(*(table.c[name] for name in names)).limit(1)
    row = connection.execute(first).first()
    if row is None and not parts:
        raise QueryError(f"the {day.kind} of {day.symbol} of {day.date} are gone since they were counted")
    alike = parts[0].first_row(names) if row is None else dict(zip(names, row, strict=True))
    return StoredStream(table, day.symbol, day.exchange, where, alike=alike, parts=parts)


def _by_beginning(bars: Chunk) -> Chunk:
    return picked(bars, np.lexsort((bars["open_time"], bars["interval"].astype(str))))


def _array(values: Array, kind: Any) -> Any:
    arrow = extra("pyarrow", "parquet")
    if values.dtype == np.int64:
        return arrow.array(values, type=kind, mask=values == NO_INT)
    if values.dtype == np.float64:
        return arrow.array(values, mask=np.isnan(values))
    try:
        texts = arrow.array(values, type=arrow.string())
    except arrow.ArrowTypeError:  # moments, as PostgreSQL gives them
        words = [None if value is None else str(value) for value in values.tolist()]
        texts = arrow.array(words, type=arrow.string())
    return texts.cast(kind) if arrow.types.is_dictionary(kind) else texts


def _constant(value: Value, rows: int, kind: Any) -> Any:
    arrow = extra("pyarrow", "parquet")
    if not arrow.types.is_dictionary(kind):
        return arrow.array([value], type=kind).take(arrow.array(np.zeros(rows, dtype=np.int64)))
    codes = arrow.array(np.zeros(rows, dtype=np.int32), mask=np.full(rows, value is None))
    return arrow.DictionaryArray.from_arrays(codes, arrow.array([value or ""], type=arrow.string()))
