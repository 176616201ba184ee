"""The example that listens without a database runs against the simulator."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

import listen


def test_it_prints_ticks_of_both_markets_tells_a_gap_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["listen.py", "--seconds", "3", "--trouble"])
    assert listen.main() == 0
    printed = capsys.readouterr().out
    found = re.findall(r"^(\S+): ([1-9]\d*) ticks, \d+\.\d\d USDT traded, last", printed, re.MULTILINE)
    assert {symbol for symbol, _ in found} == {"BTC/USDT", "ETH/USDT"}
    assert "alarm: sequence_gap" in printed
    assert "BTC/USDT is verified again, after sequence_gap" in printed
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
