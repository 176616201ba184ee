"""The latest of each market, found by any spelling; what is returned never changes."""

import gc
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collector.bot.symbol_names import AmbiguousSymbolError
from collector.bot.tick_store import MarketNow, TickStore, Top
from collector.events.bus import EventBus

sys.path.insert(0, str(Path(__file__).parent))
from events import segment, trade, update

if TYPE_CHECKING:
    from collector.bot.tick import Tick


@pytest.fixture
def bus() -> Iterator[EventBus]:
    bus = EventBus()
    bus.start()
    yield bus
    bus.stop()


@pytest.fixture
def ticks(bus: EventBus) -> TickStore:
    store = TickStore(bus)
    store.listen()
    return store


def test_the_latest_top_and_trade_are_kept_and_copies_stay_as_they_were(
    bus: EventBus, ticks: TickStore
) -> None:
    assert ticks.market_now("BTCUSDT") == MarketNow(None, None)
    bus.publish(update(bid=100.0))
    first = ticks.top("BTCUSDT")
    before = ticks.snapshot()
    bus.publish(update(bid=101.0, at_ns=2))
    traded = trade(100.5)
    bus.publish(traded)
    assert first is not None
    assert (first.bid_price, first.bid_size, first.ask_price, first.ask_size) == (100.0, 1.0, 101.0, 2.0)
    assert before == {("bybit", "BTC/USDT:USDT"): MarketNow(first, None)}
    latest = ticks.top("BTCUSDT")
    assert latest == Top("bybit", "BTC/USDT:USDT", "book.50", 101.0, 1.0, 102.0, 2.0, 5, 2)
    assert ticks.trade("BTCUSDT") is traded
    assert ticks.market_now("BTCUSDT") == MarketNow(latest, traded)


@pytest.mark.parametrize(
    "name", ["BTCUSDT", "btcusdt", "btc/usdt", "BTC-USDT", "btc_usdt", "BTC/USDT:USDT", "btc/usdt:usdt"]
)
def test_a_symbol_is_found_in_any_case_or_form(bus: EventBus, ticks: TickStore, name: str) -> None:
    bus.publish(update("BTC/USDT:USDT"))
    bus.publish(update("ETH/USDT:USDT"))
    found = ticks.top(name)
    assert found is not None
    assert found.symbol == "BTC/USDT:USDT"


@pytest.mark.parametrize("name", ["XBT/USD", "xbtusd", "BTC/USD", "btcusd"])
def test_krakens_own_names_are_known(bus: EventBus, ticks: TickStore, name: str) -> None:
    bus.publish(update("BTC/USD", exchange="kraken"))
    assert ticks.top(name) is not None


def test_what_means_several_markets_is_refused_with_the_choices(bus: EventBus, ticks: TickStore) -> None:
    bus.publish(update("BTC/USDT"))
    bus.publish(update("BTC/USDT:USDT"))
    bus.publish(update("BTC/USDT", exchange="binance"))
    with pytest.raises(AmbiguousSymbolError, match="means 2 markets: BTC/USDT on bybit, BTC/USDT on binance"):
        ticks.top("BTC/USDT")
    with pytest.raises(
        AmbiguousSymbolError, match="means 2 markets: BTC/USDT on bybit, BTC/USDT:USDT on bybit"
    ):
        ticks.top("BTCUSDT", "bybit")
    exact = ticks.top("btc/usdt", "bybit")  # ccxt's own name of the spot market
    assert exact is not None
    assert exact.symbol == "BTC/USDT"
    swap = ticks.top("BTC/USDT:USDT")
    assert swap is not None
    assert ticks.top("SOLUSDT") is None


def test_a_top_whose_book_is_no_longer_verified_says_so(bus: EventBus, ticks: TickStore) -> None:
    bus.publish(update())
    bus.publish(segment(verified=False, channel="bbo"))
    assert ticks.snapshot()["bybit", "BTC/USDT:USDT"].top is not None
    live = ticks.top("BTCUSDT")
    assert live is not None
    assert live.live
    bus.publish(segment(verified=False, channel="book.50"))
    stale = ticks.top("BTCUSDT")
    assert stale is not None
    assert (stale.live, stale.bid_price) == (False, 100.0)
    bus.publish(update())
    again = ticks.top("BTCUSDT")
    assert again is not None
    assert again.live


def test_subscribers_are_isolated_from_each_other(bus: EventBus, ticks: TickStore) -> None:
    seen: list[Tick] = []
    stuck, entered = threading.Event(), threading.Event()

    def slow(_tick: object) -> None:
        entered.set()
        stuck.wait(10.0)

    def broken(_tick: object) -> None:
        raise ValueError("mine")

    ticks.subscribe(slow, name="slow", most_waiting=1)
    ticks.subscribe(broken)
    end = ticks.subscribe(seen.append)
    bus.publish(trade())
    assert entered.wait(10.0)
    for price in (101.0, 102.0, 103.0):
        bus.publish(trade(price))
    stuck.set()
    bus.stop()
    assert [one.price for one in seen] == [100.0, 101.0, 102.0, 103.0]
    assert seen[-1] == ticks.get("BTCUSDT")
    slow_delivery, broken_delivery, _ = bus.deliveries()
    assert (slow_delivery.handled, slow_delivery.dropped) == (2, 2)
    assert broken_delivery.failed == 4
    end()


def test_what_is_read_while_others_write_is_whole(bus: EventBus, ticks: TickStore) -> None:
    done = threading.Event()
    bus.publish(update(bid=1.0))

    def write() -> None:
        for number in range(20_000):
            bus.publish(update(bid=float(number), at_ns=number))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        top = ticks.top("BTCUSDT")
        assert top is not None
        assert top.bid_price is not None
        assert top.ask_price == top.bid_price + 1.0
    writer.join()


def test_a_tick_takes_some_two_hundred_bytes() -> None:
    numbers = [(float(number) + 0.25, float(number) + 0.5) for number in range(10_000)]
    gc.collect()
    tracemalloc.start()
    tops = [
        Top(
            "bybit",
            "BTC/USDT",
            "book.50",
            bid * 1.0,
            size * 1.0,
            bid + 1.0,
            size + 1.0,
            n + 10**12,
            n + 10**18,
        )
        for n, (bid, size) in enumerate(numbers)
    ]
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / len(tops) < 280


def test_a_market_of_trades_alone_is_one_market_however_many_come(bus: EventBus, ticks: TickStore) -> None:
    for price in (100.0, 101.0, 102.0):
        bus.publish(trade(price, symbol="BTC/USD", exchange="kraken"))
    latest = ticks.market_now("btcusd").trade
    assert latest is not None
    assert latest.price == 102.0
    bus.publish(update("BTC/USD", exchange="kraken"))
    bus.publish(update("BTC/USD", exchange="kraken"))
    assert ticks.top("btcusd") is not None
