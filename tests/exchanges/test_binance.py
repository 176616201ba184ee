"""Binance frames, as documented and as sent, into our vocabulary; and the requests made of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import FrameError
from collector.events.messages import (
    Ack,
    CandleMessage,
    Delta,
    Other,
    Side,
    Snapshot,
    Status,
    TopOfBook,
    TradeMessage,
)
from collector.exchanges.binance import BINANCE
from collector.exchanges.binance.facts import SNAPSHOT_DEPTHS, snapshot_request
from collector.exchanges.binance.frames import read_frame, read_snapshot
from collector.exchanges.binance.topics import subscribe, topic, unsubscribe
from collector.exchanges.exchange import RestSnapshot
from collector.streams.plausible import candle_problem, trade_problem

# Recorded, the books cut to a few levels.
SPOT_DEPTH = (
    '{"e":"depthUpdate","E":1622363903670,"s":"BTCUSDT","U":11294093710,"u":11294093726,'
    '"b":[["35743.98000000","0.00000000"],["35743.87000000","0.00001500"]],'
    '"a":[["35743.88000000","0.24000000"]]}'
)
USDM_DEPTH = (
    '{"e":"depthUpdate","E":1622371244693,"T":1622371244687,"s":"BTCUSDT","U":475776377463,'
    '"u":475776380184,"pu":475776377452,"b":[["35729.77","1.600"]],"a":[["35820.31","0.001"]]}'
)
SPOT_TRADE = (
    '{"e":"trade","E":1723161255612,"s":"ETHUSDT","t":1520538925,"p":"2683.80000000","q":"0.00200000",'
    '"T":1723161255611,"m":true,"M":true}'
)
OLD_SPOT_TRADE = (  # with the ids of both orders, under names that other events use for other things
    '{"e":"trade","E":1680652800002,"s":"BTCUSDT","t":3071245455,"p":"28165.47000000","q":"0.00128000",'
    '"b":20720542158,"a":20720542593,"T":1680652800001,"m":false,"M":true}'
)
USDM_TRADE = (
    '{"e":"trade","E":1721347022956,"T":1721347022956,"s":"BTCUSDT","t":5182005737,"p":"63943.90",'
    '"q":"0.003","X":"MARKET","m":true}'
)
INSURANCE_TRADE = (
    '{"e":"trade","E":1596034530241,"T":1596034530235,"s":"ETHUSDT","t":73701056,"p":"2366.55",'
    '"q":"0.070","X":"INSURANCE_FUND","m":true}'
)
PLACEHOLDER = (
    '{"e":"trade","E":1721347022956,"T":1721347022956,"s":"BTCUSDT","t":5182005738,"p":"0",'
    '"q":"0","X":"NA","m":true}'
)
AGGREGATE = (
    '{"e":"aggTrade","E":1616176861895,"s":"BTCUSDT","a":640283266,"p":"58942.01000000",'
    '"q":"0.00035600","f":716849523,"l":716849523,"T":1616176861893,"m":false,"M":true}'
)
SPOT_TOP = (
    '{"u":35346513501,"s":"ETHUSDT","b":"2683.80000000","B":"3.02920000","a":"2683.81000000",'
    '"A":"31.43950000"}'
)
USDM_TOP = (
    '{"e":"bookTicker","u":4984028370881,"s":"BTCUSDT","b":"63943.90","B":"46.371","a":"63944.00",'
    '"A":"0.095","T":1721347022507,"E":1721347022508}'
)
KLINE = (
    '{"e":"kline","E":1653818762502,"s":"BTCUSDT","k":{"t":1653818760000,"T":1653818819999,"s":"BTCUSDT",'
    '"i":"1m","f":1384844002,"L":1384844032,"o":"29038.46000000","c":"29038.47000000",'
    '"h":"29038.48000000","l":"29038.45000000","v":"0.20926000","n":31,"x":false,"q":"6076.58918320",'
    '"V":"0.10436000","Q":"3030.45472920","B":"0"}}'
)

READ = {
    SPOT_DEPTH: Delta(
        "btcusdt@depth",
        11294093726,
        1622363903670,
        [(35743.98, 0.0), (35743.87, 0.000015)],
        [(35743.88, 0.24)],
        first_sequence=11294093710,
    ),
    USDM_DEPTH: Delta(
        "btcusdt@depth",
        475776380184,
        1622371244687,
        [(35729.77, 1.6)],
        [(35820.31, 0.001)],
        first_sequence=475776377463,
        previous_sequence=475776377452,
    ),
    SPOT_TRADE: TradeMessage(
        "ethusdt@trade", "1520538925", 1723161255611, 2683.8, 0.002, Side.SELL, number=1520538925
    ),
    OLD_SPOT_TRADE: TradeMessage(
        "btcusdt@trade", "3071245455", 1680652800001, 28165.47, 0.00128, Side.BUY, number=3071245455
    ),
    USDM_TRADE: TradeMessage(
        "btcusdt@trade", "5182005737", 1721347022956, 63943.9, 0.003, Side.SELL, number=5182005737
    ),
    INSURANCE_TRADE: TradeMessage(
        "ethusdt@trade",
        "73701056",
        1596034530235,
        2366.55,
        0.07,
        Side.SELL,
        "trade",
        "INSURANCE_FUND",
        number=73701056,
    ),
    PLACEHOLDER: TradeMessage(
        "btcusdt@trade",
        "5182005738",
        1721347022956,
        0.0,
        0.0,
        Side.SELL,
        marked="NA",
        number=5182005738,
        is_placeholder=True,
    ),
    # Only nothing at no price is no trade, and only where it is called that.
    PLACEHOLDER.replace('"q":"0"', '"q":"2"'): TradeMessage(
        "btcusdt@trade", "5182005738", 1721347022956, 0.0, 2.0, Side.SELL, marked="NA", number=5182005738
    ),
    PLACEHOLDER.replace("NA", "MARKET"): TradeMessage(
        "btcusdt@trade", "5182005738", 1721347022956, 0.0, 0.0, Side.SELL, number=5182005738
    ),
    AGGREGATE: TradeMessage(
        "btcusdt@aggTrade", "640283266", 1616176861893, 58942.01, 0.000356, Side.BUY, "agg", number=640283266
    ),
    SPOT_TOP: TopOfBook("ethusdt@bookTicker", 35346513501, None, 2683.8, 3.0292, 2683.81, 31.4395),
    # A side without an order.
    SPOT_TOP.replace("2683.80000000", "0.00000000").replace("3.02920000", "0.00000000"): TopOfBook(
        "ethusdt@bookTicker", 35346513501, None, 0.0, 0.0, 2683.81, 31.4395
    ),
    USDM_TOP: TopOfBook("btcusdt@bookTicker", 4984028370881, 1721347022507, 63943.9, 46.371, 63944.0, 0.095),
    KLINE: CandleMessage(
        "btcusdt@kline_1m",
        "1m",
        1653818760000,
        1653818762502,
        29038.46,
        29038.48,
        29038.45,
        29038.47,
        0.20926,
        confirmed=False,
        count=31,
    ),
}


def combined(text: str, stream: str = "btcusdt@some") -> str:
    return f'{{"stream":"{stream}","data":{text}}}'


def refused(text: str) -> str:
    """Return the reason for which a frame is refused, or what it tells of a trade or a bar."""
    try:
        (message,) = read_frame(text)
    except FrameError as error:
        return error.reason
    problem = None
    if isinstance(message, TradeMessage):
        problem = trade_problem(message, message.exchange_ms * 10**6, 1e3)
    elif isinstance(message, CandleMessage):
        problem = candle_problem(message, message.open_ms * 10**6, 1e3)
    return "" if problem is None else problem[0]


@pytest.mark.parametrize("text", READ)
def test_market_data_is_read_to_the_last_digit(text: str) -> None:
    assert read_frame(text) == (READ[text],)


@pytest.mark.parametrize("text", READ)
def test_a_combined_stream_says_the_same(text: str) -> None:
    assert read_frame(combined(text)) == (READ[text],)
    assert read_frame(f'{{ "data": {text}, "stream": "x@y" }}') == (READ[text],)


@pytest.mark.parametrize("text", READ)
def test_neither_the_order_of_keys_nor_white_space_matters(text: str) -> None:
    turned = json.dumps(dict(reversed(json.loads(text).items())))
    assert read_frame(turned) == (READ[text],)
    assert read_frame(f"\n {text} ") == (READ[text],)


@pytest.mark.parametrize("text", [SPOT_DEPTH, USDM_DEPTH, USDM_TOP])
def test_what_begins_as_the_best_prices_of_spot_is_still_read_for_what_it_is(text: str) -> None:
    frame = json.loads(text)
    turned = json.dumps({"u": frame.pop("u"), **frame}, separators=(",", ":"))
    assert turned.startswith('{"u":')
    assert read_frame(turned) == (READ[text],)


@pytest.mark.parametrize("text", READ)
def test_numbers_may_come_as_numbers(text: str) -> None:
    assert read_frame(json.dumps(_unquoted(json.loads(text)))) == (READ[text],)


def _unquoted(value: object) -> object:
    if isinstance(value, dict):
        return {key: _unquoted(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_unquoted(each) for each in value]
    if isinstance(value, str) and value[0].isdigit() and value[-1].isdigit():
        return float(value)
    return value


def test_a_bar_that_is_over_says_so() -> None:
    assert read_frame(KLINE.replace('"x":false', '"x":true'))[0].confirmed


def test_a_month_is_no_minute() -> None:
    candle = read_frame(KLINE.replace('"1m"', '"1M"'))[0]
    assert (candle.topic, candle.interval) == ("btcusdt@kline_1M", "1M")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"result":null,"id":7}', Ack("7", True)),
        ('{"id":"a7","result":null}', Ack("a7", True)),
        (
            '{"error":{"code":2,"msg":"Invalid request: invalid stream"},"id":8}',
            Ack("8", False, "2 Invalid request: invalid stream"),
        ),
        ('{"code":2,"msg":"Invalid request","id":9}', Ack("9", False, "2 Invalid request")),
        (
            '{"code":3,"msg":"Invalid JSON: expected value at line 1 column 1"}',
            Ack(None, False, "3 Invalid JSON: expected value at line 1 column 1"),
        ),
        ('{"result":["btcusdt@depth"],"id":3}', Other()),
        ('{"e":"24hrTicker","E":1,"s":"BTCUSDT","b":"1","B":"2","a":"3","A":"4"}', Other()),
        ('{"e":"serverShutdown","E":1770123456789}', Status("server_shutdown")),
        ('[{"e":"24hrTicker","E":1}]', Other()),
        (combined('[{"e":"markPriceUpdate"}]', "!markPrice@arr"), Other()),
        ('{"lastUpdateId":1,"bids":[],"asks":[]}', Other()),
        (combined('{"lastUpdateId":1,"bids":[],"asks":[]}', "ethusdt@depth20"), Other()),
        ("{}", Other()),
    ],
)
def test_what_is_no_market_data_is_told_apart(text: str, expected: object) -> None:
    assert read_frame(text) == (expected,)


def test_a_book_of_a_few_levels_is_never_taken_for_changes() -> None:
    """On USD-M both are called `depthUpdate`; only the stream's name tells."""
    assert read_frame(combined(USDM_DEPTH, "btcusdt@depth20@100ms")) == (Other(),)
    assert read_frame(combined(USDM_DEPTH, "btcusdt@depth@100ms")) == (READ[USDM_DEPTH],)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "null",
        "1",
        "[" * 20_000,
        '{"stream":"a","data":' * 5_000,
        "[1,",
        '{"e":',
        '{"e":"depthUpdate"',
        '{"e":"depthUpdate"}',
        '{"e":7}',
        '{"u":1}',
        '{"result":null,"id":1.5}',
        '{"error":"no","id":1}',
        combined('"text"'),
        combined("1"),
        '{"stream":"btcusdt@depth"}',
        SPOT_DEPTH.replace("11294093726", '"many"'),
        SPOT_DEPTH.replace('"35743.88000000"', "null"),
        SPOT_DEPTH.replace('"35743.88000000"', '"abc"'),
        SPOT_DEPTH.replace('"35743.88000000"', '"1e400"'),
        SPOT_DEPTH.replace('"35743.88000000","0.24000000"', '"35743.88000000"'),
        SPOT_DEPTH.replace('"b":', '"x":NaN,"b":'),
        SPOT_DEPTH.replace("BTCUSDT", ""),
        SPOT_DEPTH.replace('"s":"BTCUSDT",', ""),
        SPOT_TRADE.replace('"m":true', '"m":"maybe"'),
        '{"e":"depthUpdate","s":"\ud800"}',
        "\ud800",
    ],
)
def test_a_frame_that_cannot_be_read_is_malformed(text: str) -> None:
    assert refused(text) == "malformed"


