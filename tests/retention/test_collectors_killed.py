"""Two collectors move old days to files while a third process reads: each committed row is there, once."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from collector import iter_features, load_features, load_trades
from collector.database.engine import make_engine
from collector.database.url import database_url
from collector.query import loading
from collector.query.audit import run_audit
from collector.retention.move import Retention, archive_slices

sys.path.insert(0, str(Path(__file__).parent))
from aged_collector import BOOK, DAY_NS, TRADE, AgedCollector, Life
from archiving import TABLE as HOT
from archiving import ask, work

pytest.importorskip("pyarrow")
SEED = 20_261_129
SYMBOLS = ("BTC/USDT", "ETH/USDT")
KINDS = ("whole", "pieces", "trades")
SCRIPT = str(Path(__file__).with_name("aged_collector.py"))
DEADLINE_S = 60.0
ROUNDS_OF_CUTS = 3
LET_WRITE = 0.8  # of the kills wait until the last life has written
MOVED = "SELECT count(DISTINCT date) FROM collector_archive WHERE deleted_ns IS NOT NULL"
OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


class Reader:
    """Reads hot and archived rows together, and holds them against what is known to be committed."""

    def __init__(self, lives: list[Life], draw: random.Random) -> None:
        self._lives = lives
        self._draw = draw
        self.reads = Counter[str]()
        self.rows = 0
        self.longest_s = 0.0

    def read(self, kind: str, life: Life, *, start_ns: int | None = None) -> int:
        """Read once; return how many rows were there."""
        numbers, received = life.committed(TRADE if kind == "trades" else BOOK)
        if not len(numbers):
            return 0
        began_s = time.monotonic()
        found = numbers_read(kind, life, start_ns)
        wanted = numbers if start_ns is None else numbers[received >= start_ns]
        assert len(np.unique(found)) == len(found), f"{kind}: {repeated(found)} came more than once"
        missing = np.setdiff1d(wanted, found)
        if len(missing):
            again = np.setdiff1d(missing, numbers_read(kind, life, start_ns))
            told = f"{len(missing)} of {len(wanted)} rows are missing, {len(again)} when read again"
            pytest.fail(f"{kind} of {life.symbol} from {start_ns}: {told}: {missing[[0, -1]]}")
        if kind != "trades":  # one that was sent again has no place of its own in the order
            assert (np.diff(found) > 0).all(), f"{kind}: rows are out of order"
        self.reads[kind] += 1
        self.rows += len(found)
        self.longest_s = max(self.longest_s, time.monotonic() - began_s)
        return len(found)

    def read_any(self) -> int:
        """Read one of the streams, whole or from some days ago."""
        life, draw = self._draw.choice(self._lives), self._draw
        days = draw.choice([None, draw.uniform(0.2, 6)])
        start_ns = None if days is None else life.now_ns() - int(days * DAY_NS)
        return self.read(draw.choice(KINDS), life, start_ns=start_ns)


def numbers_read(kind: str, life: Life, start_ns: int | None) -> Any:
    if kind == "trades":
        frame: Any = load_trades(life.url, life.symbol, start=start_ns, columns=["trade_id"])
        return frame["trade_id"].astype("int64").to_numpy()
    asked: dict[str, Any] = {"start": start_ns, "columns": ["sequence"]}
    if kind == "whole":
        frame = load_features(life.url, life.symbol, **asked)
    else:
        pieces = list(iter_features(life.url, life.symbol, **asked))
        frame = pd.concat(pieces) if pieces else pd.DataFrame({"sequence": []})
    return frame["sequence"].astype("int64").to_numpy()


def repeated(found: Any) -> Any:
    values, counts = np.unique(found, return_counts=True)
    return values[counts > 1][:5]


def until(condition: Callable[[], object], what: str, within_s: float = DEADLINE_S) -> None:
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {within_s:g} s: {what}"
        time.sleep(0.02)


def check_at_rest(reader: Reader, lives: list[Life]) -> str:
    """Read everything once more, and hold the database against itself; return the figures."""
    url = lives[0].url
    rows = sum(reader.read(kind, life) for kind in ("whole", "trades") for life in lives)
    work(url, archive_slices(url, HOT, Retention(10_000, lives[0].folder / "archive")))  # ends what was begun
    assert rows == sum(reader.read(kind, life) for kind in ("whole", "trades") for life in lives)
    found = run_audit(url)
    assert found.passed, "\n".join(map(str, found.findings))
    files, days, archived = (
        ask(url, f"SELECT {what} FROM collector_archive WHERE deleted_ns IS NOT NULL AND kind <> 'merged'")
        for what in ("count(*)", "count(DISTINCT date)", "coalesce(sum(rows), 0)")
    )
    hot = sum(ask(url, f"SELECT count(*) FROM {name}") for name in ("collector_trades", HOT))
    assert hot + archived == rows > archived > 0
    return (
        f"{rows:,} rows at the end, {archived:,} of them in {files} files of {days} days; "
        f"{sum(reader.reads.values())} reads ({dict(reader.reads)}) of {reader.rows:,} rows, "
        f"the longest {reader.longest_s:.2f} s"
    )


class Patience:
    """Fails once nothing has changed for long: a slow machine needs longer for all of it, not for a step."""

    def __init__(self) -> None:
        self._seen: object = None
        self._since_s = time.monotonic()

    def look(self, now: object, what: str) -> None:
        if now != self._seen:
            self._seen, self._since_s = now, time.monotonic()
        assert time.monotonic() < self._since_s + DEADLINE_S, f"nothing new for {DEADLINE_S:g} s: {what}"


def noted(lives: list[Life]) -> list[int]:
    """Return how much each has committed."""
    return [sum(path.stat().st_size for path in life.journals(BOOK)) for life in lives]


# A cursor of the server cannot be closed once its connection is cut, and says so when it is forgotten.
@pytest.mark.filterwarnings("ignore:.*psycopg.ServerCursor.* was deleted while still open:ResourceWarning")
@pytest.mark.timeout(300)
def test_a_reader_sees_each_committed_row_once_while_days_move_and_connections_break(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The short form: both collectors in this process, every connection of theirs cut again and again."""
    monkeypatch.setattr(loading, "PIECE_ROWS", 150)
    draw, began_ns = random.Random(SEED), time.time_ns()
    lives = [Life(postgres_url, tmp_path, symbol, began_ns, 0.6, 80.0) for symbol in SYMBOLS]
    collectors = [AgedCollector(life) for life in lives]
    reader = Reader(lives, draw)
    cuts: list[int] = []
    patience, at_cut = Patience(), noted(lives)
    for one in collectors:
        one.start()
    try:
        next_cut_s = time.monotonic() + 0.5
        while (moved := ask(postgres_url, MOVED)) < 2 or len(cuts) < ROUNDS_OF_CUTS:
            patience.look((moved, len(cuts)), "two days are not moved")
            reader.read_any()
            # Both have written since the last cut: else they would be kept from it, not broken in it.
            have_written = all(now > then for now, then in zip(noted(lives), at_cut, strict=True))
            if have_written and time.monotonic() > next_cut_s and len(cuts) < ROUNDS_OF_CUTS:
                cuts.append(ask(postgres_url, f"SELECT count(pg_terminate_backend(pid)) {OTHERS}"))
                at_cut, next_cut_s = noted(lives), time.monotonic() + draw.uniform(0.3, 0.6)
    finally:
        whole = [one.stop() for one in collectors]
    assert whole == [True, True], [one.writer.failure for one in collectors]
    print(f"{sum(cuts)} connections cut;", check_at_rest(reader, lives))


