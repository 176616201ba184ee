"""Find the days of each stream, and a mark that changes when the rows of a day do."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from collector.database import DAY_DIGITS, Tables
from collector.loggers import get_logger
from collector.query import distinct_values, following

BARS = ("ohlcv", "ohlcv_corrections")  # by when they began, not by when they were received
KINDS = ("features", "levels", "trades", *BARS)
DAY_MS = 86_400_000
_EARLIEST, _LATEST = "1970-01-01", "3"  # no text that begins with a date lies elsewhere

_DAY, _HOUR = r"\d{4}-\d\d-\d\d(?!\d)", r"\d{4}-\d\d-\d\dT\d\d(?!\d)"

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Day:
    """The rows of one symbol on one day (UTC), or in one hour: by receipt, bars by when they began."""

    kind: str
    exchange: str
    symbol: str
    date: str  # 2026-01-31; 2026-01-31T05 is an hour of it
    rows: int
    last_id: int
    last_text: str  # of bars: one that was replaced has a later one

    def path(self, ending: str, part: int = 0) -> str:
        """Return the path of its file in an export, as Hive, DuckDB, Spark and pyarrow expect it."""
        return str(PurePosixPath(self.folder, f"part-{part}.{ending}"))

    @property
    def folder(self) -> str:
        """Return the folder of its files."""
        folders = (f"exchange={quote(self.exchange, safe='')}", f"symbol={quote(self.symbol, safe='')}")
        return str(PurePosixPath(self.kind, *folders, f"date={self.date[:DAY_DIGITS]}"))

    @property
    def hour(self) -> str:
        """Return which hour of its day it is; nothing for a whole day."""
        return self.date[DAY_DIGITS + 1 :]

    @property
    def mark(self) -> dict[str, Any]:
        """Return what changes when the day's rows do."""
        return asdict(self)


def table_of(tables: Tables, kind: str) -> sa.Table:
    """Return the table that holds a kind of data."""
    return {
        "features": tables.hot,
        "levels": tables.levels,
        "trades": tables.trades,
        "ohlcv": tables.ohlcv,
        "ohlcv_corrections": tables.ohlcv_corrections,
    }[kind]


def within(table: sa.Table, kind: str, day: str) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions that a row is of a day, or of an hour."""
    if kind in BARS:
        begin = midnight_ms(day)
        return (table.c.open_time >= begin, table.c.open_time < begin + DAY_MS)
    return (table.c.timestamp >= day, table.c.timestamp < following(day))


def days(
    connection: sa.Connection,
    table: sa.Table,
    kind: str,
    symbol: str | None,
    exchange: str | None,
    *,
    before: str | None = None,
    last_id: int | None = None,
) -> Iterator[Day]:
    """Yield the days that have rows, stream after stream, in order; those before a day, up to an id.

    Before an hour these are the whole days before its own, and the hours of that. Rows whose `timestamp`
    begins with no date are told of and left out: something else wrote them.
    """
    for one in [symbol] if symbol is not None else distinct_values(connection, table.c.symbol):
        of_symbol = table.c.symbol == one
        for other in distinct_values(connection, table.c.exchange, of_symbol):
            if exchange in {None, other}:
                yield from _days_of(connection, table, kind, (one, other), before, last_id)


def midnight_ms(day: str) -> int:
    """Return when a day begins."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)


def _days_of(
    connection: sa.Connection,
    table: sa.Table,
    kind: str,
    stream: tuple[str, str],
    before: str | None,
    last_id: int | None,
) -> Iterator[Day]:
    symbol, exchange = stream
    own = [table.c.symbol == symbol, table.c.exchange == exchange]
    if kind not in BARS:
        outside = sa.or_(table.c.timestamp < _EARLIEST, table.c.timestamp >= _LATEST)
        undated = connection.execute(sa.select(sa.func.count()).where(*own, outside)).scalar_one()
        if undated:
            log.warning(
                "rows.without_a_date", table=table.name, exchange=exchange, symbol=symbol, rows=undated
            )
    if last_id is not None:
        own.append(table.c.id <= last_id)
    day = _first_day(connection, table, kind, own, None, before)
    while day is not None and (before is None or day < before):
        text_of = sa.func.max(table.c.timestamp) if kind in BARS else sa.literal("")
        marks = sa.select(sa.func.count(), sa.func.max(table.c.id), text_of)
        rows, last, text = connection.execute(marks.where(*own, *within(table, kind, day))).one()
        yield Day(kind, exchange, symbol, day, rows, last, text)
        day = _first_day(connection, table, kind, own, day, before)


def _first_day(
    connection: sa.Connection,
    table: sa.Table,
    kind: str,
    own: Sequence[sa.ColumnElement[bool]],
    after: str | None,
    before: str | None,
) -> str | None:
    """Return the next day that has rows, found by the index; or the next hour, in the day of `before`."""
    if kind in BARS:
        first_ms = sa.select(sa.func.min(table.c.open_time)).where(*own)
        if after is not None:
            first_ms = first_ms.where(table.c.open_time >= midnight_ms(after) + DAY_MS)
        found = connection.execute(first_ms).scalar()
        return None if found is None else datetime.fromtimestamp(found / 1000, UTC).date().isoformat()
    earliest = _EARLIEST if after is None else following(after)
    last = _LATEST if before is None else before
    first = sa.select(sa.func.min(table.c.timestamp)).where(*own, table.c.timestamp < last)
    hours_from = last[:DAY_DIGITS] + "T" if len(last) > DAY_DIGITS else _LATEST  # of the day that is cut
    text = connection.execute(first.where(table.c.timestamp >= earliest)).scalar()
    # What others wrote in another form goes with its whole day.
    if text is not None and hours_from[:DAY_DIGITS] <= text < hours_from:
        text = connection.execute(first.where(table.c.timestamp >= hours_from)).scalar()
    while text is not None and (period := _period(text, is_hour=text > hours_from)) is None:
        log.warning("rows.without_a_date", table=table.name, timestamp=text)
        text = connection.execute(first.where(table.c.timestamp > text)).scalar()
    return None if text is None else period


def _period(text: str, *, is_hour: bool) -> str | None:
    """Return the day, or the hour, that a text of time begins with; None where it begins with none."""
    found = re.match(_HOUR if is_hour else _DAY, text)
    try:
        return None if found is None else following(found[0]) and found[0]
    except ValueError:  # the 31st of February
        return None
