"""Real answers of Binance, and the real hole in them: three bars of an hour on 2020-06-28."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collector.backfilling.pages import Lack, Portion
from collector.backfilling.plan import Wanted, make_plan
from collector.backfilling.walk_bars import walk_bars
from collector.events.batch import StreamKey
from collector.exchanges.binance.history import read_page
from collector.exchanges.exchange import RestSnapshot
from collector.exchanges.registry import EXCHANGES

RECORDED = Path("../shared/data/binance/thrasher-corp-gocryptotrader/binance_rest_public.jsonl.gz")
HOUR_MS = 3_600_000
NOW_MS = 1_790_000_000_000

pytestmark = pytest.mark.skipif(not RECORDED.is_file(), reason=f"{RECORDED} is not there")


def answers(path: str, *words: str) -> Iterator[Any]:
    with gzip.open(RECORDED) as lines:
        for one in map(json.loads, lines):
            if one["path"] == path and all(word in one["query"] for word in words):
                yield one["data"]


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def walked(walk: Any, read: Any) -> list[Portion]:
    """Walk with what was recorded in the place of the exchange."""
    portions: list[Portion] = []
    step = next(walk)
    while True:
        try:
            if isinstance(step, RestSnapshot):
                step = walk.send(read(step.params))
            else:
                portions.append(step)
                step = next(walk)
        except StopIteration:
            return portions


def test_the_real_hole_in_bars_is_a_lack() -> None:
    start_ms, end_ms = ms("2020-06-11T14:00"), ms("2020-07-01T03:00")
    key = StreamKey("binance", "BTC/USDT", "ohlcv.1h")
    (stretch,) = make_plan([Wanted(key, "spot", "BTCUSDT")], start_ms, end_ms, NOW_MS).stretches
    (page,) = answers("/api/v3/klines", "interval=1h", "startTime=1591880400000")

    def read(params: dict[str, str]) -> Any:
        assert params["symbol"] == "BTCUSDT"
        assert int(params["startTime"]) >= start_ms
        return read_page(json.dumps(page), key.channel, stretch.past)

    (portion,) = walked(walk_bars(stretch, NOW_MS), read)
    before, lack, after = portion.parts
    assert isinstance(lack, Lack)
    assert (lack.start_ms, lack.end_ms) == (ms("2020-06-28T02:00"), ms("2020-06-28T05:00"))
    assert lack.text == "the exchange has none of 3 bars"
    assert len(before) + len(after) == (end_ms - start_ms) // HOUR_MS - 3
    assert portion.until_ms == end_ms


def test_real_aggregates_follow_each_other() -> None:
    pages = {int(page[0]["a"]): page for page in answers("/api/v3/aggTrades", "symbol=BTCUSDT") if page}
    history = EXCHANGES["binance"].history
    assert history is not None
    for first, page in pages.items():
        trades = read_page(json.dumps(page), "trade", history.trades["spot"]).trades
        assert [one.number for one in trades] == list(range(first, first + len(trades)))
        assert all(one.kind == "agg" and one.past for one in trades)


def test_real_single_trades_are_read() -> None:
    (page,) = answers("/api/v3/trades", "symbol=ETHBTC")
    history = EXCHANGES["binance"].history
    assert history is not None
    trades = read_page(json.dumps(page), "trade", history.single_trades["spot"]).trades
    assert len(trades) == 1000
    first = trades[0]
    assert (first.number, first.price, first.size, first.exchange_ms) == (
        409018748,
        0.064362,
        0.0158,
        1679280337591,
    )


def test_a_bar_that_is_not_over_is_not_covered() -> None:
    key = StreamKey("binance", "BTC/USDT", "ohlcv.1h")
    start_ms = ms("2020-06-11T14:00")
    (stretch,) = make_plan(
        [Wanted(key, "spot", "BTCUSDT")], start_ms, start_ms + 9 * HOUR_MS, NOW_MS
    ).stretches
    (page,) = answers("/api/v3/klines", "interval=1h", "startTime=1591880400000")

    def read(_params: dict[str, str]) -> Any:
        return read_page(json.dumps(page[:9]), key.channel, stretch.past)

    (portion,) = walked(walk_bars(stretch, start_ms + 5 * HOUR_MS + 1), read)
    assert portion.until_ms == start_ms + 5 * HOUR_MS
    assert [one.open_ms for one in portion.parts[0]] == [start_ms + n * HOUR_MS for n in range(5)]  # type: ignore[union-attr]
