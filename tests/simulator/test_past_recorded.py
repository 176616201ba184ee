"""REST's past against what Binance really answered: the same questions, the same bars, the same form."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from collector.simulator import Outage, Simulator

sys.path.insert(0, str(Path(__file__).parents[1] / "frames"))
import recordings
from shapes import SHAPES, by_column, differences, parse

if TYPE_CHECKING:
    from tests.simulator.conftest import Client

pytestmark = pytest.mark.skipif(not recordings.ARE_HERE, reason="../shared/data is missing: no recordings")
JUNE_MS = 1_590_969_600_000
RECORDED = "binance/thrasher-corp-gocryptotrader/binance_rest_public.jsonl.gz"


def hours(day: int, hour: int = 0, minute: int = 0) -> int:
    """Tell a time in June 2020 in milliseconds; its 31st is the first of July."""
    return JUNE_MS + ((day - 1) * 1440 + hour * 60 + minute) * 60_000


def test_binance_answered_the_same_questions_with_the_same_bars(connect: type[Client]) -> None:
    """Its hole of 2020-06-28 among them: as an outage, the simulator has it too."""
    outage = Outage("binance", hours(28, 2), hours(28, 5, 30))
    now_ms = hours(32)
    asked = []
    for line in recorded_pages():
        query = {key: values[0] for key, values in parse_qs(line["query"]).items()}
        is_ours = line["path"] == "/api/v3/klines" and query["symbol"] == "BTCUSDT"
        if is_ours and hours(-29) <= int(query.get("startTime", 0)) < now_ms:
            asked.append((line, query))
    assert len(asked) == 3
    with (
        Simulator(
            symbols={"binance": ["BTC/USDT"]},
            updates_per_s=0.0,
            clock_ns=lambda: now_ms * 1_000_000,
            history_days=65,
            trades_a_minute=1,
            outages=[outage],
        ) as simulator,
        connect(simulator, "/ws") as client,
    ):
        for line, query in asked:
            answer = json.loads(client.get(f"{line['path']}?{line['query']}")[2])
            assert [row[0] for row in answer] == [row[0] for row in line["data"]], query
            assert [row[6] for row in answer] == [row[6] for row in line["data"]]
    opens = {row[0] for line, _ in asked for row in line["data"]}
    missing = {hours(28, hour) for hour in (2, 3, 4)}
    assert not missing & opens
    assert {hours(28, 1), hours(28, 5)} <= opens


def test_recorded_pages_of_binance_have_the_same_form() -> None:
    """But for the order of keys, which whoever recorded them has sorted."""
    seen = set()
    for line in recorded_pages():
        market = "spot" if line["path"].startswith("/api/") else "linear"
        name = line["path"].rpartition("/")[2].replace("trades", "historicalTrades")
        form = f"rest.binance.{market}.{name}"
        if form in SHAPES:
            seen.add(form.removeprefix("rest.binance."))
            found, wanted = by_column(parse(json.dumps(line["data"]))), by_column(SHAPES[form])
            assert not differences(sorted_keys(found), sorted_keys(wanted)), line["query"]
    assert seen == {"spot.klines", "linear.klines", "spot.aggTrades", "spot.historicalTrades"}


def recorded_pages() -> list[Any]:
    with gzip.open(recordings.FOLDER / RECORDED, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def sorted_keys(rows: list[dict[Any, Any]]) -> list[dict[Any, Any]]:
    return [dict(sorted(row.items())) for row in rows]
