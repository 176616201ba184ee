"""The face for bots, on real sockets and a real database."""

import gc
import json
import os
import socket
import sqlite3
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from collector import (
    DataIngestor,
    IngestorError,
    L2Update,
    PotentialHalt,
    State,
    SystemState,
    Trade,
    UserError,
    create_data_ingestor,
    load_features,
)
from collector.settings import load_settings
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from bot_rig import BTC, ETH, config, running, threads, wait_until

FEATURES = (
    *("bid_price_1", "bid_size_1", "ask_price_1", "ask_size_1", "mid_price", "spread", "spread_bps"),
    *("microprice", "order_book_imbalance", "total_bid_volume_10", "total_ask_volume_10", "ofi"),
)


def rows(path: Path, symbol: str = BTC) -> list[dict[str, Any]]:
    with sqlite3.connect(path) as connection:
        connection.row_factory = sqlite3.Row
        question = "SELECT * FROM l2_training_data_practical WHERE symbol = ? ORDER BY id"
        found = [dict(row) for row in connection.execute(question, (symbol,))]
    connection.close()
    return found


def stored(path: Path) -> int:
    return len(rows(path)) if path.exists() else 0


@pytest.mark.parametrize(
    ("exchange", "symbol"), [("bybit", BTC), ("binance", "BTC/USDT"), ("kraken", "BTC/USD")]
)
def test_an_update_says_bit_for_bit_what_its_row_says(tmp_path: Path, exchange: str, symbol: str) -> None:
    seen: list[L2Update] = []
    with Simulator(updates_per_s=200.0) as simulator:
        ingestor = create_data_ingestor(config(simulator, tmp_path, exchange=exchange, symbol=symbol))
        ingestor.add_update_callback(seen.append)
        assert ingestor.start()
        wait_until(lambda: len(seen) > 100, "updates")
        assert ingestor.stop()
    stored_rows = rows(tmp_path / "trading_bot_live.db", symbol)
    assert len(seen) == len(stored_rows) > 100
    for update, row in zip(seen, stored_rows, strict=True):
        assert {name: getattr(update, name) for name in FEATURES} == {name: row[name] for name in FEATURES}
        assert (update.exchange, update.symbol, update.sequence) == (exchange, symbol, row["sequence"])
        assert update.exchange_ms == row["exchange_timestamp"]
        assert (update.received_at_ns, update.segment_id) == (row["received_at_ns"], row["segment_id"])
        assert len(update.bids) == len(update.asks) == 10
        assert (update.best_bid, update.best_ask) == (update.bids[0][0], update.asks[0][0])
    assert len({update.id for update in seen}) == len(seen)


def test_a_start_waits_for_a_book_where_one_is_asked_for(tmp_path: Path) -> None:
    with Simulator(updates_per_s=250.0) as simulator:
        both = create_data_ingestor(config(simulator, tmp_path, channels=["trade"]))
        for _ in range(3):
            with both:
                channels = {one["channel"]: one["state"] for one in both.get_stats()["streams"]}
                assert channels["book.50"] == "verified"
        trades: list[Trade] = []
        settings = {"exchanges.bybit.channels": ["trade"]}
        alone = create_data_ingestor(config(simulator, tmp_path, settings=settings))
        alone.events.subscribe(Trade, trades.append)
        with alone:
            wait_until(lambda: trades, "a trade")


def test_start_stop_and_start_again(tmp_path: Path) -> None:
    seen: list[L2Update] = []
    with Simulator(updates_per_s=250.0) as simulator:
        ingestor = create_data_ingestor(config(simulator, tmp_path))
        ingestor.add_update_callback(seen.append)
        assert ingestor.stop()  # nothing to stop
        for _ in range(2):
            before = len(seen)
            assert ingestor.start()
            assert ingestor.start()  # it runs already
            assert ingestor.is_healthy()
            wait_until(lambda before=before: len(seen) > before + 20, "updates")
            assert ingestor.stop()
            assert ingestor.stop()
            assert threads() == []
            assert ingestor.report is not None
            assert ingestor.report.good
    with sqlite3.connect(tmp_path / "trading_bot_live.db") as connection:
        causes = connection.execute("SELECT end_cause FROM collector_coverage").fetchall()
    connection.close()
    assert causes == [("stop",), ("stop",)]
    assert load_features(ingestor.database_url, BTC) is not None


