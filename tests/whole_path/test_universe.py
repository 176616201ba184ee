"""The markets traded most, followed as what is traded changes: what comes, what goes, and why."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from collector.app.wiring_backfill import Asked, Backfill
from collector.events.market_lists import UniverseChanged, UniverseNotRanked
from collector.events.notices import PotentialHalt
from collector.query import last_universe
from collector.query.audit import run_audit
from collector.settings import Settings
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from rig import BTC, ETH, Market, Rig, wait_until

SOL, XRP, DOGE = "SOL/USDT:USDT", "XRP/USDT:USDT", "DOGE/USDT:USDT"
LINEAR = (BTC, ETH, SOL, XRP, DOGE)


class Ranked:
    """A rig whose universe is of three markets, beside one that is named."""

    def __init__(self, simulator: Simulator, database: Path, **overrides: object) -> None:
        top: dict[str, Any] = {"exchanges__bybit__universe__top": 3, "stream__backoff_max_s": 0.1}
        self.rig = Rig(simulator, str(database), [DOGE], **top, **overrides)
        self.changes: list[UniverseChanged] = []
        self.failures: list[UniverseNotRanked] = []
        self.halts: list[PotentialHalt] = []
        self.rig.collector.events.attach(UniverseChanged, self.changes.append)
        self.rig.collector.events.attach(UniverseNotRanked, self.failures.append)
        self.rig.collector.events.attach(PotentialHalt, self.halts.append)
        self.jobs = self.rig.collector.jobs

    def collects(self, *symbols: str) -> None:
        """Wait until just these are collected, and each has given rows since."""
        rig = self.rig
        wait_until(
            lambda: {one.key.symbol for one in rig.collector.stream.glances(5.0) or ()} == set(symbols),
            f"just {symbols}",
        )
        for symbol in symbols:
            before = rig.written(symbol)
            wait_until(lambda symbol=symbol, before=before: rig.written(symbol) > before, f"rows of {symbol}")

    def look(self) -> str:
        """Have the job look now; return what it says."""
        return self.jobs.run("markets").last_text

    def causes(self, symbol: str) -> list[str | None]:
        return [one["end_cause"] for one in self.rig.segments(symbol)]


def backfilled(settings: Settings) -> set[str]:
    """Return of which markets the past would be asked for."""
    bybit = settings.exchanges["bybit"].model_copy(update={"channels": ("ohlcv.1m",)})
    settings = settings.model_copy(update={"exchanges": {"bybit": bybit}})
    now_ms = time.time_ns() // 1_000_000
    planned = asyncio.run(Backfill(settings, Asked(now_ms - 600_000, now_ms - 120_000)).plan(is_dry=True))
    return {one.key.symbol for one in planned.stretches}


def rank(simulator: Simulator, *symbols: str) -> None:
    """Have the markets traded by far most, in this order, the first most."""
    for place, symbol in enumerate(symbols):
        simulator.faults.volume("bybit", symbol, 10.0 * 2.0**-place)


def test_the_universe_follows_what_is_traded_and_each_change_is_told(tmp_path: Path) -> None:
    with Simulator(symbols={"bybit": list(LINEAR)}, updates_per_s=60.0) as simulator:
        rank(simulator, BTC, ETH, SOL, XRP)
        ranked = Ranked(simulator, tmp_path / "live.db")
        ranked.rig.collector.start()
        try:
            ranked.collects(DOGE, BTC, ETH, SOL)
            assert ranked.changes[0].joined == (BTC, ETH, SOL)
            rank(simulator, BTC, ETH, XRP, SOL)  # a place more or less changes nothing
            assert ranked.look() == "bybit lists 10, 3 of them traded most"
            rank(simulator, XRP, BTC, ETH, SOL)
            ranked.look()
            ranked.collects(DOGE, BTC, ETH, XRP)
            assert [(one.joined, one.left) for one in ranked.changes[1:]] == [((XRP,), (SOL,))]
            simulator.faults.delist("bybit", ETH)
            ranked.look()
            ranked.look()  # two lists in a row do not have it
            ranked.collects(DOGE, BTC, XRP, SOL)
            assert ranked.rig.collector.view().refused == ()
            assert ranked.rig.collector.subscribe("bybit", SOL) == []  # named by now: it stays
            rank(simulator, XRP, BTC, DOGE, ETH)
            simulator.faults.volume("bybit", SOL, 0.0)
            ranked.look()
            ranked.collects(DOGE, BTC, XRP, SOL)
            assert [key.symbol for key in ranked.rig.collector.unsubscribe("bybit", BTC)] == [BTC]
            ranked.look()
            ranked.collects(DOGE, XRP, SOL)  # nobody wants it, whatever its rank
        finally:
            report = ranked.rig.collector.stop()
    assert report.exact
    assert report.good, report.problems
    assert [ranked.causes(symbol) for symbol in (SOL, ETH, BTC, XRP, DOGE)] == [
        ["left_universe", "stop"],
        ["delisted"],
        ["unsubscribed"],
        ["stop"],
        ["stop"],
    ]
    assert [(one.code, one.symbol) for one in ranked.halts] == [("delisted", ETH)]
    assert run_audit(ranked.rig.database).passed
    for symbol in LINEAR:
        ranked.rig.check_rows(symbol)


def test_what_cannot_be_ranked_stays_as_it_was_also_after_a_restart(tmp_path: Path) -> None:
    with Simulator(symbols={"bybit": list(LINEAR)}, updates_per_s=60.0) as simulator:
        rank(simulator, BTC, ETH, SOL, XRP)
        ranked = Ranked(simulator, tmp_path / "live.db", stream__max_reconnect_attempts=2)
        ranked.rig.collector.start()
        try:
            ranked.collects(DOGE, BTC, ETH, SOL)
            simulator.faults.rest_status("bybit", 503, count=10**6, path="tickers")
            said = ranked.look()
            assert "bybit: universe not known: attempt " in said
            assert "could not read the tickers: http_503" in said
            wait_until(lambda: len(ranked.failures) > 3, "tries go on")
            assert [one.code for one in ranked.halts] == ["universe"]
            assert ranked.rig.collector.view().refused != ()
            ranked.collects(DOGE, BTC, ETH, SOL)
        finally:
            assert ranked.rig.collector.stop().exact
        assert last_universe(ranked.rig.database, "bybit") == [BTC, ETH, SOL]
        assert backfilled(ranked.rig.settings) == {DOGE, BTC, ETH, SOL}
        again = Ranked(simulator, tmp_path / "live.db")
        again.rig.collector.start()
        try:
            again.collects(DOGE, BTC, ETH, SOL)
            rank(simulator, XRP, BTC, ETH, SOL)
            simulator._world.rest_faults.clear()
            again.collects(DOGE, XRP, BTC, ETH)
            assert again.rig.collector.view().refused == ()
            assert [(one.joined, one.left) for one in again.changes] == [((XRP,), (SOL,))]
        finally:
            report = again.rig.collector.stop()
    assert report.good, report.problems
    assert again.causes(SOL)[-2:] == ["stop", "left_universe"]


@pytest.mark.parametrize(
    ("market", "others", "quote"),
    [
        pytest.param(
            *(Market("binance", (BTC, ETH), "book.50", by_rest=True), ("SOL/USDT:USDT",), "USDT"),
            marks=pytest.mark.proof,
        ),
        (Market("kraken", ("BTC/USD", "ETH/USD"), "book.25"), ("SOL/USD", "DOGE/USDT"), "usd"),
        pytest.param(
            *(Market("okx", (BTC, ETH), "book.400"), ("SOL/USDT:USDT", "SOL/USDT"), "USDT"),
            marks=pytest.mark.proof,
        ),
    ],
    ids=lambda one: str(one) if isinstance(one, Market) else None,
)
def test_each_exchange_says_what_is_traded(
    tmp_path: Path, market: Market, others: tuple[str, ...], quote: str
) -> None:
    name, symbols = market.exchange, market.symbols
    with Simulator(symbols={name: [*symbols, *others]}, updates_per_s=60.0) as simulator:
        for symbol in symbols:
            simulator.faults.volume(name, symbol, 3.0)
        at = f"exchanges__{name}"
        overrides = {f"{at}__universe__top": 2, f"{at}__universe__quote": quote}
        if ":" in symbols[0]:
            overrides[f"{at}__market"] = "linear"
        rig = Rig(simulator, str(tmp_path / "live.db"), [], market, **overrides)
        rig.symbols = symbols
        rig.collector.start()
        try:
            rig.wait_until_verified(3)
            assert {one.key.symbol for one in rig.collector.stream.glances(5.0) or ()} == set(symbols)
        finally:
            assert rig.collector.stop().good
