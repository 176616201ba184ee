"""trading_bot_live.db.example is what it is said to be, and the examples of README run on it."""

import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from collector import gaps, load_features, load_ohlcv, load_trades
from collector.query.audit import run_audit

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "trading_bot_live.db.example"
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"<!-- example -->\n```\w+\n(.*?)```", README, re.DOTALL)
MOST_BYTES = 2_000_000


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return Path(shutil.copy(EXAMPLE, tmp_path / "demo.db"))


def ask(database: Path, question: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(database) as connection:
        found = connection.execute(question).fetchall()
    connection.close()
    return found


def test_it_is_small_and_holds_three_exchanges_trades_and_bars(database: Path) -> None:
    assert EXAMPLE.stat().st_size < MOST_BYTES
    exchanges = "SELECT exchange, count(*) > 500 FROM {} GROUP BY exchange ORDER BY exchange"
    three = [("binance", 1), ("bybit", 1), ("kraken", 1)]
    assert ask(database, exchanges.format("l2_training_data_practical")) == three
    assert [name for name, _ in ask(database, exchanges.format("collector_trades"))] == [
        name for name, _ in three
    ]
    finished = "SELECT count(DISTINCT exchange) FROM collector_ohlcv WHERE confirmed = 1"
    assert ask(database, finished) == [(3,)]
    assert {source for (source,) in ask(database, "SELECT DISTINCT data_source FROM collector_trades")} == {
        "simulator"
    }
    assert ask(database, "SELECT DISTINCT host FROM collector_sessions") == [("example",)]


def test_it_holds_one_honest_hole_and_everything_else_is_right(database: Path) -> None:
    found = run_audit(str(database))
    assert found.passed, found.findings
    holes = gaps(str(database), channel="book.50")
    assert set(holes["exchange"]) == {"bybit"}
    assert holes["cause"].tolist() == ["disconnect"] * 2  # of both its markets
    parts = load_features(str(database), "BTC/USDT:USDT", on_gap="split")
    assert [len(part) > 100 for part in parts] == [True, True]
    assert len(load_trades(str(database), "BTC/USD")) > 100
    assert len(load_ohlcv(str(database), "BTC/USDT", interval="1m")) >= 1


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_of_readme_run_on_it(
    database: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = EXAMPLES[number] + "\nassert len(globals().get('ticks', globals().get('frame'))) > 100\n"
    monkeypatch.chdir(database.parent)
    exec(checked, {})
