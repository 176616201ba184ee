"""How REST is asked for the state of a silent stream, and what it answers."""

import pytest

from collector.errors import FrameError
from collector.exchanges.exchange import MarketKind, RestCheck
from collector.exchanges.registry import EXCHANGES

KRAKEN_DEPTH = (
    '{"error":[],"result":{"XXBTZUSD":{"asks":[["30384.10000","2.059",1688671659]],'
    '"bids":[["30297.00000","1.115",1688671636],["30296.70000","2.002",1688671674]]}}}'
)
BYBIT_BOOK = (
    '{"retCode":0,"retMsg":"OK","result":{"s":"BTCUSDT","a":[["65557.7","16.606"]],'
    '"b":[["65485.47","47.081648"]],"ts":1716863719031,"u":230704,"seq":1432604333},'
    '"retExtInfo":{},"time":1716863719382}'
)
SPOT_TICKER = '{"symbol":"LTCBTC","bidPrice":"4.0","bidQty":"431.0","askPrice":"4.2","askQty":"9.0"}'
LINEAR_TICKER = SPOT_TICKER[:-1] + ',"time":1589437530011}'


def check_of(exchange: str) -> RestCheck:
    check = EXCHANGES[exchange].check
    assert check is not None
    return check


@pytest.mark.parametrize(
    ("exchange", "kind", "channel", "method", "params", "weight"),
    [
        ("binance", "spot", "bbo", "publicGetTickerBookTicker", {"symbol": "M"}, 2.0),
        ("binance", "linear", "bbo", "fapiPublicGetTickerBookTicker", {"symbol": "M"}, 2.0),
        ("kraken", "spot", "bbo", "publicGetDepth", {"pair": "M", "count": "1"}, 1.0),
        ("kraken", "spot", "book.25", "publicGetDepth", {"pair": "M", "count": "25"}, 1.0),
        ("kraken", "spot", "book.1000", "publicGetDepth", {"pair": "M", "count": "500"}, 1.0),
        (
            *("bybit", "linear", "book.1000", "public_get_v5_market_orderbook"),
            {"category": "linear", "symbol": "M", "limit": "500"},
            1.0,
        ),
        (
            *("bybit", "spot", "bbo", "public_get_v5_market_orderbook"),
            {"category": "spot", "symbol": "M", "limit": "1"},
            1.0,
        ),
    ],
)
def test_the_request_is_as_small_as_the_stream(
    exchange: str, kind: MarketKind, channel: str, method: str, params: dict[str, str], weight: float
) -> None:
    request = check_of(exchange).request("M", kind, channel)
    assert request is not None
    assert (request.ccxt_method, dict(request.params), request.weight) == (method, params, weight)


def test_a_book_that_rest_opens_is_compared_whole() -> None:
    assert check_of("binance").request("M", "spot", "book.50") is None


@pytest.mark.parametrize(
    ("exchange", "text", "bids", "asks"),
    [
        ("kraken", KRAKEN_DEPTH, [(30297.0, 1.115), (30296.7, 2.002)], [(30384.1, 2.059)]),
        ("bybit", BYBIT_BOOK, [(65485.47, 47.081648)], [(65557.7, 16.606)]),
        ("binance", SPOT_TICKER, [(4.0, 431.0)], [(4.2, 9.0)]),
        ("binance", LINEAR_TICKER, [(4.0, 431.0)], [(4.2, 9.0)]),
        ("binance", SPOT_TICKER.replace('"4.0"', '"0.0"'), [], [(4.2, 9.0)]),
    ],
)
def test_the_answer_is_read_as_documented(
    exchange: str, text: str, bids: list[tuple[float, float]], asks: list[tuple[float, float]]
) -> None:
    snapshot = check_of(exchange).read(text, "topic")
    assert (snapshot.topic, snapshot.sequence, snapshot.bids, snapshot.asks) == ("topic", None, bids, asks)


@pytest.mark.parametrize("exchange", ["binance", "bybit", "kraken"])
@pytest.mark.parametrize("text", ['{"error":[],"result":{}}', "{}", "[]", '{"result":null}', "?"])
def test_what_is_no_such_answer_is_refused(exchange: str, text: str) -> None:
    with pytest.raises(FrameError):
        check_of(exchange).read(text, "topic")