@pytest.mark.parametrize(
    ("text", "old", "new", "reason"),
    [
        (SPOT_DEPTH, "11294093710", "-1", "out_of_range"),
        (SPOT_DEPTH, "11294093726", str(2**63), "out_of_range"),
        (SPOT_DEPTH, "11294093726", "1" * 400, "out_of_range"),
        (SPOT_DEPTH, "11294093710", "11294093727", "out_of_range"),  # begins after its end
        (SPOT_DEPTH, "1622363903670", "-5", "out_of_range"),
        (USDM_DEPTH, "475776377452", "-2", "out_of_range"),
        (SPOT_TRADE, "1520538925", "-1", "out_of_range"),
        (SPOT_TRADE, "1520538925", str(2**63), "out_of_range"),
        (SPOT_TRADE, "1723161255611", str(2**63), "out_of_range"),
        (SPOT_TRADE, "2683.80000000", "0.0", "out_of_range"),
        (SPOT_TRADE, "2683.80000000", "-2683.8", "out_of_range"),
        (SPOT_TRADE, "2683.80000000", "1e15", "out_of_range"),
        (SPOT_TRADE, "2683.80000000", "nan", "not_finite"),
        (SPOT_TRADE, "0.00200000", "0", "out_of_range"),
        (SPOT_TRADE, "0.00200000", "Infinity", "not_finite"),
        (AGGREGATE, "0.00035600", "0", "out_of_range"),
        (SPOT_TOP, "35346513501", "-1", "out_of_range"),
        (SPOT_TOP, "2683.80000000", "0.0", "out_of_range"),
        (SPOT_TOP, "3.02920000", "0.0", "out_of_range"),
        (SPOT_TOP, "2683.81000000", "-1", "out_of_range"),
        (SPOT_TOP, "31.43950000", "inf", "not_finite"),
        (USDM_TOP, "1721347022507", "-1", "out_of_range"),
        (KLINE, "29038.48000000", "29038.46", "out_of_range"),  # the high below the close
        (KLINE, "29038.45000000", "29038.465", "out_of_range"),  # the low above the open
        (KLINE, "29038.45000000", "0", "out_of_range"),
        (KLINE, "29038.48000000", "1e15", "out_of_range"),
        (KLINE, "0.20926000", "-0.1", "out_of_range"),
        (KLINE, "0.20926000", "nan", "not_finite"),
        (KLINE, "29038.46000000", "nan", "not_finite"),
        (KLINE, '"n":31', '"n":-1', "out_of_range"),
        (KLINE, '"t":1653818760000', '"t":-1', "out_of_range"),
    ],
)
def test_a_number_that_no_market_has_is_refused(text: str, old: str, new: str, reason: str) -> None:
    assert text.count(old) == 1
    assert refused(text.replace(old, new)) == reason


