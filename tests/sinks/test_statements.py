"""The few statements of a batch do what one statement a row would, whatever the rows and their number."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.database.engine import make_engine
from collector.database.tables import Tables, make_tables
from collector.database.url import database_url
from collector.errors import SinkError
from collector.sinks.contract import SegmentState, SessionState, WriteSet
from collector.sinks.sql import multi_row
from collector.sinks.sql.sink import SqlSink
from collector.sinks.sql.state_rows import SEGMENT_CHANGES, SEGMENT_RULES, segment_change, segment_row

TABLES: Tables = make_tables("l2_training_data_practical")

whole = st.integers(-(2**63), 2**63 - 1)
counts = st.integers(0, 1000)
sequences = st.none() | counts
states = st.builds(
    SegmentState,
    segment_id=st.integers(1, 6),
    session_id=st.just("session-1"),
    exchange=st.just("bybit"),
    symbol=st.sampled_from(["BTC/USDT:USDT", 'odd "one"\\']),
    channel=st.just("book.50"),
    start_ns=counts,
    end_ns=counts,
    alive_until_ns=counts,
    first_sequence=sequences,
    last_sequence=sequences,
    rows=counts,
    verification=st.just("sequence"),
    end_cause=st.none() | st.sampled_from(["closed", "crash"]),
    detail=st.none() | st.sampled_from(["", 'NULL, "quoted" {braces} \\ and\nmore']),
    witnessed=counts,
    disagreed=counts,
)
batches = st.lists(st.lists(states, max_size=5, unique_by=lambda one: one.segment_id), max_size=4)


@pytest.fixture
def engine(any_database: str) -> Any:
    made = make_engine(database_url(any_database), call_timeout_s=20.0)
    yield made
    made.dispose()


@settings(
    max_examples=settings().max_examples // 2, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(several=batches)
def test_segments_end_up_as_one_upsert_of_each_would_leave_them(
    engine: sa.Engine, several: Sequence[Sequence[SegmentState]]
) -> None:
    def written(write: Callable[[sa.Connection, Sequence[SegmentState]], None]) -> list[Any]:
        with engine.connect() as connection, connection.begin() as trial:
            for batch in several:
                write(connection, batch)
            query = sa.select(TABLES.coverage).order_by(TABLES.coverage.c.segment_id)
            found = list(connection.execute(query).all())
            trial.rollback()
        return found

    def folded(connection: sa.Connection, batch: Sequence[SegmentState]) -> None:
        changed = [segment_change(one) for one in batch]
        there = multi_row.change(connection, TABLES.coverage, SEGMENT_CHANGES, changed, SEGMENT_RULES)
        known = {one.segment_id for one in batch} & {row.segment_id for row in before(connection)}
        assert there == len(known)
        multi_row.upsert(connection, TABLES.coverage, map(segment_row, batch), if_there="skip")

    def before(connection: sa.Connection) -> Sequence[Any]:
        return connection.execute(sa.select(TABLES.coverage.c.segment_id)).all()

    def one_by_one(connection: sa.Connection, batch: Sequence[SegmentState]) -> None:
        for one in batch:
            multi_row.upsert(connection, TABLES.coverage, [segment_row(one)], rules=SEGMENT_RULES)

    assert written(folded) == written(one_by_one)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
awkward = st.sampled_from(["NULL", "", '"', "\\", '","', "{}", "a\nb", "'", "%s", "None"])
columns_of_one_length = st.integers(1, 45).flatmap(
    lambda count: st.fixed_dictionaries(
        {
            name: st.lists(values, min_size=count, max_size=count)
            for name, values in {
                "timestamp": texts | awkward,
                "symbol": texts | awkward,
                "exchange": st.none() | texts | awkward,
                "mid_price": st.none() | st.floats(allow_nan=False, allow_subnormal=True) | st.integers(0, 9),
                "sequence": st.none() | whole,
                "segment_id": whole,
            }.items()
        }
    )
)


@settings(
    max_examples=settings().max_examples // 2, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(columns=columns_of_one_length)
def test_rows_come_back_in_order_with_each_value_as_it_went_in(
    engine: sa.Engine, columns: dict[str, list[Any]]
) -> None:
    hot = TABLES.hot
    with engine.connect() as connection, connection.begin() as trial:
        assert multi_row.insert(connection, hot, columns) == len(columns["symbol"])
        query = sa.select(*(hot.c[name] for name in columns)).order_by(hot.c.id)
        found = [tuple(row) for row in connection.execute(query)]
        trial.rollback()
    assert found == list(zip(*columns.values(), strict=True))


def test_text_where_a_number_belongs_is_not_read_as_several_numbers(postgres_url: str) -> None:
    made = make_engine(database_url(postgres_url), call_timeout_s=20.0)
    columns = {"timestamp": ["t"] * 2, "symbol": ["s"] * 2, "sequence": ["1,2", "3"]}
    with made.connect() as connection, connection.begin() as trial:
        with pytest.raises(Exception, match="invalid input syntax for type bigint"):
            multi_row.insert(connection, TABLES.hot, columns)
        trial.rollback()
    made.dispose()


def test_a_change_of_what_is_not_there_changes_nothing(engine: sa.Engine) -> None:
    with engine.connect() as connection, connection.begin():
        unknown = (5,) * 7 + (None, None, 77)
        assert multi_row.change(connection, TABLES.coverage, SEGMENT_CHANGES, [unknown], SEGMENT_RULES) == 0
        assert multi_row.change(connection, TABLES.coverage, SEGMENT_CHANGES, [], SEGMENT_RULES) == 0


def test_batches_of_many_sizes_need_few_statements(
    any_database: str, open_sink: Callable[..., SqlSink], make_batch: Callable[..., WriteSet]
) -> None:
    """A statement's text that changes with the number of rows is prepared anew each time."""
    sink = open_sink(any_database)
    texts: set[str] = set()
    driver: Any = None

    def watch(connection: sa.Connection) -> int:
        nonlocal driver
        driver = connection.connection.driver_connection
        if any_database.startswith("sqlite"):
            driver.set_trace_callback(
                lambda text: texts.add(text.partition(" VALUES ")[0] + str(text.count("(")))
            )
        return 0

    segments = [state(number) for number in range(1, 60)]
    sink.maintain(watch)
    for number, count in enumerate((1, 2, 19, 20, 59, 199, 201, 399)):
        told = tuple(segments[: count % 60])
        sink.write(make_batch(f"b{number}", count, segments=told))
    if any_database.startswith("sqlite"):
        assert len([one for one in texts if "l2_training_data_practical" in one]) == 3
        driver.set_trace_callback(None)
    else:
        sink.maintain(lambda connection: len(prepared(connection, texts)))
        assert len([one for one in texts if "UPDATE collector_coverage" in one]) == 1
    sink.close()


