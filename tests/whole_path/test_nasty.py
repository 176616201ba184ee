"""Coverage is true in a nasty market: what it claims was seen, and what was well it calls no hole."""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from nasty_rig import HURRIED, NastyRun, Outcome
from plants import PLANTS, Plant

# A few markets of each kind: Bybit linear and spot, Binance spot and USD-M, Kraken, OKX.
FEW: Mapping[str, Sequence[str]] = {
    "bybit": ("BTC/USDT:USDT", "BTC/USDT"),
    "binance": ("BTC/USDT", "BTC/USDT:USDT"),
    "kraken": ("BTC/USD", "ETH/USD"),
    "okx": ("BTC/USDT",),
}
COINS = (
    "BTC",
    "ETH",
    "SOL",
    "XRP",
    "ADA",
    "DOGE",
    "LTC",
    "LINK",
    "AVAX",
    "DOT",
    "BCH",
    "UNI",
    "ATOM",
    "FIL",
    "NEAR",
    "APT",
    "ARB",
    "OP",
    "SUI",
    "TRX",
)
MARKETS_OF_THE_PROOF: Mapping[str, Sequence[str]] = {
    "bybit": [f"{coin}/USDT{kind}" for kind in (":USDT", "") for coin in COINS],
    "binance": [f"{coin}/USDT{kind}" for kind in ("", ":USDT") for coin in COINS[:15]],
    "kraken": [f"{coin}/USD" for coin in COINS],
    "okx": [f"{coin}/USDT" for coin in COINS[:10]],
}
SHORT_SEED, SHORT_S = 2, 10.0
PROOF_SEEDS, PROOF_S = (1, 2, 3), 600.0
PLANT_SEEDS, PLANT_S = range(1, 11), 14.0
RECOVERY_S = 90.0  # REST that says 429, and not for how long, is left alone for a minute
FALSE_HOLES_A_MARKET_HOUR = 1.0


def live_through(
    database: str,
    seed: int,
    seconds: float,
    symbols: Mapping[str, Sequence[str]] = FEW,
    settings: Mapping[str, object] = HURRIED,
    *,
    plant: Plant | None = None,
    fault_every_s: float = 0.5,
    updates_per_s: float = 20.0,
    recovery_s: float = RECOVERY_S,
) -> Outcome:
    """Collect from a nasty market for so long, let it heal, and reckon."""
    run = NastyRun(
        database, symbols, seed, settings, fault_every_s=fault_every_s, updates_per_s=updates_per_s
    )
    try:
        # The time itself is what is wanted here: faults come by the clock.
        began_s = time.monotonic()
        due = sorted((step for step in (plant.steps if plant else ())), key=lambda step: step[0])
        while due and due[0][0] <= 0.0:
            _, name, arguments = due.pop(0)
            getattr(run.simulator.faults, name)(**arguments)
        run.collector.start()
        for after_s, name, arguments in [*due, (seconds, "", {})]:
            time.sleep(max(0.0, began_s + after_s - time.monotonic()))
            if name:
                getattr(run.simulator.faults, name)(**arguments)
        return run.finish(recovery_s)
    finally:
        run.close()


def check(outcome: Outcome, *, most_false: int = 0) -> None:
    """Demand that coverage is true: the seed and what happened stand in the message."""
    found = outcome.reckoning
    assert found.lost_s == 0.0, outcome
    assert found.extra_rows == [], outcome
    assert found.inexact == {}, outcome
    assert found.never_covered == [], outcome
    assert found.asked_again == [], outcome
    assert outcome.problems == [], outcome
    assert len(found.false_events()) <= most_false, outcome


def test_coverage_is_true_in_a_nasty_market(tmp_path: Path) -> None:
    outcome = live_through(f"sqlite:///{tmp_path / 'live.db'}", SHORT_SEED, SHORT_S)
    assert outcome.reckoning.rows > 500, outcome
    assert sum(outcome.faults.values()) > 10, outcome
    check(outcome)


@pytest.mark.parametrize(
    "name", ["some rows get lost", pytest.param("some rows are made up", marks=pytest.mark.proof)]
)
def test_what_is_planted_is_seen(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (plant,) = [one for one in PLANTS if one.name == name]
    plant.put_in(monkeypatch)
    outcome = live_through(
        f"sqlite:///{tmp_path / 'live.db'}",
        SHORT_SEED,
        6.0,
        {"bybit": FEW["bybit"]},
        plant=plant,
        updates_per_s=100.0,
        recovery_s=5.0,
    )
    assert plant.traces(outcome.reckoning), outcome
    assert outcome.reckoning.inexact == {}, outcome


@pytest.mark.proof
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", PROOF_SEEDS)
def test_a_hundred_markets_for_ten_minutes(
    tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sum(map(len, MARKETS_OF_THE_PROOF.values())) == 100
    settings = {"stream.backoff_max_s": 10.0}
    outcome = live_through(
        f"sqlite:///{tmp_path / 'live.db'}",
        seed,
        PROOF_S,
        MARKETS_OF_THE_PROOF,
        settings,
        fault_every_s=2.0,
        updates_per_s=3.0,
        recovery_s=180.0,
    )
    with capsys.disabled():
        print(f"\n{outcome}")
    market_hours = sum(map(len, MARKETS_OF_THE_PROOF.values())) * PROOF_S / 3600
    check(outcome, most_false=int(FALSE_HOLES_A_MARKET_HOUR * market_hours))


@pytest.mark.proof
@pytest.mark.parametrize("plant", PLANTS, ids=str)
def test_a_planted_fault_turns_the_reckoning_red(
    tmp_path: Path, plant: Plant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plant.put_in(monkeypatch)
    for seed in PLANT_SEEDS:
        url = f"sqlite:///{tmp_path / f'{seed}.db'}"
        outcome = live_through(
            url, seed, PLANT_S, plant=plant, fault_every_s=plant.fault_every_s, recovery_s=5.0
        )
        traces = plant.traces(outcome.reckoning)
        assert outcome.reckoning.inexact == {}, outcome
        if traces:
            with capsys.disabled():
                print(f"\n{plant}: seed {seed}: {len(traces)} {plant.found_as}, the first: {traces[0]}")
            return
    pytest.fail(f"{plant}: not seen with the seeds {list(PLANT_SEEDS)}")
