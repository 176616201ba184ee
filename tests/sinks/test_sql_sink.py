"""What the sink promises, on both databases."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from collector.database.engine import make_engine
from collector.database.tables import ROW_COLUMNS, Tables, make_tables
from collector.database.url import database_url
from collector.errors import SinkError
from collector.events.batch import StreamKey
from collector.sinks.contract import (
    AccountingState,
    Receipt,
    Rows,
    SegmentState,
    SessionState,
    Value,
    WriteSet,
)
from collector.sinks.sql.sink import SqlSink

OpenSink = Callable[..., SqlSink]
MakeBatch = Callable[..., WriteSet]
TABLES: Tables = make_tables("l2_training_data_practical")

SEGMENT = SegmentState(
    segment_id=2**62 + 1,
    session_id="session-1",
    exchange="bybit",
    symbol="BTC/USDT:USDT",
    channel="book.50",
    start_ns=10,
    end_ns=20,
    alive_until_ns=30,
    first_sequence=None,
    last_sequence=7,
    rows=3,
    verification="sequence",
)
ACCOUNT = AccountingState(
    "session-1",
    "bybit",
    "BTC/USDT:USDT",
    "book.50",
    received=9,
    written=4,
    rejected={"stale": 3, "crossed": 2},
)


def stored(url: str, table: sa.Table) -> list[dict[str, object]]:
    engine = make_engine(database_url(url), read_only=True)
    with engine.connect() as connection:
        query = sa.select(table).order_by(*table.primary_key.columns)
        found = [dict(row) for row in connection.execute(query).mappings()]
    engine.dispose()
    return found


def test_every_value_comes_back_as_it_went_in(
    any_database: str, open_sink: OpenSink, make_rows: Callable[..., Rows], session: SessionState
) -> None:
    rows = make_rows(
        3,
        bid_price_1=[0.1 + 0.2, 5e-324, 1.7976931348623157e308],
        ask_price_1=[None, 65_000, -0.0],
        sequence=[-(2**63), 2**63 - 1, None],
        symbol=["BTC/USDT:USDT", "x'; DROP TABLE bots; --", "\u20bf\U0001f600"],
    )
    assert not open_sink(any_database).write(WriteSet("b", session, (rows,))).repeated
    found = stored(any_database, TABLES.hot)
    assert {name: [row[name] for row in found] for name in ROW_COLUMNS} == rows.columns
    assert [row["id"] for row in found] == [1, 2, 3]


def test_created_at_is_the_time_of_the_database_in_utc(
    any_database: str, open_sink: OpenSink, make_batch: MakeBatch
) -> None:
    open_sink(any_database).write(make_batch())
    created_at = stored(any_database, TABLES.hot)[0]["created_at"]
    assert isinstance(created_at, datetime)
    aware = created_at if created_at.tzinfo else created_at.replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - aware) < timedelta(minutes=1)


@pytest.mark.parametrize("count", [1, 999, 1_000, 1_001, 2_500])
def test_a_batch_of_any_size_is_stored_whole_and_in_order(
    any_database: str, open_sink: OpenSink, make_batch: MakeBatch, count: int
) -> None:
    open_sink(any_database).write(make_batch(count=count))
    assert [row["sequence"] for row in stored(any_database, TABLES.hot)] == list(range(count))


def test_a_batch_that_comes_again_changes_nothing(
    any_database: str, open_sink: OpenSink, make_batch: MakeBatch
) -> None:
    sink = open_sink(any_database)
    assert not sink.write(make_batch("b1", 2, segments=(SEGMENT,))).repeated
    before = [stored(any_database, table) for table in TABLES.hot.metadata.sorted_tables]
    assert sink.write(make_batch("b1", 2, segments=(SEGMENT,))).repeated
    assert [stored(any_database, table) for table in TABLES.hot.metadata.sorted_tables] == before
    assert not sink.write(make_batch("b2", 2)).repeated
    assert len(stored(any_database, TABLES.hot)) == 4


def test_the_ledger_tells_session_rows_and_time(
    any_database: str, open_sink: OpenSink, make_batch: MakeBatch
) -> None:
    open_sink(any_database).write(make_batch("b1", 7))
    (entry,) = stored(any_database, TABLES.batches)
    assert (entry["batch_id"], entry["session_id"], entry["rows"]) == ("b1", "session-1", 7)
    assert isinstance(entry["committed_ns"], int)
    assert abs(datetime.now(UTC).timestamp() - entry["committed_ns"] / 1e9) < 60


def test_segments_accounts_and_session_are_stored_and_brought_up_to_date(
    any_database: str, open_sink: OpenSink, session: SessionState
) -> None:
    sink = open_sink(any_database)
    sink.write(WriteSet("b1", session, (), (SEGMENT,), (ACCOUNT,)))
    later = SegmentState(
        **{name: getattr(SEGMENT, name) for name in SegmentState.__annotations__}
        | {"start_ns": 25, "first_sequence": 8, "rows": 2, "end_ns": 40, "end_cause": "closed"}
    )
    more = AccountingState(
        "session-1", "bybit", "BTC/USDT:USDT", "book.50", received=3, merged=1, rejected={"stale": 2}
    )
    last = AccountingState("session-1", "bybit", "BTC/USDT:USDT", "book.50", received=5, written=5)
    ended = SessionState(
        **{name: getattr(session, name) for name in SessionState.__slots__}
        | {"ended_ns": 50, "end_cause": "stop"}
    )
    assert stored(any_database, TABLES.coverage) == [
        {name: getattr(SEGMENT, name) for name in SegmentState.__annotations__}
    ]
    (account,) = stored(any_database, TABLES.accounting)
    assert account | {"updated_ns": 0} == {
        "session_id": "session-1", "exchange": "bybit", "symbol": "BTC/USDT:USDT", "channel": "book.50",
        "received": 9, "carried_in": 0, "written": 4, "merged": 0, "sampled_out": 0,
        "rejected": 5, "rejected_reasons": '{"crossed": 2, "stale": 3}',
        "dropped": 0, "pending": 0, "updated_ns": 0,
    }  # fmt: skip
    sink.write(WriteSet("b2", ended, (), (later,), (more,)))
    sink.write(WriteSet("b3", ended, (), (), (last,)))
    (segment,) = stored(any_database, TABLES.coverage)
    assert (segment["start_ns"], segment["end_ns"], segment["end_cause"]) == (10, 40, "closed")
    assert (segment["first_sequence"], segment["last_sequence"], segment["rows"]) == (8, 7, 5)
    (account,) = stored(any_database, TABLES.accounting)
    assert (account["received"], account["written"], account["merged"]) == (17, 9, 1)
    assert (account["rejected"], account["rejected_reasons"]) == (7, '{"crossed": 2, "stale": 5}')
    (run,) = stored(any_database, TABLES.sessions)
    assert (run["ended_ns"], run["end_cause"]) == (50, "stop")


def test_a_state_that_comes_late_does_not_reopen_what_was_closed(
    any_database: str, open_sink: OpenSink, session: SessionState
) -> None:
    sink = open_sink(any_database)
    sink.write(WriteSet("b1", session, (), (SEGMENT,)))
    sink.close_crashed_sessions()
    sink.write(WriteSet("b2", session, (), (SEGMENT,)))
    assert [row["end_cause"] for row in stored(any_database, TABLES.coverage)] == ["crash"]
    assert [row["end_cause"] for row in stored(any_database, TABLES.sessions)] == ["crash"]


def test_one_bad_row_leaves_no_trace_of_its_batch(
    any_database: str, open_sink: OpenSink, make_rows: Callable[..., Rows], session: SessionState
) -> None:
    sink = open_sink(any_database)
    rows = make_rows(1_500, timestamp=["2026-01-01T00:00:00.000001Z"] * 1_499 + [None])
    with pytest.raises(SinkError):
        sink.write(WriteSet("b1", session, (rows,), (SEGMENT,), (ACCOUNT,)))
    for table in TABLES.hot.metadata.sorted_tables:
        if table is not TABLES.database:  # what it says of itself is of no batch
            assert stored(any_database, table) == []
    assert not sink.write(WriteSet("b1", session, (make_rows(1),))).repeated


def test_a_table_of_another_name_is_written_under_that_name(
    any_database: str, open_sink: OpenSink, make_batch: MakeBatch
) -> None:
    open_sink(any_database, "my_books").write(make_batch())
    assert len(stored(any_database, make_tables("my_books").hot)) == 1


def test_crashed_sessions_end_when_they_were_last_alive(
    any_database: str, open_sink: OpenSink, session: SessionState
) -> None:
    sink = open_sink(any_database)
    silent = SessionState("session-2", 5_000, "0.1.0", "host", 43, "[]")
    ended = SessionState("session-3", 6_000, "0.1.0", "host", 44, "[]", ended_ns=7_000, end_cause="stop")
    fields = {name: getattr(SEGMENT, name) for name in SegmentState.__annotations__}
    closed = SegmentState(**fields | {"segment_id": 2, "end_cause": "sequence_gap", "alive_until_ns": 25})
    other = SegmentState(**fields | {"segment_id": 3, "session_id": "session-3"})
    sink.write(WriteSet("b1", session, (), (SEGMENT, closed)))
    sink.write(WriteSet("b2", silent))
    sink.write(WriteSet("b3", ended, (), (other,)))
    assert sink.close_crashed_sessions() == 2
    assert [
        (row["session_id"], row["ended_ns"], row["end_cause"])
        for row in stored(any_database, TABLES.sessions)
    ] == [
        ("session-1", 30, "crash"),
        ("session-2", 5_000, "crash"),
        ("session-3", 7_000, "stop"),
    ]
    assert [(row["segment_id"], row["end_cause"]) for row in stored(any_database, TABLES.coverage)] == [
        (2, "sequence_gap"),
        (3, None),
        (2**62 + 1, "crash"),
    ]
    assert sink.close_crashed_sessions() == 0


def test_opening_and_closing_twice_is_once(any_database: str, make_batch: MakeBatch) -> None:
    sink = SqlSink(any_database, auto_migrate=True)
    sink.open()
    sink.open()
    assert not sink.write(make_batch()).repeated
    sink.close()
    sink.close()
    sink.open()
    assert sink.write(make_batch()).repeated
    sink.close()


STREAM = StreamKey("bybit", "BTC/USDT:USDT", "trade")


def trades(*ids: str) -> Rows:
    common = {"timestamp": "2026-01-01T00:00:00.000001Z", "exchange": "bybit", "symbol": "BTC/USDT:USDT"}
    common |= {"kind": "trade", "side": "buy"}
    columns: dict[str, list[Value]] = {name: [value] * len(ids) for name, value in common.items()}
    columns["segment_id"] = [SEGMENT.segment_id] * len(ids)
    numbers: dict[str, list[Value]] = {"price": [1.0] * len(ids), "size": [2.0] * len(ids)}
    return Rows("trades", {**columns, **numbers, "trade_id": list(ids)}, STREAM)


def test_a_trade_that_is_there_already_counts_as_merged(
    any_database: str, open_sink: OpenSink, session: SessionState
) -> None:
    sink = open_sink(any_database)
    fields = {name: getattr(SEGMENT, name) for name in SegmentState.__annotations__} | {"channel": "trade"}
    three = AccountingState("session-1", *STREAM, received=3, written=3)
    first = WriteSet("b1", session, (trades("1", "2", "3"),), (SegmentState(**fields),), (three,))
    assert sink.write(first) == Receipt()
    again = WriteSet("b2", session, (trades("2", "3", "4"),), (SegmentState(**fields),), (three,))
    assert sink.write(again) == Receipt(merged={STREAM: 2})
    (account,) = stored(any_database, TABLES.accounting)
    assert (account["received"], account["written"], account["merged"]) == (6, 4, 2)
    (segment,) = stored(any_database, TABLES.coverage)
    assert segment["rows"] == 4
    assert [row["trade_id"] for row in stored(any_database, TABLES.trades)] == ["1", "2", "3", "4"]


def test_the_log_tells_which_database_was_opened_and_how(
    any_database: str, open_sink: Callable[..., SqlSink]
) -> None:
    with capture_logs() as logs:
        open_sink(any_database)
    (told,) = (one for one in logs if one["event"] == "database.opened")
    is_file = any_database.startswith("sqlite")
    assert (told["sqlite"] is not None, told["synchronous"]) == (is_file, "FULL" if is_file else None)
    assert ("live.db" in told["database"]) is is_file
