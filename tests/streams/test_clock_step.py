"""A clock that steps: segments end on the clock of before and begin on the new one."""

import sys
from pathlib import Path

import pytest

from collector.events.batch import StreamKey
from collector.events.messages import Side, TradeMessage
from collector.streams.stream import MOST_FAR_OFF, Topic
from collector.streams.trade_stream import TradeRule, TradeStream

sys.path.insert(0, str(Path(__file__).parent))
from outlet_rig import SECOND_NS, OutletRig

HOURS_NS = 7200 * SECOND_NS


def subscribed(rig: OutletRig) -> TradeStream:
    topic = Topic("btcusdt@trade", "btcusdt@trade", "BTCUSDT", "spot")
    key = StreamKey("binance", "BTC/USDT", "trade")
    one = TradeStream(key, topic, rig.outlet, TradeRule(numbered=True, most_off_s=3600.0))
    one.subscribed(rig.now_ns, rig.liveness)
    return one


def trade(number: int, at_ns: int) -> TradeMessage:
    at_ms = at_ns // 10**6
    return TradeMessage("btcusdt@trade", str(number), at_ms, 100.0, 2.0, Side.BUY, number=number)


def step(rig: OutletRig, one: TradeStream, step_ns: int) -> None:
    was_covered = one.end_at_step(step_ns, rig.liveness.heard_ns, "a step")
    rig.liveness.heard_ns += step_ns
    rig.now_ns += step_ns
    if was_covered:
        one.begin_after_step(rig.now_ns)


@pytest.mark.parametrize("step_ns", [HOURS_NS, -HOURS_NS])
def test_a_segment_ends_by_the_old_clock_and_one_begins_by_the_new(step_ns: int) -> None:
    rig = OutletRig()
    one = subscribed(rig)
    rig.take(one, trade(1, rig.now_ns))
    rig.pass_time(5.0)
    ended_ns = rig.now_ns
    step(rig, one, step_ns)
    rig.take(one, trade(2, rig.now_ns))
    batch = rig.swap()
    (closed,), (before, after) = batch.closed, batch.opened
    assert (closed.segment_id, closed.cause, closed.alive_until_ns) == (
        before.segment_id,
        "clock_step",
        ended_ns,
    )
    assert after.start_ns == ended_ns + step_ns
    assert batch.heard_ns == {after.segment_id: rig.now_ns}
    assert batch.trades.integers[4::7].tolist() == [before.segment_id, after.segment_id]
    assert one.last_update_at_ns == rig.now_ns


def test_a_stream_that_was_not_covered_is_not_by_a_step() -> None:
    rig = OutletRig(max_rows=1)
    one = subscribed(rig)
    rig.take(one, trade(1, rig.now_ns), trade(2, rig.now_ns))  # there is no room for the second
    step(rig, one, HOURS_NS)
    assert len(rig.swap().opened) == 1


def test_what_was_heard_last_is_known_by_the_new_clock() -> None:
    rig = OutletRig()
    one = subscribed(rig)
    rig.take(one, trade(1, rig.now_ns))
    last_ns = rig.now_ns
    step(rig, one, -HOURS_NS)
    assert one.last_update_at_ns == last_ns - HOURS_NS


def test_trades_rejected_wholesale_are_an_alarm_and_not_covered() -> None:
    """Our clock is two hours ahead, and then right."""
    rig = OutletRig()
    one = subscribed(rig)
    for number in range(1, MOST_FAR_OFF):
        rig.take(one, trade(number, rig.now_ns - HOURS_NS))
    assert not rig.alarms
    for number in range(MOST_FAR_OFF, 4 * MOST_FAR_OFF):
        rig.take(one, trade(number, rig.now_ns - HOURS_NS))
    (alarm,) = rig.alarms
    assert (alarm.exchange, alarm.symbol, alarm.code) == ("binance", "BTC/USDT", "time_far_off")
    assert alarm.reason == "trade: 5 in a row dated -7200.0 s from our clock: compare the clocks"
    (closed,) = rig.swap().closed
    assert (closed.cause, closed.alive_until_ns) == ("time_far_off", None)
    assert not one.verified
    step(rig, one, -HOURS_NS)
    assert one.verified
    rig.take(one, trade(20, rig.now_ns))
    (opened,) = rig.swap().opened
    assert opened.start_ns == rig.now_ns - SECOND_NS // 1000


def test_one_odd_trade_is_a_hole_until_the_next_and_no_alarm() -> None:
    rig = OutletRig()
    one = subscribed(rig)
    for number in range(1, 4 * MOST_FAR_OFF):
        off_ns = HOURS_NS if number % 2 == 0 else 0
        rig.take(one, trade(number, rig.now_ns - off_ns))
    batch = rig.swap()
    assert not rig.alarms
    assert {closed.cause for closed in batch.closed} == {"time_far_off"}
    assert len(batch.opened) == 2 * MOST_FAR_OFF
    assert batch.counts[one.number].rejected == {"time_far_off": 2 * MOST_FAR_OFF - 1}
