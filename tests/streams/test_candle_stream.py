"""Bars: every update settled, over when the exchange or the next one says so."""

import sys
from pathlib import Path

import msgspec
import pytest

from collector.events.batch import StreamKey
from collector.events.intervals import longest_ms
from collector.events.messages import CandleMessage
from collector.streams.candle_stream import CandleRule, CandleStream
from collector.streams.stream import Topic

sys.path.insert(0, str(Path(__file__).parent))
from outlet_rig import NOW_NS, OutletRig

KEY = StreamKey("bybit", "BTC/USDT", "ohlcv.1m")
TOPIC = "kline.1.BTCUSDT"
MINUTE_MS = 60_000
OPEN_MS = NOW_NS // 10**6 // MINUTE_MS * MINUTE_MS


def stream(rig: OutletRig, *, confirms: bool = True, standby: bool = False) -> CandleStream:
    topic = Topic(TOPIC, TOPIC, "BTCUSDT", "spot")
    return CandleStream(KEY, topic, rig.outlet, CandleRule(confirms, 3600.0), standby=standby)


def bar(
    minute: int = 0, close: float = 101.0, *, confirmed: bool = False, past: bool = False, **more: float
) -> CandleMessage:
    numbers = {"open": 100.0, "high": 102.0, "low": 99.0, "close": close, "volume": 5.0, **more}
    open_ms = OPEN_MS + minute * MINUTE_MS
    return CandleMessage(TOPIC, "1m", open_ms, open_ms + 1, **numbers, confirmed=confirmed, past=past)


def told(rig: OutletRig) -> list[tuple[int, float, bool]]:
    """Return minute, close and whether it is over, of each row."""
    candles = rig.swap().candles
    integers, numbers = candles.integers.tolist(), candles.numbers.tolist()
    return [
        ((integers[7 * at + 2] - OPEN_MS) // MINUTE_MS, numbers[6 * at + 3], bool(integers[7 * at + 5]))
        for at in range(len(candles))
    ]


def test_every_update_is_a_row_for_its_bar() -> None:
    rig = OutletRig()
    one = stream(rig)
    one.subscribed(rig.now_ns, rig.liveness)
    rig.take(one, bar(), bar(close=100.5), bar(close=100.7, confirmed=True), bar(1))
    assert told(rig) == [(0, 101.0, False), (0, 100.5, False), (0, 100.7, True), (1, 101.0, False)]


def test_what_is_over_stays_over() -> None:
    rig = OutletRig()
    one = stream(rig)
    rig.take(
        one, bar(confirmed=True), bar(close=100.1), bar(1), bar(close=100.2), bar(close=100.3, confirmed=True)
    )
    assert told(rig) == [(0, 101.0, True), (1, 101.0, False), (0, 100.3, True)]


def test_where_the_exchange_does_not_say_it_the_next_bar_does() -> None:
    rig = OutletRig()
    one = stream(rig, confirms=False)
    rig.take(one, bar(), bar(close=100.5), bar(2))
    assert told(rig) == [(0, 101.0, False), (0, 100.5, False), (2, 101.0, False), (0, 100.5, True)]


def test_a_bar_whose_end_was_not_seen_is_not_confirmed_from_memory() -> None:
    rig = OutletRig()
    one = stream(rig, confirms=False)
    rig.take(one, bar())
    one.lose("disconnect", "", None)
    one.asked()
    rig.take(one, bar(0, close=101.5, confirmed=True, past=True), bar(1, past=True))
    assert told(rig) == [(0, 101.0, False), (0, 101.5, True), (1, 101.0, False)]
    one.lose("disconnect", "", None)
    one.asked()
    rig.take(one, bar(3, past=True))
    assert told(rig) == [(3, 101.0, False)]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (bar(high=100.5), "out_of_range"),
        (bar(low=100.5), "out_of_range"),
        (bar(low=0.0), "out_of_range"),
        (bar(volume=-1.0), "out_of_range"),
        (bar(high=float("nan")), "not_finite"),
        (bar(volume=float("inf")), "not_finite"),
        (bar(70), "time_far_off"),
        (bar(-70), "time_far_off"),
        (bar(70, past=True), "time_far_off"),
    ],
)
def test_a_bar_that_cannot_be_is_counted(bad: CandleMessage, reason: str) -> None:
    rig = OutletRig()
    rig.take(stream(rig), bad)
    batch = rig.swap()
    assert not len(batch.candles)
    assert batch.counts[0].rejected == {reason: 1}


