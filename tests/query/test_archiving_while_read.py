"""Days move to files while somebody reads: each row comes once, and `verify` is calm between two kinds."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from collector import iter_features, load_features
from collector.database.engine import make_engine
from collector.database.url import database_url
from collector.query import loading
from collector.retention.move import Retention, archive_slices

sys.path.insert(0, str(Path(__file__).parent))
from audited import HOT, LEVELS, damage, found
from stored import SYMBOL, Row, Stored, write

pytest.importorskip("pyarrow")
DAY_NS = 86_400_000_000_000
MIDNIGHT_NS = 1_700_006_400_000_000_000 // DAY_NS * DAY_NS
HOUR_NS = DAY_NS // 24
FIRST = 2**62 + 1


def archive(url: str, folder: Path, days: float, *, at_most: int = 10**6) -> int:
    """Move all days but the newest ones, or as many slices as told."""
    engine = make_engine(database_url(url), synchronous="OFF")
    now = datetime.fromtimestamp((MIDNIGHT_NS + 4.5 * DAY_NS) / 1e9, UTC)
    done = 0
    for number, one in enumerate(
        archive_slices(url, HOT, Retention(days, folder, slice_rows=7), lambda: now)
    ):
        if number >= at_most:
            break
        with engine.connect() as connection:
            done += one(connection)
    engine.dispose()
    return done


@pytest.mark.parametrize(
    ("every", "at_most"),
    [
        (None, 10**6),
        ("1h", 3),
        *(pytest.param(*one, marks=pytest.mark.proof) for one in ((None, 3), ("1h", 10**6))),
    ],
)
def test_what_moves_while_an_iteration_goes_on_comes_once_and_in_order(
    any_stored: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: str | None, at_most: int
) -> None:
    monkeypatch.setattr(loading, "PIECE_ROWS", 10)
    rows = [Row(MIDNIGHT_NS + place * HOUR_NS + 5, FIRST, float(place), 1.0) for place in range(96)]
    write(any_stored, Stored(rows, {FIRST: rows[-1].at_ns + 2 * HOUR_NS}))
    question: dict[str, Any] = {"every": every, "columns": ["mid_price", "ofi"]}
    whole = load_features(any_stored, SYMBOL, **question)
    pieces = []
    for number, piece in enumerate(iter_features(any_stored, SYMBOL, **question)):
        pieces.append(piece)
        if number == 1:
            assert archive(any_stored, tmp_path / "archive", 0.5, at_most=at_most) > 0
    pd.testing.assert_frame_equal(pd.concat(pieces), whole)


def test_levels_whose_book_was_moved_before_them_are_no_stray_rows(path: Path, tmp_path: Path) -> None:
    """Rows of features are moved first, of all days, then those of levels."""
    url = str(path)
    moved = archive(url, tmp_path / "archive", 0.5, at_most=3)
    engine = make_engine(database_url(url), synchronous="OFF")
    with engine.connect() as connection:
        left = [
            connection.execute(sa.text(f"SELECT count(*) FROM {name}")).scalar_one() for name in (HOT, LEVELS)
        ]
    engine.dispose()
    assert (moved > 0, left) == (True, [0, 4])
    assert found(path) == []
    damage(path, f"DELETE FROM {LEVELS} WHERE id = 2")
    assert [check for check, _ in found(path)] == ["levels"]


def test_levels_of_a_day_that_was_not_moved_are_held_against_the_book(path: Path) -> None:
    damage(path, f"DELETE FROM {HOT} WHERE id = 2")
    assert ("levels", f"{LEVELS}: 1 row (id 2) that belong to no row of the book") in found(path)
