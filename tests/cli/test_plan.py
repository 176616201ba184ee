"""`plan`: what to expect, from the exchanges' pages or measured, and when the disk will be full."""

import json
import sys
from pathlib import Path

import pytest

from collector.cli.announcing import first_line
from collector.cli.commands.config import check
from collector.cli.commands.plan_rates import BYTES_A_ROW, expected
from collector.cli.planning import expected_lines
from collector.errors import SettingsError
from collector.exchanges.registry import EXCHANGES, exchange_of
from collector.settings import load_settings, load_with_notes
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from program import BTC, Run, config


@pytest.mark.parametrize(
    ("stream", "messages", "bound"),
    [
        (("bybit", "linear", "book.50"), 50.0, True),
        (("bybit", "linear", "book.200"), 10.0, True),
        (("bybit", "spot", "book.200"), 5.0, True),
        (("bybit", None, "bbo"), 100.0, True),
        (("binance", "spot", "book.1000"), 10.0, True),
        (("kraken", "spot", "book.25"), 20.0, False),
    ],
)
def test_documented_rates(stream: tuple[str, str | None, str], messages: float, bound: bool) -> None:
    rate = expected(*stream, deep=False)
    assert (rate.messages_a_s, rate.is_bound) == (messages, bound)
    assert rate.bytes_a_s == messages * BYTES_A_ROW["book"]


def test_deep_features_take_a_second_row_and_a_bar_is_one_row_however_often_it_changes() -> None:
    rate = expected("bybit", "linear", "book.50", deep=True)
    assert rate.rows_a_s == {"book": 50.0, "levels": 50.0}
    assert expected("binance", "spot", "ohlcv.5m", deep=False).rows_a_s == {"ohlcv": 1 / 300}
    assert expected("binance", "spot", "ohlcv.1h", deep=False).rows_a_s == {"ohlcv": 1 / 3600}


def test_sampling_by_the_clock_bounds_the_rows_and_not_the_messages() -> None:
    rate = expected("bybit", "linear", "book.50", deep=True, most_book_rows_a_s=2.0)
    assert rate.messages_a_s == 50.0
    assert rate.rows_a_s == {"book": 2.0, "levels": 2.0}
    slow = expected("kraken", "spot", "bbo", deep=False, most_book_rows_a_s=1000.0)
    assert slow.rows_a_s == {"book": slow.messages_a_s}


@pytest.mark.parametrize("channel", ["book.10", "book.50", "book.1000", "bbo", "trade", "ohlcv.1m"])
@pytest.mark.parametrize("kind", ["spot", "linear"])
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_the_plan_and_the_sharding_expect_the_same_market(exchange: str, kind: str, channel: str) -> None:
    rate = expected(exchange, kind, channel, deep=False)
    assert rate.messages_a_s == EXCHANGES[exchange].limits.expected_a_second(channel, kind)


@pytest.mark.parametrize("channel", ["book.50", "bbo"])
def test_an_unverified_exchange_is_planned_by_its_own_table(channel: str) -> None:
    rate = expected("gate", "spot", channel, deep=False)
    assert rate.messages_a_s == exchange_of("gate").limits.expected_a_second(channel)
    assert not rate.is_bound


def test_an_exchange_that_nobody_wrote_a_table_for_is_planned_as_well(run: Run) -> None:
    done = run("plan", "--exchange", "gate", "--symbols", "BTC/USDT", "--channels", "book.50,bbo")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("busy") >= 2


def test_the_plan_of_a_file_counts_with_its_sampling(run: Run, tmp_path: Path) -> None:
    (tmp_path / "live.yaml").write_text(
        "exchanges: {bybit: {symbols: [BTC/USDT:USDT, ETH/USDT:USDT], sample: "
        "{mode: interval, interval_ms: 500, symbols: {ETH/USDT:USDT: {mode: every}}}}}"
    )
    found = json.loads(run("plan", "--config", "live.yaml", "--json").stdout)
    assert [line["rows_a_s"] for line in found["streams"]] == [2.0, 50.0]


def test_a_plan_adds_up(run: Run) -> None:
    words = ("plan", "--symbols", f"{BTC},ETH/USDT:USDT", "--channels", "book.50,bbo", "--db", "live.db")
    found = json.loads(run(*words, "--json").stdout)
    assert found["messages_a_s"] == 300.0
    assert found["gigabytes_a_day"] == pytest.approx(300 * 300 * 86_400 / 1e9)
    days = found["free_bytes"] * 0.95 / 1e9 / found["gigabytes_a_day"]
    assert found["days_until_full"] == pytest.approx(days)
    text = run(*words).stdout
    assert "at most" in text
    assert "full in" in text


def test_a_plan_tells_what_the_database_holds_and_how_the_archive_grows(run: Run, tmp_path: Path) -> None:
    streams = "exchanges: {bybit: {symbols: [BTC/USDT:USDT], channels: [book.50, trade, ohlcv.1m]}}"
    (tmp_path / "all.yaml").write_text(f"{streams}\ndatabase: {{url: live.db}}")
    (tmp_path / "hot.yaml").write_text(f"{streams}\ndatabase: {{url: live.db}}\nretention: {{hot_hours: 2}}")
    everything = json.loads(run("plan", "--config", "all.yaml", "--json").stdout)
    found = json.loads(run("plan", "--config", "hot.yaml", "--json").stdout)
    assert everything["kept"] is None
    kept, (book, trades, bars) = found["kept"], (one["gigabytes_a_day"] for one in found["streams"])
    assert kept["hours"] == pytest.approx(3.1)
    assert kept["database_gigabytes"] == pytest.approx((book + trades) * 3.1 / 24)
    assert kept["archive_gigabytes_a_day"] == pytest.approx(book * 35 / 300 + trades * 25 / 320)
    grows = kept["archive_gigabytes_a_day"] + bars
    assert found["days_until_full"] > 5 * everything["days_until_full"]
    room = found["free_bytes"] * 0.95 / 1e9 - kept["database_gigabytes"]
    assert found["days_until_full"] == pytest.approx(room / grows)
    text = run("plan", "--config", "hot.yaml").stdout
    assert "the database holds 3.1 hours at most" in text
    assert "GB a month" in text
    (tmp_path / "days.yaml").write_text(f"{streams}\ndatabase: {{url: live.db}}\nretention: {{days: 7}}")
    assert json.loads(run("plan", "--config", "days.yaml", "--json").stdout)["kept"]["hours"] == 192.0