def test_a_market_without_a_message_before_is_read() -> None:
    assert read_frame(USDM_DEPTH.replace("475776377452", "-1"))[0].previous_sequence == -1


@given(st.floats(min_value=0, max_value=1e14, exclude_min=True, allow_subnormal=False))
def test_numbers_are_the_nearest_doubles(price: float) -> None:
    assert read_frame(SPOT_DEPTH.replace("35743.88000000", repr(price)))[0].asks[0][0] == price
    assert read_frame(SPOT_TRADE.replace("2683.80000000", repr(price)))[0].price == price


@given(
    st.sampled_from(["", '{"e":"depthUpdate"', '{"e":"trade",', '{"u":', '{"stream":"x@depth","data":', "["]),
    st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")),
)
def test_garbage_never_raises_anything_else(start: str, text: str) -> None:
    for read in (read_frame, lambda garbage: read_snapshot(garbage, "x@depth")):
        try:
            read(start + text)
        except FrameError:
            continue


@given(st.sampled_from(sorted(READ)), st.data())
def test_a_damaged_frame_never_raises_anything_else(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text) - 1))
    damage = data.draw(st.sampled_from(["", "0", '"', "}", "[", "-", "null", "1e999", "NaN", "\udfff"]))
    try:
        read_frame(text[:at] + damage + text[at + 1 :])
    except FrameError:
        return


