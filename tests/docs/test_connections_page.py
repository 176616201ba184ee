"""How long a stall can hide, as the page says, is what the code waits for."""

import re
from pathlib import Path

import pytest

from collector.exchanges.registry import EXCHANGES
from collector.live.limits import Pace
from collector.live.resync import PATIENCE_S, longest_stall_s

PAGE = Path(__file__).parents[2] / "docs" / "connections.md"
NAMES = {"Binance": "binance", "Bybit": "bybit", "Kraken": "kraken", "OKX": "okx"}
ROW = re.compile(r"^\| (\w+) \|.*\| (\d+) s \| (\d+) s \|$", re.MULTILINE)


def test_the_table_has_every_exchange_with_books_of_its_own() -> None:
    rows = {NAMES[name] for name, *_ in ROW.findall(PAGE.read_text(encoding="utf-8"))}
    assert rows == {name for name, one in EXCHANGES.items() if one.is_verified}


@pytest.mark.parametrize("row", ROW.findall(PAGE.read_text(encoding="utf-8")), ids=lambda row: row[0])
def test_the_times_are_those_of_the_defaults(row: tuple[str, str, str]) -> None:
    name, found_s, at_the_latest_s = row
    pace, exchange = Pace(), EXCHANGES[NAMES[name]]
    stale_after_s = max(pace.stale_after_s, exchange.quiet_after_s or 0.0)
    asks_rest = exchange.check is not None
    assert float(found_s) == stale_after_s + (PATIENCE_S if asks_rest else 0.0)
    assert float(at_the_latest_s) == longest_stall_s(
        stale_after_s,
        rest_timeout_s=pace.markets_timeout_s if asks_rest else None,
        stream_timeout_s=pace.subscribe_timeout_s if exchange.sends_state else None,
    )
