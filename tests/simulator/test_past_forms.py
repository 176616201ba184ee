"""REST's past has the documented form, and is found whole by whoever asks for it as the facts say."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ccxt.async_support as ccxt_async
import pytest

from collector.exchanges.registry import EXCHANGES
from collector.simulator import Outage, Simulator

sys.path.insert(0, str(Path(__file__).parents[1] / "frames"))
from shapes import SHAPES, by_column, differences, parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from collector.exchanges.exchange import Bound, Past
    from tests.simulator.conftest import Client

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
NOW_MS = 1_790_000_000_000
START_MS, END_MS = NOW_MS - 6 * HOUR_MS, NOW_MS - HOUR_MS
OUTAGE_MS = (NOW_MS - 3 * HOUR_MS) // MINUTE_MS * MINUTE_MS, (NOW_MS - 2 * HOUR_MS) // MINUTE_MS * MINUTE_MS
SPOT, SWAP, USD = "BTC/USDT", "BTC/USDT:USDT", "BTC/USD"
PLACES = [
    ("bybit", "spot", SPOT),
    ("bybit", "linear", SWAP),
    ("binance", "spot", SPOT),
    ("binance", "linear", SWAP),
    ("kraken", "spot", USD),
    ("okx", "spot", SPOT),
    ("okx", "linear", SWAP),
]
# The swaps of Bybit and OKX are asked for as their spot markets are, by another name.
FEWER_PLACES = [
    pytest.param(*place, marks=pytest.mark.proof)
    if place in (("bybit", "linear", SWAP), ("okx", "linear", SWAP))
    else place
    for place in PLACES
]
SYMBOLS = {name: [symbol for each, _, symbol in PLACES if each == name] for name, _, _ in PLACES}
FORMS = {
    "rest.binance.spot.historicalTrades": "/api/v3/historicalTrades?symbol=BTCUSDT&limit=3",
    "rest.binance.linear.historicalTrades": "/fapi/v1/historicalTrades?symbol=BTCUSDT&limit=3",
    "rest.binance.spot.aggTrades": "/api/v3/aggTrades?symbol=BTCUSDT&limit=3",
    "rest.binance.linear.aggTrades": "/fapi/v1/aggTrades?symbol=BTCUSDT&limit=3",
    "rest.binance.spot.klines": "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=3",
    "rest.binance.linear.klines": "/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=3",
    "rest.bybit.kline": "/v5/market/kline?category=linear&symbol=BTCUSDT&interval=1&limit=3",
    "rest.bybit.recent-trade": "/v5/market/recent-trade?category=linear&symbol=BTCUSDT&limit=3",
    "rest.kraken.Trades": "/0/public/Trades?pair=XBTUSD&count=3",
    "rest.kraken.OHLC": "/0/public/OHLC?pair=XBTUSD&interval=1",
    "rest.okx.history-trades": "/api/v5/market/history-trades?instId=BTC-USDT&limit=3",
    "rest.okx.history-candles": "/api/v5/market/history-candles?instId=BTC-USDT&bar=1m&limit=3",
}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(
        symbols=SYMBOLS,
        updates_per_s=0.0,
        clock_ns=lambda: NOW_MS * 1_000_000,
        trades_a_minute=5,
        outages=[Outage(name, *OUTAGE_MS) for name in SYMBOLS],
    ) as running:
        for name in SYMBOLS:  # the clock stands still: no window ever ends
            running.faults.rest_allowance(name, 1_000_000)
        running.publish(60)
        yield running


@pytest.mark.parametrize("form", FORMS)
def test_a_page_has_the_documented_form(simulator: Simulator, connect: type[Client], form: str) -> None:
    with connect(simulator, "/kraken/v2") as client:
        status, _, body = client.get(FORMS[form], headers={"X-MBX-APIKEY": "any"})
    assert status == 200
    assert not differences(by_column(parse(body)), by_column(SHAPES[form]))


async def opened(simulator: Simulator, name: str) -> AsyncIterator[Any]:
    """Open ccxt's own class, with nothing but the addresses changed, and a key."""
    rest = simulator.endpoints(name)["rest"]
    urls = {
        "binance": {
            "public": f"{rest}/api/v3",
            "fapiPublic": f"{rest}/fapi/v1",
            "dapiPublic": f"{rest}/dapi/v1",
        },
        "okx": {"rest": rest},
    }.get(name, {"public": rest})
    options = {"fetchMarkets": {"types": ["spot", "linear"]}} if name in {"bybit", "binance"} else {}
    config = {"urls": {"api": urls}, "options": options, "enableRateLimit": False, "apiKey": "any"}
    exchange = getattr(ccxt_async, name)(config)
    try:
        await exchange.load_markets()
        yield exchange
    finally:
        await exchange.close()


