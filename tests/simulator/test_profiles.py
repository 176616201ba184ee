"""Steady, lively and nasty markets, and the schedule of faults that a seed makes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from inspect import signature
from itertools import islice, pairwise, takewhile
from typing import TYPE_CHECKING

import pytest

from collector.simulator import Simulator
from collector.simulator.exchanges.registry import DEFAULT_SYMBOLS
from collector.simulator.faults.faults import Faults, fault_names
from collector.simulator.lively import Oddities
from collector.simulator.nasty import FaultRunner, Planned, schedule

if TYPE_CHECKING:
    from pathlib import Path

    from collector.simulator.market.truth import Truth
    from tests.simulator.conftest import Client

ALL = DEFAULT_SYMBOLS
PROGRAM = "import typer; from collector.cli.commands.simulate import simulate; typer.run(simulate)"


def wait_until(is_so: object, timeout_s: float = 30.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_a_steady_market_is_ideal_and_what_one_gets_unasked() -> None:
    for options in ({}, {"profile": "steady"}):
        with Simulator(symbols=ALL, updates_per_s=0.0, **options) as simulator:
            assert {each.delay_s() for each in simulator._world.conditions.values()} == {0.0}
            assert simulator._world.clock_offsets_ns == {}
            assert simulator._world.hub.batch_s == {}
            assert simulator.schedule() == []


def test_a_lively_market_is_far_away_with_a_clock_of_its_own(connect: type[Client]) -> None:
    def places(seed: int) -> dict[str, tuple[float, ...]]:
        simulator = Simulator(symbols=ALL, seed=seed, profile="lively")
        return {
            name: (each.latency_ms, each.jitter_ms, simulator._world.clock_offsets_ns[name])
            for name, each in simulator._world.conditions.items()
        }

    assert places(1) == places(1) != places(2)
    assert len(set(places(1).values())) == 4
    assert all(5 <= latency_ms <= 60 and offset for latency_ms, _, offset in places(1).values())
    with (
        Simulator(symbols={"bybit": ["BTC/USDT"]}, seed=1, profile="lively") as simulator,
        connect(simulator, "/v5/public/spot") as client,
    ):
        began_s = time.monotonic()
        client.send(op="ping")
        client.receive()
        assert time.monotonic() - began_s >= 2 * simulator._world.conditions["bybit"].latency_ms / 1000
        client.send(op="subscribe", args=["orderbook.50.BTCUSDT"])
        while client.receive().get("type") != "delta":
            pass
        assert [fault.name for fault in simulator.truth.faults()] == []


def test_oddities_of_life_come_by_themselves(connect: type[Client]) -> None:
    """In an hour of Kraken and of Binance's futures, passed at once."""
    symbols = {"kraken": ["BTC/USD"], "binance": ["BTC/USDT:USDT"]}
    with (
        Simulator(symbols=symbols, updates_per_s=0.0) as simulator,
        connect(simulator, "/kraken/v2") as kraken,
        connect(simulator, "/fut/ws") as binance,
    ):
        kraken.send(method="subscribe", params={"channel": "book", "symbol": ["BTC/USD"], "depth": 10})
        binance.send(method="SUBSCRIBE", params=["btcusdt@trade"], id=1)
        simulator.wait_for_subscription("kraken", "BTC/USD", "book.10")
        simulator.wait_for_subscription("binance", "BTC/USDT:USDT", "trade")
        oddities = Oddities(simulator._world.publisher, 7)

        async def pass_an_hour() -> None:
            for feed, each in simulator._world.pairs():
                for _ in range(3600):
                    oddities.advance(feed, each, 1.0)

        simulator._server.call(pass_an_hour())
        sent = simulator.truth.sent("kraken", "BTC/USD", "book.10")
        assert len(sent) > 50
        placeholders = len(simulator.truth.sent("binance", "BTC/USDT:USDT", "trade"))
        assert 700 < placeholders < 1100  # about 15 a minute
        while len(kraken.receive().get("data", [])) != 2:
            pass


