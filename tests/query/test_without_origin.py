"""Databases and files of before rows had an origin are read as they are: all of it is live."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables
from two_origins import BEGIN_MS, MINUTES, SYMBOL, TRADES, TwoOrigins

from collector import load_ohlcv, load_trades
from collector.database.tables import DEFAULT_TABLE_NAME, make_tables
from collector.query import Asked, ShortReads, Tail, Wanted, bars_page, rows_page
from collector.query.audit import run_audit
from collector.query.instants import Span
from collector.query.rows.archive_files import Part
from collector.query.rows.file_rows import FileRows
from collector.query.rows.placing import PLACE
from collector.query.rows.stored_stream import StoredStream

S = 1_000


@pytest.fixture
def older(tmp_path: Path) -> str:
    """Store trades and bars, and take the column away."""
    made = TwoOrigins(lay_tables(str(tmp_path / "live.db")))
    trades, bars = made.open(TRADES, BEGIN_MS), made.open(MINUTES, BEGIN_MS)
    made.trades(trades, [(number, BEGIN_MS + number * S) for number in (1, 2, 3)])
    made.bars(bars, [BEGIN_MS])
    made.bars(bars, [BEGIN_MS], close=102.0)
    made.close(trades, BEGIN_MS + 70 * S, "stop")
    made.close(bars, BEGIN_MS + 70 * S, "stop")
    made.stop()
    with closing(sqlite3.connect(made.url)) as connection, connection:
        for table in ("trades", "ohlcv", "ohlcv_corrections"):
            connection.execute(f"ALTER TABLE collector_{table} DROP COLUMN origin")
    return made.url


def test_loaders_read_a_database_without_the_column(older: str) -> None:
    frame = load_trades(older, SYMBOL, columns=["trade_id", "origin"], on_gap="raise")
    assert (frame["trade_id"].tolist(), frame["origin"].isna().all()) == (["1", "2", "3"], True)
    assert len(load_trades(older, SYMBOL, origin="live")) == 3
    assert len(load_trades(older, SYMBOL, origin="rest")) == 0
    assert len(load_trades(older, SYMBOL, index="received_at")) == 3
    assert load_ohlcv(older, SYMBOL)["close"].tolist() == [102.0]
    assert load_ohlcv(older, SYMBOL, index="received_at", columns=["close", "origin"])["origin"].isna().all()


def test_pages_tail_and_verify_read_it_as_well(older: str) -> None:
    with ShortReads(older, limit_s=30.0).reading() as (connection, tables):
        page = rows_page(connection, tables, Asked("binance", SYMBOL), trades=True)
        assert [row[page.columns.index("origin")] for row in page.rows] == [None] * 3
        bars = bars_page(connection, tables, Asked("binance", SYMBOL), "1m")
        assert [row[bars.columns.index("close")] for row in bars.rows] == [102.0]
    tail = Tail(older, Wanted("trades"))
    assert len(list(tail.more())) == 3
    tail.close()
    assert run_audit(older).findings == ()


def test_a_file_without_the_column_holds_live_rows(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    rows = {"received_at_ns": [5, 9], "exchange_timestamp": [1, None], "segment_id": [7, 7]}
    both = {**rows, "origin": ["rest", "rest"]}
    found = {}
    for name, columns in (("older", rows), ("newer", both)):
        path = tmp_path / f"{name}.parquet"
        pytest.importorskip("pyarrow.parquet").write_table(arrow.table(columns), path)
        part = Part("binance", SYMBOL, "2026-01-01", path, 2, 2, is_deleted=True)
        stream = StoredStream(make_tables(DEFAULT_TABLE_NAME).trades, SYMBOL, "binance", ())
        (found[name],) = FileRows(part, stream, {PLACE: "int", "origin": "text"}, PLACE).read(Span(), 10)
    assert (found["older"][PLACE].tolist(), found["older"]["origin"].tolist()) == ([5, 9], [None, None])
    assert (found["newer"][PLACE].tolist(), found["newer"]["origin"].tolist()) == (
        [1_000_000, 9],
        ["rest", "rest"],
    )
