"""The paper bot trades through an alarm, at prices that stand in the rows beside its orders."""

import re
import sqlite3
import sys
from pathlib import Path

import pytest

from collector.query.audit import run_audit

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

import paper_bot

LATENCY_NS = 20_000_000


def test_the_paper_bot_trades_survives_an_alarm_and_prints_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "bot.db"
    words = ["paper_bot.py", "--seconds", "4", "--trouble", "--db", str(database)]
    monkeypatch.setattr(sys, "argv", words)
    assert paper_bot.main() == 0
    alarm, end, result = capsys.readouterr().out.splitlines()
    assert alarm.startswith("alarm, going flat: sequence_gap: ")
    assert end == "the alarm is over: sequence_gap"
    found = re.fullmatch(r"(\d+) updates, (\d+) fills, (\d+) alarms; .* result [+-][\d.]+ USDT", result)
    assert found is not None, result
    updates, fills, alarms = map(int, found.groups())
    assert updates > 100
    assert alarms == 1

    with sqlite3.connect(database) as connection:
        orders = connection.execute(
            "SELECT sequence, decided_ns, filled_ns, size, price, why FROM bot_orders"
        ).fetchall()
        rows = {
            row[0]: row[1:]
            for row in connection.execute(
                "SELECT received_at_ns, sequence, bid_price_1, ask_price_1 FROM l2_training_data_practical"
            )
        }
    connection.close()
    assert len(orders) == fills > 0
    assert len(rows) >= updates  # the bot listens once the collector collects
    for sequence, decided_ns, filled_ns, size, price, _ in orders:
        assert rows[filled_ns] == (sequence, rows[filled_ns][1], rows[filled_ns][2])
        assert price == rows[filled_ns][2 if size > 0 else 1]  # buys at the ask, sells at the bid
        assert filled_ns - decided_ns >= LATENCY_NS
        assert decided_ns in rows
    assert run_audit(str(database)).passed
