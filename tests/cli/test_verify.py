"""`verify` turns red on every kind of damage, and names the rows."""

import json
import sqlite3
import sys
from pathlib import Path

import pytest

from collector.query.audit import run_audit

sys.path.insert(0, str(Path(__file__).parent))
from program import Run

HOT = "l2_training_data_practical"
BOOK_5 = f"{HOT} SET %s WHERE id = 5"
# What is done to a sound database, and the check that must see it.
DAMAGE = {
    "a row deleted": (f"DELETE FROM {HOT} WHERE id = 5", "segment rows"),
    "a row doubled": (f"INSERT INTO {HOT} ({{hot}}) SELECT {{hot}} FROM {HOT} WHERE id = 5", "order"),
    "the last rows deleted": (f"DELETE FROM {HOT} WHERE id > 20", "segment rows"),
    "all rows deleted": (f"DELETE FROM {HOT}", "segment rows"),
    "a price changed": (f"UPDATE {BOOK_5 % 'bid_price_1 = bid_price_1 + 0.1'}", "features"),
    "a price and what follows from it changed": (
        (
            f"UPDATE {HOT} SET bid_price_1 = ask_price_1 + 1, "
            "mid_price = ask_price_1 + 0.5, spread = -1 WHERE id = 5"
        ),
        "values",
    ),
    "a size changed": (f"UPDATE {BOOK_5 % 'ask_size_1 = ask_size_1 * 2'}", "features"),
    "a size negative": (f"UPDATE {BOOK_5 % 'ask_size_1 = -ask_size_1'}", "values"),
    "a number infinite": (f"UPDATE {BOOK_5 % 'ofi = 9e999'}", "values"),
    "a feature changed": (f"UPDATE {BOOK_5 % 'microprice = microprice + 0.1'}", "features"),
    "a feature gone": (f"UPDATE {BOOK_5 % 'spread_bps = NULL'}", "features"),
    "an imbalance changed": (f"UPDATE {BOOK_5 % 'order_book_imbalance = 0.123'}", "features"),
    "a total smaller than its best level": (f"UPDATE {BOOK_5 % 'total_bid_volume_10 = 1e-9'}", "values"),
    "an order flow changed": (f"UPDATE {BOOK_5 % 'ofi = ofi + 1'}", "features"),
    "a score beyond 1": (f"UPDATE {BOOK_5 % 'data_quality_score = 1.5'}", "values"),
    "a row moved to another stream": (f"UPDATE {HOT} SET symbol = 'X' WHERE id = 5", "stray rows"),
    "a row of another depth": (f"UPDATE {HOT} SET depth = depth + 1 WHERE id = 5", "stray rows"),
    "a row in an unknown segment": (f"UPDATE {HOT} SET segment_id = 17 WHERE id = 5", "stray rows"),
    "a row's time changed": (f"UPDATE {BOOK_5 % 'received_at_ns = received_at_ns + 1000000000'}", "order"),
    "a row's text of time changed": (
        f"UPDATE {BOOK_5 % 'timestamp = replace(timestamp, ?, ?)'}",
        "timestamp",
    ),
    "a sequence changed": (f"UPDATE {HOT} SET sequence = sequence - 2 WHERE id = 5", "order"),
    "a segment's end stretched": (
        "UPDATE collector_coverage SET end_ns = end_ns + 1, alive_until_ns = alive_until_ns + 9",
        "segment span",
    ),
    "a segment's start stretched": (
        "UPDATE collector_coverage SET start_ns = start_ns - 5 WHERE channel LIKE 'book.%'",
        "segment span",
    ),
    "a segment kept alive": (
        "UPDATE collector_coverage SET alive_until_ns = alive_until_ns + 5000000000",
        "segment span",
    ),
    "a segment cut": ("UPDATE collector_coverage SET alive_until_ns = start_ns", "segment span"),
    "a segment's sequence changed": (
        "UPDATE collector_coverage SET last_sequence = last_sequence + 1 WHERE channel LIKE 'book.%'",
        "segment sequence",
    ),
    "a segment gone": ("DELETE FROM collector_coverage WHERE channel LIKE 'book.%'", "stray rows"),
    "a segment twice": (
        (
            "INSERT INTO collector_coverage SELECT segment_id - 7001, session_id, exchange, symbol, channel, "
            "start_ns, end_ns, alive_until_ns, first_sequence, last_sequence, 0, 0, 0, verification, "
            "end_cause, detail FROM collector_coverage WHERE channel LIKE 'book.%'"
        ),
        "segment overlap",
    ),
    "a segment left open": ("UPDATE collector_coverage SET end_cause = NULL", "sessions"),
    "a session gone": ("DELETE FROM collector_sessions", "sessions"),
    "a session that ended before it began": (
        "UPDATE collector_sessions SET ended_ns = started_ns - 1",
        "sessions",
    ),
    "more disagreed than was compared": (
        "UPDATE collector_coverage SET disagreed = witnessed + 1",
        "witnesses",
    ),
    "a count wrong": ("UPDATE collector_accounting SET received = received + 1", "identity"),
    "a count below 0": (
        "UPDATE collector_accounting SET merged = merged - 900000, received = received - 900000",
        "identity",
    ),
    "a reason wrong": (
        "UPDATE collector_accounting SET rejected_reasons = '{{\"stale\": 77}}'",
        "identity",
    ),
    "written counted wrong": (
        "UPDATE collector_accounting SET written = written + 1, received = received + 1",
        "written",
    ),
    "a stream's accounting gone": ("DELETE FROM collector_accounting", "written"),
    "more carried in than was left over": (
        "UPDATE collector_accounting SET carried_in = carried_in + 1, received = received - 1",
        "identity",
    ),
    "a row count wrong": ("UPDATE collector_coverage SET rows = rows + 1", "segment rows"),
    "a trade deleted": ("DELETE FROM collector_trades WHERE id = 3", "segment rows"),
    "a trade doubled": (
        "INSERT INTO collector_trades ({trades}) SELECT {twice} FROM collector_trades WHERE id = 3",
        "segment rows",
    ),
    "a trade's price negative": ("UPDATE collector_trades SET price = -price WHERE id = 3", "values"),
    "a trade's size nothing": ("UPDATE collector_trades SET size = 0 WHERE id = 3", "values"),
    "a trade's side none": ("UPDATE collector_trades SET side = 'up' WHERE id = 3", "values"),
    "a trade moved to another symbol": (
        "UPDATE collector_trades SET symbol = 'X' WHERE id = 3",
        "stray rows",
    ),
    "a trade before its segment": (
        "UPDATE collector_trades SET received_at_ns = received_at_ns - 60000000000 WHERE id = 3",
        "segment span",
    ),
    "the unique index of trades gone": ("DROP INDEX ux_collector_trades", "unique trades"),
    "a bar's high below its low": ("UPDATE collector_ohlcv SET high = low - 1", "values"),
    "a bar's open outside": ("UPDATE collector_ohlcv SET open = high + 1", "values"),
    "a bar's volume negative": ("UPDATE collector_ohlcv SET volume = -1", "values"),
    "a bar's vwap outside": ("UPDATE collector_ohlcv SET vwap = high * 2, volume = 1", "values"),
    "a bar off the grid": ("UPDATE collector_ohlcv SET open_time = open_time + 7", "values"),
    "a bar deleted": ("DELETE FROM collector_ohlcv", "segment rows"),
    "a bar in another segment": ("UPDATE collector_ohlcv SET segment_id = 17", "stray rows"),
}


