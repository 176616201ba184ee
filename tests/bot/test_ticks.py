"""A tick of any trade, and a store of ticks by itself."""

import dataclasses
import json
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from collector.bot.symbol_names import AmbiguousSymbolError
from collector.bot.tick import Tick
from collector.bot.tick_store import TickStore
from collector.errors import TickError, UserError
from collector.events.bus import EventBus

sys.path.insert(0, str(Path(__file__).parent))
from events import trade

AT = datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)
AT_MS = 1_767_323_045_678
TRADE = {
    "e": "trade",
    "E": AT_MS + 1,
    "s": "BTCUSDT",
    "t": 17,
    "p": "100.5",
    "q": "0.25",
    "T": AT_MS,
    "m": True,
}
AGGREGATE = {
    "e": "aggTrade",
    "E": AT_MS,
    "s": "BTCUSDT",
    "a": 9,
    "p": "100.5",
    "q": "0.25",
    "f": 1,
    "l": 2,
    "T": AT_MS,
}


def tick(price: float = 1.0, symbol: str = "BTCUSDT", exchange: str = "") -> Tick:
    return Tick(symbol, price, 2.0, AT, "7", exchange)


@pytest.mark.parametrize("exchange", ["bybit", "binance", "kraken", "okx"])
def test_a_tick_is_built_of_a_trade_of_any_exchange(exchange: str) -> None:
    built = Tick.from_trade(trade(100.5, AT_MS, size=0.25, symbol="BTC/USDT", exchange=exchange))
    assert built == Tick("BTC/USDT", 100.5, 0.25, AT, "1", exchange)
    assert built.timestamp.tzinfo is UTC


def test_a_trade_without_the_exchanges_time_has_that_of_its_receipt() -> None:
    built = Tick.from_trade(trade(at_ms=None, received_at_ns=AT_MS * 1_000_000))
    assert built.timestamp == AT


@pytest.mark.parametrize(
    ("message", "trade_id"),
    [
        (TRADE, "17"),
        (AGGREGATE, "9"),
        ({**TRADE, "a": 5, "b": 6}, "17"),  # as it was once: the ids of both orders
        ({"stream": "btcusdt@trade", "data": TRADE}, "17"),
        (json.dumps(AGGREGATE), "9"),
        (json.dumps(TRADE).encode(), "17"),
        ({**TRADE, "T": AT_MS * 1000}, "17"),  # a stream that was asked for microseconds
        ({key: TRADE[key] for key in ("t", "p", "q", "T")}, "17"),
        ({key: AGGREGATE[key] for key in ("a", "p", "q", "T")}, "9"),
    ],
)
def test_a_tick_is_built_of_a_raw_message_of_binance(message: Any, trade_id: str) -> None:
    built = Tick.from_binance_message("BTC/USDT", message)
    assert built == Tick("BTC/USDT", 100.5, 0.25, AT, trade_id, "binance")


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (None, "found None, expected a trade or aggTrade message: Expected `object`"),
        ([TRADE], "expected a trade or aggTrade message: Expected `object`, got `array`"),
        ("{", "Input data was truncated"),
        (b"\xff", "malformed"),
        ("[" * 100_000, "recursion"),
        ({}, "missing required field `p`"),
        ({**TRADE, "e": "kline"}, "found {'e': 'kline'"),
        ({**TRADE, "e": "kline"}, "'kline' - at `$.e`"),
        ({**TRADE, "e": ["trade"]}, "`array` - at `$.e`"),
        ({**TRADE, "s": "ETHUSDT"}, "symbol: found a message of 'ETHUSDT', expected one of BTC/USDT"),
        ({**TRADE, "s": 5}, "`int` - at `$.s`"),
        ({**TRADE, "t": None}, "no id of a trade at `$.t`"),
        ({**TRADE, "t": True}, "`bool` - at `$.t`"),
        ({**AGGREGATE, "a": ""}, "no id of a trade at `$.a`"),
        ({**TRADE, "p": "word"}, "at `$.p`"),
        ({**TRADE, "p": True}, "`bool` - at `$.p`"),
        ({**TRADE, "p": "NaN"}, "price: found nan, expected a number above 0"),
        ({**TRADE, "p": "0"}, "price: found 0.0, expected a number above 0"),
        ({**TRADE, "p": "1e999"}, "p"),
        ({**TRADE, "q": None}, "`null` - at `$.q`"),
        ({**TRADE, "q": "-1"}, "quantity: found -1.0, expected a number above 0"),
        ({**TRADE, "q": 10**400}, "q"),
        ({**TRADE, "T": "now"}, "at `$.T`"),
        ({**TRADE, "T": -1}, "-1 is no time of a trade - at `$.T`"),
        ({**TRADE, "T": 10**17}, "is no time of a trade - at `$.T`"),
        ({**TRADE, "T": 10**30}, "at `$.T`"),
    ],
)
def test_what_is_no_trade_of_binance_is_refused_with_what_was_expected(message: Any, text: str) -> None:
    with pytest.raises(TickError) as refused:
        Tick.from_binance_message("BTC/USDT", message)
    assert text in str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("symbol", "name"),
    [("BTC/USD:BTC", "BTCUSD_PERP"), ("btcusdt", "BTCUSDT"), ("BTC/USDT:USDT-261225", "BTCUSDT_261225")],
)
def test_a_message_is_of_the_market_whatever_its_name_ends_with(symbol: str, name: str) -> None:
    assert Tick.from_binance_message(symbol, {**TRADE, "s": name}).symbol == symbol


