"""Stock ccxt.pro, nobody's subclass, takes the simulator for the exchange: markets, books, trades, bars."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import ccxt.pro as ccxtpro
import pytest

from collector.simulator import Simulator

if TYPE_CHECKING:
    from collector.simulator.market.truth import BookState

MARKETS = [
    ("bybit", "BTC/USDT:USDT", 50),
    pytest.param("bybit", "ETH/USDT", 50, marks=pytest.mark.proof),  # as its swap, at another path
    ("binance", "BTC/USDT:USDT", 1000),
    ("binance", "ETH/USDT", 1000),
    ("kraken", "BTC/USD", 10),
    ("okx", "BTC/USDT:USDT", 400),
    pytest.param("okx", "ETH/USDT", 400, marks=pytest.mark.proof),  # as its swap, but of contracts of 1
]
TIMEOUT_S = 8


def stock(simulator: Simulator, name: str) -> Any:
    """Build ccxt's own class, with nothing but the addresses changed."""
    rest, ws = simulator.endpoints(name)["rest"], simulator.endpoints(name)["ws"]
    urls = {
        "bybit": {
            "public": rest,
            "ws": {
                "public": {each: f"{ws}/v5/public/{each}" for each in ("spot", "linear", "inverse", "option")}
            },
        },
        "binance": {
            "public": f"{rest}/api/v3",
            "fapiPublic": f"{rest}/fapi/v1",
            "dapiPublic": f"{rest}/dapi/v1",
            "ws": {"spot": f"{ws}/stream/ws", "linear": f"{ws}/fut/ws"},
        },
        "kraken": {"public": rest, "ws": {"publicV2": f"{ws}/kraken/v2"}},
        "okx": {"rest": rest, "ws": f"{ws}/okx/ws/v5"},
    }
    options = {"fetchMarkets": {"types": ["spot", "linear"]}} if name in {"bybit", "binance"} else {}
    return getattr(ccxtpro, name)({"urls": {"api": urls[name]}, "options": options, "enableRateLimit": False})


def levels(side: Any, contract: float) -> tuple[tuple[float, float], ...]:
    return tuple((level[0], in_base(level[1], contract)) for level in side)


def shows(book: Any, state: BookState, contract: float) -> bool:
    return (levels(book["bids"], contract), levels(book["asks"], contract)) == (state.bids, state.asks)


def in_base(amount: float, contract: float) -> float:
    """Turn contracts, in which ccxt counts sizes of swaps, into the base, as exactly as the truth is."""
    return round(amount * contract, 10)


def contract_of(exchange: Any, symbol: str) -> float:
    return float(exchange.market(symbol)["contractSize"] or 1) if exchange.id == "okx" else 1.0


@pytest.mark.parametrize(("name", "symbol", "depth"), MARKETS)
def test_book_trades_and_bars_equal_the_truth(name: str, symbol: str, depth: int) -> None:
    with Simulator(symbols={name: [symbol]}, updates_per_s=200.0) as simulator:
        asyncio.run(_follow(simulator, name, symbol, depth))


async def _follow(simulator: Simulator, name: str, symbol: str, depth: int) -> None:
    exchange = stock(simulator, name)
    try:
        both = (
            {"BTC/USD"}
            if name == "kraken"
            else {symbol.partition(":")[0], symbol.partition(":")[0] + ":USDT"}
        )
        assert set(await exchange.load_markets()) == both
        assert exchange.market(symbol)["swap"] == (":" in symbol)
        await asyncio.wait_for(exchange.watch_order_book(symbol), TIMEOUT_S)
        await asyncio.wait_for(exchange.watch_trades(symbol), TIMEOUT_S)
        await asyncio.wait_for(exchange.watch_ohlcv(symbol, "1m"), TIMEOUT_S)
        simulator.pause()
        await _publish(simulator, 300)
        await _settle(exchange, simulator, name, symbol, depth)
        await _pass_a_minute(simulator, is_pinged=name == "binance" and ":" not in symbol)
        await _publish(simulator, 60)
        await _settle(exchange, simulator, name, symbol, depth)
        contract = contract_of(exchange, symbol)
        _check_trades(exchange.trades[symbol], simulator, name, symbol, contract)
        _check_bars(exchange.ohlcvs[symbol]["1m"], simulator, name, symbol)
    finally:
        await exchange.close()


