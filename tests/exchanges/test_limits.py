"""What may be asked of each exchange: the figures of their pages; less where nobody looked."""

import pytest

from collector.exchanges.exchange import Rate, WebsocketLimits
from collector.exchanges.registry import EXCHANGES
from collector.exchanges.unverified import UNVERIFIED


def test_an_exchange_whose_limits_nobody_looked_up_is_asked_little() -> None:
    limits = UNVERIFIED.limits
    assert limits.connects == Rate(60, 300.0)
    assert dict(limits.requests) == {"spot": Rate(2, 1.0), "linear": Rate(2, 1.0)}
    assert (limits.topics, limits.characters) == (20, None)


@pytest.mark.parametrize(
    ("name", "connects", "requests", "topics", "characters"),
    [
        ("bybit", Rate(500, 300.0), {"spot": Rate(20, 1.0), "linear": Rate(20, 1.0)}, 200, 21_000),
        ("binance", Rate(300, 300.0), {"spot": Rate(5, 1.0), "linear": Rate(10, 1.0)}, 1024, None),
        ("kraken", Rate(150, 600.0), {"spot": Rate(5, 1.0)}, 100, None),
    ],
)
def test_the_limits_are_those_of_the_exchanges_pages(
    name: str, connects: Rate, requests: dict[str, Rate], topics: int, characters: int | None
) -> None:
    limits: WebsocketLimits = EXCHANGES[name].limits
    found = limits.connects, dict(limits.requests), limits.topics, limits.characters
    assert found == (connects, requests, topics, characters)


def test_a_channel_is_expected_as_busy_as_its_family_unless_it_has_a_figure_of_its_own() -> None:
    limits = EXCHANGES["bybit"].limits
    assert [
        limits.expected_a_second(one, "linear") for one in ("book.50", "book.200", "ohlcv.1m", "bbo")
    ] == [
        50.0,
        10.0,
        1.0,
        100.0,
    ]
