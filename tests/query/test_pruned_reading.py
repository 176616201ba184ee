"""Of archive files no more is read than a question takes: files, row groups, columns."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from collector import load_features
from collector.database.engine import make_engine
from collector.database.tables import DEFAULT_TABLE_NAME, make_tables
from collector.database.url import database_url
from collector.export.day_file import write_parquet
from collector.export.day_rows import schema
from collector.query.instants import text_of

sys.path.insert(0, str(Path(__file__).parent))
from stored import SYMBOL, Row, Stored
from stored import write as write_history

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
HOUR_NS = 3_600 * 10**9
BEGIN_NS = 1_700_006_400_000_000_000 // (24 * HOUR_NS) * 24 * HOUR_NS
GROUP_ROWS = 10
EVERY_NS = HOUR_NS // 60
DAY_DIGITS, HOUR_DIGITS = 10, 13


@dataclass
class Seen:
    files: list[str] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    columns: set[str] = field(default_factory=set)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Note what is opened and read."""
    found, of_class = Seen(), parquet.ParquetFile
    began, read = of_class.__init__, of_class.read_row_groups

    def begin(file: Any, path: Any, *rest: Any, **options: Any) -> None:
        found.files.append(Path(path).name)
        began(file, path, *rest, **options)

    def read_groups(file: Any, groups: Any, columns: Any = None, **options: Any) -> Any:
        found.groups += groups
        found.columns |= set(columns)
        return read(file, groups, columns=columns, **options)

    monkeypatch.setattr(of_class, "__init__", begin)
    monkeypatch.setattr(of_class, "read_row_groups", read_groups)
    return found


def hours_in_files(url: str, folder: Path, digits: int, hours: int = 3) -> None:
    """Store a state a minute, and move all of them to files of a day or of an hour each."""
    rows = [Row(BEGIN_NS + place * EVERY_NS, 7, float(place), 1.0) for place in range(60 * hours)]
    write_history(url, Stored(rows, {7: rows[-1].at_ns + EVERY_NS}))
    table = make_tables(DEFAULT_TABLE_NAME).hot
    with changing(url) as connection:
        stored = connection.execute(sa.select(table).order_by(table.c.id)).mappings().all()
        periods = sorted({row["timestamp"][:digits] for row in stored})
        for period in periods:
            own = [dict(row) for row in stored if row["timestamp"].startswith(period)]
            move(connection, table, own, period, folder)


@contextmanager
def changing(url: str) -> Iterator[sa.Connection]:
    engine = make_engine(database_url(url), synchronous="OFF")
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def move(
    connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]], period: str, folder: Path
) -> None:
    wanted, path = schema(table, ()), folder / f"{period}.parquet"
    texts = [{**row, "created_at": str(row["created_at"])} for row in rows]
    whole = arrow.table(
        {one.name: arrow.array([row[one.name] for row in texts]).cast(one.type) for one in wanted},
        schema=wanted,
    )
    write_parquet(path, wanted, (whole.slice(place, GROUP_ROWS) for place in range(0, len(rows), GROUP_ROWS)))
    connection.execute(sa.delete(table).where(table.c.id.in_([row["id"] for row in rows])))
    connection.execute(
        sa.insert(make_tables(DEFAULT_TABLE_NAME).archive).values(
            path=str(path),
            kind="features",
            exchange="bybit",
            symbol=SYMBOL,
            date=period,
            rows=len(rows),
            last_id=rows[-1]["id"],
            sha256="",
            segments="{}",
            archived_ns=1,
            deleted_ns=1,
            table_name=table.name,
        )
    )


def test_a_question_reads_the_row_groups_and_columns_that_it_takes(
    stored_file: str, tmp_path: Path, seen: Seen
) -> None:
    hours_in_files(stored_file, tmp_path, DAY_DIGITS)
    start_ns = BEGIN_NS + 25 * EVERY_NS
    frame = load_features(
        stored_file, SYMBOL, columns=["mid_price"], start=start_ns, end=start_ns + 10 * EVERY_NS
    )
    assert frame["mid_price"].tolist() == [float(place) for place in range(25, 35)]
    assert seen.groups == [2, 3]
    # Depth, data source and segment are the same in all rows, as the footer tells.
    assert seen.columns == {"received_at_ns", "mid_price"}


def test_a_value_that_no_row_has_reads_nothing(stored_file: str, tmp_path: Path, seen: Seen) -> None:
    hours_in_files(stored_file, tmp_path, DAY_DIGITS)
    write_history(stored_file, Stored([Row(BEGIN_NS + 90 * HOUR_NS, 8, 1.0)], {8: BEGIN_NS + 91 * HOUR_NS}))
    with changing(stored_file) as connection:
        hot = make_tables(DEFAULT_TABLE_NAME)
        connection.execute(sa.update(hot.hot).values(depth=200))
        own = hot.coverage.c.segment_id == 8
        connection.execute(sa.update(hot.coverage).where(own).values(channel="book.200"))
    assert load_features(stored_file, SYMBOL, depth=200)["mid_price"].tolist() == [1.0]
    assert seen.groups == []


@pytest.mark.parametrize("every", [None, "10min"])
def test_a_question_of_an_hour_opens_the_files_of_that_hour(
    stored_file: str, tmp_path: Path, seen: Seen, every: str | None
) -> None:
    """States begin with the last row before: of that file the last row group is read."""
    hours_in_files(stored_file, tmp_path, HOUR_DIGITS, hours=5)
    start_ns = BEGIN_NS + 2 * HOUR_NS
    frame = load_features(
        stored_file, SYMBOL, columns=["mid_price"], start=start_ns, end=start_ns + HOUR_NS, every=every
    )
    assert frame["mid_price"].iloc[0] == 120.0
    own, before = (f"{text_of(one)[:HOUR_DIGITS]}.parquet" for one in (start_ns, start_ns - HOUR_NS))
    assert set(seen.files) == ({own} if every is None else {own, before})
    assert seen.groups == ([0, 1, 2, 3, 4, 5] if every is None else [4, 5, 0, 1, 2, 3, 4, 5])


def test_what_is_read_may_be_changed(stored_file: str, tmp_path: Path) -> None:
    """The frame has memory of its own, column by column."""
    hours_in_files(stored_file, tmp_path, DAY_DIGITS)
    frame = load_features(stored_file, SYMBOL, columns=["mid_price", "received_at_ns", "segment_id"])
    index = frame.index.copy()
    for name in frame:
        frame.loc[:, name] += 1
    assert frame["mid_price"].tolist() == [float(place + 1) for place in range(180)]
    assert frame["segment_id"].eq(8).all()
    assert frame["segment"].eq(8).all()
    assert frame.index.equals(index)
