"""Name the exchanges that ccxt.pro knows and nobody wrote a file for: a table and nothing else."""

# Of ccxt.pro 4.5.90, but for those that are verified; a test holds the two together.
NAMES = frozenset(
    """
    alpaca apex aster backpack bequant binancecoinm binanceus binanceusdm bingx bitfinex bitget
    bithumb bitopro bitrue bitstamp bittrade bitvavo blockchaincom blofin bullish bybiteu bybitid
    bydfi cex coinbase coinbaseexchange coinbaseinternational coincheck coinone cryptocom deepcoin
    deribit derive dydx extended gate gateeu gemini grvt hashkey hitbtc hollaex htx hyperliquid
    independentreserve krakenfutures kucoin kucoinfutures lbank lighter luno mexc modetrade mudrex
    myokx nado ndax okx okxus onetrading p2b pacifica paradex phemex poloniex polymarket toobit
    upbit weex whitebit woo woofipro xt
    """.split()  # noqa: SIM905  (a list of so many would be as many lines)
)
FAMILIES = ("bbo", "book")
DEEPEST = 1000