def state(number: int) -> SegmentState:
    stream = ("bybit", f"S{number}", "book.50")
    return SegmentState(number, "session-1", *stream, 1, number, number, None, number, 1, "sequence")


def prepared(connection: sa.Connection, texts: set[str]) -> set[str]:
    texts.update(connection.exec_driver_sql("SELECT statement FROM pg_prepared_statements").scalars())
    return texts


def test_a_session_is_written_again_only_where_it_may_have_changed(
    any_database: str, open_sink: Callable[..., SqlSink], make_batch: Callable[..., WriteSet]
) -> None:
    """Whoever writes over a new connection does not know what is there."""
    sink = open_sink(any_database)
    sink.write(make_batch("b1"))
    assert lost_again(sink) == 1
    sink.write(make_batch("b2"))
    assert lost_again(sink) == 0  # it was not written again
    sink.write(make_batch("b3", session=replace(sink_session(make_batch), ended_ns=9, end_cause="stop")))
    assert lost_again(sink) == 1
    sink.write(make_batch("b4", session=replace(sink_session(make_batch), ended_ns=9, end_cause="stop")))
    sink.close()
    sink.open()
    sink.write(make_batch("b5", session=replace(sink_session(make_batch), ended_ns=9, end_cause="stop")))
    assert lost_again(sink) == 1


def test_a_session_whose_batch_failed_counts_as_not_told(
    any_database: str, open_sink: Callable[..., SqlSink], make_batch: Callable[..., WriteSet], make_rows: Any
) -> None:
    sink = open_sink(any_database)
    ended = replace(sink_session(make_batch), ended_ns=9, end_cause="stop")
    with pytest.raises(SinkError):
        sink.write(make_batch("b1", session=ended, rows=(make_rows(1, timestamp=[None]),)))
    sink.write(make_batch("b2", session=ended))
    assert lost_again(sink) == 1


def sink_session(make_batch: Callable[..., WriteSet]) -> SessionState:
    return make_batch().session


def lost_again(sink: SqlSink) -> int:
    """Delete the sessions; return how many there were."""
    return sink.maintain(lambda connection: connection.execute(sa.delete(TABLES.sessions)).rowcount)