def named(exchange: Any, symbol: str) -> dict[str, str]:
    """Name a market, and bars of a minute, as the exchange does."""
    market = exchange.market(symbol)
    return {
        "binance": {"symbol": market["id"], "interval": "1m"},
        "bybit": {
            "category": "linear" if market["linear"] else "spot",
            "symbol": market["id"],
            "interval": "1",
        },
        "kraken": {"pair": market["id"], "interval": "1"},
        "okx": {"instId": market["id"], "bar": "1m"},
    }[exchange.id]


def rows_of(answer: Any, *, newest_first: bool) -> list[Any]:
    """Find the rows in an answer, and put them the oldest first."""
    if isinstance(answer, dict):
        answer = answer.get("data") or answer["result"]
        if isinstance(answer, dict):
            answer = next(value for value in answer.values() if isinstance(value, list))
    return answer[::-1] if newest_first else answer


def bound(of: Bound, value: int) -> dict[str, str]:
    """Ask for rows from a value on (or up to it), it included."""
    return {of.name: str(value)} | dict([of.also] if of.also else [])


def bar_times(name: str, rows: list[Any]) -> list[int]:
    return [int(row[0]) * (1000 if name == "kraken" else 1) for row in rows]


@pytest.mark.parametrize(("name", "kind", "symbol"), FEWER_PLACES)
def test_bars_asked_for_as_the_facts_say_are_the_true_ones(
    simulator: Simulator, name: str, kind: Any, symbol: str
) -> None:
    history = EXCHANGES[name].history
    assert history is not None
    times = asyncio.run(_bars(simulator, name, symbol, history.bars[kind]))
    start_ms = NOW_MS - 720 * MINUTE_MS if name == "kraken" else START_MS
    true = simulator.truth.bars_between(name, symbol, "ohlcv.1m", start_ms, END_MS)
    assert [at_ms for at_ms in times if at_ms < END_MS] == [bar.open_ms for bar in true]
    assert len(times) == len(set(times))


