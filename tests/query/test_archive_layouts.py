"""Rows come out the same, in order and type, wherever they are: in the table, in files, or some in each."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.database.engine import make_engine
from collector.database.tables import DEFAULT_TABLE_NAME, make_tables
from collector.database.url import database_url
from collector.export.day_file import write_parquet
from collector.export.day_rows import schema
from collector.query.database import LATER_COLUMNS, reading
from collector.query.instants import Span, text_of
from collector.query.rows import Archive, Series, StoredStream, joined
from collector.query.rows.stored_stream import MixedRowsError

sys.path.insert(0, str(Path(__file__).parent))
from stored import SYMBOL, insert

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
MS_NS, HOUR_MS, DAY_MS = 1_000_000, 3_600_000, 86_400_000
BEGIN_MS = 1_700_006_400_000 // DAY_MS * DAY_MS
NAMES = (
    *("price", "size", "side", "marked", "trade_id", "kind", "origin", "segment_id"),
    *("first_trade_id", "exchange_timestamp", "received_at_ns"),
)
DIGITS = {"day": 10, "hour": 13}
HOURS = (0, 1, 13)  # of each day, in which there are rows
SLOTS = [24 * 4 * day + 4 * hour + quarter for day in range(3) for hour in HOURS for quarter in range(4)]
ALL_ROWS = {"exchange": "bybit", "symbol": SYMBOL, "data_source": "simulator"}
Rows = dict[str, list[Any]]
Question = dict[str, Any]


@dataclass(frozen=True)
class Layout:
    """How the rows of one day or hour lie in files: by their ids, so many of each thousand in the first."""

    period: str
    shares: tuple[int, int]
    is_deleting: bool  # whether rows of the second are still in the table
    group_rows: int
    form: str


def trades(draw: Random) -> Rows:
    """Make trades of three days; some came by REST, long after they happened."""
    rows: Rows = {name: [] for name in NAMES}
    first_ids = draw.choice([[None], [5, None]])
    sides = draw.choice([["buy"], ["buy", "sell", None]])
    origins = draw.choice([[None], [None, "live"], [None, "live", "rest"]])
    for place, slot in enumerate(draw.sample(SLOTS, draw.randint(20, len(SLOTS)))):
        place_ms = BEGIN_MS + slot * HOUR_MS // 4 + slot % 7
        origin = draw.choice(origins)
        is_filled = origin == "rest"
        told_ms = draw.choice([place_ms, place_ms - 3, None])
        late_ns = draw.randint(0, 4) * HOUR_MS * 9 * MS_NS if is_filled else 0
        rows["exchange_timestamp"].append(place_ms if is_filled else told_ms)
        rows["received_at_ns"].append(place_ms * MS_NS + late_ns + place % 3)
        rows["origin"].append(origin)
        rows["price"].append(draw.choice([0.0, -0.0, 1.5]))
        rows["size"].append(draw.choice([0.1, 2.0]))
        rows["side"].append(draw.choice(sides))
        rows["marked"].append(draw.choice([None, None, "ADL"]))
        rows["trade_id"].append(f"{place}-{draw.randint(0, 9)}")
        rows["kind"].append(draw.choice(["trade", "trade", "trade", "aggregate"]))
        rows["segment_id"].append(draw.choice([2**62 + 1, 2**62 + 2, 7, None]))
        rows["first_trade_id"].append(draw.choice(first_ids))
    return rows


def layouts(draw: Random) -> Iterator[Layout]:
    """Yield for each day whether its rows are in files, of the day or of its hours."""
    for day in range(3):
        span = draw.choice(["none", "day", "day", "hour"])
        for hour in {"none": (), "day": (0,), "hour": HOURS}[span]:
            text = text_of((BEGIN_MS + day * DAY_MS + hour * HOUR_MS) * MS_NS)
            share = draw.randint(300, 1000)
            shares = (share, draw.randint(share, 1000))
            form = draw.choice(["ours", "older", "without statistics"])
            yield Layout(text[: DIGITS[span]], shares, draw.random() < 0.5, draw.randint(1, 5), form)


def questions(draw: Random) -> Iterator[tuple[Question, Span]]:
    """Yield what rows and columns are wanted, and of which span."""
    while True:
        ends = [draw.choice([None, draw.choice(SLOTS)]) for _ in range(2)]
        alike = draw.choice([{}, {}, {}, {"kind": "trade"}, {"marked": None}])
        ends_ns = [None if one is None else at_ns(one, is_on_a_row=not alike) for one in ends]
        start, end = ends_ns
        yield (
            {
                "given": draw.choice([{}, {}, {}, {"kind": "trade"}, {"side": "buy"}, {"side": "nobody"}]),
                "among": draw.choice(
                    [{}, {}, {"kind": ("aggregate", "trade")}, {"segment_id": (7, 2**62 + 1)}]
                ),
                "alike": alike,
                "left_out": draw.choice([(), (), (7,)]),
                "origin": draw.choice([None, None, None, "live", "rest"]),
                "names": draw.sample(NAMES, 4),
            },
            Span(start, end) if start is None or end is None or start <= end else Span(end, start),
        )


def at_ns(slot: int, *, is_on_a_row: bool) -> int:
    """Return when a row is received; where rows must be alike, less, as the table asks for a microsecond."""
    whole_ns = (BEGIN_MS + slot * HOUR_MS // 4 + slot % 7) * MS_NS
    return whole_ns + 1 if is_on_a_row else whole_ns - 500_000


def stands_ns(rows: Rows, place: int) -> int:
    is_filled = rows["origin"][place] == "rest"
    return rows["exchange_timestamp"][place] * MS_NS if is_filled else rows["received_at_ns"][place]


def asked_of(table: sa.Table, question: Question) -> StoredStream:
    """Return the stream that a question is about, as the loaders make it."""
    where = [table.c.symbol == SYMBOL, table.c.exchange == "bybit"]
    where += [table.c[name] == value for name, value in question["given"].items()]
    where += [table.c[name].in_(values) for name, values in question["among"].items()]
    stream = StoredStream(
        table, SYMBOL, "bybit", tuple(where), question["alike"], question["given"], question["among"]
    )
    stream = stream.without(question["left_out"])
    return stream if question["origin"] is None else stream.of_origin(question["origin"])


def answers(url: str, asked: Sequence[tuple[Question, Span]]) -> list[list[Any]]:
    """Return for each question its rows, in order of time and of receipt, and the last one before."""
    with reading(url) as (connection, tables):
        archive = Archive.read(connection, tables, tables.trades)
        return [
            list(
                answered(
                    connection,
                    Series(asked_of(tables.trades, question).with_files(archive), tuple(question["names"])),
                    span,
                )
            )
            for question, span in asked
        ]


def answered(connection: sa.Connection, series: Series, span: Span) -> Iterator[Any]:
    start_ns = BEGIN_MS * MS_NS + 40 * HOUR_MS * MS_NS if span.start_ns is None else span.start_ns
    ways: list[Callable[[], Any]] = [lambda: joined(list(series.read(connection, span, 3)), series.kinds)]
    if not series.stream.alike:  # a file is held to it as far as it is read, the table as far as is asked
        ways.append(lambda: series.by_receipt(connection, span))
        ways.append(lambda: series.last_before(connection, start_ns))
    for way in ways:
        try:
            rows = way()
        except MixedRowsError:
            yield "mixed"
        else:
            assert all(one.flags.writeable for one in (rows or {}).values())
            yield rows and {name: (one.dtype, repr(one.tolist())) for name, one in rows.items()}


def move(url: str, layouts: Sequence[Layout], folder: Path) -> None:
    """Move the rows of days and hours to two files each, or leave some."""
    engine = make_engine(database_url(url), synchronous="OFF")
    with engine.begin() as connection:
        for layout in layouts:
            move_some(connection, layout, folder)
    engine.dispose()


def move_some(connection: sa.Connection, layout: Layout, folder: Path) -> None:
    tables = make_tables(DEFAULT_TABLE_NAME)
    table = tables.trades
    own = table.c.timestamp.startswith(layout.period)
    ids = connection.execute(sa.select(table.c.id).where(own).order_by(table.c.id)).scalars().all()
    first, second = (len(ids) * share // 1000 for share in layout.shares)
    for number, of_file in enumerate((ids[:first], ids[first:second])):
        if not of_file:
            continue
        query = sa.select(table).where(table.c.id.in_(of_file)).order_by(table.c.timestamp, table.c.id)
        path = folder / f"{layout.period}-{number}.parquet"
        write(path, table, [dict(row) for row in connection.execute(query).mappings()], layout)
        is_begun = bool(number) and layout.is_deleting
        gone = of_file[: len(of_file) // 2] if is_begun else of_file
        connection.execute(sa.delete(table).where(table.c.id.in_(gone)))
        entry = {"path": str(path), "kind": "trades", "exchange": "bybit", "symbol": SYMBOL}
        entry |= {"date": layout.period, "rows": len(of_file), "last_id": of_file[-1], "sha256": ""}
        entry |= {"segments": "{}", "archived_ns": 1, "deleted_ns": None if is_begun else 1}
        connection.execute(sa.insert(tables.archive).values(table_name=table.name, **entry))


def write(path: Path, table: sa.Table, rows: list[dict[str, Any]], layout: Layout) -> None:
    wanted = schema(table, ())
    whole = arrow.table(
        {one.name: arrow.array([row[one.name] for row in rows]).cast(one.type) for one in wanted},
        schema=wanted,
    )
    groups = [whole.slice(place, layout.group_rows) for place in range(0, len(rows), layout.group_rows)]
    if layout.form == "ours":
        write_parquet(path, wanted, iter(groups))
        return
    if layout.form == "older" and all(row[name] is None for row in rows for name in LATER_COLUMNS):
        whole = whole.drop_columns(list(LATER_COLUMNS))
    has_statistics = layout.form == "older"
    parquet.write_table(
        whole, path, row_group_size=layout.group_rows, write_statistics=has_statistics, compression="zstd"
    )


@settings(
    max_examples=settings().max_examples // 3, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_rows_come_out_the_same_wherever_they_are(
    stored_file: str, emptied: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    draw = Random(seed)
    url, rows = emptied(stored_file), trades(draw)
    count = len(rows["price"])
    told = {"timestamp": [text_of(stands_ns(rows, place)) for place in range(count)]}
    told |= {name: [value] * count for name, value in ALL_ROWS.items()}
    insert(url, "trades", {**told, **rows})
    asked = list(islice(questions(draw), 2))
    in_sql = answers(url, asked)
    move(url, list(layouts(draw)), tmp_path_factory.mktemp("files"))
    for of_files, of_table, question in zip(answers(url, asked), in_sql, asked, strict=True):
        assert of_files == of_table, question
