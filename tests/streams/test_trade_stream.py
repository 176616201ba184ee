"""Trades: settled once each, holes seen where numbers show them, repeats known."""

import sys
from pathlib import Path

import pytest

from collector.events.batch import StreamKey
from collector.events.messages import Delta, Side, TradeMessage
from collector.streams.stream import Topic
from collector.streams.trade_stream import TradeRule, TradeStream

sys.path.insert(0, str(Path(__file__).parent))
from outlet_rig import NOW_NS, OutletRig

KEY = StreamKey("binance", "BTC/USDT", "trade")
TOPIC = "btcusdt@trade"


def stream(rig: OutletRig, *, numbered: bool = True, standby: bool = False) -> TradeStream:
    topic = Topic(TOPIC, TOPIC, "BTCUSDT", "spot")
    return TradeStream(KEY, topic, rig.outlet, TradeRule(numbered, 3600.0), standby=standby)


def trade(
    number: int, *, price: float = 100.0, size: float = 2.0, off_s: float = 0.0, past: bool = False
) -> TradeMessage:
    at_ms = NOW_NS // 10**6 + int(off_s * 1000)
    return TradeMessage(TOPIC, str(number), at_ms, price, size, Side.BUY, number=number, past=past)


def text_id(name: str) -> TradeMessage:
    return TradeMessage(TOPIC, name, NOW_NS // 10**6, 100.0, 1.0, Side.SELL)


def test_a_trade_is_a_row_with_all_that_was_told() -> None:
    rig = OutletRig()
    one = stream(rig)
    one.subscribed(rig.now_ns, rig.liveness)
    rig.take(one, TradeMessage(TOPIC, "7", NOW_NS // 10**6, 3.5, 0.25, Side.SELL, "trade", "ADL", 7))
    batch = rig.swap()
    (opened,) = batch.opened
    assert (opened.start_ns, opened.covers_silence, opened.verification) == (NOW_NS, True, "sequence")
    assert batch.trades.numbers.tolist() == [3.5, 0.25]
    assert batch.trades.integers.tolist() == [rig.now_ns, NOW_NS // 10**6, 7, 0, opened.segment_id, 0, 0]
    assert (batch.trades.ids, batch.trades.marks) == (["7"], ["ADL"])


def test_the_segment_opens_at_the_confirmation_or_at_the_first_trade_if_that_was_quicker() -> None:
    rig = OutletRig()
    one = stream(rig)
    rig.take(one, trade(1))
    first_ns = rig.now_ns
    rig.pass_time(1.0)
    one.subscribed(rig.now_ns, rig.liveness)
    (opened,) = rig.swap().opened
    assert opened.start_ns == first_ns


def test_a_jump_of_the_numbers_ends_the_segment_and_begins_another() -> None:
    rig = OutletRig()
    one = stream(rig)
    one.subscribed(rig.now_ns, rig.liveness)
    rig.take(one, trade(5), trade(6), trade(8), trade(9))
    batch = rig.swap()
    (closed,) = batch.closed
    assert (closed.cause, closed.alive_until_ns) == ("sequence_gap", None)
    first, second = batch.opened
    assert batch.trades.integers[4::7].tolist() == [first.segment_id] * 2 + [second.segment_id] * 2


def test_trades_without_numbers_prove_nothing_but_their_connection() -> None:
    rig = OutletRig()
    one = stream(rig, numbered=False)
    rig.take(one, text_id("a"), text_id("x"), text_id("a"))
    batch = rig.swap()
    assert batch.trades.ids == ["a", "x"]
    assert batch.counts[0].merged == 1
    assert batch.opened[0].verification == "connection"
    assert not batch.closed


def test_a_trade_told_again_is_merged_also_after_a_reconnect() -> None:
    rig = OutletRig()
    one = stream(rig)
    rig.take(one, trade(5), trade(6), trade(6))
    one.lose("disconnect", "", None)
    one.subscribed(rig.now_ns, rig.liveness)
    rig.take(one, *(trade(number, past=True) for number in (4, 5, 6, 7)))  # 4 was before all that is known
    batch = rig.swap()
    assert batch.trades.ids == ["5", "6", "4", "7"]
    assert batch.counts[0].merged == 3
    assert rig.causes() == ["disconnect"]


def test_a_late_trade_fills_the_hole_that_it_left() -> None:
    rig = OutletRig()
    one = stream(rig)
    rig.take(one, trade(5), trade(7), trade(6), trade(8))
    assert rig.swap().trades.ids == ["5", "7", "6", "8"]
    assert rig.causes() == ["sequence_gap"]


@pytest.mark.parametrize(
    "bad", [trade(6, off_s=3700.0), trade(6, off_s=-3700.0), trade(6, off_s=3700.0, past=True)]
)
def test_a_trade_whose_time_is_far_off_is_a_hole(bad: TradeMessage) -> None:
    rig = OutletRig()
    one = stream(rig)
    rig.take(one, trade(5), bad, trade(7))
    batch = rig.swap()
    assert batch.trades.ids == ["5", "7"]
    assert batch.counts[0].rejected == {"time_far_off": 1}
    assert [closed.cause for closed in batch.closed] == ["time_far_off"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (trade(6, price=0.0), "out_of_range"),
        (trade(6, price=-1.0), "out_of_range"),
        (trade(6, size=0.0), "out_of_range"),
        (trade(6, size=float("nan")), "not_finite"),
        (trade(6, price=float("inf")), "not_finite"),
    ],
)
def test_a_trade_that_cannot_be_is_counted_and_leaves_no_hole(bad: TradeMessage, reason: str) -> None:
    rig = OutletRig()
    one = stream(rig)
    rig.take(one, trade(5), bad, trade(7))
    batch = rig.swap()
    assert batch.trades.ids == ["5", "7"]
    assert batch.counts[0].rejected == {reason: 1}
    assert not batch.closed


def test_what_was_sent_at_a_subscription_may_be_old() -> None:
    rig = OutletRig()
    one = stream(rig)
    rig.take(one, trade(5, off_s=-86_400.0, past=True))
    assert rig.swap().trades.ids == ["5"]


def test_a_message_of_another_kind_is_refused() -> None:
    rig = OutletRig()
    rig.take(stream(rig), Delta(TOPIC, 1, 1, [], []))
    assert rig.swap().counts[0].rejected == {"malformed": 1}


def test_without_room_the_segment_ends_and_the_loss_is_counted() -> None:
    rig = OutletRig(max_rows=2)
    one = stream(rig)
    rig.take(one, *map(trade, range(5)))
    batch = rig.swap()
    assert (len(batch.trades), batch.counts[0].dropped) == (2, 3)
    assert rig.causes() == ["no_room"]
    rig.take(one, trade(5))
    assert len(rig.swap().opened) == 1


def test_a_stream_left_stores_nothing() -> None:
    rig = OutletRig()
    one = stream(rig)
    one.subscribed(rig.now_ns, rig.liveness)
    one.retire(rig.now_ns)
    rig.take(one, trade(1))
    batch = rig.swap()
    assert batch.counts[0].rejected == {"unsubscribed": 1}
    assert rig.causes() == ["unsubscribed"]


class TestReplacement:
    def pair(self, *, numbered: bool = True) -> tuple[OutletRig, TradeStream, TradeStream]:
        rig = OutletRig()
        old, new = stream(rig, numbered=numbered), stream(rig, numbered=numbered, standby=True)
        old.subscribed(rig.now_ns, rig.liveness)
        new.follow(old, rig.liveness)
        return rig, old, new

    def left(self, rig: OutletRig, old: TradeStream) -> None:
        old.lose("stop", "", rig.now_ns)
        old.leave()

    @pytest.mark.parametrize("numbered", [True, False])
    def test_the_new_one_goes_on_once_the_old_one_has_what_it_saw(self, numbered: bool) -> None:
        rig, old, new = self.pair(numbered=numbered)
        one = trade if numbered else lambda number: text_id(str(number))
        rig.take(old, one(1))
        new.subscribed(rig.now_ns, rig.liveness)
        rig.take(new, one(3))
        assert not new.in_step()  # 2 is not stored yet
        rig.take(old, one(2), one(3))
        assert new.in_step()
        rig.take(new, one(4))
        rig.take(old, one(4))
        self.left(rig, old)
        rig.take(new, one(5))
        rig.take(old, one(5))
        batch = rig.swap()
        assert batch.trades.ids == ["1", "2", "3", "4", "5"]
        assert (batch.counts[0].merged, batch.counts[0].rejected) == (2, {"unsynced": 1})
        assert len(batch.opened) == 1
        assert not rig.causes()

    def test_a_trade_that_the_old_one_never_brought_is_stored_when_it_dies(self) -> None:
        rig, old, new = self.pair()
        rig.take(old, trade(1))
        new.subscribed(rig.now_ns, rig.liveness)
        rig.take(new, trade(3), trade(4))
        old.lose("disconnect", "reset", rig.now_ns)
        batch = rig.swap()
        assert batch.trades.ids == ["1", "3", "4"]
        assert batch.counts[0].merged == 0
        assert rig.causes() == ["disconnect"]
        (closed,), (_, opened) = batch.closed, batch.opened
        assert closed.alive_until_ns == opened.start_ns

    def test_a_trade_that_neither_saw_shows_after_it_as_well(self) -> None:
        rig, old, new = self.pair()
        rig.take(old, trade(1))
        new.subscribed(rig.now_ns, rig.liveness)
        rig.pass_time(3.0)
        assert new.in_step()
        self.left(rig, old)
        rig.take(new, trade(3))
        assert rig.causes() == ["sequence_gap"]

    def test_in_a_quiet_market_it_goes_on_after_a_while(self) -> None:
        rig, old, new = self.pair()
        rig.take(old, trade(1))
        assert not new.in_step()  # not confirmed
        new.subscribed(rig.now_ns, rig.liveness)
        assert not new.in_step()
        rig.pass_time(3.0)
        assert new.in_step()
        self.left(rig, old)
        rig.take(new, trade(2))
        assert rig.swap().trades.ids == ["1", "2"]
        assert not rig.causes()

    def test_if_nothing_else_helps_it_stands_in_with_a_segment_of_its_own(self) -> None:
        rig, _, new = self.pair()
        new.subscribed(rig.now_ns, rig.liveness)
        new.stand_in(rig.now_ns)
        assert rig.causes() == ["replaced"]
        assert len(rig.swap().opened) == 2

    @pytest.mark.parametrize("is_new_first", [True, False])
    def test_whichever_is_confirmed_first_after_both_were_lost_stores(self, is_new_first: bool) -> None:
        rig, old, new = self.pair()
        old.lose("disconnect", "reset", rig.now_ns)
        first, second = (new, old) if is_new_first else (old, new)
        first.subscribed(rig.now_ns, rig.liveness)
        second.subscribed(rig.now_ns, rig.liveness)
        rig.take(first, trade(7))
        rig.take(second, trade(7))
        batch = rig.swap()
        assert (batch.trades.ids, batch.counts[0].merged, len(batch.opened)) == (["7"], 1, 2)

    def test_what_had_no_room_is_stored_when_the_other_brings_it_and_there_is(self) -> None:
        rig = OutletRig(max_rows=1)
        old, new = stream(rig), stream(rig, standby=True)
        old.subscribed(rig.now_ns, rig.liveness)
        new.follow(old, rig.liveness)
        new.subscribed(rig.now_ns, rig.liveness)
        rig.take(old, trade(1))
        rig.take(new, trade(1))
        rig.take(old, trade(2))
        counts = rig.swap().counts[0]
        assert (counts.merged, counts.dropped) == (1, 1)
        rig.take(new, trade(2))
        assert rig.swap().trades.ids == ["2"]


def test_a_bot_hears_each_trade_once() -> None:
    rig = OutletRig()
    one = stream(rig)
    rig.take(one, trade(1))
    rig.listen()
    rig.take(one, trade(2), trade(2), trade(3, size=0.0))
    (heard,) = rig.trades
    assert (heard.trade_id, heard.price, heard.size, heard.side) == ("2", 100.0, 2.0, Side.BUY)
    assert (heard.exchange, heard.symbol, heard.received_at_ns) == ("binance", "BTC/USDT", NOW_NS + 2_000_000)


def test_the_last_words_of_a_socket_that_was_given_up_open_nothing() -> None:
    rig = OutletRig()
    one = stream(rig)
    one.subscribed(rig.now_ns, rig.liveness)
    one.lose("stop", "", rig.now_ns)
    rig.take(one, trade(1))
    batch = rig.swap()
    assert batch.counts[0].rejected == {"unsynced": 1}
    assert len(batch.opened) == 1
    one.asked()
    rig.take(one, trade(2))  # quicker than the confirmation
    assert len(rig.swap().opened) == 1


def test_an_id_that_stands_for_no_trade_is_counted_as_that_and_the_ids_go_on() -> None:
    rig = OutletRig()
    one, other = stream(rig), stream(rig, standby=True)
    one.subscribed(rig.now_ns, rig.liveness)
    other.subscribed(rig.now_ns, rig.liveness)
    other.follow(one, rig.liveness)
    rig.listen()
    none = TradeMessage(
        TOPIC, "2", NOW_NS // 10**6, 0.0, 0.0, Side.SELL, marked="NA", number=2, is_placeholder=True
    )
    for told in (trade(1), none):
        rig.take(one, told)
        rig.take(other, told)
    assert other.in_step()  # both stand at it
    rig.take(other, trade(3))
    batch = rig.swap()
    assert (batch.counts[0].rejected, batch.counts[0].merged) == ({"not_a_trade": 1}, 2)
    assert batch.trades.ids == ["1", "3"]
    assert [one.trade_id for one in rig.trades] == ["1", "3"]
    assert rig.causes() == []