def rounds_leave_nothing(tmp_path: Path, rounds: int) -> None:
    descriptors = Path("/proc/self/fd")
    with Simulator(updates_per_s=50.0) as simulator:
        ingestor = create_data_ingestor(config(simulator, tmp_path))
        ingestor.add_update_callback(lambda _update: None)
        left: list[int] = []
        for _ in range(rounds):
            assert ingestor.start(), ingestor.start_failure
            assert ingestor.stop()
            assert threads() == []
            wait_until(lambda: not simulator.connections(), "the simulator has seen the socket close")
            gc.collect()
            left.append(len(list(descriptors.iterdir())) if descriptors.exists() else 0)
        assert len(set(left[2:])) == 1, left
        assert len(ingestor.events.deliveries()) == 1
        assert not ingestor.events.wanted(SystemState)  # what was attached for a session went with it


def test_rounds_of_start_and_stop_leave_no_thread_and_no_socket(tmp_path: Path) -> None:
    rounds_leave_nothing(tmp_path, 4)


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_a_hundred_rounds_of_start_and_stop_leave_no_thread_and_no_socket(tmp_path: Path) -> None:
    rounds_leave_nothing(tmp_path, 100)


def refused_symbol(simulator: Simulator, folder: Path) -> dict[str, Any]:
    return config(simulator, folder, symbol="NOPE/USDT:USDT")


def unreachable(simulator: Simulator, folder: Path) -> dict[str, Any]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoints = {"rest": f"http://127.0.0.1:{port}", "ws": f"ws://127.0.0.1:{port}"}
    return config(simulator, folder, endpoints=endpoints, start_timeout=1.5)


def silent(simulator: Simulator, folder: Path) -> dict[str, Any]:
    simulator.faults.refuse("bybit", 503, count=10_000)
    return config(simulator, folder, start_timeout=1.5)


def unwritable(simulator: Simulator, folder: Path) -> dict[str, Any]:
    return config(simulator, folder, db_path=str(folder / "missing" / "live.db"))


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (refused_symbol, "refused", "'NOPE/USDT:USDT' is not a market there"),
        (
            unreachable,
            "no_book",
            "no verified book within 1.5 s; the last trouble was bybit.markets disconnected: attempt ",
        ),
        (silent, "no_book", "no verified book within 1.5 s; the last trouble was "),
        (unwritable, "not_started", "missing"),
    ],
)
def test_a_start_that_fails_says_why_and_leaves_nothing(
    tmp_path: Path, make: Any, code: str, words: str
) -> None:
    errors: list[IngestorError] = []
    with Simulator() as simulator:
        ingestor = create_data_ingestor(make(simulator, tmp_path))
        ingestor.add_error_callback(errors.append)
        fresh = ingestor.get_stats()
        assert [one["state"] for one in fresh["streams"]] == ["missing"]
        assert not ingestor.start()
        assert ingestor.start_failure is not None
        assert ingestor.start_failure.code == code
        assert words in str(ingestor.start_failure)
        assert ingestor.phase == "stopped"
        stats = ingestor.get_stats()
        assert stats.keys() == fresh.keys()
        assert [one["state"] for one in stats["streams"]] != ["verified"]
        assert not [name for name in threads() if name != "markets"]  # ends by itself with its request
        assert ingestor.start_failure in errors
        assert not ingestor.is_healthy()
        assert words in str(ingestor.is_healthy())
        with pytest.raises(IngestorError, match=code), ingestor:
            pass


def test_a_wrong_symbol_is_told_at_once_and_not_when_the_time_is_over(tmp_path: Path) -> None:
    with Simulator() as simulator:
        ingestor = create_data_ingestor(
            config(simulator, tmp_path, symbol="NOPE/USDT:USDT", start_timeout=60.0)
        )
        began_s = time.monotonic()
        assert not ingestor.start()
        assert time.monotonic() - began_s < 45.0
        assert "'NOPE/USDT:USDT' is not a market there" in str(ingestor.start_failure)


