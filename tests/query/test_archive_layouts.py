"""Rows come out the same, in order and type, wherever they are: in the table, in files, or some in each."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
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
from collector.query.database import reading
from collector.query.instants import Span, text_of
from collector.query.rows import Archive, Series, StoredStream, joined
from collector.query.rows.stored_stream import MixedRowsError

sys.path.insert(0, str(Path(__file__).parent))
from stored import SYMBOL, insert

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
MS_NS, HOUR_MS, DAY_MS = 1_000_000, 3_600_000, 86_400_000
BEGIN_MS = 1_700_006_400_000 // DAY_MS * DAY_MS
NAMES = ("price", "size", "side", "marked", "trade_id", "kind", "origin", "exchange_timestamp", "segment_id")
DIGITS = {"day": 10, "hour": 13}
HOURS = (0, 1, 13)  # of each day, in which there are rows
SLOTS = [24 * 4 * day + 4 * hour + quarter for day in range(3) for hour in HOURS for quarter in range(4)]
Rows = dict[str, list[Any]]


@dataclass(frozen=True)
class Layout:
    """How the rows of one day or hour lie in files: by their ids, so many of each thousand in the first."""

    period: str
    shares: tuple[int, int]
    is_deleting: bool  # whether rows of the second are still in the table
    group_rows: int
    form: str


@st.composite
def trades(draw: st.DrawFn) -> Rows:
    """Draw trades of three days; some came by REST, long after they happened."""
    slots = draw(st.lists(st.sampled_from(SLOTS), min_size=1, max_size=24, unique=True))
    rows: Rows = {name: [] for name in ("exchange_timestamp", "received_at_ns", *NAMES)}
    for place, slot in enumerate(slots):
        place_ms = BEGIN_MS + slot * HOUR_MS // 4 + slot % 7
        is_filled = draw(st.integers(0, 3)) == 0
        received_ns = place_ms * MS_NS + (draw(st.integers(0, 4)) * HOUR_MS * 9 * MS_NS if is_filled else 0)
        told_ms = draw(st.sampled_from([place_ms, place_ms - 3, None]))
        rows["exchange_timestamp"].append(place_ms if is_filled else told_ms)
        rows["received_at_ns"].append(received_ns + place % 3)
        rows["origin"].append("rest" if is_filled else draw(st.sampled_from([None, "live"])))
        rows["price"].append(draw(st.sampled_from([0.0, -0.0, 1.5, float(place)])))
        rows["size"].append(draw(st.sampled_from([0.1, 2.0])))
        rows["side"].append(draw(st.sampled_from(["buy", "sell", None])))
        rows["marked"].append(draw(st.sampled_from([None, None, "ADL"])))
        rows["trade_id"].append(f"{place}-{draw(st.integers(0, 9))}")
        rows["kind"].append(draw(st.sampled_from(["trade", "trade", "trade", "aggregate"])))
        rows["segment_id"].append(draw(st.sampled_from([2**62 + 1, 2**62 + 2, 7, None])))
    return rows


@st.composite
def layouts(draw: st.DrawFn) -> list[Layout]:
    """Draw for each day whether its rows are in files, of the day or of its hours."""
    found: list[Layout] = []
    for day in range(3):
        span = draw(st.sampled_from(["none", "day", "hour"]))
        for hour in {"none": (), "day": (0,), "hour": HOURS}[span]:
            text = text_of((BEGIN_MS + day * DAY_MS + hour * HOUR_MS) * MS_NS)
            share = draw(st.integers(0, 1000))
            form = draw(st.sampled_from(["ours", "older", "without statistics"]))
            shares = (share, draw(st.integers(share, 1000)))
            found.append(
                Layout(text[: DIGITS[span]], shares, draw(st.booleans()), draw(st.integers(1, 5)), form)
            )
    return found


QUESTIONS = st.fixed_dictionaries(
    {
        "given": st.sampled_from([{}, {}, {"kind": "trade"}, {"side": "buy"}, {"side": "nobody"}]),
        "among": st.sampled_from([{}, {"kind": ("aggregate", "trade")}, {"segment_id": (7, 2**62 + 1)}]),
        "alike": st.sampled_from([{}, {}, {"kind": "trade"}, {"marked": None}]),
        "left_out": st.sampled_from([(), (7,)]),
        "origin": st.sampled_from([None, None, "live", "rest"]),
        "names": st.lists(st.sampled_from(NAMES), unique=True, max_size=4),
        "ends": st.tuples(*[st.sampled_from(SLOTS) | st.none()] * 2),
        "is_on_a_row": st.booleans(),
    }
)


def stands_ns(rows: Rows, place: int) -> int:
    is_filled = rows["origin"][place] == "rest"
    return rows["exchange_timestamp"][place] * MS_NS if is_filled else rows["received_at_ns"][place]


def asked_of(table: sa.Table, question: dict[str, Any]) -> StoredStream:
    """Return the stream that a question is about, as the loaders make it."""
    where = [table.c.symbol == SYMBOL, table.c.exchange == "bybit"]
    where += [table.c[name] == value for name, value in question["given"].items()]
    where += [table.c[name].in_(values) for name, values in question["among"].items()]
    stream = StoredStream(
        table, SYMBOL, "bybit", tuple(where), question["alike"], question["given"], question["among"]
    )
    stream = stream.without(question["left_out"])
    return stream if question["origin"] is None else stream.of_origin(question["origin"])


def answers(url: str, asked: Sequence[tuple[dict[str, Any], Span]]) -> list[list[Any]]:
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
    ways: Sequence[Callable[[], Any]] = (
        lambda: joined(list(series.read(connection, span, 3)), series.kinds),
        lambda: series.by_receipt(connection, span),
        lambda: series.last_before(connection, start_ns),
    )
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
    if layout.form == "older" and all(row["origin"] is None for row in rows):
        whole = whole.drop_columns(["origin", "first_trade_id", "last_trade_id"])
    has_statistics = layout.form == "older"
    parquet.write_table(
        whole, path, row_group_size=layout.group_rows, write_statistics=has_statistics, compression="zstd"
    )


@settings(
    max_examples=settings().max_examples // 2, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=trades(), layout=layouts(), questions=st.lists(QUESTIONS, min_size=1, max_size=2))
def test_rows_come_out_the_same_wherever_they_are(
    stored_file: str,
    emptied: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
    rows: Rows,
    layout: list[Layout],
    questions: list[dict[str, Any]],
) -> None:
    url, count = emptied(stored_file), len(rows["price"])
    place_ns = [stands_ns(rows, place) for place in range(count)]
    told = {"timestamp": [text_of(one) for one in place_ns], "exchange": ["bybit"] * count}
    told |= {"symbol": [SYMBOL] * count, "data_source": ["simulator"] * count}
    insert(url, "trades", {**told, **rows})
    spans = [span_of(question, sorted(place_ns)) for question in questions]
    asked = list(zip(questions, spans, strict=True))
    in_sql = answers(url, asked)
    folder = tmp_path_factory.mktemp("files")
    move(url, layout, folder)
    for of_files, of_table, question in zip(answers(url, asked), in_sql, asked, strict=True):
        assert of_files == of_table, question


def span_of(question: dict[str, Any], place_ns: list[int]) -> Span:
    """Return the span of a question; where rows must be alike the table looks at a microsecond more of it."""
    ends = []
    for slot in question["ends"]:
        if slot is None:
            ends.append(None)
        elif question["is_on_a_row"] and not question["alike"]:
            ends.append(place_ns[slot % len(place_ns)])
        else:
            ends.append((BEGIN_MS + slot * HOUR_MS // 4) * MS_NS - 500_000)
    start, end = ends
    return Span(start, end) if start is None or end is None or start <= end else Span(end, start)
