"""Read rows that were moved out of the database into files."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from collector.database import Tables
from collector.errors import QueryError
from collector.query.database import LATER_COLUMNS, extra, has_table
from collector.query.instants import Span, midnight_ns, text_of
from collector.query.rows.columns import NO_INT, Array, Chunk, Kind, dtype_of
from collector.query.rows.placing import ORIGIN, PLACE, RECEIPT, TOLD, places

DAY_DIGITS = len("2026-01-31")  # a period of more is an hour


ASIDE = ".aside"  # the folder, beside those of the kinds, of files that nobody should meet
_FOLDERS = 4  # above that of a file: of its symbol, its exchange, its kind, all files


@dataclass(frozen=True, slots=True)
class Part:
    """A file with rows of one symbol, received on one day, or in one hour of it."""

    exchange: str
    symbol: str
    period: str  # a day (2026-01-31), or an hour of one (2026-01-31T05): how texts of time in it begin
    path: Path
    rows: int
    last_id: int
    is_deleted: bool  # whether its rows have all left the table

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
        digits = len(self.period)
        starts_later = span.end_ns is not None and text_of(span.end_ns - 1)[:digits] < self.period
        ends_before = span.start_ns is not None and text_of(span.start_ns)[:digits] > self.period
        return not (starts_later or ends_before)

    def chunks(self, kinds: Mapping[str, Kind]) -> Iterator[Chunk]:
        """Yield these columns, one row group at a time."""
        with self._opened() as file:
            there = set(file.schema_arrow.names)
            wanted = dict(kinds)
            if wanted.pop(PLACE, None) is not None:
                wanted = {RECEIPT: "int", TOLD: "int", ORIGIN: "text", **wanted}
            for group in range(file.num_row_groups):
                # Files of an earlier version lack what came later: it is NULL of all their rows.
                table = file.read_row_group(group, columns=[one for one in wanted if one in there])
                rows = {
                    name: _missing(len(table), kind)
                    if name in LATER_COLUMNS and name not in there
                    else _array(table[name], kind)
                    for name, kind in wanted.items()
                }
                yield {name: places(rows) if name == PLACE else rows[name] for name in kinds}

    def first_row(self, names: Sequence[str]) -> dict[str, str | int | None]:
        """Return some values of the first row."""
        with self._opened() as file:
            return dict(file.read_row_group(0, columns=list(names)).slice(0, 1).to_pylist()[0])

    def last_rows(self, most: int) -> list[dict[str, Any]]:
        """Return the rows of the largest ids, in their order, from the row groups that may hold them."""
        rows: list[dict[str, Any]] = []
        with self._opened() as file:
            ends = [_statistics(file, group, "id") for group in range(file.num_row_groups)]
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
        with self._opened() as file:
            ends = [_statistics(file, group, RECEIPT) for group in range(file.num_row_groups)]
        told = [one for one in ends if one is not None]
        if len(told) < len(ends) or not told:
            return begin, end
        # What REST brought afterwards stands before its receipt.
        return max(begin, text_of(min(one[0] for one in told))), min(
            end, text_of(max(one[1] for one in told))
        )

    def counts(self, names: Sequence[str]) -> dict[tuple[Any, ...], int]:
        """Count the rows with each combination of these values."""
        with self._opened() as file:
            if (alike := _alike(file, names)) is not None:
                return {alike: self.rows}
            rows = file.read(columns=list(names)).to_pandas()
        values = rows.astype(object).where(rows.notna(), None)
        return dict(Counter(zip(*(values[name].tolist() for name in names), strict=True)))

    def _opened(self) -> Any:
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
    archive, kind = tables.archive, kind_archived(tables, table)
    if kind is None or not has_table(connection, archive):
        return ()
    query = sa.select(archive).where(archive.c.table_name == table.name, archive.c.kind == kind)
    present = {column["name"] for column in sa.inspect(connection).get_columns(archive.name)}
    if "table_name" not in present:  # an older schema, read and not migrated
        query = sa.select(*(archive.c[name] for name in present)).where(archive.c.kind == kind)
    return connection.execute(query.order_by(archive.c.date, archive.c.last_id)).mappings().all()


def kind_archived(tables: Tables, table: sa.Table) -> str | None:
    """Return what the archive calls the rows of a table; None for a table whose rows stay where they are."""
    named = {tables.hot.name: "features", tables.levels.name: "levels", tables.trades.name: "trades"}
    return named.get(table.name)


@dataclass(frozen=True, slots=True)
class Archive:
    """All files with rows of one table."""

    parts: tuple[Part, ...] = ()

    @classmethod
    def read(cls, connection: sa.Connection, tables: Tables, table: sa.Table) -> "Archive":
        """Return the files that the database lists for a table."""
        return cls(
            tuple(
                Part(
                    row["exchange"],
                    row["symbol"],
                    row["date"],
                    Path(row["path"]),
                    row["rows"],
                    row["last_id"],
                    row["deleted_ns"] is not None,
                )
                for row in archived(connection, tables, table)
            )
        )

    @property
    def symbols(self) -> set[str]:
        """Return the symbols whose rows were moved."""
        return {part.symbol for part in self.parts}

    def exchanges(self, symbol: str) -> set[str]:
        """Return the exchanges of a symbol."""
        return {part.exchange for part in self.parts if part.symbol == symbol}

    def of(self, symbol: str, exchange: str) -> tuple[Part, ...]:
        """Return the files of one symbol of one exchange, in the order of their days."""
        return tuple(part for part in self.parts if (part.symbol, part.exchange) == (symbol, exchange))


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
    cuts = {midnight_ns(one) for part in parts for one in (part.period, part.next_period)}
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


def _missing(rows: int, kind: Kind) -> Array:
    return np.full(rows, NO_INT if kind == "int" else None, dtype=dtype_of(kind))


def _alike(file: Any, names: Sequence[str]) -> tuple[Any, ...] | None:
    """Return the values that all rows of a file have, as its footer tells them; None if they may differ."""
    found: list[Any] = []
    for name in names:
        told = {_statistics(file, group, name) for group in range(file.num_row_groups)}
        first, last, missing = next(iter(told)) or (None, None, 1)
        if len(told) != 1 or first != last or missing:
            return None
        found.append(first)
    return tuple(found)


def _statistics(file: Any, group: int, name: str) -> tuple[Any, Any, int] | None:
    """Return the least and the greatest value of a column in a row group, and how many are missing."""
    place = file.schema_arrow.get_field_index(name)
    told = file.metadata.row_group(group).column(place).statistics if place >= 0 else None
    if told is None or not told.has_min_max or not told.has_null_count:
        return None
    return told.min, told.max, told.null_count


def _array(column: Any, kind: Kind) -> Array:
    arrow = extra("pyarrow", "parquet")
    if kind == "int":
        return np.asarray(column.fill_null(NO_INT).to_numpy(), dtype=np.int64)
    if kind == "float":
        return np.asarray(column.to_numpy(), dtype=np.float64)
    return np.asarray(column.cast(arrow.string()).to_pylist(), dtype=np.object_)
