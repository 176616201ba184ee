"""Text and receipt time in; rows, segments and counts out: no socket, no loop, no clock."""

import json
import sys
from math import isnan
from pathlib import Path
from typing import Any

import pytest

from collector.book.verified import Outcome
from collector.events.messages import Ack, TopOfBook
from collector.events.notices import State
from collector.exchanges.registry import exchange_of
from collector.streams.maker import StreamMaker
from collector.streams.router import Router, UnknownFrames
from collector.streams.stream import Stream

sys.path.insert(0, str(Path(__file__).parent))
from outlet_rig import OutletRig

BTC = {"id": "BTCUSDT", "symbol": "BTC/USDT:USDT"}
ETH = {"id": "ETHUSDT", "symbol": "ETH/USDT:USDT"}
BOOK = "orderbook.50.BTCUSDT"


class Desk(OutletRig):
    """A router of Bybit's linear markets, and what it told beside its rows."""

    def __init__(self) -> None:
        super().__init__()
        self.acks: list[Ack] = []
        self.states: list[tuple[State, str]] = []
        self.broken: list[tuple[str, str]] = []
        self.mistakes: list[str] = []
        self.unknown = UnknownFrames("bybit", self.buffer)
        self.router = Router(exchange_of("bybit").read_frame, self.unknown, self.liveness, self)
        self._maker = StreamMaker(
            "bybit", self.outlet, levels_per_row=1, levels_shown=1, most_off_s=1e9, max_jump=0.2
        )

    def on_ack(self, ack: Ack) -> bool:
        self.acks.append(ack)
        return True

    def on_status(self, state: State, text: str) -> None:
        self.states.append((state, text))

    def _on_doubt(self, stream: Stream, outcome: Outcome) -> None:
        self.broken.append((stream.topic.name, outcome.reason))

    def on_pong(self) -> None:
        pass

    def on_mistake(self, what: str) -> None:
        self.mistakes.append(what)

    def add(self, market: dict[str, str], channel: str) -> Stream:
        stream = self._maker.make("linear", market, channel)
        self.router.add(stream)
        stream.on_doubt = self._on_doubt
        stream.asked()
        stream.subscribed(self.now_ns, self.liveness)
        return stream

    def hear(self, text: str) -> bool:
        self.pass_time(0.001)
        return self.router.take(text, self.now_ns)

    def rows(self) -> int:
        batch = self.swap()
        return batch.rows + len(batch.trades) + len(batch.candles)


def book(number: int, *, kind: str = "delta", topic: str = BOOK, bid: str = "100", size: str = "1") -> str:
    data = {"s": "BTCUSDT", "b": [[bid, size]], "a": [["101", "2"]], "u": number, "seq": number}
    return json.dumps({"topic": topic, "ts": 1_700_000_000_000, "type": kind, "data": data, "cts": 1})


def trade(trade_id: str, market: str = "BTCUSDT", **changes: Any) -> str:
    one = {"i": trade_id, "T": 1_700_000_000_000, "p": "100", "v": "1", "S": "Buy", "s": market, "BT": False}
    told = {"topic": f"publicTrade.{market}", "type": "snapshot", "ts": 1, "data": [one | changes]}
    return json.dumps(told)


def test_each_message_becomes_a_row_of_its_stream() -> None:
    desk = Desk()
    desk.add(BTC, "book.50")
    desk.add(BTC, "trade")
    frames = [book(1, kind="snapshot"), book(2, size="3"), book(3, size="4"), trade("a")]
    assert all(desk.hear(text) for text in frames)
    assert desk.rows() == 4
    assert (desk.broken, desk.mistakes, desk.unknown.received) == ([], [], 0)


def test_a_frame_of_no_stream_is_counted_and_harms_nobody() -> None:
    desk = Desk()
    stream = desk.add(BTC, "book.50")
    desk.hear(book(1, kind="snapshot"))
    assert desk.hear(book(7, topic="orderbook.50.XRPUSDT"))
    assert stream.verified
    batch = desk.buffer.swap()
    (unknown,) = (one for number, one in batch.counts.items() if desk.buffer.key(number).symbol == "_unknown")
    assert unknown.rejected == {"unknown_topic": 1}


def test_a_gap_ends_the_segment_and_is_told() -> None:
    desk = Desk()
    stream = desk.add(BTC, "book.50")
    desk.hear(book(1, kind="snapshot"))
    desk.hear(book(3))
    assert desk.broken == [(BOOK, "sequence_gap")]
    assert not stream.verified
    assert desk.causes() == ["sequence_gap"]


