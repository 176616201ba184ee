"""What collectors leave when they crash while the server is away is brought in by whichever starts next."""

import json
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from collector.app.spool_places import places_of
from collector.errors import SpoolRefused
from collector.query.database import reading
from collector.simulator import Simulator
from collector.sinks.sql.sink import SqlSink
from collector.spool.owner import SpoolOwner

sys.path.insert(0, str(Path(__file__).parents[1]))
from left_spool import LEFT, leave_rows, left_in, left_write_set

sys.path.insert(0, str(Path(__file__).parent))
from rig import BTC, ETH, Rig, wait_until

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))
from program import config, start


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=50.0) as running:
        yield running


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working directory, and have a folder of state of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "state" / "collector").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def owner(url: str) -> SpoolOwner:
    """Make the database, and return what its spools say."""
    sink = SqlSink(url, auto_migrate=True)
    sink.open()
    identity = sink.identity
    sink.close()
    return SpoolOwner("as it was spelt then", lambda: identity, lambda _sessions: True)


def sequences(url: str) -> list[int]:
    with reading(url) as (connection, tables):
        column = tables.hot.c
        question = sa.select(column.sequence).where(column.symbol == LEFT.symbol).order_by(column.id)
        return list(connection.execute(question).scalars())


def run_until_brought_in(simulator: Simulator, url: str, **overrides: object) -> Rig:
    rig = Rig(simulator, url, [BTC], **overrides)
    rig.collector.start()
    try:
        rig.wait_until_verified()
        wait_until(lambda: not rig.collector.writer.spilling, "brought in")
    finally:
        report = rig.collector.stop()
    assert report.good, report
    assert report.waiting == 0
    return rig


def test_those_of_several_are_brought_in_once_and_in_order(
    simulator: Simulator, postgres_url: str, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, (first, second, *_) = owner(postgres_url), places_of(None, SqlSink(postgres_url)).own
    elsewhere = tmp_path / "state" / "collector" / "collector-0badcafe-spool-3"  # the URL was spelt otherwise
    before = here / "collector-01234567-spool"  # an older version put it where it was started

    def sets(numbers: range, session: str, started_ns: int) -> list[object]:
        return [left_write_set(number, session=session, started_ns=started_ns) for number in numbers]

    leave_rows(second, *sets(range(4), "first", 1_000), owner=ours)  # type: ignore[arg-type]
    leave_rows(elsewhere, *sets(range(4, 7), "second", 2_000), owner=ours)  # type: ignore[arg-type]
    leave_rows(first, *sets(range(7, 9), "third", 3_000), owner=ours)  # type: ignore[arg-type]
    leave_rows(before, *sets(range(9, 10), "fourth", 4_000), owner=ours)  # type: ignore[arg-type]
    rig = run_until_brought_in(simulator, postgres_url)
    assert sequences(postgres_url) == list(range(20))
    assert not any(path.exists() for path in (first, second, elsewhere, before))
    terms = [one for one in rig.collector.accounting() if one.symbol == LEFT.symbol]
    assert [(one.carried_in, one.written) for one in terms] == [(20, 20)]
    monkeypatch.chdir(tmp_path)
    run_until_brought_in(simulator, postgres_url)
    assert sequences(postgres_url) == list(range(20))


def test_one_that_was_brought_in_already_and_not_removed_changes_nothing(
    simulator: Simulator, postgres_url: str, here: Path
) -> None:
    ours, path = owner(postgres_url), here / "collector-01234567-spool"
    sets = [left_write_set(number) for number in range(3)]
    leave_rows(path, *sets, owner=ours)
    run_until_brought_in(simulator, postgres_url)
    leave_rows(path, *sets, owner=ours)  # killed between the commit and the removal
    run_until_brought_in(simulator, postgres_url)
    assert sequences(postgres_url) == list(range(6))
    assert not path.exists()


def test_another_database_s_stays_where_it_is(
    simulator: Simulator, postgres_url: str, here: Path, tmp_path: Path
) -> None:
    theirs = owner(str(tmp_path / "other.db"))
    path = leave_rows(here / "collector-01234567-spool", owner=theirs)
    run_until_brought_in(simulator, postgres_url)
    assert sequences(postgres_url) == []
    assert left_in(path) == ["left-1"]


def test_a_start_on_another_database_s_spool_is_refused(simulator: Simulator, tmp_path: Path) -> None:
    path = leave_rows(tmp_path / "my.spool", owner=owner(str(tmp_path / "other.db")))
    rig = Rig(simulator, str(tmp_path / "live.db"), [BTC], spool__path=str(path))
    with pytest.raises(SpoolRefused, match=r"my\.spool holds 1 batches for another database"):
        rig.collector.start()
    assert left_in(path) == ["left-1"]
    run_until_brought_in(simulator, str(tmp_path / "other.db"), spool__path=str(path))
    assert sequences(str(tmp_path / "other.db")) == [2, 3]


def test_a_state_folder_that_cannot_be_made_costs_no_start(
    simulator: Simulator, postgres_url: str, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    rig = Rig(simulator, postgres_url, [BTC])
    rig.collector.start()
    assert rig.collector.writer.spool_path.parent == here
    assert rig.collector.stop().good


@pytest.mark.proof
def test_starts_at_once_and_kills_in_the_middle_bring_each_row_in_once(
    postgres_url: str, here: Path, tmp_path: Path
) -> None:
    draw, ours, folder = random.Random(5), owner(postgres_url), tmp_path / "state" / "collector"
    rows = 0
    with Simulator(symbols={"bybit": [BTC, ETH]}, updates_per_s=20.0) as busy:
        words = []
        for number, symbol in enumerate((BTC, ETH)):
            (tmp_path / str(number)).mkdir()
            path = Path(config(tmp_path / str(number), busy, symbols=(symbol,)))
            settings = json.loads(path.read_text())
            settings["database"] = {"url": postgres_url}
            path.write_text(json.dumps(settings))
            words.append(("collect", "--config", str(path)))
        for turn in range(6):
            for spool in range(3):
                first = rows // 2
                sets = [
                    left_write_set(one, session=f"s{turn}-{spool}", started_ns=1000 * turn + spool + 1)
                    for one in range(first, first + 150)
                ]
                rows += 300
                leave_rows(folder / f"collector-{turn}{spool}-spool", *sets, owner=ours)
            running = [start(*one, cwd=here, XDG_STATE_HOME=str(tmp_path / "state")) for one in words]
            before = len(sequences(postgres_url))
            wait_until(lambda b=before: len(sequences(postgres_url)) > b, "begun", deadline_s=60)
            signal.sigtimedwait([], draw.uniform(0, 0.3))
            for process in running:
                process.kill()
                process.communicate()
        last = start(*words[0], cwd=here, XDG_STATE_HOME=str(tmp_path / "state"))
        wait_until(lambda: len(sequences(postgres_url)) >= rows, "all brought in", deadline_s=60)
        wait_until(lambda: not list(folder.glob("collector-??-spool*")), "all removed", deadline_s=60)
        last.send_signal(signal.SIGTERM)
        printed, _ = last.communicate(timeout=60)
        assert last.returncode == 0, printed
    assert sorted(sequences(postgres_url)) == list(range(rows))
