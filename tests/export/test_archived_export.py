"""An export over days that were moved to files is the same as before they were."""

import hashlib
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from collector.database.engine import make_engine
from collector.database.url import database_url
from collector.errors import QueryError
from collector.export.exporter import export
from collector.query.rows import raw_rows
from collector.retention.move import Retention, archive_slices

sys.path.insert(0, str(Path(__file__).parents[1] / "query"))
from stored import SYMBOL, Facts, Row, Stored, prepare, write

sys.path.insert(0, str(Path(__file__).parents[1]))
from any_database import in_a_file

pytest.importorskip("pyarrow")
TABLE = "l2_training_data_practical"
DAY_NS = 86_400_000_000_000
MIDNIGHT_NS = 1_700_006_400_000_000_000 // DAY_NS * DAY_NS
NOW = datetime.fromtimestamp((MIDNIGHT_NS + 3.5 * DAY_NS) / 1e9, UTC)
FIRST = 2**62 + 1


@pytest.fixture
def filled(any_database: str) -> str:
    """Three days of one symbol, and one day, which is moved whole, of another."""
    url = prepare(any_database)
    rows = [Row(MIDNIGHT_NS + place * DAY_NS // 40, FIRST, float(place), 0.5) for place in range(120)]
    write(url, Stored(rows, {FIRST: rows[-1].at_ns}))
    other = Row(MIDNIGHT_NS + 7, FIRST + 9, 1.0)
    write(
        url, Stored([other], {FIRST + 9: other.at_ns}), Facts(symbol="ETH/USDT", exchange="kraken", depth=25)
    )
    return url


def move(url: str, folder: Path, *, at_most: int = 10**6) -> None:
    engine = make_engine(database_url(url), synchronous="OFF")
    retention = Retention(1.0, folder, slice_rows=10)
    try:
        for number, one in enumerate(archive_slices(url, TABLE, retention, lambda: NOW)):
            if number >= at_most:
                break
            with engine.connect() as connection:
                one(connection)
    finally:
        engine.dispose()


def sums(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


@pytest.mark.parametrize(
    "at_most", [1, *(pytest.param(rows, marks=pytest.mark.proof) for rows in (3, 10**6))]
)
@pytest.mark.parametrize(
    ("any_database", "form"),
    [
        *(("sqlite", form) for form in ("parquet", "csv", "hftbacktest")),
        ("postgresql", "parquet"),
        *(pytest.param("postgresql", form, marks=pytest.mark.proof) for form in ("csv", "hftbacktest")),
    ],
    indirect=["any_database"],
)
def test_the_same_bytes_before_and_after(filled: str, tmp_path: Path, form: str, at_most: int) -> None:
    """Also where a stop left rows both in a file and in the table."""
    export(filled, tmp_path / "before", form=form)
    move(filled, tmp_path / "archive", at_most=at_most)
    export(filled, tmp_path / "after", form=form)
    assert sums(tmp_path / "after") == sums(tmp_path / "before")
    assert export(filled, tmp_path / "before", form=form).written == 0


@in_a_file
def test_rows_that_came_late_stand_among_the_moved_ones(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_rows, "CHUNK_ROWS", 7)
    move(filled, tmp_path / "archive")
    late = Row(MIDNIGHT_NS + DAY_NS // 2 + 1, FIRST, -1.0)
    write(filled, Stored([late]))
    for _ in range(2):
        done = export(filled, tmp_path / "out", symbol=SYMBOL)
        frame = pd.read_parquet(tmp_path / "out" / "features")
        assert len(frame) == 121
        assert frame["received_at_ns"].is_monotonic_increasing
        assert (frame["mid_price"] == -1.0).sum() == 1
        move(filled, tmp_path / "archive")
    assert done.written == 0


def test_only_what_is_asked_for_comes_from_the_archive(filled: str, tmp_path: Path) -> None:
    move(filled, tmp_path / "archive")
    done = export(filled, tmp_path / "out", exchange="kraken")
    assert (done.files, done.rows) == (1, 1)
    card = (tmp_path / "out" / "README.md").read_text()
    day = str(pd.Timestamp(MIDNIGHT_NS).date())
    assert f"| features | kraken | ETH/USDT | {day} | {day} | 1 | 1 |" in card


@pytest.mark.parametrize("form", ["parquet", "hftbacktest"])
@in_a_file
def test_a_file_that_is_gone_is_named(filled: str, tmp_path: Path, form: str) -> None:
    export(filled, tmp_path / "old", form=form)
    move(filled, tmp_path / "archive")
    for path in (tmp_path / "archive").rglob("*.parquet"):
        path.unlink()
    with pytest.raises(QueryError, match=r"were moved to .* which is not there"):
        export(filled, tmp_path / "out", form=form)
    assert export(filled, tmp_path / "old", form=form).written == 0  # these days are exported already
