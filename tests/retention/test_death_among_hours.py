"""A process dies at any step while hours move and a day becomes one file: no row is lost, none is twice.

Whoever is dead does nothing any more: from that step on, each change of a folder and each transaction fails.
"""

import shutil
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from collector import load_features
from collector.query.audit import run_audit
from collector.retention import merging
from collector.retention.move import Retention, archive_slices

sys.path.insert(0, str(Path(__file__).parent))
from archiving import DAY_NS, FIRST, MIDNIGHT_NS, TABLE, ask, work

sys.path.insert(0, str(Path(__file__).parents[1] / "query"))
from stored import SYMBOL, Row, Stored, prepare, write

parquet = pytest.importorskip("pyarrow.parquet")
HOUR_NS = DAY_NS // 24
ROWS = 9
FILE_STEPS = ("replace", "unlink", "mkdir")
EVERY = 17  # of the steps, in the short form


class Dead(BaseException):
    """Nothing that is done afterwards has any effect."""


class Mortal:
    """Counts what a process does to files and to the database, and dies at one step, before or after it."""

    def __init__(self, last: int | None) -> None:
        self.steps = 0
        self._last = last

    def step(self, do: Callable[[], Any]) -> Any:
        """Do it, unless it comes after the death; every other death is just before what it is to do."""
        self.steps += 1
        if self._last is not None and self.steps > self._last:
            raise Dead
        done = do() if self.steps != self._last or self._last % 2 else None
        if self.steps == self._last:
            raise Dead
        return done

    def slices(self, slices: Iterator[Any]) -> Iterator[Any]:
        for one in slices:
            yield lambda connection, one=one: self.step(lambda: one(connection))

    @contextmanager
    def files(self) -> Iterator[None]:
        """Let every change of a name in a folder be a step."""
        with pytest.MonkeyPatch.context() as patch:
            for name in FILE_STEPS:
                patch.setattr(Path, name, self._stepping(getattr(Path, name)))
            yield

    def _stepping(self, real: Callable[..., Any]) -> Callable[..., Any]:
        return lambda path, *words, **named: self.step(lambda: real(path, *words, **named))