async def _pass_a_minute(simulator: Simulator, *, is_pinged: bool) -> None:
    """Set the clock on by half a minute twice: Binance spot ends whoever answers no ping for a whole one."""
    for offset_s in (30.0, 60.0):
        jumped_ns = time.time_ns() + int(offset_s * 1e9)
        await asyncio.to_thread(simulator.faults.clock, offset_s)
        async with asyncio.timeout(TIMEOUT_S):
            while is_pinged and any(  # noqa: ASYNC110  (there is nothing to be woken by)
                connection.last_pong_ns < jumped_ns
                for connection in await asyncio.to_thread(simulator.connections)
            ):
                await asyncio.sleep(0.01)


async def _publish(simulator: Simulator, count: int) -> None:
    await asyncio.to_thread(simulator.publish, count)


async def _settle(exchange: Any, simulator: Simulator, name: str, symbol: str, depth: int) -> None:
    """Wait until all that ccxt holds has come as far as the truth: it tells nobody of the last changes."""
    book = simulator.truth.books(name, symbol, f"book.{depth}")[-1]
    trade = simulator.truth.trades(name, symbol)[-1]
    bar = [bar for bar in simulator.truth.bars(name, symbol) if bar.count][-1]
    async with asyncio.timeout(TIMEOUT_S):
        while not (  # noqa: ASYNC110  (there is nothing to be woken by)
            shows(exchange.orderbooks[symbol], book, contract_of(exchange, symbol))
            and exchange.trades[symbol][-1]["id"] == trade.trade_id
            and (exchange.ohlcvs[symbol]["1m"][-1][0], exchange.ohlcvs[symbol]["1m"][-1][5])
            == (bar.open_ms, bar.volume)
        ):
            await asyncio.sleep(0.01)


def _check_trades(got: Any, simulator: Simulator, name: str, symbol: str, contract: float) -> None:
    truth = {trade.trade_id: trade for trade in simulator.truth.trades(name, symbol)}
    live = [trade for trade in got if trade["id"] in truth]
    assert len(live) > 100
    for trade in live:
        true = truth[trade["id"]]
        assert (trade["price"], trade["side"]) == (true.price, true.side)
        assert in_base(trade["amount"], contract) == true.size
        assert trade["timestamp"] == true.exchange_ms
    assert [trade["id"] for trade in live] == list(truth)[-len(live) :]


def _check_bars(got: Any, simulator: Simulator, name: str, symbol: str) -> None:
    truth = {bar.open_ms: bar for bar in simulator.truth.bars(name, symbol, "ohlcv.1m")}
    shared = [row for row in got if row[0] in truth]
    assert len(shared) >= 2
    for open_ms, *numbers in shared:
        bar = truth[open_ms]
        assert numbers == [bar.open, bar.high, bar.low, bar.close, bar.volume]
    assert truth[shared[-2][0]].confirmed
    assert not truth[shared[-1][0]].confirmed


@pytest.mark.parametrize(("name", "symbol", "depth"), MARKETS)
def test_rest_answers_are_understood(name: str, symbol: str, depth: int) -> None:
    del depth
    with Simulator(symbols={name: [symbol]}, updates_per_s=0.0) as simulator:
        simulator.publish(200)
        asyncio.run(_ask(simulator, name, symbol))


async def _ask(simulator: Simulator, name: str, symbol: str) -> None:
    exchange = stock(simulator, name)
    try:
        await exchange.load_markets()
        book = await exchange.fetch_order_book(symbol, 20)
        contract = contract_of(exchange, symbol)
        assert shows(book, simulator.truth.books(name, symbol, "book.20")[-1], contract)
        live = simulator.truth.trades(name, symbol)
        trades = await exchange.fetch_trades(symbol, limit=50)
        if name != "binance":  # there ccxt asks for aggregates, which have ids of their own
            assert [trade["id"] for trade in trades] == [trade.trade_id for trade in live[-50:]]
        assert trades[-1]["price"] == live[-1].price
        bars = await exchange.fetch_ohlcv(symbol, "5m", limit=100)
        assert len(bars) == 100
        assert [after[0] - before[0] for before, after in pairwise(bars)] == [300_000] * 99
        assert bars[-1][4] == live[-1].price
        paged = await _page(exchange, symbol, bars[0][0])
        assert [row[0] for row in paged] == [row[0] for row in bars]
        assert paged[:-1] == bars[:-1]
    finally:
        await exchange.close()


async def _page(exchange: Any, symbol: str, since_ms: int) -> list[list[float]]:
    """Back-fill as a collector does: page by page, from a start until nothing new comes."""
    rows: dict[int, list[float]] = {}
    while True:
        page = await exchange.fetch_ohlcv(symbol, "5m", since=since_ms, limit=30)
        if not page or page[-1][0] in rows:
            return list(rows.values())
        rows.update({row[0]: row for row in page})
        since_ms = page[-1][0] + 1
