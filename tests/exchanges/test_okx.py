"""OKX frames, in the form that its documentation shows, into our vocabulary; and the requests made of it."""

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import ccxt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.book import Did, VerifiedBook, WholeBooks
from collector.errors import FrameError, UserError
from collector.events.contracts import ContractSize, contract_size
from collector.events.messages import (
    Ack,
    CandleMessage,
    Delta,
    Heartbeat,
    Message,
    Other,
    Side,
    Snapshot,
    Status,
    TradeMessage,
)
from collector.exchanges.okx import OKX
from collector.exchanges.okx.frames import read_frame
from collector.exchanges.okx.rule import PreviousSequence
from collector.exchanges.okx.topics import CODES

TS = "1597026383085"
SPOT = "books:BTC-USDT"


def frame(channel: str, *data: object, instrument: str = "BTC-USDT", **more: object) -> str:
    """Write a push as OKX does."""
    argument = {"channel": channel, "instId": instrument}
    return json.dumps({"arg": argument, **more, "data": data}, separators=(",", ":"))


def book(
    action: str | None,
    previous: int | None,
    sequence: int,
    bids: dict[str, str] | None = None,
    asks: dict[str, str] | None = None,
    channel: str = "books",
) -> str:
    sides = {
        side: [[price, size, "0", "13"] for price, size in (levels or {}).items()]
        for side, levels in (("asks", asks), ("bids", bids))
    }
    numbers = {} if previous is None else {"checksum": 0, "prevSeqId": previous}
    more = {} if action is None else {"action": action}
    return frame(channel, {**sides, "ts": TS, **numbers, "seqId": sequence}, **more)


def one(text: str) -> Message:
    (message,) = read_frame(text)
    return message


SNAPSHOT = book("snapshot", -1, 10, {"8476.97": "256", "8475.55": "101"}, {"8476.98": "415", "8477": "7.5"})


def test_a_snapshot_is_read_and_its_deprecated_columns_are_not() -> None:
    assert one(SNAPSHOT) == Snapshot(
        SPOT, 10, int(TS), [(8476.97, 256.0), (8475.55, 101.0)], [(8476.98, 415.0), (8477.0, 7.5)]
    )


def test_an_update_names_the_message_before_it() -> None:
    text = book("update", 10, 15, {"8476.97": "0"}, {"8477": "8"})
    assert one(text) == Delta(SPOT, 15, int(TS), [(8476.97, 0.0)], [(8477.0, 8.0)], previous_sequence=10)


def test_several_updates_of_one_frame_are_read_in_order() -> None:
    both = json.loads(book("update", 10, 15))
    both["data"] += json.loads(book("update", 15, 17))["data"]
    assert [message.sequence for message in read_frame(json.dumps(both))] == [15, 17]  # type: ignore[union-attr]


@pytest.mark.parametrize("channel", ["bbo-tbt", "books5"])
def test_the_short_books_come_whole(channel: str) -> None:
    text = book(None, None, 7, {"1": "2"}, {"3": "4"}, channel)
    assert one(text) == Snapshot(f"{channel}:BTC-USDT", 7, int(TS), [(1.0, 2.0)], [(3.0, 4.0)])


def test_a_trade_may_stand_for_several_and_has_the_last_ones_id() -> None:
    told = {"instId": "BTC-USDT-SWAP", "tradeId": "130639474", "px": "42219.9", "sz": "12", "side": "sell"}
    told |= {"ts": "1630048897897", "count": "3", "source": "0", "seqId": 1234}
    assert one(frame("trades", told, instrument="BTC-USDT-SWAP")) == TradeMessage(
        "trades:BTC-USDT-SWAP", "130639474", 1630048897897, 42219.9, 12.0, Side.SELL, kind="agg"
    )