def test_a_rest_book_is_read_with_the_time_that_only_futures_tell() -> None:
    levels = '"bids":[["30564.6","0.024"]],"asks":[["30569.5","0.141"],["30569.6","0.004"]]'
    sides = [(30564.6, 0.024)], [(30569.5, 0.141), (30569.6, 0.004)]
    assert read_snapshot(f'{{"lastUpdateId":33933317943,{levels}}}', "btcusdt@depth") == Snapshot(
        "btcusdt@depth", 33933317943, None, *sides
    )
    futures = f'{{"lastUpdateId":1570223094073,"E":1654231622340,"T":1654231622320,{levels}}}'
    assert read_snapshot(futures, "btcusdt@depth") == Snapshot(
        "btcusdt@depth", 1570223094073, 1654231622320, *sides
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"code":-1121,"msg":"Invalid symbol."}', "malformed"),
        ("<html>", "malformed"),
        ('{"lastUpdateId":-1,"bids":[],"asks":[]}', "out_of_range"),
        ('{"lastUpdateId":1,"T":-1,"bids":[],"asks":[]}', "out_of_range"),
    ],
)
def test_what_is_no_rest_book_is_refused(text: str, reason: str) -> None:
    with pytest.raises(FrameError) as caught:
        read_snapshot(text, "btcusdt@depth")
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("channel", "text"),
    [("book.10", SPOT_DEPTH), ("book.1000", USDM_DEPTH), ("trade", USDM_TRADE), ("bbo", USDM_TOP)],
)
def test_frames_bear_the_topic_of_their_channel(channel: str, text: str) -> None:
    named = topic("BTCUSDT", "BTC/USDT", channel)
    assert read_frame(text)[0].topic == named == BINANCE.topics.route(named)


