"""One collector on one simulated market, to which something bad happens; what is owed afterwards."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector.app.report import Report
from collector.events.batch import UNKNOWN
from collector.events.notices import PotentialHalt, SegmentChanged, SnapshotFailed, State, SystemState
from collector.simulator import Simulator
from collector.simulator.faults.faults import Faults

sys.path.insert(0, str(Path(__file__).parent))
from rig import Market, Rig, wait_until

HEARTBEAT_S, ANSWER_S, STALE_S = 0.5, 1.0, 1.5
TICK_S = 0.2
SETTINGS = {
    "stream__heartbeat_s": HEARTBEAT_S,
    "stream__subscribe_timeout_s": ANSWER_S,
    "stream__connect_timeout_s": ANSWER_S,
    "stream__markets_timeout_s": 2.0,
    "stream__stale_after_s": STALE_S,
}
SLACK_S = 20.0  # a busy machine may be so late; the table in docs/faults.md has what was measured
REPORT = "FAULT_TABLE_REPORT"  # a file that takes what was measured, a JSON object a line


@dataclass
class Scene:
    """The actors."""

    rig: Rig
    market: Market
    changes: list[tuple[float, SegmentChanged]] = field(default_factory=list)
    halts: list[PotentialHalt] = field(default_factory=list)
    states: list[SystemState] = field(default_factory=list)
    failed_snapshots: list[SnapshotFailed] = field(default_factory=list)

    def __post_init__(self) -> None:
        events = self.rig.collector.events
        events.attach(SegmentChanged, lambda change: self.changes.append((time.monotonic(), change)))
        events.attach(PotentialHalt, self.halts.append)
        events.attach(SystemState, self.states.append)
        events.attach(SnapshotFailed, self.failed_snapshots.append)

    @property
    def faults(self) -> Faults:
        return self.rig.simulator.faults

    @property
    def exchange(self) -> str:
        return self.market.exchange

    @property
    def victim(self) -> str:
        return self.market.symbols[0]

    @property
    def bystander(self) -> str:
        return self.market.symbols[1]

    @property
    def book(self) -> tuple[str, str, str]:
        """Return what most faults of one book take."""
        return self.exchange, self.victim, self.market.channel

    def rejected(self, symbol: str, reason: str) -> int:
        counts, _ = self.rig.collector.buffer.snapshot()
        channel = UNKNOWN if symbol == UNKNOWN else self.market.channel
        found = counts.get((self.exchange, symbol, channel))
        return 0 if found is None else found[0].rejected.get(reason, 0)

    def merged(self, symbol: str) -> int:
        counts, _ = self.rig.collector.buffer.snapshot()
        found = counts.get((self.exchange, symbol, self.market.channel))
        return 0 if found is None else found[0].merged

    def ended(self, symbol: str) -> list[tuple[float, SegmentChanged]]:
        return [(at_s, one) for at_s, one in self.changes if one.symbol == symbol and not one.verified]


Act = Callable[[Scene], object]


@dataclass(frozen=True)
class Hole:
    """A segment ends with one of these causes; nothing else is touched."""

    causes: tuple[str, ...]
    whole_connection: bool = False

    def noticed(self, scene: Scene) -> bool:
        return bool(scene.ended(scene.victim))

    def __str__(self) -> str:
        return " or ".join(self.causes)


class Refused:
    """The exchange does not give the stream any more: it alone stops, and it is told why."""

    def __init__(self, *causes: str) -> None:
        self.causes = causes  # of its last segment, if it had one

    def noticed(self, scene: Scene) -> bool:
        return any(one.code == "subscription_refused" and one.symbol == scene.victim for one in scene.halts)

    def __str__(self) -> str:
        return " or ".join(("told as subscription_refused", *self.causes))


@dataclass(frozen=True)
class Counted:
    """No hole: it is rejected under a reason, of the book or of frames that are nobody's."""

    reason: str
    of_the_book: bool = False

    def noticed(self, scene: Scene) -> bool:
        return scene.rejected(scene.victim if self.of_the_book else UNKNOWN, self.reason) > 0

    def __str__(self) -> str:
        return f"no hole; counted as {self.reason}"


@dataclass(frozen=True)
class Merged:
    """No hole: it says nothing new, and is counted as that."""

    def noticed(self, scene: Scene) -> bool:
        return scene.merged(scene.victim) > 0

    def __str__(self) -> str:
        return "no hole; counted as merged"


@dataclass(frozen=True)
class Told:
    """No hole: somebody is told of it."""

    what: str
    by: Callable[[Scene], object]

    def noticed(self, scene: Scene) -> bool:
        return bool(self.by(scene))

    def __str__(self) -> str:
        return f"no hole; told as {self.what}"


