"""Rows that a later session brought in from a spool are counted by that one: the audit knows it."""

import sys
from pathlib import Path

import pytest

from collector.query.audit import run_audit
from collector.sinks.contract import AccountingState, SessionState, WriteSet
from collector.sinks.sql.sink import SqlSink

sys.path.insert(0, str(Path(__file__).parent))
from audited import MARKET, SESSION, damage, write_sound

NEXT = SessionState(
    "t", SESSION.started_ns + 10**12, "0", "h", 1, "{}", SESSION.started_ns + 2 * 10**12, "stop"
)
OF_TRADES = "WHERE channel = 'trade'"


@pytest.fixture
def carried(tmp_path: Path) -> Path:
    """Let the trades have waited in a spool, and the last one have been stored already, on an earlier day."""
    path = write_sound(tmp_path / "live.db")
    counted = AccountingState("t", *MARKET, "trade", carried_in=4, written=3, merged=1)
    sink = SqlSink(str(path), synchronous="OFF")
    sink.open()
    sink.write(WriteSet("carried", NEXT, accounting=(counted,)))
    sink.close()
    damage(
        path,
        f"UPDATE collector_accounting SET written = 0, pending = 4 {OF_TRADES} AND session_id = 's'",
        f"UPDATE collector_coverage SET rows = 3, verification = 'connection' {OF_TRADES}",
        "DELETE FROM collector_trades WHERE id = 4",
        "DELETE FROM collector_ohlcv",
        "UPDATE collector_coverage SET rows = 0 WHERE channel = 'ohlcv.1m'",
        "UPDATE collector_accounting SET received = 0, written = 0 WHERE channel = 'ohlcv.1m'",
    )
    return path


def test_a_trade_that_was_merged_when_it_was_brought_in_is_not_missed(carried: Path) -> None:
    assert run_audit(carried).findings == ()


def test_one_that_nobody_has_merged_is(carried: Path) -> None:
    damage(
        carried, f"UPDATE collector_accounting SET written = 4, merged = 0 {OF_TRADES} AND session_id = 't'"
    )
    assert "segment span" in {one.check for one in run_audit(carried).findings}
