"""Let a collector live through a nasty market, let the market heal, and reckon up."""

import re
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import sqlalchemy as sa
from hole_reasons import FOR_GOOD, banned_until_ns
from reckoning import ON_THE_EXCHANGES_SIDE, Reckoning, reckon
from row_values import wrong_rows
from send_truth import SendTruth, Stream, read_truth
from stored_plainly import read_stored

from collector.app.report import Report
from collector.app.wiring import make_collector
from collector.events import PotentialHalt, SegmentChanged, SnapshotFailed
from collector.exchanges import exchange_of
from collector.query.audit import Finding, run_audit
from collector.settings import load_settings
from collector.simulator import Simulator
from collector.simulator.admission import Rule, Verdict
from collector.simulator.exchanges import EXCHANGES, Exchange
from collector.simulator.messages import Answer, Request

BUSY_S = 2.0  # what a question may lie about on a busy machine
MOST_ASKED, ASKED_WITHIN_S = 6, 2.0  # of one REST request: what is near its edge is fetched each second
ROWS = re.compile(r"id ([\d, ]*\d)")
BARS = sa.text('SELECT exchange, symbol, "interval", open_time FROM collector_ohlcv WHERE id IN :ids')
FAR_OFF_NS = 2_000_000_000  # of an exchange's clock from ours
LOG_LINES = 20_000_000  # of which none may be lost
CHANNELS = {
    "bybit": ("book.50", "bbo", "trade", "ohlcv.1m"),
    "binance": ("book.50", "bbo", "trade", "ohlcv.1m"),
    "kraken": ("book.10", "bbo", "trade", "ohlcv.1m", "ohlcv.5m"),
    "okx": ("book.400", "bbo", "trade"),
}
# The short form has no time for the waits of life.
HURRIED = {
    "stream.heartbeat_s": 1.0,
    "stream.subscribe_timeout_s": 3.0,
    "stream.connect_timeout_s": 3.0,
    "stream.markets_timeout_s": 5.0,
    "stream.stale_after_s": 2.0,
    "stream.backoff_base_s": 0.05,
    "stream.backoff_max_s": 0.5,
    "writer.interval_s": 0.2,
}


@dataclass
class Outcome:
    """What a run came to."""

    seed: int
    reckoning: Reckoning
    report: Report
    problems: list[str] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    halts: list[PotentialHalt] = field(default_factory=list)
    missing: list[Stream] = field(default_factory=list)  # not covered again once the market was well
    recovered_s: float = 0.0
    budget: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}: faults {dict(sorted(self.faults.items()))}",
            str(self.reckoning),
            f"covered again {self.recovered_s:.1f} s after all was put right, but for {self.missing}",
            f"audit and session: {self.problems or 'passed'}",
            *(f"  REST {line}" for line in self.budget),
            *(f"  HALT {one.exchange} {one.symbol} {one.code}: {one.reason}" for one in self.halts[:10]),
        ]
        return "\n".join(lines)


class BudgetUse:
    """Watches what REST requests draw on an exchange's allowances."""

    def __init__(self, simulator: Simulator) -> None:
        self._most: dict[tuple[str, str], tuple[int, int]] = {}  # weight in a window, and what is allowed
        self._refused: Counter[tuple[str, str]] = Counter()
        allowances = simulator._world.allowances
        self._spend = allowances.spend
        allowances.spend = self.spend  # type: ignore[method-assign]

    def spend(self, exchange: str, rule: Rule, weight: int, now_ms: int) -> Verdict:
        """Pass a request on, and remember what it found."""
        verdict = self._spend(exchange, rule, weight, now_ms)
        bucket = exchange, rule.bucket
        if verdict.wait_ms:
            self._refused[bucket] += 1
        else:
            self._most[bucket] = max(self._most.get(bucket, (0, 0)), (verdict.used, rule.capacity))
        return verdict

    def told(self) -> list[str]:
        """Say for each allowance how much of it was used at most, and what was refused."""
        return [
            f"{' '.join(bucket)}: at most {used} of {capacity} in a window, {self._refused[bucket]} refused"
            for bucket, (used, capacity) in sorted(self._most.items())
        ]


class AskedAgain:
    """Watches for REST requests that are sent again and again, though each was answered well."""

    def __init__(self, simulator: Simulator) -> None:
        self.found: list[str] = []
        self._times_s: dict[str, deque[float]] = {}
        self._feeds = simulator._world.feeds
        desk = simulator._server._desk
        self._answer = desk.answer
        desk.answer = self.answer  # type: ignore[method-assign]

    async def answer(self, exchange: Exchange, asked: Request) -> Answer:
        """Pass a request on, and note one too many of its kind."""
        answer = await self._answer(exchange, asked)
        is_fresh = not any(feed.stale_steps for feed in self._feeds.values())
        if answer.status == HTTPStatus.OK and is_fresh:
            what = f"{exchange.name} {asked.path} {sorted(asked.query.items())}"
            times_s = self._times_s.setdefault(what, deque(maxlen=MOST_ASKED + 1))
            times_s.append(time.monotonic())
            if len(times_s) > MOST_ASKED and times_s[-1] - times_s[0] < ASKED_WITHIN_S:
                self.found.append(what)
                times_s.clear()
        return answer


