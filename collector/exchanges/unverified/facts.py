"""State the facts of all other exchanges of ccxt.pro: their books as ccxt keeps them, unproven.

How deep a book is the exchange decides; addresses are ccxt's.
"""

from types import MappingProxyType

from collector.exchanges.exchange import (
    KINDS,
    Addresses,
    Exchange,
    Payload,
    Rate,
    Topics,
    Urls,
    WebsocketLimits,
)

# Of ccxt.pro 4.5.90, all of them: those with a folder of their own are left out by the registry. A test
# holds the list and ccxt together.
CCXT_NAMES = frozenset(
    """
    alpaca apex aster backpack bequant binance binancecoinm binanceus binanceusdm bingx bitfinex
    bitget bithumb bitopro bitrue bitstamp bittrade bitvavo blockchaincom blofin bullish bybit bybiteu
    bybitid bydfi cex coinbase coinbaseexchange coinbaseinternational coincheck coinone cryptocom
    deepcoin deribit derive dydx extended gate gateeu gemini grvt hashkey hitbtc hollaex htx
    hyperliquid independentreserve kraken krakenfutures kucoin kucoinfutures lbank lighter luno mexc
    modetrade mudrex myokx nado ndax okx okxus onetrading p2b pacifica paradex phemex poloniex
    polymarket toobit upbit weex whitebit woo woofipro xt
    """.split()  # noqa: SIM905  (a list of so many would be as many lines)
)
DEEPEST = 1000


def _topic(market_id: str, symbol: str, channel: str) -> str:
    """Return the name of a stream; all channels of a market are read off the one book that ccxt keeps."""
    del market_id
    return f"{symbol} {channel}"


def _by_ccxt(*_: object) -> Payload:
    raise NotImplementedError("ccxt makes the requests")


UNVERIFIED = Exchange(
    name="unverified",
    summary="books as ccxt keeps them; nothing proves them",
    depths={kind: range(1, DEEPEST + 1) for kind in KINDS},
    intervals=(),
    addresses=Addresses(
        own={"live": Urls(rest={}, ws={})},
        replaced=Urls(rest={}, ws={}),
        ccxt_rest={},
        ccxt_ws={},
        ccxt_urls_key={"live": "api"},
    ),
    # Nobody looked up the limits of the others: few enough for all.
    limits=WebsocketLimits(
        connects=Rate(60, 300.0),
        requests=dict.fromkeys(KINDS, Rate(2, 1.0)),
        topics=20,
        messages_a_second=dict.fromkeys(KINDS, MappingProxyType({"book": 20.0, "bbo": 20.0})),
    ),
    topics=Topics(topic=_topic, requests=lambda topics: [topics], subscribe=_by_ccxt, unsubscribe=_by_ccxt),
    families=("bbo", "book"),
    is_verified=False,
)