def damaged(database: Path, folder: Path, statement: str) -> Path:
    path = folder / "damaged.db"
    path.write_bytes(database.read_bytes())
    connection = sqlite3.connect(path)

    def columns(table: str) -> list[str]:
        return [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] != "id"]

    trades = columns("collector_trades")
    twice = ["trade_id || 'x'" if name == "trade_id" else name for name in trades]
    text = statement.format(hot=", ".join(columns(HOT)), trades=", ".join(trades), twice=", ".join(twice))
    with connection:
        done = connection.execute(text, ("T", "t") if "?" in text else ())
        assert done.rowcount != 0, "nothing was damaged"
    connection.close()
    return path


def test_nothing_is_found_in_a_sound_database(sound_market: Path) -> None:
    found = run_audit(sound_market)
    assert found.findings == ()
    assert found.streams == 4 <= found.segments  # a busy machine may cut one, and says so
    assert found.rows > 300


@pytest.mark.parametrize("damage", DAMAGE)
def test_verify_turns_red_on_planted_damage(sound_market: Path, tmp_path: Path, damage: str) -> None:
    statement, check = DAMAGE[damage]
    found = run_audit(damaged(sound_market, tmp_path, statement))
    assert not found.passed
    assert check in {one.check for one in found.findings}, found.findings


def test_the_command_says_which_rows_and_exits_1(run: Run, sound_market: Path, tmp_path: Path) -> None:
    good = run("verify", "--db", str(sound_market))
    assert (good.returncode, good.stdout[:9]) == (0, "verified:")
    path = str(damaged(sound_market, tmp_path, DAMAGE["a price changed"][0]))
    bad = run("verify", "--db", path)
    assert bad.returncode == 1
    assert f"{HOT}: 1 row (id 5) whose mid_price" in bad.stdout
    machine = json.loads(run("verify", "--db", path, "--json").stdout)
    assert not machine["passed"]
    assert any(one["check"] == "features" for one in machine["findings"])


def test_many_wrong_rows_are_counted_and_a_few_named(sound_market: Path, tmp_path: Path) -> None:
    path = damaged(sound_market, tmp_path, f"UPDATE {HOT} SET spread = 77")
    (found,) = [one for one in run_audit(path).findings if "spread does" in one.text]
    assert "(id 1, 2, 3, 4, 5 and " in found.text


def test_rows_that_something_else_wrote_are_left_alone(sound_market: Path, tmp_path: Path) -> None:
    path = damaged(
        sound_market, tmp_path, f"INSERT INTO {HOT} (timestamp, symbol, bid_price_1) VALUES ('t', 'X', 5)"
    )
    assert run_audit(path).passed


def test_progress_is_told_to_the_end(sound_market: Path) -> None:
    told: list[tuple[int, int]] = []
    found = run_audit(sound_market, on_progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (found.rows, found.rows)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_database_of_an_earlier_version_is_audited_as_far_as_it_goes(
    run: Run, sound: Path, tmp_path: Path
) -> None:
    path = tmp_path / "old.db"
    path.write_bytes(sound.read_bytes())
    with sqlite3.connect(path) as connection:
        for table in ("trades", "ohlcv", "ohlcv_corrections", "l2_levels"):
            connection.execute(f"DROP TABLE collector_{table}")
    connection.close()
    assert run("verify", "--db", str(path)).returncode == 0
