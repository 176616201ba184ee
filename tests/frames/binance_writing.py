"""Binance's frames as it writes them, spot and USD-M: keys in its order, numbers as text with all decimals.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams.
"""

from dataclasses import dataclass

from made_market import Fill, Level, Market, Top, fixed

Texts = list[tuple[str, str]]


@dataclass(frozen=True)
class Decimals:
    """How many decimals prices and sizes are written with, and the steps that they move in."""

    price: int
    size: int
    tick: int = 1  # units of the last decimal of a price
    lot: int = 1

    def price_text(self, ticks: int) -> str:
        return fixed(ticks * self.tick, self.price)

    def size_text(self, lots: int) -> str:
        return fixed(lots * self.lot, self.size)


SPOT = Decimals(8, 8, 10**6, 10**4)  # 2683.80000000, 3.02920000
SPOT_CHEAP = Decimals(8, 8, 1, 10**8)  # 0.00002246, 1215.00000000
LINEAR = Decimals(2, 3, 10)  # 63943.90, 46.372
LINEAR_WHOLE = Decimals(5, 0)  # 0.01731, 57618


class Writer:
    """Write one market's frames, keys in the exchange's order."""

    def __init__(self, kind: str, symbol: str, decimals: Decimals, wrapped: bool) -> None:
        self.is_spot = kind == "spot"
        self.symbol, self.decimals, self.wrapped = symbol, decimals, wrapped

    def levels(self, market: Market, limit: int | None = None) -> tuple[Texts, Texts]:
        bids, asks = ([self.pair(*level) for level in market.best(side, limit)] for side in ("bid", "ask"))
        return bids, asks

    def pair(self, ticks: int, lots: int) -> tuple[str, str]:
        return self.decimals.price_text(ticks), self.decimals.size_text(lots)

    def depth(self, at_ms: int, numbers: tuple[int, int, int], changed: list[Level]) -> str:
        first, last, before = numbers
        bids = sorted((level for level in changed if level.side == "bid"), key=lambda level: level.ticks)
        asks = sorted((level for level in changed if level.side == "ask"), key=lambda level: level.ticks)
        if self.is_spot:  # spot lists bids from the best down, futures from the lowest up
            bids.reverse()
        sides = [_listed([self.pair(level.ticks, level.lots) for level in side]) for side in (bids, asks)]
        middle = f'"s":"{self.symbol}","U":{first},"u":{last}'
        if not self.is_spot:
            middle = f'"T":{at_ms - 3},{middle},"pu":{before}'
        text = f'{{"e":"depthUpdate","E":{at_ms},{middle},"b":{sides[0]},"a":{sides[1]}}}'
        return self.of("depth@100ms" if self.is_spot else "depth@0ms", text)

    def top(self, at_ms: int, number: int, top: Top) -> str:
        (bid, bid_size), (ask, ask_size) = self.pair(*top[:2]), self.pair(*top[2:])
        numbers = f'"b":"{bid}","B":"{bid_size}","a":"{ask}","A":"{ask_size}"'
        text = f'{{"u":{number},"s":"{self.symbol}",{numbers}}}'
        if not self.is_spot:
            text = f'{{"e":"bookTicker",{text[1:-1]},"T":{at_ms - 3},"E":{at_ms}}}'
        return self.of("bookTicker", text)

    def trade(self, at_ms: int, trade_id: int, fill: Fill) -> str:
        price, size = self.pair(fill.ticks, fill.lots)
        core = f'"s":"{self.symbol}","t":{trade_id},"p":"{price}","q":"{size}"'
        maker = "false" if fill.taker_buys else "true"
        if self.is_spot:
            text = f'{{"e":"trade","E":{at_ms},{core},"T":{at_ms - 1},"m":{maker},"M":true}}'
        else:
            origin = "INSURANCE_FUND" if trade_id % 7 == 0 else "MARKET"
            text = f'{{"e":"trade","E":{at_ms},"T":{at_ms - 1},{core},"X":"{origin}","m":{maker}}}'
        return self.of("trade", text)

    def rest(self, at_ms: int, number: int, market: Market, limit: int) -> str:
        bids, asks = (_listed(side) for side in self.levels(market, limit))
        times = "" if self.is_spot else f'"E":{at_ms},"T":{at_ms - 9},'
        return f'{{"lastUpdateId":{number},{times}"bids":{bids},"asks":{asks}}}'

    def of(self, stream: str, text: str) -> str:
        return f'{{"stream":"{self.symbol.lower()}@{stream}","data":{text}}}' if self.wrapped else text


def _listed(levels: Texts) -> str:
    return "[" + ",".join(f'["{price}","{size}"]' for price, size in levels) + "]"