class NastyRun:
    """One collector on all simulated exchanges."""

    def __init__(
        self,
        database: str,
        symbols: Mapping[str, Sequence[str]],
        seed: int,
        settings: Mapping[str, object],
        *,
        fault_every_s: float,
        updates_per_s: float,
        channels: Mapping[str, Sequence[str]] = CHANNELS,
    ) -> None:
        self.seed, self.database, self.symbols = seed, database, symbols
        self.simulator = Simulator(
            profile="nasty",
            seed=seed,
            symbols=symbols,
            updates_per_s=updates_per_s,
            fault_every_s=fault_every_s,
            send_log=LOG_LINES,
        )
        self.budget, self.asked_again = BudgetUse(self.simulator), AskedAgain(self.simulator)
        self.simulator.start()
        overrides: dict[str, object] = {"database.url": database, **settings}
        for exchange, names in symbols.items():
            overrides[f"exchanges.{exchange}.symbols"] = list(names)
            overrides[f"exchanges.{exchange}.channels"] = list(channels[exchange])
            for kind, address in self.simulator.endpoints(exchange).items():
                overrides[f"exchanges.{exchange}.endpoints.{kind}"] = address
        self.wanted = [
            (exchange, symbol, channel)
            for exchange, names in symbols.items()
            for symbol in names
            for channel in channels[exchange]
        ]
        stale_s = float(str(overrides.get("stream.stale_after_s", 10.0)))
        answer_s = float(str(overrides.get("stream.subscribe_timeout_s", 30.0)))
        # Where a book that does not change is sent again from time to time, nobody asks before that.
        self.patience_s = {
            name: max(stale_s, exchange_of(name).quiet_after_s or 0.0) + answer_s + BUSY_S for name in symbols
        }
        self.bar_patience_s = {name: stale_s + exchange_of(name).bars_within_s + BUSY_S for name in symbols}
        self.collector = make_collector(load_settings(overrides=overrides, environ={}, env_file=None))
        self.halts: list[PotentialHalt] = []
        self.covered: dict[Stream, bool] = {}
        self.collector.events.attach(PotentialHalt, self.halts.append)
        self.collector.events.attach(SegmentChanged, self._changed)
        self.failed_snapshots: list[SnapshotFailed] = []
        self.collector.events.attach(SnapshotFailed, self.failed_snapshots.append)

    def _changed(self, change: SegmentChanged) -> None:
        self.covered[change.exchange, change.symbol, change.channel] = change.verified

    def uncovered(self) -> list[Stream]:
        """List the streams that are not covered now, but for those that the exchange says do not exist."""
        refused = {(one.exchange, one.symbol) for one in self.halts if FOR_GOOD.search(one.reason)}
        return [
            stream for stream in self.wanted if not self.covered.get(stream) and stream[:2] not in refused
        ]

    def finish(self, recovery_s: float) -> Outcome:
        """Heal, wait until each stream is covered again, stop, and reckon."""
        self.simulator.calm()
        healed_s = time.monotonic()
        _wait(lambda: not self.uncovered(), recovery_s)
        recovered_s = time.monotonic() - healed_s
        missing, stopped_ns = self.uncovered(), time.time_ns()
        report = self.collector.stop()
        self.simulator.stop()
        log = self.simulator.send_log
        assert log is not None
        assert not log.dropped, "the log was too short"
        truth = read_truth(log.lines(), _trade_key)
        missing = [stream for stream in missing if banned_until_ns(truth, stream[0], stopped_ns) < stopped_ns]
        found = reckon(
            truth,
            read_stored(self.database),
            self.wanted,
            patience_s=self.patience_s,
            recovery_s=recovery_s,
            bar_patience_s=self.bar_patience_s,
        )
        found.asked_again = self.asked_again.found
        outcome = Outcome(
            self.seed, found, report, halts=self.halts, missing=missing, recovered_s=recovered_s
        )
        for fault in self.simulator.truth.faults():
            outcome.faults[fault.name] = outcome.faults.get(fault.name, 0) + 1
        problems = [one for one in report.problems if not FOR_GOOD.search(one)]
        if not report.exact or problems:
            outcome.problems.append(f"session: {problems}, exact: {report.exact}")
        wrong = wrong_rows(self.simulator, self.database, self.wanted)
        outcome.problems += [f"not of the market: {row}" for row in wrong[:20]]
        outcome.budget = self.budget.told()
        audit = run_audit(self.database)
        outcome.problems += [
            f"verify: {one}" for one in audit.findings if not _lost_unseen(one, self.database, truth)
        ]
        return outcome

    def close(self) -> None:
        """Stop both, whatever happened."""
        try:
            self.collector.stop()
        finally:
            self.simulator.stop()


def _wait(condition: Callable[[], bool], deadline_s: float) -> None:
    until_s = time.monotonic() + deadline_s
    while not condition() and time.monotonic() < until_s:
        time.sleep(0.02)


def _lost_unseen(finding: Finding, url: str, truth: SendTruth) -> bool:
    """Return whether trades that an exchange lost, and does not number, are why bars differ from them."""
    found = ROWS.search(finding.text)
    if finding.check != "bars against trades" or found is None:
        return False
    ids = [int(one) for one in found[1].split(", ")]
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        bars = connection.execute(BARS.bindparams(sa.bindparam("ids", ids, expanding=True))).mappings().all()
    return bool(bars) and all(_lost_trades(bar, truth) for bar in bars)


def _lost_trades(bar: Mapping[Any, Any], truth: SendTruth) -> bool:
    told = truth.told(bar["exchange"], bar["symbol"], "trade")
    begins_ms, minutes = bar["open_time"], int(bar["interval"].removesuffix("m"))
    from_ns, until_ns = (begins_ms * 1_000_000 - FAR_OFF_NS, (begins_ms + minutes * 60_000) * 1_000_000)
    return told is not None and any(
        update.missed & ON_THE_EXCHANGES_SIDE and from_ns <= update.made_ns <= until_ns + FAR_OFF_NS
        for update in told.updates
    )


def _trade_key(exchange: str, symbol: str, number: int) -> str:
    return EXCHANGES[exchange].instrument(symbol).trade_id(number)
