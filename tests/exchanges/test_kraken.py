"""Kraken's websocket v2 frames, as the exchange documents and sends them, into our vocabulary."""

import json
from contextlib import suppress
from datetime import UTC, datetime

import ccxt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import FrameError
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
    TopOfBook,
    TradeMessage,
)
from collector.exchanges.kraken.frames import read_frame
from collector.exchanges.kraken.topics import (
    CHANNELS,
    WIRE_CURRENCIES,
    ping,
    requests,
    route,
    subscribe,
    topic,
    unsubscribe,
)
from collector.exchanges.registry import EXCHANGES
from collector.streams.plausible import candle_problem, trade_problem

BOOK = (
    '{"channel":"book","type":"%s","data":[{"symbol":"BTC/USD","bids":[{"price":78858.8,"qty":0.00000000},'
    '{"price":78857.0,"qty":0.34775324}],"asks":[],"checksum":2416540570,'
    '"timestamp":"2026-08-24T22:21:58.343688Z"}]}'
)
TRADE = (
    '{"symbol":"BTC/USD","side":"sell","price":68466.9,"qty":0.01919415,"ord_type":"market",'
    '"trade_id":70635251,"timestamp":"2024-05-27T12:33:10.826003Z"}'
)
BAR = (
    '{"symbol":"ETH/USD","open":3027.80,"high":3027.80,"low":3026.13,"close":3026.13,"trades":9,'
    '"volume":13.31603062,"vwap":3027.01,"interval_begin":"2024-05-17T11:12:00.000000000Z","interval":1,'
    '"timestamp":"2024-05-17T11:13:00.000000Z"}'
)
TOP = (
    '{"symbol":"BTC/USD","bid":65972.8,"bid_qty":0.10000000,"ask":65972.9,"ask_qty":39.67506683,'
    '"last":65972.9,"volume":4216.61829370,"vwap":64275.2,"low":61325.4,"high":66450.0,"change":4412.1,'
    '"change_pct":7.17}'
)


def of(channel: str, *entries: str) -> str:
    return f'{{"channel":"{channel}","type":"update","data":[{",".join(entries)}]}}'


def answer(result: str, request: str = "") -> str:
    return f'{{"method":"subscribe",{request}"result":{{{result},"symbol":"BTC/USD"}},"success":true}}'


def test_changed_levels_are_read_with_the_digits_that_were_sent() -> None:
    assert read_frame(BOOK % "update") == [
        Delta(
            "book:BTC/USD",
            None,
            1787610118343,
            [(78858.8, 0.0), (78857.0, 0.34775324)],
            [],
            checksum=2416540570,
            bid_texts=[("78858.8", "0.00000000"), ("78857.0", "0.34775324")],
            ask_texts=[],
        )
    ]


def test_a_whole_book_without_a_time_is_read() -> None:
    text = (BOOK % "snapshot").replace(',"timestamp":"2026-08-24T22:21:58.343688Z"', "")
    (snapshot,) = read_frame(text)
    assert isinstance(snapshot, Snapshot)
    assert (snapshot.topic, snapshot.exchange_ms) == ("book:BTC/USD", None)


@pytest.mark.parametrize("rewrite", [json.dumps, lambda frame: json.dumps(frame, indent=1)])
@pytest.mark.parametrize("turned", [False, True])
def test_spaces_and_the_order_of_keys_do_not_matter(rewrite, turned) -> None:  # noqa: ANN001
    def turn(value: object) -> object:
        if isinstance(value, list):
            return [turn(each) for each in value]
        if isinstance(value, dict):
            items = [(key, turn(each)) for key, each in value.items()]
            return dict(reversed(items))
        return value

    frame = json.loads(BOOK % "update")
    text = rewrite(turn(frame) if turned else frame).replace(": 0.0", ": 0.00000000")
    assert read_frame(text) == read_frame(BOOK % "update")


