"""Bars from trades: opened, changed, closed; never invented, and honest about what was missed."""

import sys
import threading
import time
from pathlib import Path

import pytest

from collector.bot.live_bars import Bar, LiveBars, interval_ms, start_of
from collector.errors import UserError
from collector.events.bus import EventBus

sys.path.insert(0, str(Path(__file__).parent))
from events import segment, trade


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Rig:
    def __init__(self, interval: str = "1s", symbol: str | None = None) -> None:
        self.clock = Clock()
        self.bars = LiveBars(interval, symbol=symbol, now_s=self.clock)
        self.told: list[tuple[str, Bar]] = []
        self.bars.on_open(lambda bar: self.told.append(("open", bar)))
        self.bars.on_change(lambda bar: self.told.append(("change", bar)))
        self.bars.on_close(lambda bar: self.told.append(("close", bar)))
        self.bars.on_correction(lambda bar: self.told.append(("correction", bar)))

    @property
    def moments(self) -> list[str]:
        return [moment for moment, _ in self.told]

    @property
    def closed(self) -> list[Bar]:
        return [bar for moment, bar in self.told if moment == "close"]


def shape(bar: Bar) -> tuple[object, ...]:
    return bar.open_ms, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.vwap, bar.count


def test_a_bar_is_opened_changed_and_closed_by_trades() -> None:
    rig = Rig()
    for price, at_ms, size in ((10.0, 1000, 1.0), (12.0, 1400, 2.0), (9.0, 1999, 1.0), (11.0, 2000, 1.0)):
        rig.bars.take(trade(price, at_ms, size=size))
    assert rig.moments == ["open", "change", "change", "change", "close", "open", "change"]
    assert [bar.confirmed for moment, bar in rig.told if moment != "close"] == [False] * 6
    (closed,) = rig.closed
    assert shape(closed) == (1000, 10.0, 12.0, 9.0, 9.0, 4.0, 43.0 / 4.0, 3)
    assert (closed.confirmed, closed.interval, closed.symbol) == (True, "1s", "BTC/USDT:USDT")
    now = rig.bars.bar("bybit", "BTC/USDT:USDT")
    assert now is not None
    assert shape(now) == (2000, 11.0, 11.0, 11.0, 11.0, 1.0, 11.0, 1)
    assert not now.confirmed


def test_a_bar_is_over_when_its_time_is_up_and_a_little_more() -> None:
    rig = Rig()
    rig.clock.now_s = 1.2
    rig.bars.take(trade(10.0, 1000))
    assert rig.bars.due_in_s() == pytest.approx(1.3)
    rig.clock.now_s = 2.49
    rig.bars.ring()
    assert rig.closed == []
    rig.clock.now_s = 2.5
    rig.bars.ring()
    assert [bar.open_ms for bar in rig.closed] == [1000]
    assert rig.bars.due_in_s() is None
    assert rig.bars.bar("bybit", "BTC/USDT:USDT") is None
    rig.bars.take(trade(99.0, 1999))  # too late for it
    assert rig.bars.late == 1
    assert len(rig.closed) == 1
    assert rig.moments[-1] == "correction"


@pytest.mark.parametrize("ahead_s", [0.0, 0.6, 1.0, 20.0])
def test_bars_wait_for_their_trades_where_our_clock_is_ahead(ahead_s: float) -> None:
    """Trades are placed by the exchange's clock; the lag that is measured says how long ours must wait."""
    rig = Rig()
    for at_ms in range(1000, 6100, 100):
        rig.clock.now_s = at_ms / 1000 + ahead_s
        rig.bars.ring()
        rig.bars.take(trade(10.0, at_ms, received_at_ns=int(rig.clock.now_s * 1e9)))
    assert [(bar.count, bar.complete) for bar in rig.closed] == [(10, False), *[(10, True)] * 4]
    assert rig.bars.late == 0


def test_a_bar_of_a_quiet_market_is_not_waited_for_much_longer_than_trades_lag() -> None:
    rig = Rig()
    for at_ms in range(0, 100_000, 1000):
        rig.clock.now_s = at_ms / 1000 + (3.0 if at_ms == 0 else 0.4)
        rig.bars.take(trade(10.0, at_ms, received_at_ns=int(rig.clock.now_s * 1e9)))
    assert rig.bars.due_in_s() == pytest.approx(1.0 + 2 * 0.4 - 0.4, abs=0.1)


