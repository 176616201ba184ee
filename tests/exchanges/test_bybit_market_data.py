"""Trades and bars of Bybit, as sent."""

import pytest

from collector.errors import FrameError
from collector.events.messages import CandleMessage, Side, TradeMessage
from collector.exchanges.bybit.frames import read_frame
from collector.exchanges.bybit.topics import topic as topic_of

TRADES = (
    '{"topic":"publicTrade.BTCUSDT","ts":1680652847526,"type":"snapshot","data":['
    '{"i":"2290000000050703789","T":1680652847524,"p":"28165.38","v":"0.041732","S":"Sell","s":"BTCUSDT","BT":false},'
    '{"i":"2290000000050703790","T":1680652847524,"p":"28165.39","v":"0.008513","S":"Buy","s":"BTCUSDT","BT":true}]}'
)
LINEAR_TRADE = (
    '{"topic":"publicTrade.LTCUSDT","type":"snapshot","ts":1680688979985,"data":[{"T":1680688979983,"s":"LTCUSDT",'
    '"S":"Sell","v":"0.4","p":"94.53","L":"ZeroMinusTick","i":"4c7b6bdc-b4a3-5716-9c7b-bbe01dc7072f","BT":false}]}'
)
BAR = (
    '{"type":"snapshot","topic":"kline.1.ETHUSDT","data":[{"start":1786310760000,"end":1786310819999,'
    '"interval":"1","open":"1923.09","close":"1923.27","high":"1923.28","low":"1923.08","volume":"1.38307",'
    '"turnover":"2659.8546713","confirm":true,"timestamp":1786310820818}],"ts":1786310820819}'
)


def test_every_trade_of_a_frame_is_read() -> None:
    topic = "publicTrade.BTCUSDT"
    assert list(read_frame(TRADES)) == [
        TradeMessage(topic, "2290000000050703789", 1680652847524, 28165.38, 0.041732, Side.SELL),
        TradeMessage(
            topic, "2290000000050703790", 1680652847524, 28165.39, 0.008513, Side.BUY, marked="BLOCK"
        ),
    ]
    (trade,) = read_frame(LINEAR_TRADE)
    assert isinstance(trade, TradeMessage)
    assert trade.trade_id == "4c7b6bdc-b4a3-5716-9c7b-bbe01dc7072f"


def test_a_bar_is_read_under_the_interval_of_its_topic() -> None:
    (bar,) = read_frame(BAR)
    numbers = (1923.09, 1923.28, 1923.08, 1923.27, 1.38307)
    assert bar == CandleMessage(
        "kline.1.ETHUSDT", "1m", 1786310760000, 1786310820818, *numbers, confirmed=True
    )


@pytest.mark.parametrize(("channel", "topic"), [("trade", "publicTrade.X"), ("ohlcv.1m", "kline.1.X")])
def test_a_topic_names_what_is_subscribed(channel: str, topic: str) -> None:
    assert topic_of("X", "", channel) == topic


@pytest.mark.parametrize(
    "channel", ["book.x", "book", "ohlcv", "ohlcv.7m", "bbo.1", "trade.1", "liquidation"]
)
def test_no_topic_is_made_up(channel: str) -> None:
    with pytest.raises(ValueError, match="is no channel of Bybit"):
        topic_of("X", "", channel)


@pytest.mark.parametrize(
    "text",
    [
        TRADES.replace('"Sell"', '"Both"'),
        TRADES.replace('"2290000000050703789"', '""'),
        TRADES.replace('"28165.38"', '"x"'),
        TRADES.replace(',"T":1680652847524', ""),
        TRADES[:-3],
        BAR.replace("kline.1.", "kline.7."),
        BAR.replace("kline.1.ETHUSDT", "kline"),
        BAR.replace('"confirm":true', '"confirm":"yes"'),
    ],
)
def test_what_is_not_as_documented_is_malformed(text: str) -> None:
    with pytest.raises(FrameError) as caught:
        read_frame(text)
    assert caught.value.reason == "malformed"