def test_numbers_with_an_exponent_keep_their_text() -> None:
    (delta,) = read_frame((BOOK % "update").replace("0.34775324", "1e-08").replace("78857.0", "5e-05"))
    assert isinstance(delta, Delta)
    assert delta.bids[1] == (5e-05, 1e-08)
    assert delta.bid_texts[1] == ("5e-05", "1e-08")


def test_every_entry_of_a_frame_is_read() -> None:
    other = TRADE.replace("70635251", "70635252").replace('"sell"', '"buy"')
    assert read_frame(of("trade", TRADE, other)) == [
        TradeMessage(
            "trade:BTC/USD", "70635251", 1716813190826, 68466.9, 0.01919415, Side.SELL, number=70635251
        ),
        TradeMessage(
            "trade:BTC/USD", "70635252", 1716813190826, 68466.9, 0.01919415, Side.BUY, number=70635252
        ),
    ]
    entry = (BOOK % "update").partition('"data":[')[2][:-2]
    assert len(read_frame(of("book", entry, entry.replace("BTC", "ETH")))) == 2
    assert len(read_frame(of("ticker", TOP, TOP.replace("BTC", "ETH")))) == 2
    assert len(read_frame(of("ohlc", BAR, BAR.replace("11:12", "11:13")))) == 2


@pytest.mark.parametrize("channel", ["book", "trade", "ohlc", "ticker", "status"])
def test_a_frame_without_entries_says_nothing(channel: str) -> None:
    assert list(read_frame(of(channel))) == []


def test_a_bar_has_the_frames_time_and_is_not_over() -> None:
    text = of("ohlc", BAR).replace('"data"', '"timestamp":"2024-05-17T11:21:16.318999999Z","data"')
    assert read_frame(text) == [
        CandleMessage(
            "ohlcv.1m:ETH/USD",
            "1m",
            1715944320000,
            1715944876318,  # cut off: rounded, a time could be after its receipt
            3027.80,
            3027.80,
            3026.13,
            3026.13,
            13.31603062,
            confirmed=False,
            vwap=3027.01,
            count=9,
        )
    ]


@pytest.mark.parametrize(
    ("minutes", "interval"),
    [
        *((1, "1m"), (5, "5m"), (15, "15m"), (30, "30m"), (60, "1h"), (240, "4h"), (1440, "1d")),
        *((10080, "1w"), (21600, "15d")),
    ],
)
def test_intervals_have_the_names_of_all_exchanges(minutes: int, interval: str) -> None:
    (candle,) = read_frame(of("ohlc", BAR.replace('"interval":1', f'"interval":{minutes}')))
    assert isinstance(candle, CandleMessage)
    assert (candle.interval, candle.topic) == (interval, f"ohlcv.{interval}:ETH/USD")
    assert interval in EXCHANGES["kraken"].intervals


def test_the_best_prices_are_read_with_and_without_a_time() -> None:
    expected = TopOfBook("bbo:BTC/USD", None, None, 65972.8, 0.1, 65972.9, 39.67506683)
    assert read_frame(of("ticker", TOP)) == [expected]
    timed = TOP[:-1] + ',"timestamp":"2026-08-24T22:21:58Z"}'
    assert read_frame(of("ticker", timed))[0].exchange_ms == 1787610118000


def test_a_side_without_an_order_has_no_best_price() -> None:
    without_asks = TOP.replace("65972.9,", "0.0,").replace("39.67506683", "0.00000000")
    expected = TopOfBook("bbo:BTC/USD", None, None, 65972.8, 0.1, 0.0, 0.0)
    assert read_frame(of("ticker", without_asks)) == [expected]