def test_what_is_sent_of_the_past_at_a_subscription_is_no_lag() -> None:
    rig = Rig()
    rig.clock.now_s = 1000.0
    rig.bars.take(trade(10.0, 1000, received_at_ns=10**12))
    assert [bar.open_ms for bar in rig.closed] == [1000]


def test_trades_that_waited_for_the_listeners_are_not_late() -> None:
    """Our thread may be far behind: what counts is when a trade was received."""
    rig = Rig()
    rig.clock.now_s = 100.0
    for at_ms in range(1000, 3100, 100):
        rig.bars.take(trade(10.0, at_ms, received_at_ns=at_ms * 10**6))
    assert [bar.count for bar in rig.closed] == [10, 10]
    assert rig.bars.late == 0
    rig.bars.ring()
    assert [bar.count for bar in rig.closed] == [10, 10, 1]


def test_a_trade_that_comes_late_corrects_the_bar_that_is_over() -> None:
    rig = Rig()
    for at_ms, price in ((0, 10.0), (1200, 10.0), (1800, 11.0), (2000, 12.0)):
        rig.bars.take(trade(price, at_ms))
    assert shape(rig.closed[-1])[1:5] == (10.0, 11.0, 10.0, 11.0)
    rig.bars.take(trade(14.0, 1500, size=3.0))
    moment, corrected = rig.told[-1]
    assert (moment, corrected.complete, corrected.confirmed) == ("correction", True, True)
    assert shape(corrected) == (1000, 10.0, 14.0, 10.0, 11.0, 5.0, 63.0 / 5.0, 3)
    rig.bars.take(trade(9.0, 1100))
    rig.bars.take(trade(8.0, 1900))
    assert shape(rig.told[-1][1])[1:5] == (9.0, 14.0, 8.0, 8.0)
    assert rig.bars.late == 3
    rig.bars.take(trade(12.0, 3000))
    assert rig.closed[-1].complete  # the one after it missed none


def test_a_late_trade_of_no_bar_that_can_be_corrected_makes_the_market_doubted() -> None:
    rig = Rig()
    for at_ms in (0, 1000, 2000, 3000):
        rig.bars.take(trade(10.0, at_ms))
    rig.bars.take(trade(10.0, 1500))  # its bar is not the last that is over
    rig.bars.take(trade(10.0, 4000))
    rig.bars.take(trade(10.0, 5000))
    assert [(bar.open_ms, bar.complete) for bar in rig.closed][1:] == [
        (1000, True),
        (2000, True),
        (3000, False),
        (4000, True),
    ]
    assert "correction" not in rig.moments
    rig.clock.now_s = 60.0
    rig.bars.ring()
    rig.bars.take(trade(10.0, 1500))
    rig.bars.take(trade(10.0, 61_000))
    rig.bars.take(trade(10.0, 62_000))
    assert (rig.closed[-1].open_ms, rig.closed[-1].complete) == (61_000, False)


def test_the_last_trade_by_the_exchanges_clock_closes_a_bar_in_whatever_order_they_come() -> None:
    rig = Rig()
    for at_ms, price in ((1500, 10.0), (1300, 9.0), (1400, 11.0), (2000, 12.0)):
        rig.bars.take(trade(price, at_ms))
    assert shape(rig.closed[0])[1:5] == (9.0, 11.0, 9.0, 10.0)