def test_who_asks_while_it_stops_is_answered(tmp_path: Path) -> None:
    """A bot's health check has a thread of its own, and asks at any moment."""
    raised: list[BaseException] = []
    over = threading.Event()

    def ask_on(ingestor: Any) -> None:
        try:
            while not over.is_set():
                assert ingestor.get_stats()["state"]
                str(ingestor.is_healthy())
        except BaseException as error:  # noqa: BLE001  (the test looks)
            raised.append(error)

    with Simulator(updates_per_s=50.0) as simulator:
        ingestor = create_data_ingestor(config(simulator, tmp_path))
        askers = [threading.Thread(target=ask_on, args=(ingestor,)) for _ in range(2)]
        for asker in askers:
            asker.start()
        try:
            for _ in range(2):
                assert ingestor.start(), ingestor.start_failure
                assert ingestor.stop()
        finally:
            over.set()
            for asker in askers:
                asker.join(60.0)
    assert raised == []


def test_one_that_could_not_start_starts_once_it_can(tmp_path: Path) -> None:
    with Simulator(updates_per_s=250.0) as simulator:
        first = create_data_ingestor(config(simulator, tmp_path))
        second = create_data_ingestor(config(simulator, tmp_path))
        with first:
            assert not second.start()
            assert f"process {os.getpid()} on " in str(second.start_failure)
            assert "this process: an ingestor of it was not stopped (in a notebook:" in str(
                second.start_failure
            )
            assert first.is_healthy()
        with second:
            assert second.is_healthy()


def test_several_in_one_process_each_with_its_own(tmp_path: Path) -> None:
    seen: dict[str, list[L2Update]] = {"bybit": [], "kraken": []}
    with Simulator(updates_per_s=250.0) as simulator:
        ingestors = []
        for exchange, symbol in (("bybit", BTC), ("kraken", "BTC/USD")):
            folder = tmp_path / exchange
            folder.mkdir()
            one = create_data_ingestor(config(simulator, folder, exchange=exchange, symbol=symbol))
            one.add_update_callback(seen[exchange].append)
            ingestors.append(one)
        assert all(one.start() for one in ingestors)
        wait_until(lambda: min(map(len, seen.values())) > 50, "updates of both")
        assert all(one.stop() for one in ingestors)
    for exchange, updates in seen.items():
        assert {update.exchange for update in updates} == {exchange}


def test_several_exchanges_by_full_settings(tmp_path: Path) -> None:
    with Simulator(updates_per_s=250.0) as simulator:
        overrides: dict[str, object] = {"database.url": str(tmp_path / "both.db")}
        for exchange, symbol, channel in (("bybit", BTC, "book.50"), ("kraken", "BTC/USD", "book.25")):
            overrides[f"exchanges.{exchange}.symbols"] = [symbol]
            overrides[f"exchanges.{exchange}.channels"] = [channel]
            overrides[f"exchanges.{exchange}.endpoints"] = simulator.endpoints(exchange)
        with DataIngestor(load_settings(overrides=overrides, environ={}, env_file=None)) as ingestor:
            wait_until(lambda: len(ingestor.ticks.snapshot()) == 2, "a tick of both")
            with pytest.raises(UserError, match="say which, exchange= one of bybit, kraken"):
                ingestor.subscribe("ETH/USD")
            assert ingestor.subscribe("ETH/USD", exchange="kraken")
            wait_until(lambda: ingestor.ticks.top("ethusd") is not None, "a tick of the new market")


def test_markets_come_and_go_while_it_runs_and_stay_over_a_restart(tmp_path: Path) -> None:
    with running(tmp_path) as (ingestor, _):
        with pytest.raises(UserError, match="'NOPE' is not a market there"):
            ingestor.unsubscribe("NOPE")
        with pytest.raises(UserError, match="kraken is not collected; expected one of bybit"):
            ingestor.subscribe("BTC/USD", exchange="kraken")
        assert ingestor.is_healthy()
        (key,) = ingestor.subscribe("SOLUSDT")
        assert key.symbol == "SOL/USDT:USDT"
        assert ingestor.unsubscribe("SOLUSDT") == [key]
        (key,) = ingestor.subscribe("ethusdt")
        assert (key.symbol, key.channel) == (ETH, "book.50")
        assert ingestor.subscribe(ETH) == ingestor.subscribe("ETHUSDT") == []
        wait_until(lambda: ingestor.ticks.top(ETH) is not None, "a tick of the new market")
        assert [one.symbol for one in ingestor.unsubscribe(BTC)] == [BTC]
        assert ingestor.settings.exchanges["bybit"].symbols == (ETH,)
        ingestor.stop()
        with pytest.raises(UserError, match="the ingestor is stopped"):
            ingestor.subscribe(BTC)
        assert ingestor.start()
        assert [one["symbol"] for one in ingestor.get_stats()["streams"]] == [ETH]


