"""Up, down, up again: on both databases, with data in them."""

import json

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from collector.database.migrate import MigrationStatus, downgrade, status, upgrade
from collector.database.tables import HOT_COLUMNS, make_tables
from collector.errors import UserError

NAME = "l2_training_data_practical"
HEAD = "0012"
TABLES = make_tables(NAME)
ADDED = ["received_at_ns", "segment_id", "depth", "ofi"]

FIRST_COLUMNS = {  # DESIGN: names, types, nullability and order
    "id": ("INTEGER", False),
    "timestamp": ("TEXT", False),
    "symbol": ("TEXT", False),
    "exchange": ("TEXT", True),
    "bid_price_1": ("REAL", True),
    "bid_size_1": ("REAL", True),
    "ask_price_1": ("REAL", True),
    "ask_size_1": ("REAL", True),
    "mid_price": ("REAL", True),
    "spread": ("REAL", True),
    "spread_bps": ("REAL", True),
    "microprice": ("REAL", True),
    "order_book_imbalance": ("REAL", True),
    "total_bid_volume_10": ("REAL", True),
    "total_ask_volume_10": ("REAL", True),
    "sequence": ("INTEGER", True),
    "exchange_timestamp": ("INTEGER", True),
    "data_source": ("TEXT", True),
    "data_quality_score": ("REAL", True),
    "created_at": ("DATETIME", True),
}
POSTGRES = {"INTEGER": "BIGINT", "REAL": "DOUBLE PRECISION", "DATETIME": "TIMESTAMP WITH TIME ZONE"}


def run(engine: sa.Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)


def everything(engine: sa.Engine) -> dict[str, list[dict[str, object]]]:
    """Return all rows of all tables but Alembic's."""
    with engine.connect() as connection:
        metadata = sa.MetaData()
        metadata.reflect(connection)
        return {
            table.name: [dict(row) for row in connection.execute(sa.select(table)).mappings()]
            for table in metadata.sorted_tables
            if table.name not in {"collector_alembic_version", "sqlite_sequence"}
        }


def fill(engine: sa.Engine) -> None:
    """Put a row with a value in every column into every table of ours."""
    with engine.begin() as connection:
        for table in TABLES.hot.metadata.sorted_tables:
            values = {
                column.name: "x" if isinstance(column.type, sa.TEXT) else 7
                for column in table.columns
                if column.name not in {"id", "created_at"}
            }
            connection.execute(sa.insert(table), values)


def test_the_tables_in_the_code_are_those_of_the_newest_migration(engine: sa.Engine) -> None:
    upgrade(engine, NAME)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"version_table": "collector_alembic_version", "compare_server_default": True},
        )
        differences = compare_metadata(context, TABLES.hot.metadata)
        found = [column["name"] for column in sa.inspect(connection).get_columns(NAME)]
    if engine.dialect.name == "sqlite":
        differences = [each for each in differences if not _is_the_id_of_sqlite(each)]
    assert differences == []
    assert tuple(found) == HOT_COLUMNS


def test_the_first_migration_is_the_documented_table(engine: sa.Engine) -> None:
    upgrade(engine, NAME, "0001")
    is_sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        found = {
            column["name"]: (column["type"].compile(engine.dialect), column["nullable"])
            for column in inspector.get_columns(NAME)
        }
        indexes = [index["column_names"] for index in inspector.get_indexes(NAME)]
    assert list(found) == list(FIRST_COLUMNS)
    assert found == {
        name: (kind if is_sqlite else POSTGRES.get(kind, kind), nullable)
        for name, (kind, nullable) in FIRST_COLUMNS.items()
    }
    assert indexes == [["symbol", "exchange", "timestamp"]]


def test_the_defaults_are_the_documented_ones(engine_at_head: sa.Engine) -> None:
    run(engine_at_head, f"INSERT INTO {NAME} (timestamp, symbol) VALUES ('t', 's')")
    (row,) = everything(engine_at_head)[NAME]
    assert (row["exchange"], row["data_source"], row["data_quality_score"]) == ("bybit", "live_trading", 1.0)
    assert isinstance(row["data_quality_score"], float)
    assert row["created_at"] is not None


def test_an_id_is_never_given_twice(engine_at_head: sa.Engine) -> None:
    run(engine_at_head, f"INSERT INTO {NAME} (timestamp, symbol) VALUES ('t', 's')")
    run(engine_at_head, f"DELETE FROM {NAME}")
    run(engine_at_head, f"INSERT INTO {NAME} (timestamp, symbol) VALUES ('t', 's')")
    assert [row["id"] for row in everything(engine_at_head)[NAME]] == [2]