def test_a_schedule_depends_on_the_seed_alone() -> None:
    first = list(islice(schedule(7, ALL), 500))
    assert first == list(islice(schedule(7, ALL), 500))
    assert first != list(islice(schedule(8, ALL), 500))
    assert all(one.at_s <= two.at_s for one, two in pairwise(first))
    assert json.loads(json.dumps([each._asdict() for each in first]))


def test_a_nasty_market_leaves_no_fault_out_and_asks_only_for_what_there_is() -> None:
    planned = list(takewhile(lambda each: each.at_s < 6 * 3600, schedule(7, ALL)))
    assert {each.fault for each in planned} == set(fault_names())
    for each in planned:
        signature(getattr(Faults, each.fault)).bind(None, **each.arguments)


@pytest.mark.parametrize(
    ("fault", "is_on", "other"),
    [
        ("stall", lambda _: True, "unstall"),
        ("delist", lambda _: True, "enlist"),
        ("status", lambda arguments: arguments["system"] != "online", "status"),
        ("clock", lambda arguments: bool(arguments["offset_s"]), "clock"),
        ("rest_allowance", lambda arguments: arguments["capacity"] is not None, "rest_allowance"),
    ],
)
def test_what_lasts_is_put_right_again(fault: str, is_on: object, other: str) -> None:
    planned = list(takewhile(lambda each: each.at_s < 3600, schedule(7, ALL)))
    begun = [each for each in planned if each.fault == fault and is_on(each.arguments)]  # type: ignore[operator]
    assert begun
    for each in begun[: len(begun) // 2]:
        assert any(
            later.fault == other
            and later.at_s > each.at_s
            and all(later.arguments.get(key) == each.arguments[key] for key in ("exchange",))
            for later in planned
        )


def test_the_first_market_of_an_exchange_is_never_taken_off_it() -> None:
    planned = takewhile(lambda each: each.at_s < 4 * 3600, schedule(7, ALL))
    gone = {
        (each.arguments["exchange"], each.arguments["symbol"]) for each in planned if each.fault == "delist"
    }
    assert gone
    assert not gone & {(exchange, symbols[0]) for exchange, symbols in ALL.items()}


def test_a_runner_carries_faults_out_and_outlives_those_that_are_not_possible() -> None:
    class Recorder:
        def __init__(self) -> None:
            self.done: list[str] = []

        def reset(self, exchange: str) -> None:
            self.done.append(exchange)

        def gap(self, exchange: str) -> None:
            raise ValueError(f"{exchange} sends no numbers")

    faults = Recorder()
    with Simulator(symbols={"bybit": ["BTC/USDT"]}, updates_per_s=0.0) as simulator:
        truth: Truth = simulator.truth
        plan = [
            Planned(0.0, "gap", {"exchange": "kraken"}),
            Planned(0.01, "reset", {"exchange": "bybit"}),
            Planned(600.0, "reset", {"exchange": "okx"}),
        ]
        runner = FaultRunner(iter(plan), faults, truth)  # type: ignore[arg-type]
        runner.start()
        wait_until(lambda: faults.done)
        runner.stop()
        assert faults.done == ["bybit"]
        assert [(each.name, each.detail) for each in truth.faults()] == [
            ("gap not possible", "kraken sends no numbers")
        ]


def test_a_nasty_market_does_what_its_schedule_says() -> None:
    with Simulator(symbols=ALL, seed=11, profile="nasty", updates_per_s=20.0) as simulator:
        planned = simulator.schedule(3600)
        wait_until(lambda: len(simulator.truth.faults()) >= 3)
        done = [fault for fault in simulator.truth.faults() if "applied" not in fault.name]
    named = {fault.name for fault in done} - {"set_status"}
    assert named & {each.fault for each in planned[:5]}


def test_a_nasty_market_stops_at_once() -> None:
    simulator = Simulator(symbols=ALL, seed=11, profile="nasty")
    simulator.start()
    began_s = time.monotonic()
    simulator.stop()
    assert time.monotonic() - began_s < 10
    assert simulator._runner is not None
    assert not simulator._runner._thread.is_alive()


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "--port=0", "--seconds=0.1", "--symbol=kraken:BTC/USD", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.proof
def test_the_command_tells_the_seed_of_a_nasty_market(tmp_path: Path) -> None:
    path = tmp_path / "sent.jsonl"
    ran = run("--nasty", "--send-log", str(path))
    assert ran.returncode == 0, ran.stderr
    found = re.search(r"Nasty market, seed (\d+): --nasty --seed \1 brings the same faults", ran.stdout)
    assert found
    assert f"(seed {found[1]})" in ran.stdout
    assert path.exists()
    again = run("--nasty", "--seed", found[1])
    assert f"Nasty market, seed {found[1]}" in again.stdout


@pytest.mark.proof
def test_the_command_is_lively_unless_told_otherwise() -> None:
    assert "(seed 7)" in run().stdout
    assert run("--steady", "--bursts").returncode == 0
    assert run("--steady", "--nasty").returncode != 0
    assert run("--bursts").returncode != 0


def test_faults_come_as_often_as_wanted() -> None:
    rare, dense = (Simulator(symbols=ALL, profile="nasty", fault_every_s=every_s) for every_s in (20.0, 0.5))
    assert 10 < len(rare.schedule(600.0)) < 90
    assert len(dense.schedule(600.0)) > 900


def test_calm_puts_right_what_lasts_and_lets_everybody_in() -> None:
    symbols = {"bybit": ["BTC/USDT", "ETH/USDT"], "kraken": ["BTC/USD"]}
    with Simulator(symbols=symbols, updates_per_s=0.0, profile="nasty", fault_every_s=3600.0) as simulator:
        world, faults = simulator._world, simulator.faults
        faults.stall("bybit", "BTC/USDT")
        faults.restart("bybit", "BTC/USDT")  # its snapshot is owed
        faults.latency("bybit", 400.0, 80.0)
        faults.clock(-1.5, "bybit")
        faults.delist("bybit", "ETH/USDT")
        faults.stale_snapshot("bybit", "BTC/USDT", 100)
        faults.snapshot_edge("bybit", "BTC/USDT", 20)
        faults.tempo("bybit", "BTC/USDT", 0.0, 3600.0)
        faults.rest_ban("bybit", 3600.0)
        faults.rest_status("bybit", 503)
        faults.rest_allowance("bybit", 1)
        faults.connection_allowance("bybit", 1)
        faults.refuse("bybit")
        faults.refuse_subscription("bybit", count=3)
        faults.reject_subscription("bybit")
        faults.message_allowance("kraken", 1)
        faults.status("kraken", "maintenance")
        simulator.calm()
        feed = world.feeds["bybit", "BTC/USDT"]
        assert (world.hub.stalled, world.rest_faults) == (set(), [])
        assert [len(each) for each in world.hub._tampers.values()] == [1]
        assert (feed.stale_steps, feed.edge_levels) == (0, None)
        assert not world.feeds["bybit", "ETH/USDT"].delisted
        assert world.clock_offsets_ns == {}
        assert (world.conditions["bybit"].latency_ms, world.conditions["bybit"].jitter_ms) == (20.0, 3.0)
        assert world.tempos.factor("bybit", "BTC/USDT") == 1.0
        allowances = world.allowances
        assert (allowances.capacities, allowances.connection_capacities, allowances.bans_until_ms) == (
            {},
            {},
            {},
        )
        admission = world.admission("bybit")
        assert admission.take_refusal() is None
        assert admission.take_words("BTCUSDT") is None
        assert not admission.take("reject")
        assert (world.exchange("kraken").message_capacity, world.exchange("kraken").system) == (
            None,
            "online",
        )
        assert simulator._runner is not None
        assert not simulator._runner._thread.is_alive()