@pytest.mark.parametrize(
    ("off_ms", "taken"),
    [(3_600_000, True), (3_600_002, False), (-3_660_000 + 1, True), (-3_660_000 - 1, False)],
)
def test_a_bar_is_as_far_off_as_the_limit_allows_and_no_further(off_ms: int, taken: bool) -> None:
    rig = OutletRig()
    off = msgspec.structs.replace(bar(), open_ms=NOW_NS // 10**6 + 1 + off_ms)  # received a millisecond later
    rig.take(stream(rig), off)
    assert bool(len(rig.swap().candles)) is taken


def test_a_bar_of_the_past_may_be_sent_at_a_subscription() -> None:
    rig = OutletRig()
    rig.take(stream(rig), bar(-5000, past=True))
    assert len(told(rig)) == 1


def test_the_new_connection_takes_over_where_both_were_told_the_same() -> None:
    rig = OutletRig()
    old, new = stream(rig), stream(rig, standby=True)
    rig.take(old, bar())
    new.follow(old, rig.liveness)
    rig.take(new, bar(close=100.5))
    assert not new.in_step()
    rig.take(old, bar(close=100.5))
    assert new.in_step()
    rig.take(new, bar(close=100.5, confirmed=True))
    rig.take(old, bar(close=100.5, confirmed=True))
    assert told(rig) == [(0, 101.0, False), (0, 100.5, False), (0, 100.5, True)]


def test_a_bot_hears_every_update_and_every_end() -> None:
    rig = OutletRig()
    rig.listen()
    rig.take(stream(rig, confirms=False), bar(), bar(1))
    assert [(one.open_ms, one.confirmed) for one in rig.candles] == [
        (OPEN_MS, False),
        (OPEN_MS + MINUTE_MS, False),
        (OPEN_MS, True),
    ]


@pytest.mark.parametrize(("interval", "minutes"), [("1m", 1), ("4h", 240), ("1d", 1440), ("1w", 10080)])
def test_an_interval_has_a_length(interval: str, minutes: int) -> None:
    assert longest_ms(interval) == minutes * MINUTE_MS


def test_a_bar_that_comes_after_the_end_is_told_from_one_that_was_not_asked_for() -> None:
    rig = OutletRig()
    one = stream(rig)
    rig.take(one, bar())
    one.lose("disconnect", "", None)
    rig.take(one, bar(close=100.5))
    assert rig.swap().counts[0].rejected == {"unsynced": 1}
    one.asked()
    one.retire(rig.now_ns)
    rig.take(one, bar(close=100.6))
    assert rig.swap().counts[0].rejected == {"unsynced": 1, "unsubscribed": 1}


@pytest.mark.parametrize("tells_times", [True, False])
def test_bars_that_tell_nothing_of_trades_stall(*, tells_times: bool) -> None:
    rig = OutletRig()
    one = stream(rig)
    one.subscribed(rig.now_ns, rig.liveness)
    present = bar() if tells_times else msgspec.structs.replace(bar(), exchange_ms=None)
    rig.take(one, present)
    trade_ms = OPEN_MS + 1 + 2_001
    rig.pass_time(2.001)
    for _ in range(2):
        one.traded(rig.now_ns, trade_ms)
    assert not one.stalls(rig.now_ns + 60 * 10**9, 15.0)  # one or two may belong to no bar
    one.traded(rig.now_ns, trade_ms)
    assert not one.stalls(rig.now_ns + 15 * 10**9, 15.0)
    assert one.stalls(rig.now_ns + 15 * 10**9 + 1, 15.0)
    rig.take(one, present)
    assert not one.stalls(rig.now_ns + 60 * 10**9, 15.0)


def test_trades_of_which_a_bar_told_before_they_came_are_told() -> None:
    rig = OutletRig()
    one = stream(rig)
    one.subscribed(rig.now_ns, rig.liveness)
    rig.take(one, bar())
    rig.pass_time(20.0)
    for trade_ms in (OPEN_MS, OPEN_MS + 1, OPEN_MS + 2_001):
        one.traded(rig.now_ns, trade_ms)
    assert not one.stalls(rig.now_ns + 60 * 10**9, 15.0)


@pytest.mark.parametrize("end", ["lost", "stepped"])
def test_trades_of_before_say_nothing_of_what_begins_anew(end: str) -> None:
    rig = OutletRig()
    one = stream(rig)
    one.subscribed(rig.now_ns, rig.liveness)
    rig.take(one, bar())
    for _ in range(3):
        one.traded(rig.now_ns, OPEN_MS + 5_000)
    if end == "lost":
        one.lose("disconnect", "", None)
        assert not one.stalls(rig.now_ns + 60 * 10**9, 15.0)
        one.subscribed(rig.now_ns, rig.liveness)
    else:
        one.end_at_step(-(10**12), rig.now_ns, "-1000.000 s")
        one.begin_after_step(rig.now_ns - 10**12)
    assert one.verified
    assert not one.stalls(rig.now_ns + 60 * 10**9, 15.0)
