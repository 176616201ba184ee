"""Read rows that were moved out of the database into files."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from collector.database import DAY_DIGITS, Tables
from collector.errors import QueryError
from collector.query.database import distinct_values, extra, has_table
from collector.query.instants import Span, midnight_ns, text_of
from collector.query.rows.placing import RECEIPT

_LATEST = "~"  # stands behind every text of time

ASIDE = ".aside"  # the folder, beside those of the kinds, of files that nobody should meet
_FOLDERS = 4  # above that of a file: of its symbol, its exchange, its kind, all files


@dataclass(frozen=True, slots=True)
class Part:
    """A file with rows of one symbol, received on one day, or in one hour of it."""

    exchange: str
    symbol: str
    period: str  # a day (2026-01-31), or an hour of one (2026-01-31T05): how texts of time in it begin
    location: str | Path
    rows: int
    last_id: int
    is_deleted: bool  # whether its rows have all left the table

    @property
    def path(self) -> Path:
        """Return where the file is."""
        return Path(self.location)

    @property
    def day(self) -> str:
        """Return the day that it belongs to."""
        return self.period[:DAY_DIGITS]

    @property
    def is_of_hour(self) -> bool:
        """Return whether all its rows are of one hour."""
        return len(self.period) > DAY_DIGITS

    @property
    def next_period(self) -> str:
        """Return the day after, or the hour after."""
        return following(self.period)

    def may_hold(self, span: Span) -> bool:
        """Return whether rows of the span can be in it."""
        return bool(holding((self,), span))

    def first_row(self, names: Sequence[str]) -> dict[str, str | int | None]:
        """Return some values of the first row."""
        with self.opened() as file:
            return dict(file.read_row_group(0, columns=list(names)).slice(0, 1).to_pylist()[0])

    def last_rows(self, most: int) -> list[dict[str, Any]]:
        """Return the rows of the largest ids, in their order, from the row groups that may hold them."""
        rows: list[dict[str, Any]] = []
        with self.opened() as file:
            ends = _of_column(file, "id")
            largest = [(self.last_id if told is None else told[1], group) for group, told in enumerate(ends)]
            for last_id, group in sorted(largest, reverse=True):
                if len(rows) >= most and last_id < rows[-most]["id"]:
                    break
                found = file.read_row_group(group)
                places = np.argsort(found["id"].to_numpy(), kind="stable")[-most:]
                rows = sorted([*rows, *found.take(places).to_pylist()], key=lambda row: int(row["id"]))[
                    -most:
                ]
        return rows

    def ends(self) -> tuple[str, str]:
        """Return the texts of two instants between which its rows stand, as its footer tells."""
        begin = text_of(midnight_ns(self.period))
        end = text_of(midnight_ns(self.next_period) - 1)
        with self.opened() as file:
            ends = _of_column(file, RECEIPT)
        told = [one for one in ends if one is not None and one[0] is not None]
        if len(told) < len(ends) or not told:
            return begin, end
        # What REST brought afterwards stands before its receipt.
        return max(begin, text_of(min(one[0] for one in told))), min(
            end, text_of(max(one[1] for one in told))
        )

    def counts(self, names: Sequence[str]) -> dict[tuple[Any, ...], int]:
        """Count the rows with each combination of these values."""
        with self.opened() as file:
            if (alike := _alike(file, names)) is not None:
                return {alike: self.rows}
            rows = file.read(columns=list(names)).to_pandas()
        values = rows.astype(object).where(rows.notna(), None)
        return dict(Counter(zip(*(values[name].tolist() for name in names), strict=True)))

    def opened(self) -> Any:
        """Return the open file."""
        # Its rows may be in another file since the database was asked: then it stands aside for a while.
        for path in (self.path, set_aside(self.path)):
            with suppress(FileNotFoundError):
                return extra("pyarrow.parquet", "parquet").ParquetFile(path)
        raise QueryError(
            f"the rows of {self.symbol} of {self.period} were moved to {self.path}, which is not there; "
            "put the file back, or ask for another span"
        )


def archived(connection: sa.Connection, tables: Tables, table: sa.Table) -> Sequence[sa.RowMapping]:
    """Return what the database lists of the files with rows of a table, day after day."""
    where = _listed(connection, tables, table)
    if where is None:
        return ()
    archive = tables.archive
    present = {column["name"] for column in sa.inspect(connection).get_columns(archive.name)}
    columns = [column for column in archive.c if column.name in present]  # an older schema has fewer
    query = sa.select(*columns).where(*where).order_by(archive.c.date, archive.c.last_id)
    return connection.execute(query).mappings().all()


def _listed(
    connection: sa.Connection, tables: Tables, table: sa.Table
) -> "tuple[sa.ColumnElement[bool], ...] | None":
    """Return which entries are of files with rows of a table; None where there can be none."""
    archive, kind = tables.archive, kind_archived(tables, table)
    if kind is None or not has_table(connection, archive):
        return None
    present = {column["name"] for column in sa.inspect(connection).get_columns(archive.name)}
    of_kind = archive.c.kind == kind
    # An older schema is read and not migrated.
    return (archive.c.table_name == table.name, of_kind) if "table_name" in present else (of_kind,)


def kind_archived(tables: Tables, table: sa.Table) -> str | None:
    """Return what the archive calls the rows of a table; None for a table whose rows stay where they are."""
    named = {tables.hot.name: "features", tables.levels.name: "levels", tables.trades.name: "trades"}
    return named.get(table.name)


class Archive:
    """The files with rows of one table."""

    def __init__(self, parts: Sequence[Part] = ()) -> None:
        self._parts = tuple(parts)

    @staticmethod
    def read(connection: sa.Connection, tables: Tables, table: sa.Table) -> "Archive":
        """Return the files that the database lists for a table; they are read market by market."""
        where = _listed(connection, tables, table)
        return Archive() if where is None else _Listed(connection, tables.archive, where)

    @property
    def parts(self) -> tuple[Part, ...]:
        """Return all of them."""
        return self._parts

    @property
    def markets(self) -> set[tuple[str, str]]:
        """Return exchange and symbol of all markets with rows in files."""
        return {(part.exchange, part.symbol) for part in self.parts}

    def of(self, symbol: str, exchange: str) -> tuple[Part, ...]:
        """Return the files of one symbol of one exchange, in the order of their days."""
        return tuple(part for part in self.parts if (part.symbol, part.exchange) == (symbol, exchange))


class _Listed(Archive):
    """Files that a database lists, thousands of a market in a year: those asked for are read, and once."""

    def __init__(
        self, connection: sa.Connection, table: sa.Table, where: Sequence[sa.ColumnElement[bool]]
    ) -> None:
        super().__init__()
        self._connection = connection
        self._columns = table.c
        self._where = tuple(where)
        self._known: dict[tuple[str, str], tuple[Part, ...]] = {}

    @property
    def parts(self) -> tuple[Part, ...]:
        return self._read()

    @property
    def markets(self) -> set[tuple[str, str]]:
        c, found = self._columns, set[tuple[str, str]]()
        for exchange in distinct_values(self._connection, c.exchange, *self._where):
            own = (*self._where, c.exchange == exchange)
            found |= {(exchange, symbol) for symbol in distinct_values(self._connection, c.symbol, *own)}
        return found

    def of(self, symbol: str, exchange: str) -> tuple[Part, ...]:
        c, market = self._columns, (exchange, symbol)
        if market not in self._known:
            self._known[market] = self._read(c.exchange == exchange, c.symbol == symbol)
        return self._known[market]

    def _read(self, *where: sa.ColumnElement[bool]) -> tuple[Part, ...]:
        c = self._columns
        of_part = (c.exchange, c.symbol, c.date, c.path, c.rows, c.last_id, c.deleted_ns)
        query = sa.select(*of_part).where(*self._where, *where).order_by(c.date, c.last_id)
        return tuple(
            Part(exchange, symbol, date, path, rows, last_id, deleted_ns is not None)
            for exchange, symbol, date, path, rows, last_id, deleted_ns in self._connection.execute(
                query
            ).all()
        )


def holding(parts: Sequence[Part], span: Span) -> list[Part]:
    """Return the files in which rows of the span can be, by their days and hours."""
    first = "" if span.start_ns is None else text_of(span.start_ns)
    last = _LATEST if span.end_ns is None else text_of(span.end_ns - 1)
    return [part for part in parts if first[: len(part.period)] <= part.period <= last]


def ends_of(parts: Sequence[Part]) -> list[int]:
    """Return two instants or more between which all rows of some files stand, which are in their order."""
    periods = [part.period for part in parts[:1]]
    periods += [part.next_period for part in parts if part.day == parts[-1].day]
    return [midnight_ns(one) for one in periods]


def beside(table: sa.FromClause, parts: Sequence[Part]) -> list[sa.ColumnElement[bool]]:
    """Return what is true of those rows of one market in a table that are in none of its files."""
    c = table.c
    return [
        sa.not_(sa.and_(c.timestamp >= part.period, c.timestamp < part.next_period, c.id <= part.last_id))
        for part in parts
        if not part.is_deleted
    ]


def split_by_days(span: Span, parts: Sequence[Part]) -> Iterator[Span]:
    """Cut a span where archived days and hours begin and end, so that each piece is archived or not."""
    cuts = {midnight_ns(one) for part in holding(parts, span) for one in (part.period, part.next_period)}
    inside = [
        cut
        for cut in sorted(cuts)
        if (span.start_ns is None or cut > span.start_ns) and (span.end_ns is None or cut < span.end_ns)
    ]
    for begin, end in pairwise([span.start_ns, *inside, span.end_ns]):
        yield Span(begin, end)


def set_aside(path: Path) -> Path:
    """Return where a file stands whose rows another holds by now, out of the way of who reads folders."""
    above = path.parents
    return above[min(_FOLDERS, len(above) - 1)] / ASIDE / f"{path.name}.merged"


def following(period: str) -> str:
    """Return the day after a day, or the hour after an hour."""
    begin = datetime.fromisoformat(period)
    if len(period) == DAY_DIGITS:
        return (begin + timedelta(days=1)).date().isoformat()
    return f"{begin + timedelta(hours=1):%Y-%m-%dT%H}"


def _alike(file: Any, names: Sequence[str]) -> tuple[Any, ...] | None:
    """Return the values that all rows of a file have, as its footer tells them; None if they may differ."""
    found: list[Any] = []
    for name in names:
        told = set(_of_column(file, name))
        first, last, missing = next(iter(told)) or (None, None, 1)
        if len(told) != 1 or first != last or missing:
            return None
        found.append(first)
    return tuple(found)


def _of_column(file: Any, name: str) -> list[tuple[Any, Any, int] | None]:
    place = file.schema_arrow.get_field_index(name)
    return [bounds(file.metadata, group, place) for group in range(file.num_row_groups)]


def bounds(footer: Any, group: int, place: int) -> tuple[Any, Any, int] | None:
    """Return the least and the greatest value of a column in a row group, and how many are missing.

    None where the footer does not tell; both values are None where all are missing.
    """
    if place < 0:
        return None
    column = footer.row_group(group).column(place)
    told = column.statistics
    if told is None or not told.has_null_count:
        return None
    if not told.has_min_max:
        return (None, None, told.null_count) if told.null_count == column.num_values else None
    return told.min, told.max, told.null_count
