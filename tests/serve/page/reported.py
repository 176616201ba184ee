"""A database with the daily reports of many streams, of which some had holes and one a wrong book."""

import json
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from collector.database import DEFAULT_TABLE_NAME, make_tables

sys.path.insert(0, str(Path(__file__).parents[2]))
from ready_tables import lay_tables

DAYS = ("2026-01-30", "2026-01-31")
CAUSES = ("disconnect", "stale", "sequence_gap")
HOLE_EVERY = 20  # streams


def report_of(number: int, day: str, *, cause: str | None = None) -> dict[str, Any]:
    """Return a made-up row: every twentieth stream has holes, the more the higher its number."""
    holes = number // HOLE_EVERY if number % HOLE_EVERY == 0 else 0
    told = cause or CAUSES[number % len(CAUSES)]
    return {
        "table_name": DEFAULT_TABLE_NAME,
        "day": day,
        "exchange": ("bybit", "binance", "kraken", "okx")[number % 4],
        "symbol": f"C{number:03d}/USDT:USDT",
        "channel": "trade" if number % 5 == 0 else "book.50",
        "rows": 1_000_000 + number,
        "bytes": 300_000_000 + number,
        "covered_s": 86_400.0 - 60 * holes,
        "covered": 1 - 60 * holes / 86_400,
        "filled": 0.01 if number % 7 == 0 else 0.0,
        "holes": holes,
        "holes_s": 60.0 * holes,
        "holes_by_cause": json.dumps({told: {"holes": holes, "seconds": 60.0 * holes}} if holes else {}),
        "resyncs": holes,
        "witnessed": 288,
        "disagreed": 0,
        "lag_p50_ms": 5.0 + number,
        "lag_p95_ms": 20.0 + number,
        "lag_p99_ms": 90.0 + number,
        "computed_ns": 1,
    }


def reported(path: Path, streams: int, *, wrong: int | None = None, cause: str | None = None) -> Path:
    """Make the database; the stream `wrong` disagreed with a witness on the last day."""
    engine = sa.create_engine(lay_tables(f"sqlite:///{path}"))
    rows = [report_of(number, day, cause=cause) for day in DAYS for number in range(streams)]
    for row in rows:
        row["disagreed"] = int(row["day"] == DAYS[-1] and row["symbol"] == f"C{wrong or 0:03d}/USDT:USDT")
    with engine.begin() as connection:
        connection.execute(sa.insert(make_tables(DEFAULT_TABLE_NAME).quality), rows)
    engine.dispose()
    return path