@pytest.mark.parametrize(
    ("bottom", "times"),
    [
        ("base", 1),
        *(pytest.param(bottom, 2, marks=pytest.mark.proof) for bottom in ("0001", "base")),
    ],
)
def test_down_and_up_again_keeps_every_row_and_value(
    engine_at_head: sa.Engine, bottom: str, times: int
) -> None:
    fill(engine_at_head)
    before = everything(engine_at_head)
    for _ in range(times):
        downgrade(engine_at_head, NAME, bottom)
        assert everything(engine_at_head) == before
        upgrade(engine_at_head, NAME)
        assert everything(engine_at_head) == before
    assert status(engine_at_head) == MigrationStatus(HEAD, HEAD)


def test_rows_written_at_the_first_version_are_kept_on_the_way_up_and_down(engine: sa.Engine) -> None:
    upgrade(engine, NAME, "0001")
    run(engine, f"INSERT INTO {NAME} (timestamp, symbol, mid_price) VALUES ('t', 's', 0.1)")
    before = everything(engine)
    upgrade(engine, NAME)
    (row,) = everything(engine)[NAME]
    assert {name: row[name] for name in FIRST_COLUMNS} == before[NAME][0]
    assert [row[name] for name in ADDED] == [None] * 4
    downgrade(engine, NAME, "0001")
    assert everything(engine) == before


def test_reports_of_before_are_those_of_the_book_table(engine: sa.Engine) -> None:
    upgrade(engine, NAME, "0010")
    named = "'2026-01-31', 'bybit', 'BTC/USDT', 'trade'"
    columns = (
        "day, exchange, symbol, channel, covered_s, holes, holes_s, holes_by_cause, resyncs, witnessed, "
    )
    values = f"{named}, 86400, 0, 0, '{{}}', 2, 3, 4, 5"
    run(engine, f"INSERT INTO collector_quality ({columns} disagreed, computed_ns) VALUES ({values})")
    for _ in range(2):
        upgrade(engine, NAME)
        (row,) = everything(engine)["collector_day_quality"]
        assert (row["table_name"], row["day"], row["channel"]) == (NAME, "2026-01-31", "trade")
        assert (row["rows"], row["covered_s"], row["resyncs"], row["computed_ns"]) == (None, 86400, 2, 5)
        downgrade(engine, NAME, "0010")


def test_down_takes_away_all_that_is_empty(engine_at_head: sa.Engine) -> None:
    downgrade(engine_at_head, NAME, "base")
    assert everything(engine_at_head) == {}
    assert status(engine_at_head) == MigrationStatus(None, HEAD)


def test_what_is_unique_is_unique_again_after_a_way_down_and_up(engine_at_head: sa.Engine) -> None:
    tables = (TABLES.trades, TABLES.ohlcv_corrections)
    fill(engine_at_head)
    downgrade(engine_at_head, NAME, "base")
    for table in tables:
        run(engine_at_head, f"DROP INDEX ux_{table.name}")
    upgrade(engine_at_head, NAME)
    for table in tables:
        columns = ", ".join(column.name for column in table.columns if column.name != "id")
        with pytest.raises(sa.exc.IntegrityError, match=r"(?i)unique"):
            run(engine_at_head, f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {table.name}")


def test_what_others_made_in_the_same_database_is_as_it_was(engine: sa.Engine) -> None:
    run(engine, "CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT)")
    run(engine, "CREATE INDEX ix_orders_note ON orders (note)")
    run(engine, "CREATE VIEW notes AS SELECT note FROM orders")
    run(engine, "INSERT INTO orders VALUES (1, 'mine')")
    run(engine, "CREATE TABLE alembic_version (version_num VARCHAR(32))")
    run(engine, "INSERT INTO alembic_version VALUES ('bot_17')")
    before = everything(engine)
    with engine.connect() as connection:
        schema = _definitions(connection)
    upgrade(engine, NAME)
    downgrade(engine, NAME, "base")
    assert everything(engine) == before
    with engine.connect() as connection:
        assert _definitions(connection) == schema


def test_an_unknown_revision_to_go_to_is_refused(engine_at_head: sa.Engine) -> None:
    with pytest.raises(UserError, match=r"no_such.*nothing was changed"):
        downgrade(engine_at_head, NAME, "no_such")


def _is_the_id_of_sqlite(difference: object) -> bool:
    """Tell whether Alembic misses an identity, which SQLite has in another form (tested on its own)."""
    return (
        isinstance(difference, list)
        and difference[0][:2] == ("modify_default", None)
        and difference[0][3] == "id"
    )


def _definitions(connection: sa.Connection) -> list[str]:
    inspector = sa.inspect(connection)
    ours = ("collector_", "sqlite_")
    names = [name for name in inspector.get_table_names() if not name.startswith(ours)]
    described = [(name, inspector.get_columns(name), inspector.get_indexes(name)) for name in sorted(names)]
    return [json.dumps(described, default=str), *inspector.get_view_names()]
