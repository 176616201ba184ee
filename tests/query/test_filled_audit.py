"""What verify makes of stretches that REST filled, and of the bars over their seams."""

import json
import sqlite3
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables
from two_origins import BEGIN_MS, MINUTE_MS, MINUTES, NS_A_MS, SYMBOL, TRADES, TwoOrigins

from collector import load_trades
from collector.query.audit import Audit, run_audit
from collector.retention import Retention, archive_slices

S = 1_000
LATER_MS = BEGIN_MS + 24 * 3_600 * S
AFTER = datetime.fromtimestamp(BEGIN_MS / 1000 + 10 * 86_400, UTC)


@pytest.fixture
def both(tmp_path: Path) -> Iterator[TwoOrigins]:
    made = TwoOrigins(lay_tables(str(tmp_path / "live.db")))
    yield made
    made.stop()


def filled_hole(both: TwoOrigins, *, volume: float = 30.0, kind: str = "trade") -> None:
    """Store live trades of six minutes, a hole of two in it, filled; bars live and filled likewise."""
    first = both.open(TRADES, BEGIN_MS)
    both.trades(first, [(number, BEGIN_MS + number * S) for number in range(1, 91)])
    both.close(first, BEGIN_MS + 90_500, "disconnect")
    second = both.open(TRADES, BEGIN_MS + 210_500)
    both.trades(second, [(number, BEGIN_MS + number * S) for number in range(211, 361)])
    both.close(second, BEGIN_MS + 361_000, "stop")
    live = both.open(MINUTES, BEGIN_MS)
    both.bars(live, [BEGIN_MS + number * MINUTE_MS for number in (4,)], volume=30.0)
    both.close(live, BEGIN_MS + 361_000, "stop")
    both.flush()
    filled = both.open(TRADES, BEGIN_MS + 88_000, "rest", "sequence")
    extra = 1_000 if kind == "agg" else 0
    wanted = [(number + extra, BEGIN_MS + number * S) for number in range(88, 213)]
    both.trades(filled, wanted, LATER_MS, kind=kind)
    both.close(filled, BEGIN_MS + 212_500, "filled")
    bars = both.open(MINUTES, BEGIN_MS, "rest")
    both.bars(bars, [BEGIN_MS + number * MINUTE_MS for number in (1, 2, 3)], LATER_MS, volume=volume)
    both.close(bars, BEGIN_MS + 240_000, "filled")
    both.flush()


def told(found: Audit) -> list[tuple[str, str]]:
    return [(one.check, one.text) for one in (*found.findings, *found.notes)]


@pytest.mark.parametrize("kind", ["trade", "agg"])
def test_a_filled_hole_is_sound_and_its_seams_are_no_overlap(both: TwoOrigins, kind: str) -> None:
    filled_hole(both, kind=kind)
    both.stop()
    found = run_audit(both.url)
    assert told(found) == []
    assert found.rows == 360 - 120 + (125 if kind == "agg" else 120) + 4


def test_bars_are_compared_with_trades_over_the_seams(both: TwoOrigins) -> None:
    """The second and the fourth minute are half live and half filled; each of the three is wrong."""
    filled_hole(both, volume=31.0)
    both.stop()
    found = told(run_audit(both.url))
    assert [check for check, _ in found] == ["bars against trades"]
    assert "3 rows" in found[0][1]
    assert "whose volume is not the sum of the trades" in found[0][1]


def test_a_filled_row_outside_of_its_segment_is_found(both: TwoOrigins) -> None:
    filled_hole(both)
    both.stop()
    with sqlite3.connect(both.url) as connection:
        connection.execute(
            "UPDATE collector_trades SET exchange_timestamp = exchange_timestamp - 90000 WHERE trade_id = 91"
        )
    connection.close()
    assert "segment span" in {check for check, _ in told(run_audit(both.url))}


def test_days_of_filled_rows_are_archived_where_they_stand(both: TwoOrigins, tmp_path: Path) -> None:
    filled_hole(both)
    columns = ["trade_id", "origin", "received_at_ns", "timestamp"]
    before = load_trades(both.url, SYMBOL, on_gap="raise", columns=columns)
    retention = Retention(days=1.0, folder=tmp_path / "archive")
    for one in archive_slices(both.url, "l2_training_data_practical", retention, lambda: AFTER):
        both.sink.maintain(one)
    both.stop()
    with sqlite3.connect(both.url) as connection:
        assert connection.execute("SELECT count(*) FROM collector_trades").fetchone() == (0,)
        ((date, segments),) = connection.execute("SELECT date, segments FROM collector_archive").fetchall()
    connection.close()
    assert date == "2026-01-01"
    spans = [tuple(held[1:3]) for held in json.loads(segments).values()]
    assert ((BEGIN_MS + 91 * S) * NS_A_MS, (BEGIN_MS + 210 * S) * NS_A_MS) in spans
    assert load_trades(both.url, SYMBOL, on_gap="raise", columns=columns).equals(before)
    assert len(load_trades(both.url, SYMBOL, origin="rest")) == 120
    late = load_trades(both.url, SYMBOL, index="received_at", start=LATER_MS * NS_A_MS)
    assert [int(one) for one in late["trade_id"]] == list(range(91, 211))
    assert told(run_audit(both.url)) == []
