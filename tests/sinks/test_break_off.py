"""A call that hangs is broken off from outside, on both databases; rows are tried without being stored."""

import threading
import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from collector.database.engine import make_engine
from collector.database.tables import make_tables
from collector.database.url import database_url
from collector.errors import SinkError
from collector.sinks.contract import Rows, SessionState, WriteSet
from collector.sinks.sql.sink import SqlSink

OpenSink = Callable[..., SqlSink]
FOR_EVER = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "postgresql": "SELECT pg_sleep(600)",
}


def test_a_call_that_hangs_ends_when_it_is_broken_off(
    any_database: str,
    open_sink: OpenSink,
    make_batch: Callable[..., WriteSet],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sink = open_sink(any_database)
    hangs = threading.Event()
    errors: list[BaseException] = []

    def hang(connection: sa.Connection, *_parts: object) -> int:
        hangs.set()
        connection.exec_driver_sql(FOR_EVER[connection.dialect.name])
        raise AssertionError("it came back")

    def write() -> None:
        try:
            sink.write(make_batch())
        except SinkError as error:
            errors.append(error)

    with monkeypatch.context() as hanging:
        hanging.setattr("collector.sinks.sql.sink.write_rows", hang)
        thread = threading.Thread(target=write)
        thread.start()
        assert hangs.wait(10)
        until_s = time.monotonic() + 10
        while thread.is_alive() and time.monotonic() < until_s:
            sink.abort()
            thread.join(0.05)
    assert not thread.is_alive()
    (error,) = errors
    assert isinstance(error, SinkError)
    assert error.transient
    assert not sink.write(make_batch()).repeated


def test_to_break_off_nothing_is_harmless(
    any_database: str, open_sink: OpenSink, make_batch: Callable[..., WriteSet]
) -> None:
    sink = open_sink(any_database)
    sink.abort()
    assert not sink.write(make_batch("b1")).repeated
    sink.abort()
    assert not sink.write(make_batch("b2")).repeated


def test_rows_are_tried_and_not_stored(
    any_database: str, open_sink: OpenSink, make_rows: Callable[..., Rows], session: SessionState
) -> None:
    sink = open_sink(any_database)
    assert sink.refuses(make_rows(3)) is None
    why = sink.refuses(make_rows(2, timestamp=["2026-01-01T00:00:00.000001Z", None]))
    assert why is not None
    assert "timestamp" in why
    sink.write(WriteSet("b", session, (make_rows(1),)))
    engine = make_engine(database_url(any_database), read_only=True)
    with engine.connect() as connection:
        hot = make_tables("l2_training_data_practical").hot
        assert connection.execute(sa.select(sa.func.count()).select_from(hot)).scalar_one() == 1
    engine.dispose()


def test_a_sink_that_cannot_say_says_so(
    any_database: str,
    open_sink: OpenSink,
    make_rows: Callable[..., Rows],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sink = open_sink(any_database)

    def away(*_parts: object) -> int:
        raise OSError("gone")

    monkeypatch.setattr("collector.sinks.sql.sink.write_rows", away)
    with pytest.raises(SinkError) as refused:
        sink.refuses(make_rows(1))
    assert refused.value.transient