@pytest.mark.parametrize(("market", "symbol", "other"), [(None, BTC, "BTC/USDT"), ("spot", "BTC/USDT", BTC)])
def test_a_plain_name_is_the_same_market_in_the_config_and_in_every_call(
    tmp_path: Path, market: str | None, symbol: str, other: str
) -> None:
    with running(tmp_path, symbol="BTCUSDT", market=market) as (ingestor, _):
        assert [key.symbol for key in ingestor.subscribe(other.lower())] == [other]
        wait_until(lambda: ingestor.ticks.top(other) is not None, "a tick of the other kind")
        assert [key.symbol for key in ingestor.unsubscribe(symbol)] == [symbol]
        assert ingestor.settings.exchanges["bybit"].symbols == (other,)
        # Of what is collected now the name can mean one market only.
        assert [key.symbol for key in ingestor.unsubscribe("btcusdt")] == [other]
        assert ingestor.settings.exchanges["bybit"].symbols == ()


def test_a_callback_that_raises_is_told_of_and_harms_nobody(tmp_path: Path) -> None:
    errors: list[IngestorError] = []
    seen: list[L2Update] = []

    def broken(_update: L2Update) -> None:
        raise ValueError("mine")

    def broken_too(_error: IngestorError) -> None:
        raise RuntimeError("the one that hears of errors raises itself")

    with Simulator(updates_per_s=250.0) as simulator:
        ingestor = create_data_ingestor(config(simulator, tmp_path))
        ingestor.add_update_callback(broken, name="bot")
        ingestor.add_update_callback(seen.append)
        ingestor.add_error_callback(broken_too)
        ingestor.add_error_callback(errors.append)
        with ingestor:
            wait_until(lambda: len(seen) > 30, "updates")
        assert ingestor.report is not None
        assert ingestor.report.good
        assert {(one.code, str(one)) for one in errors} == {
            ("callback_failed", "callback_failed: bot raised ValueError('mine')")
        }
        bot = next(one for one in ingestor.get_stats()["callbacks"] if one["name"] == "bot")
        assert bot["failed"] == len(errors) == len(seen)


def slow_callback(tmp_path: Path, updates: int, most_waiting: int) -> None:
    """A callback that sleeps loses its own; every update is stored, and nothing is unaccounted for."""
    with running(tmp_path, updates_per_s=0.0, buffer_size=1000) as (ingestor, simulator):
        asleep = ingestor.add_update_callback(
            lambda _: time.sleep(0.01), name="asleep", most_waiting=most_waiting
        )
        before = simulator.truth.sent("bybit", BTC, "book.50")[-1].sequence or 0
        for _ in range(0, updates, 50_000):
            simulator.publish(min(updates, 50_000), BTC)
        wait_until(lambda: ingestor.get_stats()["written"] >= updates, "all stored", 600.0)
        delivery = asleep.delivery()
        assert delivery.handled + delivery.dropped + delivery.waiting in (
            updates - 1,
            updates,
        )  # one is in hand
        assert delivery.dropped > updates - most_waiting - updates // 10
        asleep()
        assert ingestor.stop(60.0)
        assert ingestor.report is not None
        assert ingestor.report.exact
        sequences = [row["sequence"] for row in rows(tmp_path / "trading_bot_live.db")]
        assert sequences == list(range(before, before + updates + 1))


def test_a_callback_that_sleeps_loses_its_own_and_collection_is_unharmed(tmp_path: Path) -> None:
    slow_callback(tmp_path, 5_000, 500)


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_a_million_updates_through_a_callback_that_sleeps(tmp_path: Path) -> None:
    slow_callback(tmp_path, 1_000_000, 10_000)


def test_a_callback_that_never_returns_holds_up_no_stop(tmp_path: Path) -> None:
    stuck = threading.Event()
    with running(tmp_path) as (ingestor, _):
        ingestor.add_update_callback(lambda _: stuck.wait(30.0), name="stuck")
        wait_until(lambda: ingestor.get_stats()["callbacks"][0]["waiting"] > 10, "it is stuck")
        began_s = time.monotonic()
        assert ingestor.stop()
        assert time.monotonic() - began_s < 10.0
        stuck.set()
    wait_until(lambda: threads() == [], "its thread ends once it returns")