def test_a_plan_is_measured(run: Run, tmp_path: Path, simulator: Simulator) -> None:
    done = run(
        *("plan", "--config", config(tmp_path, simulator), "--measure", "--measure-seconds", "2", "--json"),
        COLLECTOR_FOLLOWERS=str(tmp_path / "second.db"),
    )
    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    (line,) = found["streams"]
    assert line["basis"] == "measured"
    assert 20 < line["messages_a_s"] < 250  # the simulator sends 200; it takes a moment to begin
    bytes_a_row = found["gigabytes_a_day"] * 1e9 / 86_400 / line["rows_a_s"]
    assert 150 < bytes_a_row < 1000
    assert not (tmp_path / "live.db").exists()
    assert not (tmp_path / "second.db").exists()


def test_a_plan_of_nothing_is_one_of_the_default_setup(run: Run) -> None:
    done = run("plan")
    assert done.returncode == 0
    assert "nothing is configured: this is of the default set-up, bybit BTC/USDT:USDT" in done.stdout
    assert "100.0" in done.stdout.splitlines()[-2]  # messages a second, of both markets


def test_a_plan_counts_with_the_kind_that_a_name_means(run: Run) -> None:
    words = ("plan", "--symbols", "BTCUSDT", "--channels", "book.200", "--json")
    assert json.loads(run(*words).stdout)["messages_a_s"] == 10.0
    spot = run(*words, COLLECTOR_EXCHANGES__BYBIT__MARKET="spot")
    assert json.loads(spot.stdout)["messages_a_s"] == 5.0


def test_levels_beyond_those_of_the_tables_are_said_to_be_for_callbacks(run: Run) -> None:
    for words in (("plan",), ("config", "check")):
        more = run(*words, SYMBOLS="BTC/USDT:USDT", COLLECTOR_STORAGE__LEVELS="25")
        assert more.returncode == 0, more.stderr
        assert "storage.levels is 25: callbacks see so many, tables keep 10" in more.stdout
        assert "tables keep" not in run(*words, SYMBOLS="BTC/USDT:USDT").stdout


def test_the_room_is_told_by_days(run: Run) -> None:
    done = run("doctor", "--offline", "--json", SYMBOLS="BTC/USDT:USDT")
    (space,) = [one for one in json.loads(done.stdout)["verdicts"] if one["name"] == "disk space"]
    assert "full in" in space["found"]
    assert "days at the planned rate" in space["found"]


UNIVERSE = """
exchanges:
  bybit:
    symbols: [DOGE/USDT:USDT]
    channels: [book.50, trade]
    universe: {top: 20}
  kraken:
    universe: {top: 5, quote: USD}
"""


def test_the_markets_traded_most_are_planned_and_counted_before_anybody_knows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "live.yaml"
    file.write_text(UNIVERSE)
    settings = load_settings(file, environ={}, env_file=None)
    lines = {(one.exchange, one.symbol, one.channel): one.messages_a_s for one in expected_lines(settings)}
    assert lines == {
        ("bybit", "DOGE/USDT:USDT", "book.50"): 50.0,
        ("bybit", "DOGE/USDT:USDT", "trade"): 20.0,
        ("bybit", "the top 20 in USDT", "book.50"): 1000.0,
        ("bybit", "the top 20 in USDT", "trade"): 400.0,
        ("kraken", "the top 5 in USD", "book.100"): 5
        * EXCHANGES["kraken"].limits.expected_a_second("book.100"),
    }
    assert check(file=file) == 0
    assert "can be used: at most 47 streams into" in capsys.readouterr().out
    said = first_line(load_with_notes(file, environ={}, env_file=None))
    assert "bybit DOGE/USDT:USDT, the 20 markets in USDT traded most (book.50, trade)" in said
    assert "kraken the 5 markets in USD traded most (book.100)" in said


def test_markets_named_on_the_command_line_are_those_alone(tmp_path: Path) -> None:
    file = tmp_path / "live.yaml"
    file.write_text(UNIVERSE)
    named = {"symbols": ["BTC/USDT:USDT"], "exchange": "bybit"}
    settings = load_settings(file, overrides=named, environ={}, env_file=None)
    assert [one.universe.top for one in settings.exchanges.values()] == [None]
    more = {"COLLECTOR_EXCHANGES__BYBIT__UNIVERSE__TOP": "7"}
    assert load_settings(file, environ=more, env_file=None).exchanges["bybit"].universe.top == 7


def test_an_exchange_whose_tickers_nobody_looked_up_has_no_universe(tmp_path: Path) -> None:
    file = tmp_path / "live.yaml"
    file.write_text("exchanges: {gate: {channels: [book.50], universe: {top: 3}}}")
    with pytest.raises(SettingsError, match=r"expected null \(a universe can be of bybit, "):
        load_settings(file, environ={}, env_file=None)
