"""What a clock stamped twice is not replayed as one: each stretch of a day has a file of its own."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from collector.database import DEFAULT_TABLE_NAME
from collector.export.exporter import export
from collector.export.hftbacktest import layout

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "query"))
from replaying import (
    DAY_NS,
    FIRST,
    MIDNIGHT_NS,
    MS,
    check_order,
    cover,
    exported,
    keep,
    move,
    random_books,
    replayed,
    trade,
)
from stored import prepare

pytest.importorskip("pyarrow")

BOOKS = random_books(40)
NOON_NS = MIDNIGHT_NS + DAY_NS // 2
BACK_NS = 5 * 10 * MS  # five rows
# By the true order: book and trades before the step, then after it.
AT_NS = [NOON_NS + place * 10 * MS - BACK_NS * (place >= 20) for place in range(40)]
SEGMENTS = [FIRST + 3 * (place >= 20) for place in range(40)]  # the trades' are the two between


def store(url: str, session_after: str = "s") -> None:
    """Store a book of 40 states and 40 trades whose clock is set back between the two halves."""
    keep(url, BOOKS, AT_NS, SEGMENTS)
    of_trades = [FIRST + 1 + (place >= 20) for place in range(40)]
    trade(url, [at + 1 for at in AT_NS], [at // MS - 1 for at in AT_NS], segment_id=of_trades)
    for session, first, last in (("s", 0, 19), (session_after, 20, 39)):
        span = AT_NS[first], AT_NS[last] + 5 * MS
        cover(url, {SEGMENTS[first]: ("book.50", *span), of_trades[first]: ("trade", *span)}, session)


def halves_of(found: list[Any]) -> None:
    """Hold each file against the half that it is made of."""
    assert len(found) == 2
    for data, own in zip(found, (slice(0, 20), slice(20, 40)), strict=True):
        check_order(data)
        states = replayed(data, layout.LOCAL, "local_ts")
        assert states == list(zip(AT_NS[own], BOOKS[own], strict=True))
        is_trade = data["ev"] & 0xFF == layout.TRADE
        assert sorted(set(data["px"][is_trade])) == [1000.0 + place for place in range(40)[own]]


@pytest.mark.parametrize(
    ("any_database", "session_after"),
    [
        *(("sqlite", "s"), ("sqlite", "t"), ("postgresql", "s")),
        pytest.param("postgresql", "t", marks=pytest.mark.proof),
    ],
    indirect=["any_database"],
)
def test_each_stretch_of_the_clock_is_a_file_of_its_own(
    any_database: str, tmp_path: Path, session_after: str
) -> None:
    stored = prepare(any_database)
    store(stored, session_after)
    halves_of(exported(stored, tmp_path))
    assert [path.name for path in sorted(tmp_path.rglob("*.npz"))] == ["part-0.npz", "part-1.npz"]
    card = (tmp_path / "README.md").read_text()
    assert card.count("| 2 | 120 |") == 1  # rows of the day, not of each file
    assert card.count(", part-1 | best 10 of 50 |") == 1
    assert export(stored, tmp_path, form="hftbacktest").written == 0


@pytest.fixture
def stored(tmp_path: Path) -> str:
    path = prepare(str(tmp_path / "live.db"))
    store(path)
    return path


def test_a_file_that_is_gone_is_made_again_and_one_too_many_goes(stored: str, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    before = exported(stored, folder)
    (second,) = folder.rglob("part-1.npz")
    second.unlink()
    assert [one.tobytes() for one in exported(stored, folder)] == [one.tobytes() for one in before]
    with closing(sqlite3.connect(stored)) as connection, connection:
        for table in (DEFAULT_TABLE_NAME, "collector_l2_levels", "collector_trades"):
            connection.execute(f"DELETE FROM {table} WHERE segment_id > {FIRST + 1}")
    (only,) = exported(stored, folder)
    assert only.tobytes() == before[0].tobytes()
    assert not second.exists()
    assert "part-1" not in (folder / "manifest.json").read_text()


def test_moved_rows_are_taken_apart_as_well(stored: str, tmp_path: Path) -> None:
    move(stored, tmp_path / "archive", MIDNIGHT_NS + 3 * DAY_NS, files=3)
    halves_of(exported(stored, tmp_path / "out"))


def test_what_began_by_the_new_clock_is_replayed_together(stored: str, tmp_path: Path) -> None:
    """The trades were not covered at the step: those after it overlap with nothing of their stream."""
    with closing(sqlite3.connect(stored)) as connection, connection:
        connection.execute(f"DELETE FROM collector_trades WHERE segment_id = {FIRST + 1}")
    before, after = exported(stored, tmp_path / "out")
    traded = [set(data["px"][data["ev"] & 0xFF == layout.TRADE]) for data in (before, after)]
    assert traded == [set(), {1000.0 + place for place in range(20, 40)}]