@dataclass(frozen=True)
class Harmless:
    """No hole, and nothing to notice: every update is a row."""

    def noticed(self, scene: Scene) -> bool:
        return scene.rig.written(scene.victim) > 50

    def __str__(self) -> str:
        return "nothing: every update is a row"


Outcome = Hole | Refused | Counted | Merged | Told | Harmless


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and what is owed on each exchange; one that is not named has no such fault."""

    name: str  # the simulator's, with what tells variants apart in brackets
    inflict: Act
    owed: Mapping[str, Outcome]
    within_s: float  # by the configured times
    mend: Act | None = None  # done once it was noticed: the exchange comes to its senses
    at_start: bool = False
    back_within_s: float = 30.0
    late_victim: bool = False  # the victim is asked for only once the fault waits for it

    def __str__(self) -> str:
        return self.name


def play(fault: Fault, market: Market, folder: Path) -> tuple[float, float]:
    """Let it happen; returns how long it took to notice, and to recover."""
    owed = fault.owed[market.exchange]
    with Simulator(symbols={market.exchange: list(market.symbols)}, updates_per_s=250.0) as simulator:
        symbols = market.symbols[1:] if fault.late_victim else market.symbols
        rig = Rig(simulator, str(folder / "live.db"), symbols, market, **SETTINGS)
        scene = Scene(rig, market)
        try:
            if fault.at_start:
                fault.inflict(scene)
            rig.collector.start()
            if not fault.at_start:
                rig.wait_until_verified(10)
                began_s = time.monotonic()
                fault.inflict(scene)
            else:
                began_s = time.monotonic()
            wait_until(lambda: owed.noticed(scene), f"{fault} noticed", fault.within_s + SLACK_S)
            ended = scene.ended(scene.victim)
            noticed_s = (ended[0][0] if ended else time.monotonic()) - began_s
            if fault.mend is not None:
                fault.mend(scene)
            began_s = time.monotonic()
            rig.symbols = market.symbols
            _wait_for_rows(scene, owed, fault.back_within_s)
            recovered_s = time.monotonic() - began_s
            if not isinstance(owed, Hole | Refused):
                simulator.pause()
                rig.wait_for_all()
        finally:
            report = rig.collector.stop()
    _check(scene, owed, report)
    return noticed_s, recovered_s


def _wait_for_rows(scene: Scene, owed: Outcome, within_s: float) -> None:
    rig = scene.rig
    for symbol in scene.market.symbols:
        if symbol == scene.victim and isinstance(owed, Refused):
            continue
        if symbol == scene.victim and isinstance(owed, Hole):
            wait_until(lambda: scene.changes[-1][1].verified, "verified again", within_s)
        before = rig.written(symbol)
        wait_until(
            lambda symbol=symbol, before=before: rig.written(symbol) > before + 10,
            f"{symbol} goes on",
            within_s,
        )


def _check(scene: Scene, owed: Outcome, report: Report) -> None:
    """Hold coverage, rows and accounting against what is owed."""
    rig = scene.rig
    assert report.exact, report
    assert bool(report.problems) == isinstance(owed, Refused), report.problems
    rig.check_database()
    terms = {one.symbol: one for one in report.accounting}
    assert all(one.dropped == one.pending == 0 for one in terms.values())
    victim, bystander = (_causes(rig, symbol) for symbol in (scene.victim, scene.bystander))
    if isinstance(owed, Hole):
        assert victim[0] in owed.causes, victim
        assert set(victim[1:-1]) <= {*owed.causes, "disconnect"}, victim
        assert victim[-1] == "stop", victim
        assert bystander == (["disconnect", "stop"] if owed.whole_connection else ["stop"])
    elif isinstance(owed, Refused):
        assert set(victim) <= set(owed.causes), victim
        assert bystander == ["stop"]
    else:
        assert (victim, bystander) == (["stop"], ["stop"])
    for symbol in scene.market.symbols:
        if rig.rows(symbol):
            rig.check_rows(symbol)


def _causes(rig: Rig, symbol: str) -> list[Any]:
    return [one["end_cause"] for one in rig.segments(symbol)]


def write_down(fault: Fault, market: Market, noticed_s: float, recovered_s: float) -> None:
    """Append what was measured to the file that asks for it, if one does."""
    if REPORT in os.environ:
        line = {
            "fault": fault.name,
            "market": str(market),
            "owed": str(fault.owed[market.exchange]),
            "within_s": fault.within_s,
            "noticed_s": round(noticed_s, 3),
            "recovered_s": round(recovered_s, 3),
        }
        with Path(os.environ[REPORT]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def said(state: State) -> Told:
    """Expect a connection's or an exchange's state to be told."""
    return Told(state, lambda scene: state in {one.state for one in scene.states})
