"""Reports go elsewhere every so often; whatever becomes of them, the collector does not notice."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from collector.app.monitor import Checked, facts_of
from collector.app.reporting import LAST_WITHIN_S, Moment, Phase, Reporter, Reporters
from collector.app.view import TOLD_AFTER, ReporterState, View, WriterView
from collector.errors import CollectorError
from collector.health.facts import MachineFacts
from collector.health.rules import Health
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parents[1] / "whole_path"))
from rig import BTC, Rig, wait_until

WRITER = WriterView(1, 2, 0, 0.01, None, 1, 1000)
VIEW = View("s", "./x.db", 5.0, True, (), {}, WRITER, (), 0, None)
NOW = Moment(Checked(VIEW, MachineFacts(), Health(()), 9, 2), 0.1, Phase.RUNNING)
LAST = Moment(NOW.checked, 0.0, Phase.STOPPED)
EVERY_S = 0.01


@dataclass
class Elsewhere:
    """Takes reports, or does with them what a test wants."""

    trouble: Callable[[], object] = lambda: None
    got: list[Moment] = field(default_factory=list)
    closed: int = 0

    def take(self, moment: Moment) -> None:
        self.trouble()
        self.got.append(moment)

    def close(self) -> None:
        self.closed += 1

    def reporter(self, every_s: float = EVERY_S) -> Reporter:
        return Reporter("elsewhere", every_s, self.take, self.close)


class Refusing:
    """Fails so many times, or until it is told otherwise."""

    def __init__(self, times: int = 1_000_000) -> None:
        self.times = times

    def __call__(self) -> None:
        if self.times > 0:
            self.times -= 1
            raise CollectorError("it is away")


@pytest.fixture
def elsewhere() -> Elsewhere:
    return Elsewhere()


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Give what a hanging report waits for; no thread is left hanging."""
    event = threading.Event()
    yield event
    event.set()
    hanging = [thread for thread in threading.enumerate() if thread.name == "report"]
    for thread in hanging:
        thread.join(10.0)
        assert not thread.is_alive()


def test_it_reports_at_once_then_every_so_often_and_once_more_at_the_end(elsewhere: Elsewhere) -> None:
    reporter = elsewhere.reporter()
    reporter.start(lambda: NOW)
    wait_until(lambda: len(elsewhere.got) >= 3, "three reports")
    reporter.ask_to_stop(LAST)
    assert reporter.stop(10.0)
    assert elsewhere.got[-1] is LAST
    assert set(map(id, elsewhere.got[:-1])) == {id(NOW)}
    assert (reporter.state.sent, reporter.state.failed) == (len(elsewhere.got), 0)
    assert elsewhere.closed == 1


def test_the_last_one_does_not_wait_for_its_turn(elsewhere: Elsewhere) -> None:
    reporter = elsewhere.reporter(every_s=3600.0)
    reporter.start(lambda: NOW)
    wait_until(lambda: elsewhere.got, "the first report")
    reporter.ask_to_stop(LAST)
    assert reporter.stop(10.0)
    assert elsewhere.got == [NOW, LAST]


def test_before_the_first_check_there_is_nothing_to_report(elsewhere: Elsewhere) -> None:
    looks: list[int] = []

    def look() -> Moment | None:
        looks.append(1)
        return NOW if len(looks) > 2 else None

    reporter = elsewhere.reporter(every_s=3600.0)
    reporter.start(look)
    wait_until(lambda: elsewhere.got, "the first report")
    reporter.ask_to_stop(None)  # nor was there any at the end
    assert reporter.stop(10.0)
    assert (len(looks), elsewhere.got) == (3, [NOW])


def test_what_fails_is_counted_told_once_and_tried_until_it_works(elsewhere: Elsewhere) -> None:
    refusing = Refusing()
    elsewhere.trouble = refusing
    reporter = elsewhere.reporter()
    with capture_logs() as logs:
        reporter.start(lambda: NOW)
        wait_until(lambda: reporter.state.failures_in_a_row > TOLD_AFTER, "several failures")
        assert (reporter.state.sent, reporter.state.trouble) == (0, "it is away")
        refusing.times = 0
        wait_until(lambda: reporter.state.sent > 1, "reports again")
        reporter.ask_to_stop(None)
        assert reporter.stop(10.0)
    assert [(one["event"], one["report"]) for one in logs] == [
        ("report.fails", "elsewhere"),
        ("report.works_again", "elsewhere"),
    ]
    assert reporter.state.trouble is None
    assert reporter.state.failed > TOLD_AFTER


