"""Deleting rows writes little more than their own size, and the file shrinks by them."""

import os
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from collector.database.engine import make_engine
from collector.database.tables import make_tables
from collector.database.url import database_url
from collector.retention.move import Retention, archive_slices
from collector.sinks.sql.upkeep import tidy_sqlite

sys.path.insert(0, str(Path(__file__).parent))
from archiving import DAY_NS, FIRST, MIDNIGHT_NS, NOW, TABLE, left

sys.path.insert(0, str(Path(__file__).parents[1] / "query"))
from stored import insert, iso, prepare

pytest.importorskip("pyarrow")
SYMBOLS = 20
NUMBERS = (
    *("bid_price_1", "bid_size_1", "ask_price_1", "ask_size_1", "mid_price", "spread", "spread_bps"),
    *("microprice", "order_book_imbalance", "total_bid_volume_10", "total_ask_volume_10", "ofi"),
)


def written_bytes() -> int:
    """Return how many bytes this process has handed to the system for writing."""
    lines = Path(f"/proc/{os.getpid()}/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))


def fill_evenly(url: str, rows: int, days: int) -> None:
    """Store rows of many symbols in turn, as they come, over some days."""
    prepare(url)
    random = np.random.default_rng(7)
    for first in range(0, rows, 50_000):
        places = range(first, min(first + 50_000, rows))
        at = [MIDNIGHT_NS + place * (days * DAY_NS // rows) for place in places]
        insert(
            url,
            "hot",
            {
                "timestamp": [iso(one) for one in at],
                "symbol": [f"S{place % SYMBOLS:02d}/USDT:USDT" for place in places],
                "exchange": ["bybit"] * len(at),
                **{name: random.random(len(at)).tolist() for name in NUMBERS},
                "sequence": [10**10 + place for place in places],
                "exchange_timestamp": [one // 1_000_000 for one in at],
                "data_source": ["live_trading"] * len(at),
                "data_quality_score": [1.0] * len(at),
                "received_at_ns": at,
                "segment_id": [FIRST] * len(at),
                "depth": [50] * len(at),
            },
        )


def cost(folder: Path, rows: int, slice_rows: int) -> tuple[float, int, int]:
    """Return the bytes written a deleted row, and the sizes of the file before and after."""
    path = folder / "live.db"
    fill_evenly(str(path), rows, 4)
    before = path.stat().st_size
    engine = make_engine(database_url(str(path)))
    slices = archive_slices(
        str(path), TABLE, Retention(1.0, folder / "archive", slice_rows), lambda: NOW - timedelta(days=0.5)
    )
    written = gone = 0
    with engine.connect() as connection:
        for one in slices:
            at_first = written_bytes()
            gone += one(connection)
            written += written_bytes() - at_first
        at_first = written_bytes()
        connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        written += written_bytes() - at_first
        assert gone == rows - left(str(path)) >= rows // 2
        for one in tidy_sqlite(make_tables(TABLE), slice_rows):
            one(connection)
        connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    engine.dispose()
    return written / gone, before, path.stat().st_size


def test_a_deleted_row_of_300_bytes_costs_little_and_its_place_is_given_back(tmp_path: Path) -> None:
    """Small as this is, the edges of the slices weigh more than in a day of millions of rows."""
    a_row, before, after = cost(tmp_path, 6_000, 2_000)
    assert a_row < 2_000
    assert after < 0.6 * before


@pytest.mark.proof
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("slice_rows", "most"), [(2_000, 1_000), (10_000, 800)])
def test_a_deleted_row_of_300_bytes_costs_little_more_than_twice_its_size(
    tmp_path: Path, slice_rows: int, most: int
) -> None:
    """Print the figures; `pytest -m proof -s` shows them.

    A page that falls whole is written twice all the same, to the log and to the file: 612 bytes a row.
    The rest is the edges, some pages of the index for each symbol and slice.
    """
    a_row, before, after = cost(tmp_path, 100_000, slice_rows)
    print(f"slices of {slice_rows}: {a_row:.0f} bytes written a deleted row; {before:,} -> {after:,} bytes")
    assert a_row <= most
    assert after < 0.6 * before
