"""Rows into their tables, on both databases: what is new, what was there, what cannot be."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sa

from collector.database.engine import make_engine
from collector.database.migrate import bring_to_head
from collector.database.tables import DEFAULT_TABLE_NAME, make_tables
from collector.database.url import database_url
from collector.sinks.contract import Rows
from collector.sinks.sql.insert import write_rows

TABLES = make_tables(DEFAULT_TABLE_NAME)
TRADE = {
    "timestamp": "2026-01-01T00:00:00.000001Z", "exchange": "binance", "symbol": "BTC/USDT", "kind": "trade",
    "trade_id": "1", "price": 0.1 + 0.2, "size": 5e-324, "side": "buy", "marked": None,
    "exchange_timestamp": 1_767_225_600_000, "received_at_ns": 1_767_225_600_000_001_000,
    "segment_id": 2**62 + 1, "data_source": "simulator",
}  # fmt: skip
BAR = {
    "timestamp": "2026-01-01T00:00:00.000001Z", "exchange": "kraken", "symbol": "BTC/USDT", "interval": "1m",
    "open_time": 60_000, "open": 1.0, "high": 3.0, "low": 0.5, "close": 2.0, "volume": 10.0, "vwap": 1.5,
    "count": 4, "confirmed": 0, "exchange_timestamp": 1, "received_at_ns": 1, "segment_id": 7,
    "data_source": "simulator",
}  # fmt: skip
MANY = 1_500  # by COPY on PostgreSQL, in two statements on SQLite


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def kept_engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[sa.Engine]:
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url_of_module")
    else:
        url = str(tmp_path_factory.mktemp("routes") / "live.db")
    engine = make_engine(database_url(url))
    bring_to_head(engine, DEFAULT_TABLE_NAME, allow=True)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(kept_engine: sa.Engine) -> Iterator[sa.Engine]:
    """Return an engine of empty tables."""
    yield kept_engine
    with kept_engine.begin() as connection:
        for table in TABLES.hot.metadata.sorted_tables:
            connection.execute(sa.delete(table))


def rows(table: str, like: dict[str, Any], count: int = 1, **columns: Sequence[Any]) -> Rows:
    """Make rows of the values of one, but for those columns given."""
    filled: dict[str, Sequence[Any]] = {name: [value] * count for name, value in like.items()}
    return Rows(table, filled | columns)


def trades(ids: Sequence[object], **columns: Sequence[Any]) -> Rows:
    return rows("trades", TRADE, len(ids), trade_id=[str(each) for each in ids], **columns)


def write(engine: sa.Engine, *all_rows: Rows) -> list[int]:
    with engine.begin() as connection:
        return [write_rows(connection, TABLES, each).new for each in all_rows]


def stored(engine: sa.Engine, table: sa.Table) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(sa.select(table).order_by(table.c.id)).mappings()]


@pytest.mark.parametrize("kind", ["book", "levels", "trades", "ohlcv", "rejected", "events"])
@pytest.mark.parametrize("count", [1, MANY])
def test_every_value_of_every_table_comes_back_as_it_went_in(
    engine: sa.Engine, kind: str, count: int
) -> None:
    table: sa.Table = getattr(TABLES, "hot" if kind == "book" else kind)
    columns: dict[str, Sequence[Any]] = {}
    for number, column in enumerate(table.columns):
        if column.name in {"id", "created_at"}:
            continue
        if isinstance(column.type, sa.TEXT):
            columns[column.name] = [f"{column.name} {row} \u20bf" for row in range(count)]
        elif isinstance(column.type, sa.INTEGER):
            columns[column.name] = [2**63 - 1 - row - number for row in range(count)]
        else:
            columns[column.name] = [(row + 0.1) * (number + 0.2) for row in range(count)]
    assert write(engine, Rows(kind, columns)) == [count]
    found = stored(engine, table)
    assert {name: [row[name] for row in found] for name in columns} == columns
    assert all(row["created_at"] is not None for row in found)


@pytest.mark.parametrize("count", [3, MANY])
def test_a_trade_that_is_there_is_left_as_it_was_and_not_counted(engine: sa.Engine, count: int) -> None:
    assert write(engine, trades(range(count))) == [count]
    again = trades(range(count - 1, count + 2), price=[9.0] * 3)
    assert write(engine, again) == [2]
    found = {row["trade_id"]: row["price"] for row in stored(engine, TABLES.trades)}
    assert len(found) == count + 2
    assert found[str(count - 1)] == TRADE["price"]
    assert found[str(count)] == 9.0
    assert write(engine, trades(range(count))) == [0]


def test_a_trade_twice_in_one_batch_is_one(engine: sa.Engine) -> None:
    assert write(engine, trades([1, 2, 1]), trades([*range(MANY), 5])) == [2, MANY - 2]


def test_ids_of_another_kind_symbol_or_exchange_are_other_trades(engine: sa.Engine) -> None:
    write(engine, trades([1]))
    others = [trades([1], **{name: ["other"]}) for name in ("kind", "symbol", "exchange")]
    assert write(engine, *others) == [1, 1, 1]


def test_rows_of_many_streams_in_one_transaction_are_told_apart(engine: sa.Engine) -> None:
    batches = [trades(range(100), symbol=[f"S{number}"] * 100) for number in range(5)]
    assert write(engine, *batches, batches[0]) == [100] * 5 + [0]


def test_what_is_rolled_back_was_never_there(engine: sa.Engine) -> None:
    for _ in range(2):
        with engine.connect() as connection, connection.begin() as transaction:
            assert write_rows(connection, TABLES, trades(range(MANY))).new == MANY
            transaction.rollback()
    assert write(engine, trades(range(MANY))) == [MANY]


@pytest.mark.parametrize("kind", ["book", "trades", "ohlcv"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2**63, OverflowError),
        (-(2**63) - 1, OverflowError),
        (1.5, TypeError),
        ("7", TypeError),
    ],
)
def test_a_number_that_its_column_cannot_hold_is_refused_before_the_database_sees_it(
    engine: sa.Engine, kind: str, value: object, expected: type[Exception]
) -> None:
    like = {"book": {"timestamp": "t", "symbol": "s", "received_at_ns": 1}, "trades": TRADE, "ohlcv": BAR}
    bad = rows(kind, like[kind], 2, received_at_ns=[None, value])
    with pytest.raises(expected, match=r"\.received_at_ns: (a number beyond 64 bits|something that is not)"):
        write(engine, bad)


def test_a_kind_of_rows_that_is_not_known_is_refused(engine: sa.Engine) -> None:
    with pytest.raises(LookupError, match="no table takes rows of the kind 'nowhere'"):
        write(engine, Rows("nowhere", {"x": [1]}))
    assert write(engine, Rows("trades", {name: [] for name in TRADE})) == [0]


def test_two_connections_may_write_trades_at_once(
    postgres_url: str, make_one: Callable[[str], sa.Engine]
) -> None:
    engine = make_one(postgres_url)
    with closing(engine.connect()) as one, closing(engine.connect()) as other, one.begin():
        assert write_rows(one, TABLES, trades(range(MANY))).new == MANY
        with other.begin():
            assert write_rows(other, TABLES, trades(range(MANY), symbol=["ETH"] * MANY)).new == MANY
    assert len(stored(engine, TABLES.trades)) == 2 * MANY


@pytest.fixture
def make_one() -> Iterator[Callable[[str], sa.Engine]]:
    made: list[sa.Engine] = []

    def make(url: str) -> sa.Engine:
        made.append(make_engine(database_url(url)))
        bring_to_head(made[-1], DEFAULT_TABLE_NAME, allow=True)
        return made[-1]

    yield make
    for engine in made:
        engine.dispose()