def test_bars_bear_the_topic_of_their_interval() -> None:
    assert topic("BTCUSDT", "BTC/USDT", "ohlcv.1m") == read_frame(KLINE)[0].topic


@pytest.mark.parametrize("channel", ["book", "book.", "book.x", "ohlcv", "ohlcv.", "ticker", "bbo.1", ""])
def test_a_channel_that_is_not_offered_has_no_topic(channel: str) -> None:
    with pytest.raises(ValueError, match="is no channel"):
        topic("BTCUSDT", "BTC/USDT", channel)


def test_requests_name_streams_with_their_speed_and_have_whole_numbers_for_ids() -> None:
    topics = ["btcusdt@depth", "btcusdt@bookTicker", "btcusdt@trade", "btcusdt@kline_1m"]
    streams = ["btcusdt@depth@100ms", "btcusdt@bookTicker", "btcusdt@trade", "btcusdt@kline_1m"]
    assert subscribe(topics, "12") == {"method": "SUBSCRIBE", "params": streams, "id": 12}
    assert unsubscribe(topics, "13") == {"method": "UNSUBSCRIBE", "params": streams, "id": 13}
    assert BINANCE.topics.ping is None


@pytest.mark.parametrize(
    ("kind", "depth", "limit", "weight"),
    [
        ("spot", 1, 1, 5),
        ("spot", 100, 100, 5),
        ("spot", 101, 101, 25),
        ("spot", 500, 500, 25),
        ("spot", 1000, 1000, 50),
        ("spot", 5000, 5000, 250),
        ("linear", 1, 5, 2),
        ("linear", 20, 20, 2),
        ("linear", 51, 100, 5),
        ("linear", 500, 500, 10),
        ("linear", 501, 1000, 20),
    ],
)
def test_a_snapshot_is_asked_for_at_the_next_depth_offered(
    kind: str, depth: int, limit: int, weight: int
) -> None:
    method = {"spot": "publicGetDepth", "linear": "fapiPublicGetDepth"}[kind]
    params = {"symbol": "BTCUSDT", "limit": str(limit)}
    assert snapshot_request("BTCUSDT", kind, depth) == RestSnapshot(method, params, weight)


@pytest.mark.parametrize("kind", SNAPSHOT_DEPTHS)
def test_a_deeper_snapshot_than_offered_is_not_asked_for(kind: str) -> None:
    with pytest.raises(ValueError, match="at most"):
        snapshot_request("BTCUSDT", kind, SNAPSHOT_DEPTHS[kind][-1] + 1)
