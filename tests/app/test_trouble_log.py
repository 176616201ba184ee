"""Trouble that lasts is told again, ever more rarely, and its end as well."""

import sys
import threading
from typing import Any

import pytest
from structlog.testing import capture_logs

from collector.app.log_heartbeat import LogHeartbeat
from collector.app.machine import Machine
from collector.app.monitor import Checked, Monitor
from collector.app.trouble_log import TroubleLog
from collector.app.view import View, WriterView
from collector.health.facts import MachineFacts
from collector.health.limits import HealthLimits
from collector.health.rules import Health, Part, Verdict

DAY_S = 86_400.0


class Rig:
    """A collector that is as well as a test says, on made-up time, looked at twice a second."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.parts: dict[str, Part] = {}
        self.log = TroubleLog(self._latest, monotonic_s=lambda: self.now_s)

    def ill(self, name: str, reason: str, state: Verdict = Verdict.DEGRADED) -> None:
        self.parts[name] = Part(name, state, reason)

    def well(self, name: str) -> None:
        self.parts[name] = Part(name)

    def run_to(self, end_s: float, every_s: float = 0.5) -> list[tuple[float, dict[str, Any]]]:
        told = []
        while self.now_s < end_s:
            self.now_s += every_s
            with capture_logs() as lines:
                self.log.look()
            told += [(self.now_s, line) for line in lines]
        return told

    def _latest(self) -> Checked:
        health = Health(tuple(self.parts.values()))
        return Checked(view(), MachineFacts(), health, 0, 0)


def view(**more: Any) -> View:
    writer = WriterView(3, 1490, 0, 0.0, None, 0, 100, spooled_rows=more.pop("spooled", 0))
    return View("s", "x.db", 3600.0, True, (), {}, writer, (), 0, None, **more)


def test_an_outage_is_told_within_seconds_again_while_it_lasts_and_at_its_end() -> None:
    rig = Rig()
    rig.run_to(20.0)
    rig.ill("database", "it refuses: no room")
    rig.ill("spool", "12 rows wait in it for the database")
    told = rig.run_to(20.0 + 4 * 3600.0)
    assert [(at_s, line["event"], line["log_level"]) for at_s, line in told] == [
        (23.5, "health.changed", "warning"),
        *(
            (20.5 + since_s, "trouble.lasts", "warning")
            for since_s in (60.0, 300.0, 900.0, 3600.0, 7200.0, 10_800.0)
        ),
    ]
    first = told[1][1]
    assert first["reasons"] == "database: it refuses: no room; spool: 12 rows wait in it for the database"
    assert first["since"] == "database 60 s, spool 60 s"
    rig.well("database")
    rig.well("spool")
    over = rig.run_to(rig.now_s + 60.0)
    assert [(line["event"], line["log_level"]) for _, line in over] == [
        ("health.changed", "info"),
        ("trouble.over", "info"),
    ]
    assert over[1][1]["lasted"] == "database 14400 s, spool 14400 s"


def test_what_comes_and_goes_at_once_is_no_line_of_its_own() -> None:
    rig = Rig()
    rig.run_to(20.0)
    for _ in range(10):
        rig.ill("streams", "one book is syncing")
        assert rig.run_to(rig.now_s + 2.0) == []
        rig.well("streams")
        assert rig.run_to(rig.now_s + 60.0) == []


def test_trouble_that_flickers_is_one_trouble() -> None:
    rig = Rig()
    rig.run_to(20.0)
    lasting = []
    for _ in range(10):
        rig.ill("exchange bybit", "no answer")
        lasting += rig.run_to(rig.now_s + 20.0)
        rig.well("exchange bybit")
        lasting += rig.run_to(rig.now_s + 5.0)
    reminders = [line for _, line in lasting if line["event"] == "trouble.lasts"]
    assert len(reminders) == 1
    assert not [line for _, line in lasting if line["event"] == "trouble.over"]


def test_a_second_trouble_is_reminded_of_with_the_first() -> None:
    rig = Rig()
    rig.run_to(20.0)
    rig.ill("database", "it refuses")
    told = rig.run_to(100.0)
    rig.ill("exchange bybit", "no answer")
    told += rig.run_to(400.0)
    assert [line["since"] for _, line in told if line["event"] == "trouble.lasts"] == [
        "database 60 s",
        "exchange bybit 60 s",  # new in it
        "database 300 s, exchange bybit 220 s",
    ]


def test_what_ends_as_its_reminder_is_due_is_no_flood_of_reminders_of_the_rest() -> None:
    rig = Rig()
    rig.run_to(20.0)
    rig.ill("database", "it refuses")
    rig.run_to(1000.0)
    rig.ill("exchange kraken", "maintenance")
    rig.run_to(1059.9)
    rig.well("exchange kraken")
    assert rig.run_to(1200.0) == []


def test_another_trouble_is_told_within_seconds_while_the_first_lasts() -> None:
    rig = Rig()
    rig.run_to(20.0)
    rig.ill("disk", "few bytes are free")
    rig.run_to(1000.0)
    rig.ill("spool", "12 rows wait in it for the database")
    told = [(at_s, line["event"], line["reasons"]) for at_s, line in rig.run_to(1010.0)]
    assert told == [(1003.5, "health.changed", "spool: 12 rows wait in it for the database")]


def test_a_start_is_no_trouble_unless_it_takes_long() -> None:
    rig = Rig()
    rig.ill("streams", "nothing yet", Verdict.UNHEALTHY)
    assert rig.run_to(5.0) == []
    rig.well("streams")
    assert rig.run_to(30.0) == []
    late = Rig()
    late.ill("streams", "nothing yet", Verdict.UNHEALTHY)
    assert [(at_s, line["event"], line["state"]) for at_s, line in late.run_to(30.0)] == [
        (10.5, "health.changed", "unhealthy")
    ]


def test_a_line_of_life_says_what_came_since_the_one_before() -> None:
    monitor = Monitor(HealthLimits(), Machine([]), (), lambda _: None)
    beat = LogHeartbeat(monitor).beat
    holes, reconnects = {("bybit", "sequence_gap"): 2}, {("bybit", "transient"): 3}
    with capture_logs() as lines:
        for more in (1, 3):
            monitor.check(
                view(
                    spooled=7,
                    holes={key: more * count for key, count in holes.items()},
                    reconnects={key: more * count for key, count in reconnects.items()},
                )
            )
            beat(None)  # type: ignore[arg-type]  # it needs no end
    alive = [line for line in lines if line["event"] == "collector.alive"]
    assert [(line["holes"], line["reconnects"], line["spooled"]) for line in alive] == [(2, 3, 7), (4, 6, 7)]
    assert all(line["memory_mb"] > 10 for line in alive)


@pytest.mark.parametrize("heard", [True, False])
def test_a_check_gives_way_quickly_to_those_whom_a_bot_waits_for(*, heard: bool) -> None:
    monitor = Monitor(
        HealthLimits(every_s=0.01), Machine([]), (), lambda _: None, lambda: 0 if heard else None
    )
    usual_s, seen_s, looked = sys.getswitchinterval(), list[float](), threading.Event()

    def look() -> View:
        seen_s.append(sys.getswitchinterval())
        if len(seen_s) == 3:
            looked.set()
        return view()

    monitor.start(look)
    assert looked.wait(60.0)
    monitor.stop()
    assert (min(seen_s) < usual_s / 10) == heard
    assert sys.getswitchinterval() == usual_s
