"""Frames of Kraken's websocket v2, made in the form in which it documents and sends them.

https://docs.kraken.com/api/docs/websocket-v2/book. The checksum is summed, slowly, as
https://docs.kraken.com/api/docs/guides/spot-ws-book-v2 tells it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from made_market import Levels, Market, fixed

START = datetime(2026, 1, 2, 3, 4, 5, 670000, tzinfo=UTC)
HEARTBEAT = '{"channel":"heartbeat"}'
STATUS = (
    '{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2",'
    '"connection_id":17000000000000000001}]}'
)
Side = list[tuple[str, str]]  # best first, as written


def slow_crc32(digits: str) -> int:
    """Divide bit by bit, as the definition of CRC-32 has it."""
    remainder = 0xFFFFFFFF
    for byte in digits.encode():
        remainder ^= byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (0xEDB88320 if remainder & 1 else 0)
    return remainder ^ 0xFFFFFFFF


def slow_checksum(bids: Side, asks: Side) -> int:
    """Sum the ten best asks, then the ten best bids: each price and size without point and leading zeros."""
    digits = ""
    for price, size in [*asks[:10], *bids[:10]]:
        for number in (price, size):
            digits += str(int(number.replace(".", "")))
    return slow_crc32(digits)


def exponent(units: int, decimals: int) -> str:
    """Write as short as a double is written: 1e-05, 0.5, 2500.0."""
    return repr(float(fixed(units, decimals)))


@dataclass
class Made:
    """What a client hears of one book."""

    depth: int
    precision: tuple[int, int]
    frames: list[str] = field(default_factory=list)
    books: list[tuple[Side, Side]] = field(default_factory=list)  # the book after each book message
    second_snapshot: int = 0  # which book message it is


@dataclass
class _View:
    """What a client of a depth holds."""

    bids: Levels
    asks: Levels


class _Writer:
    def __init__(self, symbol: str, precision: tuple[int, int], number: Callable[[int, int], str]) -> None:
        self.symbol, self.precision, self.number = symbol, precision, number

    def side(self, levels: list[tuple[int, int]], write: Callable[[int, int], str] | None = None) -> Side:
        price, size = self.precision
        write = write or self.number
        return [(write(ticks, price), write(lots, size)) for ticks, lots in levels]

    def book(self, kind: str, bids: Side, asks: Side, checksum: int, at: datetime) -> str:
        written = [
            ",".join(f'{{"price":{price},"qty":{size}}}' for price, size in side) for side in (bids, asks)
        ]
        return (
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{self.symbol}","bids":[{written[0]}],'
            f'"asks":[{written[1]}],"checksum":{checksum},"timestamp":"{_time(at)}"}}]}}'
        )

    def ack(self, method: str, depth: int, at: datetime) -> str:
        snapshot = '"snapshot":true,' if method == "subscribe" else ""
        return (
            f'{{"method":"{method}","result":{{"channel":"book","depth":{depth},{snapshot}'
            f'"symbol":"{self.symbol}"}},"success":true,"time_in":"{_time(at)}",'
            f'"time_out":"{_time(at + timedelta(microseconds=39))}"}}'
        )


@cache
def made(
    seed: int,
    depth: int,
    precision: tuple[int, int],
    *,
    symbol: str = "MINA/GBP",
    middle: int = 295,
    updates: int = 60,
    levels: int | None = None,
    number: Callable[[int, int], str] = fixed,
) -> Made:
    """Make a session: a snapshot, updates with silences between them, the same book subscribed again, more.

    A client of a depth is told of what comes into its sight, never of what falls out of it.
    """
    market = Market(seed, middle=middle, bids=depth + 5 if levels is None else levels, most_lots=10**12)
    random, writer, result, at = (
        market.random,
        _Writer(symbol, precision, number),
        Made(depth, precision),
        START,
    )
    frames = result.frames
    frames += [STATUS, writer.ack("subscribe", depth, at), HEARTBEAT]
    view = _seen(market, depth)
    checksum = _checksum(writer, view)

    def note(text: str) -> None:
        frames.append(text)
        result.books.append(_texts(writer, view))

    def snapshot() -> None:  # it repeats the last update's time and checksum
        bids, asks = _texts(writer, view)
        note(writer.book("snapshot", bids, asks, checksum, at))

    snapshot()
    for place in range(updates):
        if place == updates // 2:
            frames += [writer.ack("unsubscribe", depth, at), HEARTBEAT, writer.ack("subscribe", depth, at)]
            result.second_snapshot = len(result.books)
            snapshot()
        for _ in range(random.choice((0, 0, 0, 1, 20))):
            frames.append(HEARTBEAT)
        at += timedelta(microseconds=random.choice((73, 1500, 20_000_000)))
        for _ in range(random.choice((1, 1, 2, 4))):
            market.step()
        after = _seen(market, depth)
        bids, asks = (
            _changed(market, side, getattr(view, f"{side}s"), getattr(after, f"{side}s"))
            for side in ("bid", "ask")
        )
        view = after
        checksum = _checksum(writer, view)
        note(writer.book("update", writer.side(bids), writer.side(asks), checksum, at))
    return result


def _seen(market: Market, depth: int) -> _View:
    return _View(dict(market.best("bid", depth)), dict(market.best("ask", depth)))


def _changed(market: Market, side: str, before: Levels, after: Levels) -> list[tuple[int, int]]:
    """Tell what a client must set to see what is there now; now and then something needless as well."""
    random, whole = market.random, market.sides[side]
    changed = [(ticks, 0) for ticks in before if ticks not in whole]
    changed += [(ticks, lots) for ticks, lots in after.items() if before.get(ticks) != lots]
    random.shuffle(changed)
    if changed and random.random() < 0.1:  # twice in one message: what comes last holds
        ticks, _ = random.choice(changed)
        changed.insert(0, (ticks, 1 + random.randrange(10**6)))
    if random.random() < 0.1:
        changed.append((max(after) + 10**6, 0) if side == "ask" else (1, whole.get(1, 0)))
    return changed


def _texts(writer: _Writer, view: _View) -> tuple[Side, Side]:
    bids = sorted(view.bids.items(), reverse=True)
    return writer.side(bids), writer.side(sorted(view.asks.items()))


def _checksum(writer: _Writer, view: _View) -> int:
    """Sum the digits at the pair's decimals, however they are written."""
    bids, asks = sorted(view.bids.items(), reverse=True), sorted(view.asks.items())
    return slow_checksum(writer.side(bids, fixed), writer.side(asks, fixed))


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def instruments(pairs: dict[str, tuple[int, int]]) -> str:
    """Write the `instrument` snapshot of pairs: small numbers have an exponent."""
    rows = ",".join(_pair(symbol, *precision) for symbol, precision in pairs.items())
    return f'{{"channel":"instrument","type":"snapshot","data":{{"assets":[],"pairs":[{rows}]}}}}'


def _pair(symbol: str, price: int, size: int) -> str:
    base, quote = symbol.split("/")
    price_step, size_step = 10.0**-price, 10.0**-size
    return (
        f'{{"symbol":"{symbol}","base":"{base}","quote":"{quote}","status":"online","qty_precision":{size},'
        f'"qty_increment":{size_step!r},"price_precision":{price},"cost_precision":5,"marginable":true,'
        f'"has_index":true,"ws_display_price_precision":{price},"cost_min":0.5,"margin_initial":0.1,"position_limit_long":350,'
        f'"position_limit_short":250,"tick_size":{price_step!r},"price_increment":{price_step!r},'
        f'"qty_min":{5 * size_step!r}}}'
    )