def test_an_interval_without_a_trade_has_no_bar_and_markets_have_bars_of_their_own() -> None:
    rig = Rig()
    rig.bars.take(trade(10.0, 1000))
    rig.bars.take(trade(50.0, 1500, symbol="ETH/USDT:USDT"))
    rig.bars.take(trade(11.0, 7000))
    rig.clock.now_s = 60.0
    rig.bars.ring()
    assert [(bar.symbol, bar.open_ms) for bar in rig.closed] == [
        ("BTC/USDT:USDT", 1000),
        ("ETH/USDT:USDT", 1500 // 1000 * 1000),
        ("BTC/USDT:USDT", 7000),
    ]


def test_only_the_market_asked_for_and_no_trade_that_is_none() -> None:
    rig = Rig(symbol="btcusdt")
    rig.bars.take(trade(50.0, 1000, symbol="ETH/USDT:USDT"))
    rig.bars.take(trade(50.0, 1000, marked="ADL"))
    assert rig.told == []
    rig.bars.take(
        trade(10.0, None, received_at_ns=1_500_000_000)
    )  # its time of receipt, where it has no other
    assert rig.moments == ["open", "change"]
    assert rig.told[0][1].open_ms == 1000


def test_a_bar_says_whether_all_its_trades_were_seen() -> None:
    rig = Rig()
    for second in range(1, 6):
        if second == 3:
            rig.bars.take(segment(verified=False, symbol="ETH/USDT:USDT"))
            rig.bars.take(segment(verified=False, channel="book.50"))
        if second == 4:
            rig.bars.take(segment(verified=False))
        rig.bars.take(trade(10.0, second * 1000))
    rig.bars.take(trade(10.0, 6000))
    # The first began before we looked; a hole in the trades fell between the third and the fourth.
    assert [bar.complete for bar in rig.closed] == [False, True, False, False, True]


def test_a_listener_that_raises_harms_no_other() -> None:
    rig = Rig()
    closed: list[Bar] = []

    def broken(_bar: Bar) -> None:
        raise ValueError("mine")

    rig.bars.on_open(broken)
    rig.bars.on_close(broken)
    rig.bars.on_close(closed.append)
    rig.bars.take(trade(10.0, 1000))
    rig.bars.take(trade(10.0, 2000))
    assert len(closed) == 1
    assert rig.bars.listener_failures == 3


def test_on_a_bus_bars_close_by_themselves_in_a_thread_of_their_own() -> None:
    bus, done = EventBus(), threading.Event()
    threads: list[str] = []

    def closed(_bar: Bar) -> None:
        threads.append(threading.current_thread().name)
        done.set()

    bars = LiveBars("100ms")
    bars.on_close(closed)
    end = bars.listen(bus)
    bus.start()
    bus.publish(trade(10.0, time.time_ns() // 1_000_000))
    assert done.wait(10.0)
    assert threads == ["events bars 100ms"]
    end()
    bus.stop()


def test_a_bar_that_lost_trades_on_the_way_is_not_complete() -> None:
    bus, entered, go_on = EventBus(), threading.Event(), threading.Event()
    closed: list[Bar] = []

    def wait(bar: Bar) -> None:
        if bar.count == 2:
            entered.set()
            go_on.wait(10.0)

    bars = LiveBars("1s", now_s=lambda: 0.0)
    bars.on_change(wait)
    bars.on_close(closed.append)
    bars.listen(bus, most_waiting=3)
    bus.start()
    for at_ms in (1000, 2000, 2100):
        bus.publish(trade(10.0, at_ms))
    assert entered.wait(10.0)
    for at_ms in (2200, 2300, 2400, 3000, 4000):  # two too many
        bus.publish(trade(10.0, at_ms))
    go_on.set()
    bus.stop()
    assert [(bar.open_ms, bar.complete, bar.count) for bar in closed] == [
        (1000, False, 1),
        (2000, False, 3),
        (3000, True, 1),
    ]


@pytest.mark.parametrize(
    ("interval", "ms"),
    [("250ms", 250), ("1s", 1000), ("15m", 900_000), ("4h", 14_400_000), ("1w", 604_800_000)],
)
def test_intervals(interval: str, ms: int) -> None:
    assert interval_ms(interval) == ms


@pytest.mark.parametrize("interval", ["", "0s", "1", "s", "1M", "-1s", "1.5s"])
def test_what_is_no_interval_is_refused(interval: str) -> None:
    with pytest.raises(UserError, match="expected a number and a unit"):
        LiveBars(interval)


def test_weeks_begin_on_monday() -> None:
    monday_ms = 1_704_067_200_000  # 2024-01-01, a Monday
    week_ms = interval_ms("1w")
    assert start_of(monday_ms, week_ms) == monday_ms
    assert start_of(monday_ms - 1, week_ms) == monday_ms - week_ms