@pytest.mark.parametrize(
    "changes",
    [
        {"symbol": ""},
        {"price": 0.0},
        {"price": float("nan")},
        {"price": "1"},
        {"quantity": float("inf")},
        {"quantity": True},
        {"timestamp": datetime(2026, 1, 1)},  # noqa: DTZ001  (which is the point)
        {"timestamp": 5},
    ],
)
def test_a_tick_that_cannot_be_is_refused_by_the_name_of_its_field(changes: dict[str, Any]) -> None:
    with pytest.raises(TickError, match=f"^{next(iter(changes))}: found .*, expected "):
        dataclasses.replace(tick(), **changes)
    assert issubclass(TickError, UserError)
    assert issubclass(TickError, ValueError)


def test_a_tick_is_frozen_and_its_time_is_utc() -> None:
    east = datetime(2026, 1, 2, 5, 4, 5, 678_000, timezone(timedelta(hours=2)))
    made = Tick("BTCUSDT", 1, 2, east, "7")
    assert (made.timestamp, made.timestamp.tzinfo) == (AT, UTC)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.price = 2.0  # type: ignore[misc]


def test_a_store_alone_keeps_the_latest_and_gives_copies() -> None:
    store = TickStore()
    assert store.get("BTCUSDT") is None
    assert store.get_all() == {}
    store.update(tick(1.0))
    store.update(tick(2.0, "ETHUSDT"))
    before = store.get_all()
    before["XRPUSDT"] = tick()
    store.update(tick(3.0))
    assert store.get("BTCUSDT") == store.get("btc-usdt") == tick(3.0)
    assert store.get_all() == {"BTCUSDT": tick(3.0), "ETHUSDT": tick(2.0, "ETHUSDT")}
    assert before["BTCUSDT"] == tick(1.0)
    with pytest.raises(TickError, match="found dict, expected a Tick"):
        store.update({"price": 1})  # type: ignore[arg-type]


def test_a_store_of_two_exchanges_gives_the_latest_of_a_symbol_or_that_of_one() -> None:
    store = TickStore()
    store.update(tick(1.0, "BTC/USDT", "okx"))
    store.update(tick(2.0, "BTC/USDT", "bybit"))
    store.update(tick(3.0, "BTC/USDT", "okx"))
    assert store.get_all()["BTC/USDT"].price == 3.0
    assert store.get_all("bybit")["BTC/USDT"].price == 2.0
    found = store.get("btcusdt", "okx")
    assert found is not None
    assert found.price == 3.0
    with pytest.raises(AmbiguousSymbolError):
        store.get("BTC/USDT")


def test_subscribers_of_a_store_alone_are_called_at_once_and_one_that_raises_harms_no_other() -> None:
    store, seen = TickStore(), list[Tick]()

    def broken(_tick: Tick) -> None:
        raise RuntimeError("mine")

    store.subscribe(broken)
    end = store.subscribe(seen.append)
    store.update(tick(1.0))
    assert seen == [tick(1.0)]
    end()
    store.update(tick(2.0))
    assert seen == [tick(1.0)]


def test_an_async_subscriber_of_a_store_alone_runs_until_it_is_ended() -> None:
    store, came = TickStore(), threading.Event()

    async def keep(_tick: Tick) -> None:
        came.set()

    end = store.subscribe(keep)
    store.update(tick())
    assert came.wait(10.0)
    end()
    assert [one.name for one in threading.enumerate() if "keep" in one.name] == []


def test_a_store_alone_takes_ticks_of_many_threads_whole() -> None:
    store, counted = TickStore(), list[Tick]()
    store.subscribe(counted.append)

    def write(number: int) -> None:
        for price in range(1, 501):
            store.update(tick(float(price), f"M{number}USDT"))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert all(one.symbol == symbol for symbol, one in store.get_all().items())
    for thread in threads:
        thread.join()
    assert len(counted) == 2000
    assert {one.price for one in store.get_all().values()} == {500.0}


def test_a_store_on_a_bus_has_ticks_of_its_trades_and_those_it_is_given() -> None:
    bus, seen = EventBus(), list[Tick]()
    store = TickStore(bus)
    store.listen()
    store.subscribe(seen.append)
    bus.start()
    bus.publish(trade(100.5, AT_MS, size=0.25))
    bus.publish(trade(99.0, AT_MS, marked="liquidation"))
    built = Tick("BTC/USDT:USDT", 100.5, 0.25, AT, "1", "bybit")
    assert store.get("btcusdt") == built
    given = dataclasses.replace(built, price=101.0)
    store.update(given)
    bus.stop()
    assert store.get_all() == {"BTC/USDT:USDT": given}
    assert seen == [built, given]
    marked = store.trade("btcusdt")
    assert marked is not None
    assert marked.marked == "liquidation"