@pytest.mark.parametrize("system", ["online", "maintenance", "cancel_only", "post_only", "limit_only"])
def test_the_exchanges_state_is_read(system: str) -> None:
    entry = f'{{"version":"2.0.10","system":"{system}","api_version":"v2","connection_id":174083909846905}}'
    assert read_frame(of("status", entry)) == [Status(system)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"channel":"heartbeat"}', Heartbeat()),
        ('{"method":"pong","req_id":1,"time_in":"2024-05-20T11:08:49.272922Z"}', Heartbeat(answers=True)),
        (answer('"channel":"book","depth":25', '"req_id":301,'), Ack("3", True, "", "book.25:BTC/USD")),
        (answer('"channel":"trade"'), Ack(None, True, "", "trade:BTC/USD")),
        (answer('"channel":"ohlc","interval":60'), Ack(None, True, "", "ohlcv.1h:BTC/USD")),
        (answer('"channel":"ohlc","interval":7'), Ack(None, True)),
        (answer('"channel":"ticker","event_trigger":"bbo"'), Ack(None, True, "", "bbo:BTC/USD")),
        (answer('"channel":"ticker","event_trigger":"trades"'), Ack(None, True)),
        (answer('"channel":"level3"'), Ack(None, True)),
        (
            answer('"channel":"trade","warnings":["old","slow"]'),
            Ack(None, True, "old; slow", "trade:BTC/USD"),
        ),
        (
            answer('"channel":"book","depth":25').replace('"subscribe"', '"unsubscribe"'),
            Ack(None, True, "", "book.25:BTC/USD"),
        ),
        (
            '{"error":"Unsupported event","method":"subscribe","success":false}',
            Ack(None, False, "Unsupported event"),
        ),
        (
            '{"error":"Unsupported field","method":"ping","req_id":0,"success":false}',
            Other("exchange_error", "Unsupported field"),
        ),
        ('{"error":"Malformed request","success":false}', Other("exchange_error", "Malformed request")),
        ('{"channel":"level3","type":"update","data":[{"bids":[]}]}', Other("unknown_channel", "level3")),
        (
            '{"channel":"instrument","type":"snapshot","data":{"assets":[],"pairs":[]}}',
            Other("unknown_channel", "instrument"),
        ),
        ('{"Error":"Exceeded msg rate"}', Ack(None, False, "Exceeded msg rate")),
        ('{"error":"Exceeded msg rate","success":false}', Ack(None, False, "Exceeded msg rate")),
        ('{"method":"add_order","result":7,"success":true}', Other()),
        ("{}", Other()),
    ],
)
def test_what_is_no_market_data_is_told_apart(text: str, expected: Message) -> None:
    assert list(read_frame(text)) == [expected]


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_refusal_names_its_topic_though_the_exchange_names_only_the_symbol(channel: str) -> None:
    wanted = topic("", "WWW/USD", channel)
    request = subscribe([wanted], "12")
    refusal = {
        "error": "Currency pair not supported WWW/USD",
        "method": "subscribe",
        "req_id": request["req_id"],
        "success": False,
        "symbol": "WWW/USD",
    }
    expected = Ack("12", False, "Currency pair not supported WWW/USD", wanted)
    assert list(read_frame(json.dumps(refusal))) == [expected]


def test_a_number_that_is_not_ours_names_no_channel() -> None:
    text = '{"error":"No","method":"subscribe","req_id":%s,"success":false,"symbol":"WWW/USD"}'
    assert list(read_frame(text % 199)) == [Ack("1", False, "No")]


@pytest.mark.parametrize(
    ("channel", "named", "routed", "params"),
    [
        (
            "book.25",
            "book.25:BTC/USD",
            "book:BTC/USD",
            {"channel": "book", "depth": 25, "symbol": ["BTC/USD"]},
        ),
        ("trade", "trade:BTC/USD", "trade:BTC/USD", {"channel": "trade", "symbol": ["BTC/USD"]}),
        (
            "ohlcv.1h",
            "ohlcv.1h:BTC/USD",
            "ohlcv.1h:BTC/USD",
            {"channel": "ohlc", "interval": 60, "symbol": ["BTC/USD"]},
        ),
        (
            "bbo",
            "bbo:BTC/USD",
            "bbo:BTC/USD",
            {"channel": "ticker", "event_trigger": "bbo", "symbol": ["BTC/USD"]},
        ),
    ],
)
def test_a_topic_is_asked_for_and_ended_as_documented(
    channel: str, named: str, routed: str, params: dict[str, object]
) -> None:
    assert topic("XXBTZUSD", "BTC/USD", channel) == named
    assert route(named) == routed
    number = 700 + CHANNELS.index(channel)
    assert subscribe([named], "7") == {
        "method": "subscribe",
        "params": {**params, "snapshot": True},
        "req_id": number,
    }
    assert unsubscribe([named], "7") == {"method": "unsubscribe", "params": params, "req_id": number}