async def _bars(simulator: Simulator, name: str, symbol: str, past: Past) -> list[int]:
    """Walk from START to END in windows of as many bars as an answer holds, here a few."""
    found: list[int] = []
    async for exchange in opened(simulator, name):
        call, base = getattr(exchange, past.ccxt_method), named(exchange, symbol)
        if past.paging is None:
            return bar_times(name, rows_of(await call(base), newest_first=past.newest_first))
        assert past.since is not None
        assert past.until is not None
        rows, at_ms = 100, -(-START_MS // MINUTE_MS) * MINUTE_MS
        while at_ms < END_MS:
            last_ms = at_ms + (rows - 1) * MINUTE_MS
            asked = base | {past.limit or "": str(rows)}
            asked |= bound(past.since, at_ms - (not past.since.includes))
            asked |= bound(past.until, last_ms + (not past.until.includes))
            found += bar_times(name, rows_of(await call(asked), newest_first=past.newest_first))
            at_ms = last_ms + MINUTE_MS
    return found


@pytest.mark.parametrize(
    ("name", "kind", "symbol", "what"),
    [
        *((*place, "trades") for place in PLACES),
        ("binance", "spot", SPOT, "single_trades"),
        ("binance", "linear", SWAP, "single_trades"),
    ],
)
def test_trades_asked_for_as_the_facts_say_are_the_true_ones(
    simulator: Simulator, name: str, kind: Any, symbol: str, what: str
) -> None:
    past: Past = getattr(EXCHANGES[name].history, what)[kind]
    truth = simulator.truth
    if past.id_kind == "agg":
        true = [each.trade.trade_id for each in truth.aggregates_between(name, symbol, START_MS, NOW_MS + 1)]
    else:
        true = [each.trade_id for each in truth.trades_between(name, symbol, START_MS, NOW_MS + 1)]
    if past.newest_rows is not None:
        true = true[-past.newest_rows :]
    assert len(true) > 50
    found = asyncio.run(_trades(simulator, name, symbol, past, true[0]))
    assert found == true


ID_OF: dict[str, Callable[[Any], str]] = {
    "binance": lambda row: str(row.get("id", row.get("a"))),
    "bybit": lambda row: row["execId"],
    "kraken": lambda row: str(row[6]),
    "okx": lambda row: row["tradeId"],
}


async def _trades(simulator: Simulator, name: str, symbol: str, past: Past, first_id: str) -> list[str]:
    """Walk from an id, or from START, until now, or back from now to that id."""
    found: list[str] = []
    async for exchange in opened(simulator, name):
        base = named(exchange, symbol) | {past.limit or "": "100" if past.paging else str(past.rows)}
        call = getattr(exchange, past.ccxt_method)
        at = int(first_id) if past.paging == "id" else START_MS * 1_000_000 - 1
        ask = past.from_id or past.since
        if past.to_id is not None:
            at, ask = 10**18, past.to_id
        for _ in range(100):  # enough for a walk that ends
            answer = await call(base | (bound(ask, at) if ask else {}))
            page = [ID_OF[name](row) for row in rows_of(answer, newest_first=past.newest_first)]
            found = page + found if past.newest_first else found + page
            if not page or not past.paging or first_id in page[1:]:
                break
            next_id = int(page[0]) if past.newest_first else int(page[-1]) + 1
            at = int(answer["result"]["last"]) if name == "kraken" else next_id
    return found[found.index(first_id) :]


@pytest.mark.parametrize(("name", "kind", "symbol"), FEWER_PLACES)
def test_ccxts_own_words_for_it_bring_the_same(
    simulator: Simulator, name: str, kind: Any, symbol: str
) -> None:
    del kind
    bars, trades = asyncio.run(_unified(simulator, name, symbol))
    start_ms, end_ms = bars[0][0], bars[-1][0] + 1
    true = simulator.truth.bars_between(name, symbol, "ohlcv.1m", start_ms, end_ms)
    assert start_ms == -(-START_MS // MINUTE_MS) * MINUTE_MS
    assert [row[:5] for row in bars] == [
        [each.open_ms, each.open, each.high, each.low, each.close] for each in true
    ]
    assert trades == [each.price for each in simulator.truth.trades_between(name, symbol, 0, NOW_MS + 1)][-5:]


async def _unified(simulator: Simulator, name: str, symbol: str) -> tuple[list[Any], list[float]]:
    async for exchange in opened(simulator, name):
        if name == "binance":
            method = "fapiPublicGetHistoricalTrades" if ":" in symbol else "publicGetHistoricalTrades"
            exchange.options["fetchTradesMethod"] = method
        if name == "okx":
            exchange.options["fetchTrades"] = {"method": "publicGetMarketHistoryTrades"}
            exchange.milliseconds = lambda: NOW_MS
        bars = await exchange.fetch_ohlcv(symbol, "1m", since=START_MS, limit=90)
        trades = await exchange.fetch_trades(symbol, limit=5)
        return bars, [trade["price"] for trade in trades]
    raise AssertionError("never")
