"""The messages of Kraken's channels: numbers and checksums at each pair's precision."""

from collections.abc import Iterable
from datetime import UTC, datetime
from zlib import crc32

from collector.simulator.market import (
    MINUTE_MS,
    Bar,
    Instrument,
    PastTrade,
    Side,
    SymbolFeed,
)
from collector.simulator.messages import Outgoing, compact_json

CHECKSUM_LEVELS = 10
_VERSION = "2.0.10"


def book(
    feed: SymbolFeed, kind: str, bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]
) -> Outgoing:
    """Write a snapshot or an update of a book, with its checksum."""
    instrument = feed.instrument
    text = (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{feed.symbol}"'
        f',"bids":{_levels(instrument, bids)},"asks":{_levels(instrument, asks)}'
        f',"checksum":{checksum(feed.market.bids, feed.market.asks)}'
        f',"timestamp":"{_step_time(feed)}"}}]}}'
    )
    return _unnumbered(feed, kind, text)


def ticker(feed: SymbolFeed, kind: str) -> Outgoing:
    """Write the ticker."""
    instrument = feed.instrument
    (bid, bid_lots), (ask, ask_lots) = feed.market.bids.top(1)[0], feed.market.asks.top(1)[0]
    bar = feed.minutes[-1]
    price, size = instrument.price_text, instrument.size_text
    text = (
        f'{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{feed.symbol}"'
        f',"bid":{price(-bid)},"bid_qty":{size(bid_lots)},"ask":{price(ask)},"ask_qty":{size(ask_lots)}'
        f',"last":{price(bar.close)},"volume":{size(bar.lots)},"vwap":{price(_vwap_ticks(bar))}'
        f',"low":{price(bar.low)},"high":{price(bar.high)},"change":0.0,"change_pct":0.00'
        f',"timestamp":"{_step_time(feed)}"}}]}}'
    )
    return _unnumbered(feed, kind, text)


def trades(feed: SymbolFeed, kind: str, trades: list[PastTrade]) -> Outgoing:
    """Write trades, the oldest first."""
    instrument = feed.instrument
    rows = [
        f'{{"symbol":"{feed.symbol}","side":"{"buy" if trade.buys else "sell"}"'
        f',"price":{instrument.price_text(trade.ticks)},"qty":{instrument.size_text(trade.lots)}'
        f',"ord_type":"{"market" if trade.number % 3 else "limit"}","trade_id":{trade.number}'
        f',"timestamp":"{time_text(trade.at_ms * 1000)}"}}'
        for trade in trades
    ]
    text = f'{{"channel":"trade","type":"{kind}","data":[{",".join(rows)}]}}'
    return Outgoing(text, "trade", trades[-1].number, len(trades))


def bars(feed: SymbolFeed, kind: str, bars: list[Bar], now_ms: int) -> Outgoing:
    """Write bars, the oldest first."""
    price = feed.instrument.price_text
    rows = [
        f'{{"symbol":"{feed.symbol}","open":{price(bar.open)},"high":{price(bar.high)}'
        f',"low":{price(bar.low)},"close":{price(bar.close)},"trades":{bar.count}'
        f',"volume":{feed.instrument.size_text(bar.lots)},"vwap":{price(_vwap_ticks(bar))}'
        f',"interval_begin":"{time_text(bar.open_ms * 1000)[:-1]}000Z"'
        f',"interval":{bar.interval_ms // MINUTE_MS},"timestamp":"{time_text(bar.end_ms * 1000)}"}}'
        for bar in bars
    ]
    text = (
        f'{{"channel":"ohlc","type":"{kind}","timestamp":"{time_text(now_ms * 1000)[:-1]}000Z"'
        f',"data":[{",".join(rows)}]}}'
    )
    return Outgoing(text, "bar", bars[-1].open_ms if bars else None, len(bars))


def instruments(feeds: Iterable[SymbolFeed]) -> str:
    """Write the `instrument` channel's snapshot."""
    pairs = []
    for feed in feeds:
        instrument = feed.instrument
        tick, lot = 10.0**-instrument.tick_decimals, 10.0**-instrument.lot_decimals
        pairs.append(
            {
                "symbol": feed.symbol,
                "base": instrument.base,
                "quote": instrument.quote,
                "status": "delisted" if feed.delisted else "online",
                "qty_precision": instrument.lot_decimals,
                "qty_increment": lot,
                "price_precision": instrument.tick_decimals,
                "cost_precision": 5,
                "marginable": True,
                "has_index": True,
                "ws_display_price_precision": instrument.tick_decimals,
                "cost_min": 0.5,
                "margin_initial": 0.2,
                "position_limit_long": 300,
                "position_limit_short": 240,
                "tick_size": tick,
                "price_increment": tick,
                "qty_min": 5e-05,
            }
        )
    return compact_json({"channel": "instrument", "type": "snapshot", "data": {"assets": [], "pairs": pairs}})


def checksum(bids: Side, asks: Side) -> int:
    """Compute Kraken's CRC32: price and size of the best ten, asks first, without point or leading zeros.

    At the pair's own precision these digits are the ticks and lots themselves.
    """
    levels = asks.top(CHECKSUM_LEVELS) + bids.top(CHECKSUM_LEVELS)
    return crc32("".join([f"{abs(key)}{lots}" for key, lots in levels]).encode())


def status_text(system: str, connection_id: int) -> str:
    """Announce the status of the system."""
    data = {
        "version": _VERSION,
        "system": system,
        "api_version": "v2",
        "connection_id": 10**19 + connection_id,
    }
    return compact_json({"channel": "status", "type": "update", "data": [data]})


def time_text(at_us: int) -> str:
    """Write a time with microseconds, as Kraken does."""
    seconds, micros = divmod(at_us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{micros:06d}Z"


def _unnumbered(feed: SymbolFeed, kind: str, text: str) -> Outgoing:
    is_snapshot = kind == "snapshot"
    return Outgoing(text, "snapshot" if is_snapshot else "delta", None, times_us=(_step_us(feed),))


def _step_time(feed: SymbolFeed) -> str:
    return time_text(_step_us(feed))


def _step_us(feed: SymbolFeed) -> int:
    # A few microseconds past the millisecond, so that rounding finds the same one as cutting does.
    return feed.now_ms * 1000 + feed.step_count % 400


def _vwap_ticks(bar: Bar) -> int:
    return round(bar.turnover / bar.lots) if bar.lots else bar.close


def _levels(instrument: Instrument, levels: Iterable[tuple[int, int]]) -> str:
    price, size = instrument.price_text, instrument.size_text
    return "[" + ",".join([f'{{"price":{price(abs(key))},"qty":{size(lots)}}}' for key, lots in levels]) + "]"