@pytest.mark.parametrize(("code", "interval"), [(code, interval) for interval, code in CODES.items()])
@pytest.mark.parametrize(("confirm", "over"), [("0", False), ("1", True)])
def test_a_bar_says_when_it_is_over(code: str, interval: str, confirm: str, over: bool) -> None:
    row = ["1629993600000", "42500", "48199.9", "41006.1", "41006.2", "3587.4", "166741046.2", "9.9", confirm]
    assert one(frame(f"candle{code}", row)) == CandleMessage(
        *(f"candle{code}:BTC-USDT", interval, 1629993600000, None),
        *(42500.0, 48199.9, 41006.1, 41006.2, 3587.4, over),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pong", Heartbeat()),
        (
            '{"id":"7","event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a4d3ae55"}',
            Ack("7", True, topic=SPOT),
        ),
        (
            '{"id":"8","event":"unsubscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a4d3ae55"}',
            Ack("8", True, topic=SPOT),
        ),
        (
            '{"id":"9","event":"error","code":"60018","msg":"Wrong URL or channel","connId":"a4d3ae55"}',
            Ack("9", False, "60018 Wrong URL or channel"),
        ),
        (
            '{"event":"notice","code":"64008","msg":"The connection will soon be closed","connId":"a4"}',
            Status("server_shutdown", "The connection will soon be closed"),
        ),
        ('{"event":"notice","code":"1","msg":"?"}', Other()),
        ('{"event":"channel-conn-count","channel":"orders","connCount":"2"}', Other()),
        (frame("tickers", {"last": "1"}), Other()),
        ("{}", Other()),
    ],
)
def test_what_is_no_market_data(text: str, message: Message) -> None:
    assert one(text) == message


def test_spaces_and_another_order_of_keys_are_read_all_the_same() -> None:
    told = json.loads(SNAPSHOT)
    assert read_frame(
        json.dumps({"data": told["data"], "action": "snapshot", "arg": told["arg"]})
    ) == read_frame(SNAPSHOT)


def without(key: str) -> str:
    told = json.loads(SNAPSHOT)
    del told["data"][0][key]
    return json.dumps(told)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "malformed"),
        ("ping", "malformed"),
        ("[]", "malformed"),
        (without("seqId"), "malformed"),
        (without("bids"), "malformed"),
        (SNAPSHOT.replace('"snapshot"', '"partial"'), "malformed"),
        (SNAPSHOT.replace('"8476.97"', '"x"'), "malformed"),
        (SNAPSHOT.replace('"seqId":10', '"seqId":-2'), "out_of_range"),
        (SNAPSHOT.replace('"seqId":10', f'"seqId":{2**63}'), "out_of_range"),
        (SNAPSHOT.replace(TS, "-1"), "out_of_range"),
        (frame("candle7m", ["1", "1", "1", "1", "1", "1", "1", "1", "0"]), "malformed"),
        (frame("candle1m", ["1", "1", "1", "1", "1", "1", "1", "1", "2"]), "malformed"),
        (frame("candle1m", ["-1", "1", "1", "1", "1", "1", "1", "1", "0"]), "out_of_range"),
        (frame("trades", {"tradeId": "1", "px": "1", "sz": "1", "side": "up", "ts": "1"}), "malformed"),
        (frame("trades", {"tradeId": "", "px": "1", "sz": "1", "side": "buy", "ts": "1"}), "malformed"),
        (frame("trades", {"tradeId": "1", "px": "1", "sz": "1", "side": "buy", "ts": "-1"}), "out_of_range"),
    ],
)
def test_what_is_not_documented_is_refused(text: str, reason: str) -> None:
    with pytest.raises(FrameError) as caught:
        read_frame(text)
    assert caught.value.reason == reason


@given(
    st.text() | st.builds(lambda at, put: SNAPSHOT[:at] + put + SNAPSHOT[at:], st.integers(0, 200), st.text())
)
def test_no_text_does_anything_but_read_or_refuse(text: str) -> None:
    with suppress(FrameError):
        read_frame(text)


# The chain of sequence ids.


def started() -> VerifiedBook:
    taken = VerifiedBook(PreviousSequence(), 400)
    assert take(taken, SNAPSHOT) is Did.OPENED
    return taken


