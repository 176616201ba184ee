"""What a client of Binance hears at its start: books of REST between the frames of several markets."""

from collections import Counter

from binance_writing import LINEAR, LINEAR_WHOLE, SPOT, SPOT_CHEAP, Decimals
from made_binance import made
from made_market import Market

MINUTE_MS = 60_000
MARKETS: dict[str, dict[str, Decimals]] = {
    "spot": {"ETHUSDT": SPOT, "GNTBTC": SPOT_CHEAP, "BNBBTC": Decimals(8, 8, 100, 10**6), "XRPUSDT": SPOT},
    "linear": {"BTCUSDT": LINEAR, "AKROUSDT": LINEAR_WHOLE, "KEEPUSDT": Decimals(4, 0), "CTKUSDT": LINEAR},
}
Heard = list[tuple[str | None, str]]  # books of REST with their market, frames without


def start_of_a_client(kind: str, seed: int) -> tuple[Heard, Counter[str]]:
    """Make the frames of four markets, mixed by their time, and count each kind."""
    rows: list[tuple[int, str | None, str]] = []
    counts: Counter[str] = Counter()
    for place, (symbol, decimals) in enumerate(MARKETS[kind].items()):
        one = made(
            kind,
            seed + place,
            symbol=symbol,
            decimals=decimals,
            deltas=60,
            snapshot_in=3 + 9 * place,
            in_the_middle=place % 2 == 0,
        )
        for at_ns, text in one.texts:
            rows.append((at_ns, symbol if text.startswith('{"lastUpdateId"') else None, text))
        at_ns = one.texts[-1][0]
        bars = _bars(kind, symbol, decimals, Market(seed), one.texts[0][0] // 10**6)
        rows += [(at_ns - place, None, text) for place, text in enumerate(reversed(bars))]
        counts += Counter(
            Delta=one.deltas,
            TradeMessage=one.trades + 2,
            Snapshot=1,
            CandleMessage=len(bars) - 2,
            TopOfBook=sum('@bookTicker"' in text for _, text in one.texts),
        )
    rows.sort(key=lambda row: row[0])
    return [(symbol, text) for _, symbol, text in rows], counts


def _bars(kind: str, symbol: str, decimals: Decimals, market: Market, at_ms: int) -> list[str]:
    """Write bars that are not over (one without a trade), one that is, and aggregates on two sides."""
    is_spot, name = kind == "spot", symbol.lower()
    texts, open_ms = [], at_ms // MINUTE_MS * MINUTE_MS
    price = decimals.price_text(market.top.ask)
    for start, trades, is_over in (
        (open_ms, 0, "false"),
        (open_ms, 3, "true"),
        (open_ms + MINUTE_MS, 1, "false"),
    ):
        size, (first, last) = decimals.size_text(trades), (7_000, 7_000 + trades - 1) if trades else (-1, -1)
        bar = (
            f'{{"t":{start},"T":{start + MINUTE_MS - 1},"s":"{symbol}","i":"1m","f":{first},"L":{last},'
            f'"o":"{price}","c":"{price}","h":"{price}","l":"{price}","v":"{size}","n":{trades},"x":{is_over},'
            f'"q":"0","V":"{size}","Q":"0","B":"0"}}'
        )
        texts.append(
            f'{{"stream":"{name}@kline_1m","data":{{"e":"kline","E":{at_ms},"s":"{symbol}","k":{bar}}}}}'
        )
    for number, maker in ((1, "true"), (2, "false")):
        head = f'"s":"{symbol}","a":{number}' if is_spot else f'"a":{number},"s":"{symbol}"'
        tail = ',"M":true' if is_spot else ""
        texts.append(
            f'{{"stream":"{name}@aggTrade","data":{{"e":"aggTrade","E":{at_ms},{head},"p":"{price}",'
            f'"q":"{decimals.size_text(1)}","f":{7_000 + number},"l":{7_000 + number},"T":{at_ms},'
            f'"m":{maker}{tail}}}}}'
        )
    return texts
