"""Streams are put on as few connections as the exchange's limits, and the traffic expected, allow."""

import dataclasses

import pytest

from collector.events.batch import StreamKey
from collector.exchanges import binance, bybit, kraken
from collector.exchanges.exchange import WebsocketLimits
from collector.live.connections import fits

BYBIT, BINANCE, KRAKEN = bybit.BYBIT.limits, binance.BINANCE.limits, kraken.KRAKEN.limits


def filled(limits: WebsocketLimits, channel: str, topic: str, most_a_second: float = 1e9) -> int:
    """Count the streams of a channel that one connection takes."""
    key = StreamKey("any", "A/B", channel)
    present: list[tuple[str, StreamKey]] = []
    while fits(present, topic, key, limits, most_a_second):
        present.append((topic, key))
    return len(present)


@pytest.mark.parametrize(
    ("limits", "channel", "expected"), [(BYBIT, "bbo", 200), (BINANCE, "bbo", 1024), (KRAKEN, "bbo", 100)]
)
def test_as_many_topics_as_the_exchange_takes(limits: WebsocketLimits, channel: str, expected: int) -> None:
    assert filled(limits, channel, "t") == expected


def test_no_more_characters_than_the_exchange_takes() -> None:
    assert filled(BYBIT, "book.50", "orderbook.50." + "X" * 187) == 21_000 // 200
    wide = dataclasses.replace(BYBIT, characters=None)
    assert filled(wide, "book.50", "orderbook.50." + "X" * 187) == 200


@pytest.mark.parametrize(
    ("limits", "channel", "expected"),
    [
        (BYBIT, "book.50", 2000 // 50),
        (BYBIT, "book.200", 200),
        (BYBIT, "bbo", 2000 // 100),
        (BINANCE, "book.100", 2000 // 10),
        (BINANCE, "ohlcv.1m", 2000 // 4),
        (KRAKEN, "book.10", 2000 // 20),
    ],
)
def test_no_more_traffic_than_configured(limits: WebsocketLimits, channel: str, expected: int) -> None:
    assert filled(limits, channel, "t", 2000.0) == expected


def test_a_stream_alone_always_has_room() -> None:
    assert filled(BYBIT, "bbo", "t", 1.0) == 1