def take(taken: VerifiedBook, text: str) -> Did:
    message = one(text)
    if isinstance(message, Snapshot):
        return taken.apply_snapshot(message).did
    assert isinstance(message, Delta)
    return taken.apply_delta(message).did


def test_the_documented_example_is_taken_message_by_message() -> None:
    taken = started()
    assert take(taken, book("update", 10, 15, {"8476": "1"})) is Did.CONTINUED
    assert take(taken, book("update", 15, 15)) is Did.MERGED  # nothing changed for a minute
    assert take(taken, book("update", 15, 3, {"8475": "2"})) is Did.REOPENED  # maintenance: ids begin again
    assert taken.last_sequence == 3
    assert dict(zip(taken.book.bids.prices, taken.book.bids.lots, strict=True))[8475.0] == 2.0
    assert take(taken, book("update", 3, 5, {"8475": "0"})) is Did.CONTINUED
    assert 8475.0 not in taken.book.bids.prices


def test_a_missing_message_breaks_the_book() -> None:
    taken = started()
    assert take(taken, book("update", 12, 15, {"8476": "1"})) is Did.BROKE
    assert take(taken, book("update", 15, 16, {"8476": "1"})) is Did.REJECTED  # until a snapshot comes
    assert take(taken, SNAPSHOT) is Did.OPENED


def test_a_message_that_says_nothing_changed_shows_that_one_before_it_is_missing() -> None:
    assert take(started(), book("update", 15, 15)) is Did.BROKE


def test_ids_that_begin_again_do_not_hide_a_gap() -> None:
    assert take(started(), book("update", 12, 3, {"8475": "2"})) is Did.BROKE


def test_the_same_message_again_is_not_applied_twice() -> None:
    taken = started()
    update = book("update", 10, 15, {"8476": "1"})
    assert take(taken, update) is Did.CONTINUED
    assert take(taken, update) is Did.REJECTED
    assert taken.last_sequence == 15


def test_a_snapshot_at_the_same_id_says_nothing_new_and_at_another_begins_anew() -> None:
    taken = started()
    assert take(taken, SNAPSHOT) is Did.MERGED
    assert take(taken, book("snapshot", -1, 30, {"1": "1"}, {"2": "1"})) is Did.REOPENED


def test_an_update_that_names_no_message_before_it_breaks_the_book() -> None:
    told = json.loads(book("update", 10, 15, {"8476": "1"}))
    del told["data"][0]["prevSeqId"]
    assert take(started(), json.dumps(told)) is Did.BROKE


@pytest.mark.parametrize(
    ("channel", "rule", "verification"),
    [
        ("book.400", PreviousSequence, "sequence"),
        ("book.5", WholeBooks, "connection"),
        ("book.1", WholeBooks, "connection"),
        ("bbo", WholeBooks, "connection"),
    ],
)
def test_what_proves_each_book(channel: str, rule: type, verification: str) -> None:
    found = OKX.rule("spot", channel, {})
    assert type(found) is rule
    assert found.verification == verification


# Requests.


@pytest.mark.parametrize(
    ("channel", "topic", "address"),
    [
        ("book.400", "books:BTC-USDT-SWAP", "public"),
        ("book.5", "books5:BTC-USDT-SWAP", "public"),
        ("book.1", "bbo-tbt:BTC-USDT-SWAP", "public"),
        ("bbo", "bbo-tbt:BTC-USDT-SWAP", "public"),
        ("trade", "trades:BTC-USDT-SWAP", "public"),
        ("ohlcv.1m", "candle1m:BTC-USDT-SWAP", "business"),
        ("ohlcv.4h", "candle4H:BTC-USDT-SWAP", "business"),
        ("ohlcv.6h", "candle6Hutc:BTC-USDT-SWAP", "business"),
        ("ohlcv.12h", "candle12Hutc:BTC-USDT-SWAP", "business"),
        ("ohlcv.1d", "candle1Dutc:BTC-USDT-SWAP", "business"),
        ("ohlcv.1w", "candle1Wutc:BTC-USDT-SWAP", "business"),
        ("ohlcv.1M", "candle1Mutc:BTC-USDT-SWAP", "business"),
    ],
)
def test_each_channel_has_its_topic_and_its_address(channel: str, topic: str, address: str) -> None:
    wire, addresses = OKX.topics, OKX.addresses
    assert wire.topic("BTC-USDT-SWAP", "BTC/USDT:USDT", channel) == topic
    urls = addresses.replaced.ws["linear"]
    assert urls[addresses.index("linear", channel)] == "{ws}/okx/ws/v5/" + address
    name, _, instrument = topic.partition(":")
    asked = {"id": "7", "op": "subscribe", "args": [{"channel": name, "instId": instrument}]}
    assert wire.subscribe([topic], "7") == asked
    assert wire.unsubscribe([topic], "7") == asked | {"op": "unsubscribe"}


