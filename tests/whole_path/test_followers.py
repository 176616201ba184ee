"""A collector with followers: a second database holds the same; one that hangs does not harm the first."""

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from line_sink import LineSink, lines_of
from rig import BTC, ETH, Rig, running, stop_and_check, wait_until

from collector.cli.running import print_report
from collector.events import L2Update
from collector.query.audit import run_audit
from collector.sinks.contract import Receipt, WriteSet


def rows_of(rig: Rig, database: str, symbol: str) -> list[dict[str, Any]]:
    rig.database = database
    return [{**row, "created_at": None} for row in rig.rows(symbol)]


def test_a_second_database_has_the_same_rows_and_passes_the_same_audit(tmp_path: Path, capsys: Any) -> None:
    first, second = str(tmp_path / "live.db"), str(tmp_path / "second.db")
    with running(first, followers=[{"url": second}]) as rig:
        wait_until(lambda: rig.collector.writer.committed.rows > 100, "some rows")
        (shown,) = rig.collector.view().followers
        assert shown.name == second
        report = stop_and_check(rig)
        assert report.good
        (state,) = report.followers
        written = sum(one.written for one in report.accounting)
        assert (state.rows, state.in_memory, state.spooled, state.dropped) == (written, 0, 0, 0)
        for symbol in (BTC, ETH):
            assert rows_of(rig, first, symbol) == rows_of(rig, second, symbol) != []
    found = run_audit(second)
    assert found.passed, found.findings
    print_report(report)
    assert f"follower {second}: {written:,} rows stored\n" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.glob("*spool*")) == []


class Watching(LineSink):
    """Notes how long the interpreter's turns are while it is written to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.seen_s: set[float] = set()

    def write(self, write_set: WriteSet) -> Receipt:
        self.seen_s.add(round(sys.getswitchinterval(), 6))
        return super().write(write_set)


def test_threads_give_way_to_each_other_quickly_once_a_bot_hears(tmp_path: Path) -> None:
    sink, usual_s = Watching(tmp_path / "lines"), sys.getswitchinterval()
    with running(tmp_path / "live.db", [BTC], sinks=[sink], updates_per_s=50.0) as rig:
        wait_until(lambda: sink.writes > 3, "written while nobody hears")
        assert sink.seen_s == {usual_s}
        heard: list[L2Update] = []
        rig.collector.events.subscribe(L2Update, heard.append)
        wait_until(lambda: heard and min(sink.seen_s) < usual_s / 10, "short turns")
        assert stop_and_check(rig).good
    assert sys.getswitchinterval() == usual_s


def test_a_follower_that_hangs_for_ever_costs_the_database_nothing(tmp_path: Path) -> None:
    sink = LineSink(tmp_path / "lines")
    sink.goes_on.clear()
    sink.hears = False
    with running(tmp_path / "live.db", sinks=[sink], spool__after_s=0.2) as rig:
        wait_until(lambda: rig.collector.writer.committed.rows > 300, "stored")
        assert not rig.collector.writer.spilling
        wait_until(lambda: rig.collector.view().followers[0].spilling, "its spool takes over")
        rig.simulator.pause()
        rig.wait_for_all()
        began_s = time.monotonic()
        report = rig.collector.stop(deadline_s=5.0)
        assert time.monotonic() - began_s < 15.0
        rig.check(report)
        assert report.good
        (state,) = report.followers
        written = sum(one.written for one in report.accounting)
        assert (state.rows, state.in_memory, state.spooled, state.dropped) == (0, 0, written, 0)
    sink.goes_on.set()
    again = LineSink(sink.path)
    with running(tmp_path / "live.db", sinks=[again]) as rig:
        wait_until(lambda: rig.collector.view().followers[0].spooled == 0, "brought in")
        second = stop_and_check(rig)
    total = written + sum(one.written for one in second.accounting)
    assert sum(line["written"] for line in lines_of(sink.path)) == total
