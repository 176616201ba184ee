"""What a stepped clock explains is a note and no fault; what it does not explain is a fault as ever."""

import sqlite3
import sys
from pathlib import Path

import pytest

from collector.query.audit import run_audit

sys.path.insert(0, str(Path(__file__).parent))
from audited import OF_TRADES, TRADES, damage, found

S = 1_000_000_000
COPIED = "session_id, exchange, symbol, channel, verification, witnessed, disagreed"
COLUMNS = f"{COPIED}, start_ns, end_ns, alive_until_ns"


def step(path: Path, step_s: float) -> None:
    """Let the session's clock be stepped after its rows: all segments end, and begin by the new clock."""
    ns = int(step_s * S)
    damage(
        path,
        f"INSERT INTO collector_coverage ({COLUMNS}, segment_id, rows, end_cause) "
        f"SELECT {COPIED}, alive_until_ns + {ns}, alive_until_ns + {ns}, alive_until_ns + {ns} + 9 * {S}, "
        "segment_id + 100, 0, 'stop' FROM collector_coverage WHERE channel != 'ohlcv.1m'",
        f"UPDATE collector_coverage SET end_cause = 'clock_step', detail = '{step_s:+.3f} s' "
        "WHERE segment_id < 100",
        "UPDATE collector_sessions SET ended_ns = (SELECT max(alive_until_ns) FROM collector_coverage "
        "WHERE segment_id > 100)",
    )


@pytest.mark.parametrize(
    ("step_s", "word"), [(-60.0, "set back"), (-7200.0, "set back"), (7200.0, "put forward")]
)
def test_a_step_is_told_and_no_fault(path: Path, step_s: float, word: str) -> None:
    step(path, step_s)
    audit = run_audit(path)
    assert (audit.findings, audit.passed) == ((), True)
    told = [(one.check, one.text) for one in audit.notes]
    words = f"session s: its clock was {word} by {abs(step_s):.3f} s; 3 segments end there, "
    assert told[0] == ("clock step", f"{words}dated by the clock of before")
    words = (
        "segments 11 and 111 of bybit BTC/USDT book.10, 12 and 112 of bybit BTC/USDT trade overlap in time, "
        "for the clock was set back or two collectors had the stream: loaders refuse or split them (on_gap)"
    )
    assert told[1:] == ([("segment overlap", words)] if step_s == -60.0 else [])


def test_a_step_is_no_excuse_for_what_it_does_not_explain(path: Path) -> None:
    step(path, -60.0)
    damage(path, f"UPDATE collector_coverage SET start_ns = start_ns - 2 * {S} WHERE segment_id = 111")
    assert ("segment overlap", "segments 11 and 111 of bybit BTC/USDT book.10 overlap") in found(path)
    damage(path, f"UPDATE collector_sessions SET ended_ns = ended_ns - 20 * {S}")
    assert {check for check, _ in found(path)} == {"segment overlap", "segment span"}
    damage(path, f"UPDATE collector_sessions SET ended_ns = started_ns - 62 * {S}")
    assert ("sessions", "session s ended before it began") in found(path)


def test_a_session_that_was_set_back_before_its_beginning_is_no_fault(path: Path) -> None:
    step(path, -7200.0)
    text = "SELECT ended_ns < started_ns FROM collector_sessions"
    with sqlite3.connect(path) as connection:
        assert connection.execute(text).fetchone() == (1,)
    connection.close()
    assert found(path) == []


@pytest.mark.parametrize("step_s", [-60.0, -7200.0])
def test_what_ended_before_a_step_is_before_it_also_where_it_began_after_all_that_ended_there(
    path: Path, step_s: float
) -> None:
    """Trades that are not covered when the clock is set have no segment that ends there."""
    step(path, step_s)
    damage(
        path,
        "UPDATE collector_coverage SET segment_id = 14, rows = 0, end_cause = 'time_far_off', detail = '', "
        f"end_ns = start_ns WHERE segment_id = {OF_TRADES}",
        f"DELETE FROM {TRADES}",
        "UPDATE collector_accounting SET written = 0, received = received - written WHERE channel = 'trade'",
    )
    assert found(path) == []