class Processes:
    """Collectors as processes of their own."""

    def __init__(self, lives: list[Life]) -> None:
        self._lives = lives
        self._changing = threading.Lock()
        self._begun_ns = [0] * len(lives)
        self._running = [self._started(place) for place in range(len(lives))]

    @property
    def all_run(self) -> bool:
        """Return whether none has ended by itself; say what one said that has."""
        with self._changing:
            for place, one in enumerate(self._running):
                assert one.poll() is None, self._log(place)
        return True

    def writes(self, place: int) -> bool:
        """Return whether the present life of one of them has committed rows."""
        return self._lives[place].last_to_note_ns() > self._begun_ns[place]

    def kill(self, place: int) -> None:
        """End one of them at once, and start another in its place."""
        with self._changing:
            self._running[place].kill()
            self._running[place].communicate()
            self._running[place] = self._started(place)

    def stop(self) -> None:
        """Stop all; say what one said that has not made everything durable."""
        for one in self._running:
            one.send_signal(signal.SIGTERM)
        for place, one in enumerate(self._running):
            words = one.communicate()[0]
            assert words.split("\n")[-2:] == ["whole", ""], words + self._log(place)

    def end(self) -> None:
        for one in self._running:
            if one.poll() is None:
                one.kill()
                one.communicate()

    def _log(self, place: int) -> str:
        life = self._lives[place]
        return max(life.folder.glob(f"{life.symbol[:3]}.*.log")).read_text()[-2000:]

    def _started(self, place: int) -> "subprocess.Popen[str]":
        life = self._lives[place]
        self._begun_ns[place] = time.time_ns()
        told = (life.began_ns, life.day_s, life.rows_a_second, life.hot_hours or 0)
        words = (life.url, str(life.folder), life.symbol, *told)
        log = life.folder / f"{life.symbol[:3]}.{time.time_ns()}.log"
        with log.open("w") as file:
            return subprocess.Popen(
                [sys.executable, "-W", "error", SCRIPT, *map(str, words)],
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )


