"""Check recorded books: how deep they are, and in which steps prices and sizes come. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from math import gcd
from typing import Any

from checking.finding import Finding
from checking.forms import kind_of
from checking.frames_check import parsed
from checking.places import Place
from checking.recording import Line

MOST_BOOKS = 400  # whose numbers are looked at; thousands of levels
ENOUGH_PRICES = 200  # different ones, to tell that a listed step is too fine

Pair = tuple[Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class Shown:
    """A book in a frame."""

    market_id: str
    depth: int | None  # that was asked for, where the frame or its connection tells
    is_whole: bool
    bids: list[Pair]
    asks: list[Pair]


def depths(place: Place, lines: Iterable[Line]) -> Iterator[Finding]:
    """Check that whole books have as many levels as were asked for."""
    for book in _books(place, lines):
        if not book.is_whole or book.depth is None:
            continue
        for side, levels in (("bids", book.bids), ("asks", book.asks)):
            text = f"{book.market_id}: {len(levels)} {side} in a book of {book.depth} levels"
            if len(levels) > book.depth or (len(levels) < book.depth and place.is_real):
                yield Finding("depth", text)


def steps(place: Place, lines: Iterable[Line], markets: Mapping[str, Any]) -> Iterator[Finding]:
    """Check that prices and sizes are multiples of the listed steps, and that prices have no coarser one."""
    seen: dict[str, tuple[set[Decimal], set[Decimal]]] = {}
    for number, book in enumerate(_books(place, lines)):
        if number >= MOST_BOOKS:
            break
        prices, sizes = seen.setdefault(book.market_id, (set(), set()))
        for price, size in (*book.bids, *book.asks):
            prices.add(price)
            sizes.add(size)
    for market in markets.values():
        for market_id in _names(place, market):
            if market_id in seen:
                prices, sizes = seen[market_id]
                yield from _of_prices(market, prices)
                yield from _of_sizes(market, sizes)


def _of_prices(market: Mapping[str, Any], prices: set[Decimal]) -> Iterator[Finding]:
    step = _step(market, "price")
    if step is None:
        yield Finding("tick size", f"{market['symbol']}: none is listed")
        return
    wrong = [price for price in prices if price % step]
    found = _common_step(prices)
    if wrong:
        yield Finding("tick size", f"{market['symbol']}: listed as {step:f}, and there is {wrong[0]:f}")
    elif len(prices) >= ENOUGH_PRICES and found > step:
        more = f"and all of {len(prices)} prices are multiples of {found:f}"
        text = f"{market['symbol']}: listed as {step:f}, {more}"
        yield Finding("tick size", text)


def _of_sizes(market: Mapping[str, Any], sizes: set[Decimal]) -> Iterator[Finding]:
    step = _step(market, "amount")
    wrong = [] if step is None else [size for size in sizes if size % step]
    if wrong:
        yield Finding("size step", f"{market['symbol']}: listed as {step:f}, and there is {wrong[0]:f}")


def _step(market: Mapping[str, Any], name: str) -> Decimal | None:
    step = market["precision"].get(name)
    return None if not step else Decimal(repr(step))


def _common_step(prices: set[Decimal]) -> Decimal:
    if not prices:
        return Decimal(0)
    decimals = max(max(0, -int(price.normalize().as_tuple().exponent)) for price in prices)
    return Decimal(reduce(gcd, (int(price.scaleb(decimals)) for price in prices))).scaleb(-decimals)


def _names(place: Place, market: Mapping[str, Any]) -> set[str]:
    """Return what frames call a market: Kraken's websocket has names of its own."""
    return {market["symbol"]} if place.exchange == "kraken" else {market["id"]}


def _books(place: Place, lines: Iterable[Line]) -> Iterator[Shown]:
    asked: dict[tuple[str, str], int] = {}  # Kraken: by connection and market
    for line in lines:
        if line.what == "http":
            if place.exchange == "binance" and "/depth?" in line.url:
                yield from _of_rest(line)
            continue
        frame = parsed(line)
        kind = kind_of(place.exchange, place.kind, frame)
        if kind == "kraken.ack.book" and frame["method"] == "subscribe":
            result = frame["result"]
            asked[line.connection, result.get("symbol", "")] = result.get("depth", 0)
        elif kind is not None:
            yield from _of_frame(kind, frame, line.connection, asked)


def _of_rest(line: Line) -> Iterator[Shown]:
    answer, query = parsed(line), dict(pair.split("=") for pair in line.url.partition("?")[2].split("&"))
    if isinstance(answer, dict) and "bids" in answer:
        depth = int(query.get("limit", "0")) or None
        yield Shown(query["symbol"], depth, True, _pairs(answer["bids"]), _pairs(answer["asks"]))


def _of_frame(
    kind: str, frame: Any, connection: str, asked: Mapping[tuple[str, str], int]
) -> Iterator[Shown]:
    try:
        if kind == "bybit.orderbook":
            _, depth, name = frame["topic"].split(".")
            data, is_whole = frame["data"], frame["type"] == "snapshot"
            yield Shown(name, int(depth), is_whole, _pairs(data["b"]), _pairs(data["a"]))
        elif kind.endswith("depthUpdate"):
            yield Shown(frame["s"], None, False, _pairs(frame["b"]), _pairs(frame["a"]))
        elif kind == "kraken.book":
            for book in frame["data"]:
                name, is_whole = book["symbol"], frame["type"] == "snapshot"
                sides = (
                    [(_number(one["price"]), _number(one["qty"])) for one in book[side]] for side in _SIDES
                )
                yield Shown(name, asked.get((connection, name)), is_whole, *sides)
        elif kind in _OKX_DEPTHS:
            is_whole = frame.get("action", "snapshot") == "snapshot"
            for book in frame["data"]:
                sides = (_pairs(book[side]) for side in _SIDES)
                yield Shown(frame["arg"]["instId"], _OKX_DEPTHS[kind], is_whole, *sides)
    except (KeyError, ValueError, TypeError, ArithmeticError):  # another form: `forms` says so
        return


_SIDES = ("bids", "asks")
_OKX_DEPTHS = {"okx.books": 400, "okx.books5": 5, "okx.bbo-tbt": 1}


def _pairs(rows: Iterable[Any]) -> list[Pair]:
    return [(_number(row[0]), _number(row[1])) for row in rows]


def _number(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value))