def test_an_unreadable_frame_is_doubted_by_every_stream_it_could_mean_and_by_no_other() -> None:
    desk = Desk()
    book_of_btc = desk.add(BTC, "book.50")  # its own numbers show what is lost
    btc, eth = desk.add(BTC, "trade"), desk.add(ETH, "trade")
    desk.hear(book(1, kind="snapshot"))
    assert desk.hear(trade("a", p="abc"))
    ended = [(one.symbol, one.channel) for one in desk.changes if not one.verified]
    assert ended == [(BTC["symbol"], "trade")]
    assert book_of_btc.verified
    assert btc.verified  # covered again from then on
    assert eth.verified


def test_an_unreadable_frame_that_names_its_topic_is_doubted_by_no_other_stream_of_its_market() -> None:
    desk = Desk()
    desk.add(BTC, "book.50")
    bbo, trades = desk.add(BTC, "bbo"), desk.add(BTC, "trade")
    desk.hear(book(1, kind="snapshot"))
    desk.hear(book(5, kind="snapshot", topic=bbo.topic.name))
    desk.hear(book(2, bid="1e400"))
    assert (desk.causes(), bbo.verified, trades.verified) == ([], True, True)
    assert desk.unknown.received == 1


def test_an_unreadable_best_price_of_bybit_ends_what_was_covered() -> None:
    """Each is whole: the number of the next would not show that one was lost."""
    desk = Desk()
    bbo, book_of_btc = desk.add(BTC, "bbo"), desk.add(BTC, "book.50")
    desk.hear(book(1, kind="snapshot"))
    desk.hear(book(5, kind="snapshot", topic=bbo.topic.name))
    desk.hear(book(6, kind="snapshot", topic=bbo.topic.name, bid="abc"))
    assert (bbo.verified, book_of_btc.verified) == (False, True)
    assert desk.broken == [(bbo.topic.name, "malformed")]
    desk.hear(book(7, kind="snapshot", topic=bbo.topic.name))
    assert bbo.verified
    assert desk.causes() == ["malformed"]


def test_a_best_price_of_a_side_without_orders_is_a_state_of_which_that_side_is_unknown() -> None:
    desk = Desk()
    bbo = desk.add(BTC, "bbo")
    told = iter(
        [
            TopOfBook(bbo.topic.name, 5, 1, 100.0, 2.0, 101.0, 3.0),
            TopOfBook(bbo.topic.name, 6, 2, 0.0, 0.0, 101.0, 3.0),
            TopOfBook(bbo.topic.name, 7, 3, 100.0, 2.0, 0.0, 0.0),
            TopOfBook(bbo.topic.name, 8, 4, 100.0, 2.0, 101.0, 3.0),
        ]
    )
    desk.router = Router(lambda _: [next(told)], desk.unknown, desk.liveness, desk)
    desk.router.add(bbo)
    for _ in range(4):
        desk.hear("")
    levels = [None if isnan(one) else one for one in desk.swap().levels]
    assert [levels[first : first + 4] for first in range(0, 16, 4)] == [
        [100.0, 2.0, 101.0, 3.0],
        [None, None, 101.0, 3.0],
        [100.0, 2.0, None, None],
        [100.0, 2.0, 101.0, 3.0],
    ]
    assert desk.causes() == []


def test_an_unreadable_frame_leaves_a_retired_stream_alone() -> None:
    desk = Desk()
    gone = desk.add(BTC, "trade")
    gone.retire(desk.now_ns)
    desk.hear(trade("a", p="abc"))
    assert desk.causes() == ["unsubscribed"]
    assert not gone.verified


def test_answers_go_to_who_asked_and_what_is_nobody_s_is_left() -> None:
    desk = Desk()
    ack = '{"success":true,"ret_msg":"","conn_id":"c","req_id":"5","op":"subscribe"}'
    assert desk.hear(ack)
    assert [(one.request_id, one.accepted) for one in desk.acks] == [("5", True)]
    assert not desk.hear('{"op":"auth","success":true,"conn_id":"c"}')


def test_a_fault_of_ours_is_counted_and_told_instead_of_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    stream = desk.add(BTC, "book.50")
    monkeypatch.setattr(stream, "take", lambda *_: 1 / 0)
    assert desk.hear(book(1, kind="snapshot"))
    assert desk.mistakes == ["ZeroDivisionError('division by zero')"]
    assert desk.unknown.received == 1


def test_two_streams_known_by_the_same_frames_are_not_told_apart() -> None:
    desk = Desk()
    stream = desk.add(BTC, "book.50")
    assert not desk.router.tells_apart(stream)
    desk.router.drop(stream)
    assert desk.router.tells_apart(stream)


def test_the_same_frames_give_the_same_rows_again() -> None:
    frames = [book(1, kind="snapshot"), *(book(number, size=str(number)) for number in range(2, 50))]
    results = []
    for _ in range(2):
        desk = Desk()
        desk.add(BTC, "book.50")
        for text in frames:
            desk.hear(text)
        batch = desk.swap()
        results.append((batch.levels.tobytes(), batch.rows))
    assert results[0] == results[1]