@pytest.mark.parametrize("channel", ["book.50", "book", "ohlcv.7m", "ohlcv", "trades", "ticker", ""])
def test_what_is_no_channel_is_refused(channel: str) -> None:
    with pytest.raises(ValueError, match="is no channel of OKX"):
        OKX.topics.topic("BTC-USDT", "BTC/USDT", channel)


def test_each_topic_is_asked_for_by_itself_and_the_ping_is_bare_text() -> None:
    assert list(OKX.topics.requests(["a:b", "c:d"])) == [["a:b"], ["c:d"]]
    assert OKX.topics.ping is not None
    assert OKX.topics.ping("7") == "ping"


# What a contract is worth.


def market(**changes: str) -> dict[str, Any]:
    told = {
        "instId": "BTC-USDT-SWAP",
        "instType": "SWAP",
        "uly": "BTC-USDT",
        "settleCcy": "USDT",
        "ctVal": "0.01",
        "ctMult": "1",
        "ctValCcy": "BTC",
        "ctType": "linear",
        "state": "live",
        "lotSz": "0.01",
        "minSz": "0.01",
        "tickSz": "0.1",
        "baseCcy": "",
        "quoteCcy": "",
        **changes,
    }
    found: dict[str, Any] = ccxt.okx().parse_market(told)
    return found


def test_a_contract_is_worth_what_ccxt_read_of_the_market() -> None:
    assert OKX.contract_size(market()) == ContractSize(100.0, 1.0, 10_000.0)
    assert OKX.contract_size(market(ctVal="1000", lotSz="1")) == ContractSize(1.0, 1000.0, 1.0)
    assert OKX.contract_size(market(ctMult="10", lotSz="0.1")) == ContractSize(10.0, 1.0, 100.0)


def test_spot_sizes_are_in_the_base_currency() -> None:
    spot = {"instType": "SPOT", "instId": "BTC-USDT", "baseCcy": "BTC", "quoteCcy": "USDT", "ctValCcy": ""}
    assert OKX.contract_size(market(**spot, uly="", settleCcy="", ctVal="", ctMult="")) is None


def test_contracts_of_another_currency_are_not_collected() -> None:
    with pytest.raises(
        UserError, match=r"BTC/USDT:USDT: .* a contract is worth 0.01 USD, expected so many BTC"
    ):
        OKX.contract_size(market(ctValCcy="USD"))


def test_sizes_in_base_units_are_the_number_that_the_decimals_mean() -> None:
    hundredth = contract_size(Decimal("0.01"), Decimal(1))
    assert 57 * 0.01 != 0.57
    assert hundredth.in_base(57.0) == 0.57
    assert hundredth.in_base(0.0) == 0.0
    assert str(hundredth.in_base(float("nan"))) == "nan"


@given(
    digits=st.integers(1, 999),
    exponent=st.integers(-8, 6),
    places=st.integers(0, 4),
    count=st.integers(0, 10**6),
)
def test_every_size_is_exact(digits: int, exponent: int, places: int, count: int) -> None:
    value, step = Decimal(digits).scaleb(exponent), Decimal(1).scaleb(-places)
    size = count * step
    assert contract_size(value, step).in_base(float(size)) == float(size * value)
