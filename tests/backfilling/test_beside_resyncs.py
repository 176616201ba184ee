"""The past comes in while books break on the same exchange: within its limits, and behind the books."""

import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from backfill_rig import MINUTE_MS, NS_A_MS, bars_in, configured, trades_in, true_bars, true_trades

sys.path.insert(0, str(Path(__file__).parents[1] / "whole_path"))
from rig import Market, Rig, wait_until

from collector.app.wiring_backfill import Asked, backfill
from collector.backfilling import plan as planning
from collector.exchanges.exchange import Rate, RequestLimits
from collector.network import allowance
from collector.network.allowance import Need
from collector.network.budget import Budget
from collector.network.budgets import BUDGETS
from collector.simulator import Simulator
from collector.simulator.admission import Allowances, Rule, Verdict
from collector.simulator.exchanges.binance.protocol import Binance
from collector.simulator.messages import Request

LIMIT_A_SECOND = 100  # of weight: 6000 a minute


@dataclass(frozen=True)
class Form:
    """How many books break, one each so many seconds, and the span in which the exchange counts."""

    books: int
    every_s: float
    span_s: float
    rows: int  # a page
    minutes: int  # of the past
    dearer: int = 1  # a page of the past weighs so many times what it does

    @property
    def limit(self) -> int:
        return round(LIMIT_A_SECOND * self.span_s)


@dataclass
class Watched:
    """What went out and what waited, as the simulator and the budget saw it."""

    requests: list[tuple[float, int, int]] = field(default_factory=list)  # when, weight, used in the window
    refused: int = 0
    waits_s: dict[Need, list[float]] = field(default_factory=dict)

    def most_in(self, span_s: float) -> int:
        """Return the most weight in any span of this length, wherever it begins."""
        most, now, within = 0, 0, deque[tuple[float, int]]()
        for at_s, weight, _ in self.requests:
            within.append((at_s, weight))
            now += weight
            while within[0][0] <= at_s - span_s:
                now -= within.popleft()[1]
            most = max(most, now)
        return most


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    seen, spend, began = Watched(), Allowances.spend, Budget._began

    def spent(self: Allowances, exchange: str, rule: Rule, weight: int, now_ms: int) -> Verdict:
        verdict = spend(self, exchange, rule, weight, now_ms)
        seen.requests.append((time.monotonic(), weight, verdict.used))
        seen.refused += bool(verdict.wait_ms)
        return verdict

    def noted(self: Budget, need: Need, asked_s: float) -> None:
        seen.waits_s.setdefault(need, []).append(time.monotonic() - asked_s)
        began(self, need, asked_s)

    monkeypatch.setattr(Allowances, "spend", spent)
    monkeypatch.setattr(Budget, "_began", noted)
    return seen


@pytest.mark.parametrize(
    "form",
    [
        Form(books=6, every_s=1.2, span_s=6.0, rows=20, minutes=60, dearer=4),
        pytest.param(Form(50, 1.2, 60.0, 10, 480), marks=pytest.mark.proof),
    ],
    ids=["six books", "fifty books"],
)
def test_books_that_break_go_first_and_the_limit_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watched: Watched, form: Form
) -> None:
    """In the short form all spans are a tenth of what they are, and a page of the past is dear."""
    symbols = ["BTC/USDT", *(f"C{number}/USDT" for number in range(form.books - 1))]
    rule_of, past_of = Binance.rule, planning._past_of

    def rule(self: Binance, request: Request) -> tuple[Rule, int]:
        usual, weight = rule_of(self, request)
        weight *= form.dearer if request.path.endswith(("aggTrades", "klines")) else 1
        return usual._replace(capacity=form.limit, window_ms=round(form.span_s * 1000)), weight

    def few(exchange: Any, one: Any) -> Any:
        past, seek, why = past_of(exchange, one)
        fewer = {"rows": min(form.rows, past.rows), "weight": past.weight * form.dearer}
        return replace(past, **fewer), seek, why

    monkeypatch.setattr(allowance, "BUCKET_S", allowance.BUCKET_S * form.span_s / 60.0)
    monkeypatch.setattr(Binance, "rule", rule)
    monkeypatch.setattr(planning, "_past_of", few)
    with Simulator(symbols={"binance": symbols}, updates_per_s=10.0) as simulator:
        market = Market("binance", ("BTC/USDT", "ETH/USDT"), "book.50", by_rest=True)
        rig = Rig(simulator, str(tmp_path / "live.db"), symbols, market, integrity__max_mismatches=1_000)
        at = simulator.endpoints("binance")["rest"]
        budget = Budget(RequestLimits((Rate(form.limit, form.span_s),)))
        BUDGETS._by_address["binance", f"{at}/api/v3"] = budget
        rig.collector.start()
        try:
            rig.wait_until_verified()
            end_ms = time.time_ns() // NS_A_MS // MINUTE_MS * MINUTE_MS - MINUTE_MS
            past = end_ms - form.minutes * MINUTE_MS, end_ms
            progress = break_books_beside(rig, simulator, tmp_path, past, form)
        finally:
            assert rig.collector.stop().exact
        assert budget.now().closed_for_s == 0.0
        path = tmp_path / "past.db"
        assert progress.problems == []
        expected = true_trades(simulator, "binance", "BTC/USDT", *past, aggregates=True)
        assert trades_in(path, "binance", "BTC/USDT") == expected
        assert (
            bars_in(path, "binance", "BTC/USDT")[:-1]
            == true_bars(simulator, "binance", "BTC/USDT", past[0], past[1] - 1)[: form.minutes - 1]
        )
    resyncs, behind = watched.waits_s[Need.BROKEN], watched.waits_s[Need.BACKFILL]
    most = watched.most_in(form.span_s)
    print(
        f"{len(watched.requests)} requests, {len(resyncs)} resyncs that waited {max(resyncs):.3f} s at most, "
        f"{len(behind)} of the past that waited {sum(behind):.1f} s in all; at most {most} weight of "
        f"{form.limit} in {form.span_s:g} s"
    )
    assert watched.refused == 0
    assert max(used for _, _, used in watched.requests) <= form.limit
    assert most <= form.limit
    assert len(resyncs) >= form.books
    assert max(resyncs) < 3.0
    assert sum(behind) > sum(resyncs)  # the past waited, the books did not


def break_books_beside(
    rig: Rig, simulator: Simulator, folder: Path, past: tuple[int, int], form: Form
) -> Any:
    """Break one book after the other while the past of the first is brought in; return how that went."""
    settings = configured(simulator, folder)
    only = settings.exchanges["binance"].model_copy(update={"symbols": ("BTC/USDT",)})
    settings = settings.model_copy(update={"exchanges": {"binance": only}})
    done: list[Any] = []
    filling = threading.Thread(target=lambda: done.append(backfill(settings, Asked(*past))[1]))
    filling.start()
    try:
        for symbol in rig.symbols:
            before = rig.snapshots(symbol)
            simulator.faults.gap("binance", symbol, "book")
            wait_until(lambda symbol=symbol, before=before: rig.snapshots(symbol) > before, symbol)
            time.sleep(form.every_s)  # how fast books break is what is tested
        assert filling.is_alive()
    finally:
        filling.join(300.0)
    assert not filling.is_alive()
    return done[0]