@pytest.mark.parametrize("channel", ["book", "book.50", "ohlcv.2m", "ticker", "", "trade.1"])
def test_a_channel_that_the_exchange_does_not_have_is_refused(channel: str) -> None:
    with pytest.raises(ValueError, match="no channel of Kraken"):
        topic("XXBTZUSD", "BTC/USD", channel)


def test_a_request_holds_many_symbols_of_one_channel() -> None:
    topics = ["book.10:A/USD", "trade:A/USD", "book.25:A/USD", "book.10:B/USD", "ohlcv.1m:A/USD"]
    assert requests(topics) == [
        ["book.10:A/USD", "book.10:B/USD"],
        ["trade:A/USD"],
        ["book.25:A/USD"],
        ["ohlcv.1m:A/USD"],
    ]
    params = subscribe(requests(topics)[0], "1")["params"]
    assert params == {"channel": "book", "depth": 10, "symbol": ["A/USD", "B/USD"], "snapshot": True}
    for mixed in (topics, []):
        with pytest.raises(ValueError, match="one channel expected"):
            subscribe(mixed, "1")


def test_a_ping_has_a_whole_number() -> None:
    assert ping("3") == {"method": "ping", "req_id": 3}


def test_a_market_has_the_exchanges_own_name_where_ccxt_has_another() -> None:
    assert topic("LUNA2USD", "LUNA/USD", "trade") == "trade:LUNA2/USD"
    assert topic("LUNAUSD", "LUNC/USD", "trade") == "trade:LUNA/USD"
    renamed = ccxt.kraken().commonCurrencies
    assert all(renamed[wire] == code for code, wire in WIRE_CURRENCIES.items())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *[
            (text, "malformed")
            for text in [
                "",
                "hello",
                "[]",
                "null",
                "[" * 20_000,
                '{"channel":"book","x":' + "[" * 20_000 + "]" * 20_000 + "}",
                '{"channel":"other","x":' + "[" * 20_000 + "]" * 20_000 + "}",
                "\ud800",
                '{"channel":"book","type":"update"}',
                '{"channel":"status","data":[{}]}',
                '{"method":"subscribe","success":true}',
                BOOK % "delta",
                (BOOK % "update")[:-1],
                (BOOK % "update").replace("78858.8", '"78858.8"'),
                (BOOK % "update").replace("78858.8", "null"),
                (BOOK % "update").replace("78858.8", "NaN"),
                (BOOK % "update").replace("78858.8", "1e400"),
                (BOOK % "update").replace("78858.8", "78858,8"),
                (BOOK % "update").replace("2416540570", "0.5"),
                (BOOK % "update").replace('"checksum":2416540570,', ""),
                (BOOK % "update").replace('"BTC/USD"', '""'),
                (BOOK % "update").replace("2026-08-24T22:21:58.343688Z", "yesterday"),
                (BOOK % "update").replace("343688Z", "343688"),
                of("trade", TRADE.replace('"sell"', '"both"')),
                of("trade", TRADE.replace("70635251", '"x"')),
                of("trade", TRADE.replace("68466.9", "1e400")),
                of("ohlc", BAR.replace("3026.13", "NaN")),
                of("ticker", TOP.replace("65972.8", "null")),
            ]
        ],
        *[
            (text, "out_of_range")
            for text in [
                (BOOK % "update").replace("2416540570", "4294967296"),
                (BOOK % "update").replace("2416540570", "-1"),
                (BOOK % "update").replace("2026-08-24", "1926-08-24"),
                of("trade", TRADE.replace("68466.9", "0")),
                of("trade", TRADE.replace("68466.9", "-68466.9")),
                of("trade", TRADE.replace("68466.9", "1e15")),
                of("trade", TRADE.replace("0.01919415", "0.00000000")),
                of("trade", TRADE.replace("0.01919415", "1e18")),
                of("trade", TRADE.replace("70635251", "-1")),
                of("trade", TRADE, TRADE.replace("70635251", str(2**63))),
                of("ohlc", BAR.replace('"high":3027.80', '"high":3026.00')),
                of("ohlc", BAR.replace('"low":3026.13', '"low":3026.14')),
                of("ohlc", BAR.replace('"low":3026.13', '"low":0')),
                of("ohlc", BAR.replace('"volume":13', '"volume":-13')),
                of("ohlc", BAR.replace('"vwap":3027.01', '"vwap":1e300')),
                of("ohlc", BAR.replace('"trades":9', '"trades":-9')),
                of("ohlc", BAR.replace('"interval":1', '"interval":2')),
                of("ticker", TOP.replace("65972.8", "0.0")),
                of("ticker", TOP.replace("39.67506683", "0.0")),
            ]
        ],
    ],
)
def test_a_frame_that_cannot_be_used_is_an_error_of_its_own_kind(text: str, reason: str) -> None:
    assert refused(text) == reason