def test_one_failure_alone_is_no_trouble(elsewhere: Elsewhere) -> None:
    elsewhere.trouble = Refusing(times=1)
    reporter = elsewhere.reporter()
    with capture_logs() as logs:
        reporter.start(lambda: NOW)
        wait_until(lambda: reporter.state.sent, "a report")
        reporter.ask_to_stop(None)
        assert reporter.stop(10.0)
    assert (reporter.state.failed, reporter.state.trouble, logs) == (1, None, [])


def test_an_error_of_any_kind_ends_no_reports(elsewhere: Elsewhere) -> None:
    broken = [ZeroDivisionError("what\nis this"), MemoryError()]

    def fail() -> None:
        if broken:
            raise broken.pop()

    elsewhere.trouble = fail
    reporter = elsewhere.reporter()
    reporter.start(lambda: NOW)
    wait_until(lambda: reporter.state.sent, "a report")
    reporter.ask_to_stop(LAST)
    assert reporter.stop(10.0)
    assert reporter.state.failed == 2


def test_a_last_one_that_fails_is_told(elsewhere: Elsewhere) -> None:
    reporter = elsewhere.reporter(every_s=3600.0)
    reporter.start(lambda: NOW)
    wait_until(lambda: elsewhere.got, "the first report")
    elsewhere.trouble = Refusing()
    with capture_logs() as logs:
        reporter.ask_to_stop(LAST)
        assert reporter.stop(10.0)
    assert [(one["event"], one["error"]) for one in logs] == [("report.last_not_sent", "it is away")]


def test_waits_between_failures_are_drawn_and_grow() -> None:
    """Full jitter: each wait is between 0 and a ceiling that doubles, up to six times the interval."""
    backoff = Elsewhere().reporter(every_s=60.0)._backoff
    assert [backoff.wait_s(attempt, 1.0) for attempt in (0, 1, 2, 20)] == [1.0, 2.0, 4.0, 360.0]


def test_hanging_reports_take_one_second_together_of_a_stop_that_has_none_left(
    released: threading.Event,
) -> None:
    hanging = [Elsewhere(trouble=released.wait) for _ in range(3)]
    reporters = Reporters(*(one.reporter() for one in hanging))
    reporters.start(lambda: NOW)
    began_s = time.monotonic()
    with capture_logs() as logs:
        reporters.stop(LAST, -5.0)
    assert time.monotonic() - began_s >= LAST_WITHIN_S[0]  # all had their chance
    assert [one["event"] for one in logs] == ["report.last_not_sent"] * 3
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "report")


def test_a_stop_with_much_time_left_does_not_give_it_to_a_hanging_report(
    released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.app.reporting.LAST_WITHIN_S", (0.01, 0.1))
    reporters = Reporters(Elsewhere(trouble=released.wait).reporter())
    reporters.start(lambda: NOW)
    reporters.stop(LAST, 3600.0)
    assert not released.is_set()


def test_health_is_told_of_reports_that_do_not_arrive() -> None:
    states = (ReporterState("one", 5, 9, TOLD_AFTER, "away"), ReporterState("two", 5, 1, 1, "away once"))
    facts = facts_of(replace(VIEW, reports=states), MachineFacts(), (), 1)
    assert facts.reports == {"one": "away"}


def test_a_collector_reports_until_all_is_counted_and_a_hanging_report_holds_nothing_up(
    tmp_path: Path, elsewhere: Elsewhere, released: threading.Event
) -> None:
    hangs = Elsewhere(trouble=released.wait)
    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=250.0) as simulator:
        rig = Rig(simulator, str(tmp_path / "live.db"), [BTC], health__every_s=0.1)
        for one in (hangs, elsewhere):
            rig.collector.reporters.add(one.reporter(0.05))
        rig.collector.start()
        try:
            rig.wait_until_verified(50)
            wait_until(lambda: len(elsewhere.got) > 2, "reports")
        finally:
            report = rig.collector.stop()
    assert (report.good, hangs.got) == (True, [])
    *before, last = elsewhere.got
    assert {one.phase for one in before} <= {Phase.RUNNING, Phase.STOPPING}
    assert last.phase is Phase.STOPPED
    assert last.checked.health == before[-1].checked.health  # not what a stopped collector would be judged
    counted = {one.key: one.counts for one in last.checked.view.streams}
    assert counted == {one.key: one for one in report.accounting}
    assert [one.name for one in last.checked.view.reports] == ["elsewhere", "elsewhere"]