@contextmanager
def locked(url: str, for_s: float) -> Iterator[None]:
    """Let nobody write for a while, so that what comes waits in the spools."""
    engine = make_engine(database_url(url))
    with engine.connect() as connection:
        for name in (HOT, "collector_trades"):
            connection.execute(sa.text(f"LOCK TABLE {name} IN SHARE MODE"))
        time.sleep(for_s)
        yield
    engine.dispose()


@pytest.mark.proof
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("seconds", "hot_hours", "days"), [(180, None, 40), (600, None, 40), (180, 1, 2)])
def test_a_reader_sees_each_committed_row_once_for_minutes_while_processes_are_killed(
    postgres_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seconds: int,
    hot_hours: int | None,
    days: int,
) -> None:
    """The long form; every second kill comes while nothing can be written, and rows wait in a spool."""
    monkeypatch.setattr(loading, "PIECE_ROWS", 3_000)
    draw, began_ns = random.Random(SEED + seconds), time.time_ns()
    lives = [
        Life(postgres_url, tmp_path, symbol, began_ns, seconds / days, 250.0, hot_hours=hot_hours)
        for symbol in SYMBOLS
    ]
    reader, processes = Reader(lives, draw), Processes(lives)
    troubles: list[BaseException] = []
    kills, is_over = Counter[int](), threading.Event()

    def kill() -> None:
        try:
            while not is_over.wait(draw.uniform(3, 10)):
                place = draw.randrange(2)
                if draw.random() < LET_WRITE:  # else it may be killed while it starts
                    until(lambda place=place: processes.writes(place), "rows of a new life")
                if sum(kills.values()) % 2:
                    with locked(postgres_url, draw.uniform(0.5, 1.5)):
                        processes.kill(place)
                else:
                    processes.kill(place)
                kills[place] += 1
        except BaseException as trouble:  # noqa: BLE001
            troubles.append(trouble)

    until(lambda: processes.all_run and processes.writes(0) and processes.writes(1), "rows of both")
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s and not troubles and processes.all_run:
            reader.read_any()
        is_over.set()
        killer.join()
        assert not troubles, troubles
        # A collector that was started a moment ago has first to bring in what others left.
        until(lambda: processes.writes(0) and processes.writes(1), "rows of the last lives")
        # On a busy machine no life before may have lasted for one.
        until(lambda: ask(postgres_url, MOVED) >= 2, "two days or hours moved", 5 * DEADLINE_S)
        processes.stop()
    finally:
        is_over.set()
        killer.join()
        processes.end()
    until(lambda: ask(postgres_url, f"SELECT count(*) {OTHERS}") == 0, "the server to miss the killed")
    print(f"{seconds} s, killed {dict(kills)};", check_at_rest(reader, lives))