def test_a_callback_may_stop_the_ingestor(tmp_path: Path) -> None:
    stopped: list[bool] = []
    with running(tmp_path) as (ingestor, _):
        ingestor.add_update_callback(lambda _: stopped.append(ingestor.stop()))
        wait_until(lambda: stopped, "stopped by the callback")
        assert stopped[0]
        wait_until(lambda: threads() == [], "nothing runs")
        assert ingestor.phase == "stopped"


def test_what_goes_wrong_is_told_and_health_says_why(tmp_path: Path) -> None:
    halts: list[PotentialHalt] = []
    states: list[SystemState] = []
    errors: list[IngestorError] = []
    with running(tmp_path, max_mismatches=1, max_critical_errors=2) as (ingestor, simulator):
        ingestor.events.subscribe(PotentialHalt, halts.append)
        ingestor.events.subscribe(SystemState, states.append)
        ingestor.add_error_callback(errors.append)
        simulator.faults.gap("bybit", BTC)
        wait_until(lambda: halts, "an alarm")
        assert (halts[0].code, halts[0].symbol) == ("sequence_gap", BTC)
        wait_until(ingestor.is_healthy, "verified again")
        simulator.faults.refuse("bybit", 503, count=10_000)
        simulator.faults.close(exchange="bybit")
        wait_until(lambda: "critical_errors" in {halt.code for halt in halts}, "the alarm of too many errors")
        wait_until(lambda: not ingestor.is_healthy(), "unhealthy")
        assert "BTC/USDT:USDT book.50: down, since disconnect" in str(ingestor.is_healthy())
        both = {"sequence_gap", "critical_errors"}
        wait_until(lambda: both <= {one.code for one in errors}, "both in the callback's own thread")
        wait_until(lambda: State.DISCONNECTED in {one.state for one in states}, "the state")
        stats = ingestor.get_stats()
        assert not stats["healthy"]
        assert stats["reasons"] == list(ingestor.is_healthy().reasons)


def test_after_so_many_attempts_there_is_one_alarm_and_tries_go_on(tmp_path: Path) -> None:
    halts: list[PotentialHalt] = []
    with running(tmp_path, max_reconnect_attempts=2, max_critical_errors=1000) as (ingestor, simulator):
        ingestor.events.subscribe(PotentialHalt, halts.append)
        simulator.faults.refuse("bybit", 503, count=5)
        simulator.faults.close(exchange="bybit")
        wait_until(lambda: halts, "the alarm")
        assert not ingestor.is_healthy()
        wait_until(ingestor.is_healthy, "connected again")
        assert [halt.code for halt in halts] == ["unreachable"]


def test_stats_are_plain_values_and_stay_after_the_end(tmp_path: Path) -> None:
    with running(tmp_path) as (ingestor, simulator):
        wait_until(lambda: ingestor.get_stats()["written"] > 20, "rows")
        running_stats = ingestor.get_stats()
        assert running_stats["state"] == "running"
        assert all(one["state"] == "verified" for one in running_stats["streams"])
        wait_until(lambda: ingestor.get_stats()["received_per_s"] > 10, "a rate")
        last_ns = running_stats["last_message_ns"]
        assert last_ns is not None
        assert abs(time.time_ns() - last_ns) < 60e9
        simulator.pause()
        ingestor.stop()
        stats = json.loads(json.dumps(ingestor.get_stats()))
        assert stats["state"] == "stopped"
        assert stats["received"] == stats["written"] + stats["merged"] > 20
        assert stats["pending"] == stats["dropped"] == 0
        assert stats["last_message_ns"] >= last_ns
        assert stats["streams"][0]["state"] != "verified"
        assert stats.keys() == running_stats.keys()
        (stream,) = stats["streams"]
        assert (stream["exchange"], stream["symbol"], stream["written"]) == ("bybit", BTC, stats["written"])


def test_a_bot_may_write_its_own_table_in_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "trading_bot_live.db"
    with running(tmp_path, updates_per_s=200.0) as (ingestor, _):
        own = sqlite3.connect(path, timeout=10.0)
        own.execute("CREATE TABLE bot_orders (id INTEGER PRIMARY KEY, price REAL)")
        for number in range(50):
            own.execute("INSERT INTO bot_orders (price) VALUES (?)", (float(number),))
            own.commit()
        wait_until(lambda: ingestor.get_stats()["written"] > 100, "rows")
        own.close()
        assert ingestor.stop()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM bot_orders").fetchall() == [(50,)]
    connection.close()