def moving(url: str, folder: Path, hours: float) -> Generator[Any, None, None]:
    now = datetime.fromtimestamp((MIDNIGHT_NS + int(hours * HOUR_NS)) / 1e9, UTC)
    return archive_slices(url, TABLE, Retention(None, folder, slice_rows=2, hot_hours=1), lambda: now)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day with an hour that is moved, a row that came late to it, others, and a row of the next day."""
    home = tmp_path_factory.mktemp("begun")
    url = prepare(str(home / "live.db"))
    at = [HOUR_NS + place for place in (1, 2, 3)]
    write(url, Stored([Row(MIDNIGHT_NS + one, FIRST, float(one % 1000 + 1), 0.5) for one in at], {}))
    work(url, moving(url, home / "archive", 3))
    at = [HOUR_NS + 4, 2 * HOUR_NS + 5, 2 * HOUR_NS + 6, 5 * HOUR_NS + 7, 23 * HOUR_NS + 8, 25 * HOUR_NS + 9]
    write(url, Stored([Row(MIDNIGHT_NS + one, FIRST, float(one % 1000 + 1), 0.5) for one in at], {}))
    return home


@pytest.fixture
def home(begun: Path, tmp_path: Path) -> Callable[[int], tuple[str, Path]]:
    """Give what copies the day, and says where that is."""

    def copied(number: int) -> tuple[str, Path]:
        copy = tmp_path / str(number)
        shutil.copytree(begun, copy)
        url = str(copy / "live.db")
        here, there = f"'{begun}/", f"'{copy}/"
        ask(url, f"UPDATE collector_archive SET path = replace(path, {here}', {there}')")
        return url, copy / "archive"

    return copied


def mids(url: str) -> list[float]:
    frame = load_features(url, SYMBOL, columns=["mid_price"])
    assert frame.index.is_monotonic_increasing
    return [float(one) for one in frame["mid_price"]]


def in_files(folder: Path) -> list[int]:
    """Return the ids that a reader of the folder finds."""
    found = sorted((folder / "features").rglob("*.parquet"))
    return [one for path in found for one in parquet.ParquetFile(path).read(columns=["id"])["id"].to_pylist()]


def at_work(url: str, folder: Path, mortal: Mortal) -> None:
    """Move hours as they age, then make one file of the day."""
    for hours in (4, 26, 26):
        with closing(moving(url, folder, hours)) as slices:
            work(url, mortal.slices(slices))


def deaths(home: Callable[[int], tuple[str, Path]]) -> int:
    url, folder = home(0)
    mortal = Mortal(None)
    with mortal.files():
        at_work(url, folder, mortal)
    assert ask(url, "SELECT count(*) FROM collector_archive WHERE kind = 'features'") == 1
    assert mids(url) == [float(one) for one in range(2, ROWS + 2)]
    return mortal.steps


@pytest.mark.timeout(900)
@pytest.mark.parametrize("every", [EVERY, pytest.param(1, marks=pytest.mark.proof)])
def test_a_death_at_any_step_loses_and_doubles_nothing(
    home: Callable[[int], tuple[str, Path]], monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    monkeypatch.setattr(merging, "KEPT_S", 0.0)  # so that the removal of merged files is among the steps
    steps = deaths(home)
    print(steps, "steps")
    assert steps > 2 * EVERY
    wanted = [float(one) for one in range(2, ROWS + 2)]
    for last in range(1, steps + 1, every):
        url, folder = home(last)
        mortal = Mortal(last)
        with mortal.files(), pytest.raises(Dead):
            at_work(url, folder, mortal)
        assert mids(url) == wanted, f"after a death at step {last}"
        at_work(url, folder, Mortal(None))
        assert mids(url) == wanted, f"after a death at step {last} and another run"
        assert sorted(in_files(folder)) == list(range(1, ROWS)), (
            f"in the folder, after a death at step {last}"
        )
        assert ask(url, f"SELECT count(*) FROM {TABLE}") == 1
    assert not [one for one in run_audit(url).findings if one.check == "archive"]


def test_whoever_began_to_read_before_a_day_became_one_file_finds_all_rows(
    home: Callable[[int], tuple[str, Path]],
) -> None:
    from collector.query import Archive, Series, Span, StoredStream, reading  # noqa: PLC0415

    url, folder = home(0)
    for hours in (4, 7):
        work(url, moving(url, folder, hours))
    with reading(url, TABLE) as (connection, tables):
        table = tables.hot
        parts = Archive.read(connection, tables, table).of(SYMBOL, "bybit")
        own = (table.c.symbol == SYMBOL, table.c.exchange == "bybit")
        stream = StoredStream(table, SYMBOL, "bybit", own, parts=parts)
        work(url, moving(url, folder, 26))
        assert not all(part.path.exists() for part in parts)
        rows = sum(
            len(one["received_at_ns"]) for one in Series(stream, ("mid_price",)).read(connection, Span())
        )
    assert rows == ROWS


def test_readers_of_the_folder_see_rows_once_and_by_name(home: Callable[[int], tuple[str, Path]]) -> None:
    url, folder = home(0)
    seen = []
    for hours in (3, 7, 26):
        work(url, moving(url, folder, hours))
        frame = pd.read_parquet(folder / "features")
        assert frame["id"].is_unique
        assert set(frame["exchange"]) == {"bybit"}
        assert set(frame["symbol"]) == {SYMBOL}
        seen.append((len(frame), sorted(one.name.split("-")[0] for one in folder.rglob("*.parquet"))))
    assert seen == [(4, ["hour", "hour"]), (7, ["hour", "hour", "hour", "hour"]), (8, ["part"])]
