"""An exchange sends its last trades at each subscription, also those whose day was archived."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from collector import load_trades
from collector.errors import SinkError
from collector.export.exporter import export
from collector.retention.move import Retention, archive_slices
from collector.sinks.contract import AccountingState, Rows, SessionState, WriteSet
from collector.sinks.sql import archived_trades
from collector.sinks.sql.sink import SqlSink

sys.path.insert(0, str(Path(__file__).parent))
from archiving import DAY_NS, MIDNIGHT_NS, TABLE, ask, slices_of, work

sys.path.insert(0, str(Path(__file__).parents[1] / "query"))
from stored import SYMBOL, iso

sys.path.insert(0, str(Path(__file__).parents[1]))
from any_database import in_a_file

pytest.importorskip("pyarrow")
FIFTY = range(50)
SESSION = SessionState("s", 1, "1", "host", 1, "{}")


def trades_of(numbers: Any, *, later_ns: int = 0, **columns: Any) -> Rows:
    """Make trades, a minute apart on the first day, received so much later."""
    at = [MIDNIGHT_NS + number * 60 * 10**9 for number in numbers]
    alike = {
        "exchange": "kraken",
        "symbol": SYMBOL,
        "kind": "trade",
        "price": 2.0,
        "size": 1.0,
        "side": "buy",
    }
    made = {name: [value] * len(at) for name, value in {**alike, "segment_id": 7, **columns}.items()}
    return Rows(
        "trades",
        {
            **made,
            "trade_id": [str(number) for number in numbers],
            "timestamp": [iso(one + later_ns) for one in at],
            "received_at_ns": [one + later_ns for one in at],
            "exchange_timestamp": [one // 1_000_000 for one in at],
            "data_source": ["simulator"] * len(at),
        },
    )


@pytest.fixture
def store(any_database: str) -> Any:
    """Give what writes trades to a database, and the URL of it."""
    sink = SqlSink(any_database, auto_migrate=True)
    sink.open()

    def send(name: str, *rows: Rows, counted: tuple[AccountingState, ...] = ()) -> Any:
        return sink.write(WriteSet(name, SESSION, rows, accounting=counted))

    yield any_database, send
    sink.close()


def test_trades_sent_again_after_their_day_was_archived_are_merged(store: Any, tmp_path: Path) -> None:
    url, send = store
    send("first", trades_of(FIFTY))
    assert work(url, slices_of(url, tmp_path)) == len(FIFTY)
    send("again", trades_of(FIFTY, later_ns=3 * DAY_NS + 7))
    frame = load_trades(url, SYMBOL)
    assert (len(frame), frame["trade_id"].nunique(), frame["size"].sum()) == (50, 50, 50.0)
    assert ask(url, "SELECT count(*) FROM collector_trades") == 0
    assert export(url, tmp_path / "out", kinds=("trades",)).rows == 50


@in_a_file
def test_only_what_a_file_holds_is_left_out_and_the_accounting_is_exact(store: Any, tmp_path: Path) -> None:
    url, send = store
    send("first", trades_of(range(40)))
    work(url, slices_of(url, tmp_path))
    later = 3 * DAY_NS + 7
    stream = {"exchange": "kraken", "symbol": SYMBOL, "channel": "trade"}
    rows = trades_of(range(30, 50), later_ns=later)
    counted = AccountingState("s", **stream, received=20, written=20)
    receipt = send("again", Rows("trades", rows.columns, counted.key), counted=(counted,))
    assert receipt.merged == {counted.key: 10}
    others = [{"kind": "agg"}, {"exchange": "okx"}, {"symbol": "ETH/USDT"}]
    for place, columns in enumerate(others):
        send(f"other {place}", trades_of(range(5), later_ns=later, **columns))
    assert ask(url, "SELECT count(*) FROM collector_trades") == 10 + 3 * 5
    query = "SELECT written FROM collector_accounting UNION ALL SELECT merged FROM collector_accounting"
    assert ask(url, query) == 10


@in_a_file
def test_a_day_that_is_half_deleted_knows_its_trades_too(store: Any, tmp_path: Path) -> None:
    url, send = store
    send("first", trades_of(FIFTY))
    work(url, slices_of(url, tmp_path), at_most=3)  # recorded, and twenty rows are gone
    assert ask(url, "SELECT count(*) FROM collector_trades") == 30
    send("again", trades_of(FIFTY, later_ns=3 * DAY_NS + 7))
    assert len(load_trades(url, SYMBOL)) == 50
    work(url, slices_of(url, tmp_path))
    assert len(load_trades(url, SYMBOL)) == 50


@in_a_file
def test_a_file_that_is_elsewhere_is_told_and_the_trades_are_stored(store: Any, tmp_path: Path) -> None:
    url, send = store
    send("first", trades_of(FIFTY))
    work(url, slices_of(url, tmp_path))
    for path in tmp_path.rglob("*.parquet"):
        path.unlink()
    with capture_logs() as logs:
        send("again", trades_of(FIFTY, later_ns=3 * DAY_NS + 7))
    assert [entry["event"] for entry in logs] == ["archive.trades_not_compared"]
    assert ask(url, "SELECT count(*) FROM collector_trades") == 50


def test_a_file_that_is_recorded_meanwhile_makes_the_batch_be_tried_again(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, send = store
    send("first", trades_of(FIFTY))
    work(url, slices_of(url, tmp_path))
    answers = iter([[], ["a file"]])
    monkeypatch.setattr(archived_trades.ArchivedTrades, "_listed", lambda *_: next(answers))
    with pytest.raises(SinkError) as caught:
        send("again", trades_of(FIFTY, later_ns=3 * DAY_NS + 7))
    assert caught.value.transient
    monkeypatch.undo()
    send("again", trades_of(FIFTY, later_ns=3 * DAY_NS + 7))
    assert len(load_trades(url, SYMBOL)) == 50


@in_a_file
def test_trades_of_an_hour_of_today_that_was_moved_are_merged(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, send = store
    send("first", trades_of(FIFTY))
    now_s = MIDNIGHT_NS // 10**9 + 2 * 3600 + 300
    now = datetime.fromtimestamp(now_s, UTC)
    kept = Retention(None, tmp_path, hot_hours=1)
    assert work(url, archive_slices(url, TABLE, kept, lambda: now)) == len(FIFTY)
    monkeypatch.setattr(archived_trades.time, "time_ns", lambda: now_s * 10**9)
    send("again", trades_of(range(45, 55), later_ns=2 * 3600 * 10**9))
    frame = load_trades(url, SYMBOL)
    assert (len(frame), frame["trade_id"].nunique()) == (55, 55)
    assert ask(url, "SELECT count(*) FROM collector_trades") == 5


def test_trades_of_the_last_hour_ask_the_database_nothing() -> None:
    columns = trades_of(FIFTY).columns  # a minute apart, the last 49 minutes after midnight
    noon_ms = MIDNIGHT_NS // 1_000_000 + 12 * 3_600_000
    recent = {**columns, "exchange_timestamp": [noon_ms - place * 60_000 for place in FIFTY]}
    assert not archived_trades._old_by_market(recent, noon_ms)
    older = {**columns, "exchange_timestamp": [noon_ms - (place + 60) * 60_000 for place in FIFTY]}
    (places,) = archived_trades._old_by_market(older, noon_ms).values()
    assert places == list(FIFTY)


def test_trades_of_today_ask_the_database_nothing() -> None:
    columns = trades_of(FIFTY).columns
    now_ms = MIDNIGHT_NS // 1_000_000 + 10 * 86_400_000
    assert archived_trades._old_by_market(columns, now_ms)
    just_now = {**columns, "exchange_timestamp": [now_ms + 400_000 + place for place in FIFTY]}
    assert not archived_trades._old_by_market(just_now, now_ms)
    assert datetime.fromtimestamp(now_ms / 1000, UTC).hour == 0
