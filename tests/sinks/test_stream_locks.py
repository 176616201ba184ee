"""Several collectors on one PostgreSQL server: never two on one stream, and who is dead is seen to be."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from collector.errors import DatabaseInUse, SinkError
from collector.events.batch import UNKNOWN, StreamKey
from collector.sinks.contract import AccountingState, SegmentState, SessionState, WriteSet
from collector.sinks.sql.sink import SqlSink

OpenSink = Callable[..., SqlSink]
Ask = Callable[[str], list[tuple[Any, ...]]]
BTC = StreamKey("bybit", "BTC/USDT:USDT", "book.50")
ETH = StreamKey("bybit", "ETH/USDT:USDT", "book.50")
ONE = SessionState("one", 1_000, "0.1.0", "first.host", 41, "{}")
TWO = SessionState("two", 2_000, "0.1.0", "second.host", 42, "{}")

COLLECT = """
import sys
from collector.events.batch import StreamKey
from collector.sinks.contract import SessionState
from collector.sinks.sql.sink import SqlSink
sink = SqlSink(sys.argv[1], auto_migrate=True)
sink.open()
stream = StreamKey("bybit", "BTC/USDT:USDT", "book.50")
sink.claim(SessionState("doomed", 500, "0", "h", 40, "{}"), [stream])
print("claimed", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def ask(postgres_url: str) -> Iterator[Ask]:
    engine = sa.create_engine(postgres_url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")

    def run(statement: str) -> list[tuple[Any, ...]]:
        with engine.connect() as connection:
            result = connection.exec_driver_sql(statement)
            return [tuple(row) for row in result] if result.returns_rows else []

    yield run
    engine.dispose()


def batch(batch_id: str, session: SessionState, *streams: StreamKey, segment: int | None = None) -> WriteSet:
    """Make a batch that tells of these streams, with a segment of the first one if asked."""
    segments = ()
    if segment is not None:
        state = SegmentState(
            segment, session.session_id, *streams[0], 10, 20, 30, None, None, rows=0, verification="sequence"
        )
        segments = (state,)
    accounting = tuple(AccountingState(session.session_id, *stream) for stream in streams)
    return WriteSet(batch_id, session, (), segments, accounting)


def backend(sink: SqlSink) -> int:
    with sink._database.engine.connect() as connection:
        return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())


def cut(sink: SqlSink, ask: Ask) -> None:
    """End the server's side of the sink's connection, and wait until it is gone."""
    assert ask(f"SELECT pg_terminate_backend({backend(sink)}, 5000)") == [(True,)]
    with pytest.raises(SinkError):
        sink.maintain(lambda connection: connection.exec_driver_sql("SELECT 1").rowcount)


def test_a_second_collector_of_a_stream_is_refused_and_told_who_has_it(
    postgres_url: str, open_sink: OpenSink
) -> None:
    open_sink(postgres_url).claim(ONE, [BTC])
    with pytest.raises(DatabaseInUse) as caught:
        open_sink(postgres_url).claim(TWO, [ETH, BTC])
    assert str(caught.value).startswith(
        "bybit BTC/USDT:USDT book.50 is collected into this database already, by process 41 on first.host "
        "(session one)"
    )


def test_collectors_of_different_streams_work_side_by_side(
    postgres_url: str, open_sink: OpenSink, ask: Ask
) -> None:
    sinks = {"one": open_sink(postgres_url), "two": open_sink(postgres_url)}
    sinks["one"].claim(ONE, [BTC])
    sinks["two"].claim(TWO, [ETH, BTC._replace(channel="book.200"), BTC._replace(exchange="binance")])
    unknown = StreamKey("bybit", UNKNOWN, "")
    for number in range(3):
        sinks["one"].write(batch(f"one-{number}", ONE, BTC, unknown))
        sinks["two"].write(batch(f"two-{number}", TWO, ETH, unknown))
    assert ask("SELECT count(*) FROM collector_batches") == [(6,)]
    assert ask("SELECT count(*) FROM collector_sessions WHERE ended_ns IS NULL") == [(2,)]


def test_who_is_refused_one_stream_keeps_none_of_the_others(postgres_url: str, open_sink: OpenSink) -> None:
    one, two = open_sink(postgres_url), open_sink(postgres_url)
    one.claim(ONE, [BTC])
    with pytest.raises(DatabaseInUse):
        two.claim(TWO, [ETH, BTC])
    one.claim(ONE, [ETH])


def test_who_ends_lets_go(postgres_url: str, open_sink: OpenSink) -> None:
    first = open_sink(postgres_url)
    first.claim(ONE, [BTC])
    first.close()
    open_sink(postgres_url).claim(TWO, [BTC])


def test_a_stream_that_first_shows_in_a_batch_is_taken_with_it(
    postgres_url: str, open_sink: OpenSink, ask: Ask
) -> None:
    one, two = open_sink(postgres_url), open_sink(postgres_url)
    one.claim(ONE, [BTC])
    two.claim(TWO, [])
    one.write(batch("b1", ONE, BTC, ETH))
    with pytest.raises(DatabaseInUse, match="ETH/USDT:USDT"):
        two.write(batch("b2", TWO, ETH))
    assert ask("SELECT batch_id FROM collector_batches") == [("b1",)]


def test_a_batch_of_an_earlier_session_needs_no_stream(postgres_url: str, open_sink: OpenSink) -> None:
    one, two = open_sink(postgres_url), open_sink(postgres_url)
    one.claim(ONE, [BTC])
    two.claim(TWO, [ETH])
    assert not two.write(batch("b0", replace(ONE, session_id="zero"), BTC)).repeated


def test_a_new_connection_takes_the_locks_of_the_lost_one(
    postgres_url: str, open_sink: OpenSink, ask: Ask
) -> None:
    one, two = open_sink(postgres_url), open_sink(postgres_url)
    one.claim(ONE, [BTC])
    one.write(batch("b1", ONE, BTC, ETH))
    cut(one, ask)
    one.write(batch("b2", ONE, BTC))
    for stream in (BTC, ETH):
        with pytest.raises(DatabaseInUse):
            two.claim(TWO, [stream])


def test_a_stream_that_somebody_took_meanwhile_is_waited_for(
    postgres_url: str, open_sink: OpenSink, ask: Ask
) -> None:
    one, two = open_sink(postgres_url), open_sink(postgres_url)
    one.claim(ONE, [BTC, ETH])
    one.write(batch("b1", ONE, BTC))
    cut(one, ask)
    two.claim(TWO, [BTC])
    for _ in range(2):
        with pytest.raises(
            SinkError, match=r"BTC/USDT:USDT book\.50 was taken by process 42 on second\.host"
        ) as no:
            one.write(batch("b2", ONE, BTC))
        assert no.value.transient
    assert ask("SELECT batch_id FROM collector_batches") == [("b1",)]
    two.close()
    one.write(batch("b2", ONE, BTC))
    assert ask("SELECT count(*) FROM collector_batches") == [(2,)]


def test_a_lost_connection_that_the_server_believes_alive_is_ended(
    postgres_url: str, open_sink: OpenSink, ask: Ask
) -> None:
    sink = open_sink(postgres_url)
    sink.claim(ONE, [BTC])
    ghost = backend(sink)
    with sink._database.engine.connect() as connection:
        connection.detach()  # from the pool: it stays open, and keeps its locks
        sink.write(batch("b1", ONE, BTC))
        assert ask(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {ghost}") == [(0,)]
    with pytest.raises(DatabaseInUse):
        open_sink(postgres_url).claim(TWO, [BTC])


def test_a_killed_collector_s_session_ends_as_a_crash_and_a_living_one_s_does_not(
    postgres_url: str, open_sink: OpenSink, ask: Ask
) -> None:
    alive = open_sink(postgres_url)
    alive.claim(ONE, [ETH])
    alive.write(batch("b1", ONE, ETH, segment=7))
    command = [sys.executable, "-c", COLLECT, postgres_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "claimed\n" in iter(process.stdout.readline, "")
        process.kill()
    while ask("SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'collector doomed%%'"):
        pass
    open_sink(postgres_url).claim(TWO, [BTC])
    assert ask("SELECT session_id, ended_ns, end_cause FROM collector_sessions ORDER BY started_ns") == [
        ("doomed", 500, "crash"),
        ("one", None, None),
        ("two", None, None),
    ]
    assert ask("SELECT end_cause FROM collector_coverage") == [(None,)]


def test_a_session_taken_for_dead_while_it_had_no_connection_goes_on(
    postgres_url: str, open_sink: OpenSink, ask: Ask
) -> None:
    sink = open_sink(postgres_url)
    sink.claim(ONE, [BTC])
    sink.write(batch("b1", ONE, BTC, segment=7))
    cut(sink, ask)
    open_sink(postgres_url)
    for table in ("collector_sessions", "collector_coverage"):
        assert ask(f"SELECT end_cause FROM {table}") == [("crash",)]
    sink.write(batch("b2", ONE, BTC))
    assert ask("SELECT ended_ns, end_cause FROM collector_sessions") == [(None, None)]
    assert ask("SELECT end_cause FROM collector_coverage") == [(None,)]


def test_a_holder_that_cannot_be_seen_is_found_by_what_it_wrote(
    postgres_url: str, open_sink: OpenSink
) -> None:
    one = open_sink(postgres_url)
    one.claim(ONE, [BTC])
    one.write(batch("b1", ONE, BTC, segment=7))
    one.maintain(lambda connection: connection.exec_driver_sql("SET application_name = ''").rowcount)
    with pytest.raises(DatabaseInUse, match=r"by process 41 on first\.host \(session one\)"):
        open_sink(postgres_url).claim(TWO, [BTC])
