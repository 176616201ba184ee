"""Bars, on both databases: which state stands, what is a correction, and what is neither."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from collector.database.engine import make_engine
from collector.database.migrate import bring_to_head
from collector.database.tables import DEFAULT_TABLE_NAME, make_tables
from collector.database.url import database_url
from collector.sinks.contract import Rows
from collector.sinks.sql.bar_rows import Inserted
from collector.sinks.sql.insert import write_rows

TABLES = make_tables(DEFAULT_TABLE_NAME)
BAR = {
    "timestamp": "2026-01-01T00:00:00.000001Z", "exchange": "kraken", "symbol": "BTC/USDT", "interval": "1m",
    "open_time": 60_000, "open": 1.0, "high": 3.0, "low": 0.5, "close": 2.0, "volume": 10.0, "vwap": 1.5,
    "count": 4, "confirmed": 0, "exchange_timestamp": 1, "received_at_ns": 1, "segment_id": 7,
    "data_source": "simulator",
}  # fmt: skip
OVER = {"confirmed": 1}
MANY = 1_500  # in two statements
NEW, MERGED = Inserted(1, 0), Inserted(0, 1)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    """Make the tables, once for all tests here."""
    url = str(tmp_path_factory.mktemp("bars") / "live.db")
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url_of_module")
    engine = make_engine(database_url(url), synchronous="OFF")
    bring_to_head(engine, DEFAULT_TABLE_NAME, allow=True)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(database: sa.Engine) -> sa.Engine:
    """Give the database without a bar."""
    with database.begin() as connection:
        connection.execute(sa.delete(TABLES.ohlcv))
        connection.execute(sa.delete(TABLES.ohlcv_corrections))
    return database


def bars(*changes: dict[str, Any]) -> Rows:
    states = [BAR | change for change in changes]
    return Rows("ohlcv", {name: [state[name] for state in states] for name in BAR})


def write(engine: sa.Engine, *changes: dict[str, Any]) -> Inserted:
    with engine.begin() as connection:
        return write_rows(connection, TABLES, bars(*changes))


def stored(engine: sa.Engine) -> list[dict[str, Any]]:
    return _rows(engine, TABLES.ohlcv)


def corrections(engine: sa.Engine) -> list[dict[str, Any]]:
    return _rows(engine, TABLES.ohlcv_corrections)


def _rows(engine: sa.Engine, table: sa.Table) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        found = connection.execute(sa.select(table).order_by(table.c.id)).mappings()
        assert all(row["created_at"] is not None for row in found)
        found = connection.execute(sa.select(table).order_by(table.c.id)).mappings()
        return [{name: row[name] for name in BAR} for row in found]


def test_the_newest_state_replaces_every_column_and_keeps_what_it_does_not_tell(engine: sa.Engine) -> None:
    later = {"received_at_ns": 2, "close": 2.5, "vwap": None, "count": None, "timestamp": "later"}
    later |= {"segment_id": 8, "exchange_timestamp": None, "data_source": None}
    assert write(engine, {}) == NEW
    assert write(engine, later) == MERGED
    assert stored(engine) == [BAR | later | {"vwap": 1.5, "count": 4}]


def test_an_older_state_that_comes_late_changes_nothing(engine: sa.Engine) -> None:
    newest = {"received_at_ns": 5, "close": 4.0, "vwap": None, "count": None}
    write(engine, newest)
    assert write(engine, {"received_at_ns": 4, "close": 9.0}) == MERGED
    assert write(engine, {"received_at_ns": 3}, newest) == Inserted(0, 2)
    assert stored(engine) == [BAR | newest]


def test_of_two_of_one_receipt_the_last_told_stands(engine: sa.Engine) -> None:
    write(engine, {"close": 1.0}, {"close": 2.0})
    assert write(engine, {"close": 3.0}) == MERGED
    assert stored(engine) == [BAR | {"close": 3.0}]


@pytest.mark.parametrize("received_at_ns", [4, 5, 6])
def test_nothing_unconfirmed_changes_a_confirmed_bar(engine: sa.Engine, received_at_ns: int) -> None:
    first = {**OVER, "received_at_ns": 5, "close": 4.0, "vwap": None}
    write(engine, first)
    assert write(engine, {"received_at_ns": received_at_ns, "close": 9.0, "vwap": 9.0}) == MERGED
    assert stored(engine) == [BAR | first]
    assert corrections(engine) == []


@pytest.mark.parametrize("received_at_ns", [4, 5, 6])
def test_a_confirmation_is_never_too_late(engine: sa.Engine, received_at_ns: int) -> None:
    write(engine, {"received_at_ns": 5, "close": 9.0})
    over = {**OVER, "received_at_ns": received_at_ns, "vwap": None, "segment_id": 8}
    assert write(engine, over) == MERGED
    assert stored(engine) == [BAR | over | {"vwap": 1.5}]


def test_a_confirmation_told_again_changes_nothing(engine: sa.Engine) -> None:
    """An exchange tells its last bars again at each subscription: when they were known stays."""
    assert write(engine, OVER) == NEW
    again = {**OVER, "received_at_ns": 900, "timestamp": "later", "segment_id": 8, "exchange_timestamp": 2}
    assert write(engine, again) == MERGED
    assert write(engine, again, again | {"received_at_ns": 901}) == Inserted(0, 2)
    assert stored(engine) == [BAR | OVER]
    assert corrections(engine) == []


@pytest.mark.parametrize("first_tells", [False, True])
def test_what_only_one_of_two_confirmations_tells_is_no_difference(
    engine: sa.Engine, *, first_tells: bool
) -> None:
    silent = {"vwap": None, "count": None}
    first, again = ({}, silent) if first_tells else (silent, {})
    write(engine, OVER | first)
    assert write(engine, {**OVER, "received_at_ns": 2, **again}) == MERGED
    assert stored(engine) == [BAR | OVER | first]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("open", 1.5), ("high", 3.5), ("low", 0.25), ("close", 2.5), ("volume", 10.000000000000002),
        ("vwap", 1.6), ("count", 5),
    ],
)  # fmt: skip
def test_a_confirmation_that_differs_is_kept_beside_the_first(
    engine: sa.Engine, name: str, value: float
) -> None:
    other = {**OVER, "received_at_ns": 9, "segment_id": 8, "timestamp": "later", name: value}
    write(engine, OVER)
    assert write(engine, other) == NEW
    assert write(engine, other) == MERGED
    assert write(engine, other | {"received_at_ns": 10}) == MERGED
    assert stored(engine) == [BAR | OVER]
    assert corrections(engine) == [BAR | other]


def test_a_correction_stands_as_it_came(engine: sa.Engine) -> None:
    other = {**OVER, "received_at_ns": 2, "close": 2.5, "vwap": None, "count": None}
    assert write(engine, OVER, other) == Inserted(2, 0)
    assert corrections(engine) == [BAR | other]


def test_a_correction_that_is_taken_back_is_another_one(engine: sa.Engine) -> None:
    write(engine, OVER, {**OVER, "received_at_ns": 2, "close": 2.5})
    assert write(engine, {**OVER, "received_at_ns": 3}) == NEW
    assert write(engine, {**OVER, "received_at_ns": 4}) == MERGED
    assert [row["close"] for row in corrections(engine)] == [2.5, 2.0]


def test_a_correction_that_comes_late_takes_its_place_by_receipt(engine: sa.Engine) -> None:
    write(engine, {**OVER, "received_at_ns": 5})
    assert write(engine, {**OVER, "received_at_ns": 9, "close": 2.9}) == NEW
    assert write(engine, {**OVER, "received_at_ns": 7, "close": 2.7}) == NEW
    assert write(engine, {**OVER, "received_at_ns": 3, "close": 2.3}) == NEW  # nobody knew it otherwise then
    assert write(engine, {**OVER, "received_at_ns": 8, "close": 2.7}) == MERGED
    assert write(engine, {**OVER, "received_at_ns": 6}) == MERGED
    assert write(engine, {**OVER, "received_at_ns": 2, "close": 2.3}) == MERGED
    assert stored(engine) == [BAR | OVER | {"received_at_ns": 5}]
    assert [row["close"] for row in corrections(engine)] == [2.9, 2.7, 2.3]


def test_two_corrections_of_one_receipt_are_both_kept(engine: sa.Engine) -> None:
    twice = [{**OVER, "received_at_ns": 2, "close": close} for close in (2.5, 2.6)]
    assert write(engine, OVER, *twice) == Inserted(3, 0)
    assert write(engine, *twice) == Inserted(0, 2)
    assert write(engine, {**OVER, "received_at_ns": 3, "close": 2.6}) == MERGED
    assert [row["close"] for row in corrections(engine)] == [2.5, 2.6]


def test_bars_of_another_interval_symbol_or_exchange_are_other_bars(engine: sa.Engine) -> None:
    write(engine, OVER)
    others = [{**OVER, name: "other", "close": 2.5} for name in ("interval", "symbol", "exchange")]
    assert write(engine, *others, {**OVER, "open_time": 0}) == Inserted(4, 0)
    assert write(engine, *others) == Inserted(0, 3)


def test_many_bars_new_known_and_corrected_are_told_apart(engine: sa.Engine) -> None:
    assert write(engine, *({**OVER, "open_time": number} for number in range(MANY))) == Inserted(MANY, 0)
    later = [
        {**OVER, "open_time": number, "received_at_ns": 2, "close": 2.0 + number % 2}
        for number in range(5, MANY + 3)
    ]
    odd = len(range(5, MANY, 2))
    assert write(engine, *later) == Inserted(odd + 3, MANY - 5 - odd)
    assert [row["open_time"] for row in corrections(engine)] == list(range(5, MANY, 2))
    assert len(stored(engine)) == MANY + 3


def test_what_is_rolled_back_was_never_there(engine: sa.Engine) -> None:
    states = bars(OVER, {**OVER, "received_at_ns": 2, "close": 2.5})
    for _ in range(2):
        with engine.connect() as connection, connection.begin() as transaction:
            assert write_rows(connection, TABLES, states) == Inserted(2, 0)
            transaction.rollback()
    assert stored(engine) == corrections(engine) == []


@pytest.mark.parametrize(
    ("name", "value", "expected", "why"),
    [
        ("close", None, ValueError, "NULL"),
        ("symbol", None, ValueError, "NULL"),
        ("confirmed", None, ValueError, "NULL"),
        ("high", float("inf"), ValueError, "not finite"),
        ("vwap", float("nan"), ValueError, "not finite"),
        ("low", "much", TypeError, "no number"),
    ],
)
def test_a_state_that_no_database_could_hold_is_refused_though_another_one_stands(
    engine: sa.Engine, name: str, value: object, expected: type[Exception], why: str
) -> None:
    write(engine, {**OVER, "received_at_ns": 5})
    with pytest.raises(expected, match=rf"collector_ohlcv\.{name}: .*{why}"):
        write(engine, {name: value}, {})