def refused(text: str) -> str:
    """Return the reason for which a frame is refused, or what it tells of a trade or a bar."""
    try:
        messages = read_frame(text)
    except FrameError as error:
        return error.reason
    problems = [
        trade_problem(message, message.exchange_ms * 10**6, 1e3)
        if isinstance(message, TradeMessage)
        else candle_problem(message, message.open_ms * 10**6, 1e3)
        for message in messages
        if isinstance(message, TradeMessage | CandleMessage)
    ]
    return next((problem[0] for problem in problems if problem is not None), "")


def test_a_bar_is_over_when_a_later_one_is_told_with_it() -> None:
    first, last = read_frame(of("ohlc", BAR, BAR.replace("11:12", "11:13")))
    assert isinstance(first, CandleMessage)
    assert isinstance(last, CandleMessage)
    assert (first.confirmed, last.confirmed) == (True, False)


@given(st.floats(min_value=0, max_value=1e15, allow_nan=False))
def test_numbers_are_the_nearest_doubles(number: float) -> None:
    (delta,) = read_frame((BOOK % "update").replace("0.34775324", repr(number)))
    assert isinstance(delta, Delta)
    assert delta.bids[1][1] == number
    assert delta.bid_texts[1][1] == repr(number)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)))  # noqa: DTZ001
def test_times_are_whole_milliseconds_cut_off(at: datetime) -> None:
    text = (BOOK % "update").replace("2026-08-24T22:21:58.343688Z", at.isoformat() + "Z")
    since = at.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    whole = (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
    assert read_frame(text)[0].exchange_ms == whole


GARBAGE = st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1"))
FRAMES = (BOOK % "update", of("trade", TRADE), of("ohlc", BAR), of("ticker", TOP))


@given(GARBAGE)
def test_garbage_never_raises_anything_else(text: str) -> None:
    for candidate in (text, '{"channel":"book",' + text, '{"channel":"trade",' + text):
        survive(candidate)


@given(st.sampled_from(FRAMES), st.integers(0, 400), st.integers(0, 20), GARBAGE)
def test_a_torn_frame_never_raises_anything_else(text: str, at: int, cut: int, put: str) -> None:
    survive(text[:at] + put + text[at + cut :])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ),
    st.sampled_from(FRAMES),
    st.data(),
)
def test_a_value_of_another_kind_never_raises_anything_else(
    value: object, text: str, data: st.DataObject
) -> None:
    frame = json.loads(text)
    place = data.draw(st.sampled_from([frame, frame["data"][0]]))
    place[data.draw(st.sampled_from(sorted(place)))] = value
    survive(json.dumps(frame))


def survive(text: str) -> None:
    with suppress(FrameError):
        read_frame(text)
