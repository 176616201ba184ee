"""Real refusals of real databases: which of them another try can mend."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from collector.errors import SinkError
from collector.sinks.contract import Rows, SessionState, WriteSet
from collector.sinks.sql.insert import write_rows
from collector.sinks.sql.sink import SqlSink

OpenSink = Callable[..., SqlSink]
MakeBatch = Callable[..., WriteSet]
MakeRows = Callable[..., Rows]
Prepare = Callable[[sa.Connection], object]


def refused(sink: SqlSink, batch: WriteSet) -> SinkError:
    with pytest.raises(SinkError) as caught:
        sink.write(batch)
    return caught.value


@pytest.mark.parametrize(
    ("column", "value", "name"),
    [
        ("timestamp", None, "SQLITE_CONSTRAINT_NOTNULL|23502"),
        ("sequence", 2**63, "OverflowError|DataError|22003"),
        ("symbol", "\ud800", "UnicodeEncodeError"),
        ("bid_price_1", {"not": "a value"}, "Error"),
    ],
)
def test_a_row_that_cannot_be_stored_will_not_do_however_often_it_is_tried(
    any_database: str,
    open_sink: OpenSink,
    make_rows: MakeRows,
    session: SessionState,
    column: str,
    value: object,
    name: str,
) -> None:
    batch = WriteSet("b", session, (make_rows(1, **{column: [value]}),))
    sink = open_sink(any_database)
    error = refused(sink, batch)
    assert not error.transient
    assert any(part in str(error) for part in name.split("|")), str(error)
    assert not sink.write(WriteSet("b", session, (make_rows(1),))).repeated


def test_rows_that_no_table_has_a_place_for_will_not_do(
    any_database: str, open_sink: OpenSink, session: SessionState
) -> None:
    sink = open_sink(any_database)
    for rows in (
        Rows("nowhere", {"x": [1]}),
        Rows("book", {"no_such_column": [1]}),
        Rows("book", {"timestamp": ["t"], "symbol": ["s", "t"]}),
    ):
        assert not refused(sink, WriteSet("b", session, (rows,))).transient


def test_a_table_that_is_gone_is_no_fault_of_the_batch(
    any_database: str, open_sink: OpenSink, make_batch: MakeBatch
) -> None:
    sink = open_sink(any_database)
    assert sink._database._engine is not None
    with sink._database._engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE l2_training_data_practical")
    assert refused(sink, make_batch()).transient


def test_a_text_with_nul_is_refused_by_postgresql_as_content(
    postgres_url: str, open_sink: OpenSink, make_rows: MakeRows, session: SessionState
) -> None:
    batch = WriteSet("b", session, (make_rows(1, symbol=["BTC\0USDT"]),))
    assert not refused(open_sink(postgres_url), batch).transient


def test_a_locked_sqlite_file_is_worth_another_try(
    tmp_path: Path, open_sink: OpenSink, make_batch: MakeBatch
) -> None:
    sink = open_sink(str(tmp_path / "live.db"), busy_timeout_s=0.05)
    with closing(sqlite3.connect(tmp_path / "live.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        error = refused(sink, make_batch())
        assert error.transient
        assert "SQLITE_BUSY" in str(error)
        assert str(tmp_path / "live.db") in str(error)
        other.execute("ROLLBACK")
    assert not sink.write(make_batch()).repeated


def test_a_full_disk_is_worth_another_try(tmp_path: Path, open_sink: OpenSink, make_batch: MakeBatch) -> None:
    sink = open_sink(str(tmp_path / "live.db"))
    assert sink._database._engine is not None
    with sink._database._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    error = refused(sink, make_batch(count=2_000))
    assert error.transient
    assert "SQLITE_FULL" in str(error)
    with sink._database._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    assert not sink.write(make_batch(count=2_000)).repeated


def test_a_read_only_database_is_worth_another_try(
    tmp_path: Path, open_sink: OpenSink, make_batch: MakeBatch
) -> None:
    sink = open_sink(str(tmp_path / "live.db"))
    assert sink._database._engine is not None
    with sink._database._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
    error = refused(sink, make_batch())
    assert error.transient
    assert "SQLITE_READONLY" in str(error)
    sink._database._engine.dispose()  # a new connection may write again
    assert not sink.write(make_batch()).repeated


def test_a_read_only_server_is_worth_another_try(
    postgres_url: str, open_sink: OpenSink, make_batch: MakeBatch
) -> None:
    sink = open_sink(postgres_url)
    assert sink._database._engine is not None
    with sink._database._engine.begin() as connection:
        connection.exec_driver_sql("SET SESSION default_transaction_read_only = on")
    error = refused(sink, make_batch())
    assert error.transient
    assert "25006" in str(error)


def test_a_cut_connection_is_worth_another_try_which_succeeds(
    postgres_url: str, open_sink: OpenSink, make_batch: MakeBatch
) -> None:
    sink = open_sink(postgres_url)
    assert not sink.write(make_batch("b1")).repeated
    assert sink._database._engine is not None
    with sink._database._engine.connect() as connection:
        backend = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    cut(postgres_url, backend)
    error = refused(sink, make_batch("b2"))
    assert error.transient
    assert "postgres:***@" in str(error) or "postgres@" in str(error)
    assert not sink.write(make_batch("b2")).repeated


def test_a_connection_cut_while_rows_are_sent_is_worth_another_try_which_succeeds(
    postgres_url: str, open_sink: OpenSink, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = open_sink(postgres_url)

    def cut_then_write(connection: sa.Connection, *parts: object) -> int:
        cut(postgres_url, connection.exec_driver_sql("SELECT pg_backend_pid()").scalar())
        return write_rows(connection, *parts)  # type: ignore[arg-type]

    with monkeypatch.context() as cutting:
        cutting.setattr("collector.sinks.sql.sink.write_rows", cut_then_write)
        assert refused(sink, make_batch()).transient
    assert not sink.write(make_batch()).repeated


def cut(url: str, backend: object) -> None:
    """End the server's side of a connection, and wait until it is gone."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        gone = connection.exec_driver_sql(f"SELECT pg_terminate_backend({backend}, 5000)").scalar()
    assert gone
