"""Kraken websocket v2: frames as recorded, numbers and checksums at each pair's precision."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal
from zlib import crc32

from collector.simulator.exchanges import kraken_rest
from collector.simulator.exchanges.exchange import (
    Answer,
    Connection,
    Exchange,
    Outgoing,
    Reply,
    Request,
    Topic,
)
from collector.simulator.faults.admission import Rule, Verdict
from collector.simulator.market.bars import INTERVALS_MS, MINUTE_MS, Bar
from collector.simulator.market.depth import side_delta
from collector.simulator.market.instruments import Instrument
from collector.simulator.market.market import Change, Side
from collector.simulator.market.past import (
    PastTrade,
    bars_between,
    position_at,
    position_of,
    trade_count,
    trades_since,
)
from collector.simulator.market.symbol_feed import SymbolFeed
from collector.simulator.wire import frame

CHECKSUM_LEVELS = 10
_VERSION = "2.0.10"
_HEARTBEAT = frame(b'{"channel":"heartbeat"}')
_HEARTBEAT_EVERY_NS = 10**9
_SNAPSHOT_TRADES = 50
_SNAPSHOT_BARS = 10
_DEFAULT_DEPTH = 10


class Kraken(Exchange):
    """Kraken's public websocket v2 and REST."""

    name = "kraken"
    rest_prefixes: ClassVar[tuple[str, ...]] = ("/0/public/",)
    level_pattern: ClassVar[re.Pattern[str]] = re.compile(r'{"price":(?P<price>[^,]*),"qty":(?P<size>[^}]*)}')
    connection_rule: ClassVar[Rule] = Rule("connections", 150, 600_000)
    offered_depths: ClassVar[tuple[int, ...]] = (10, 25, 100, 500, 1000)

    def market_at(self, path: str) -> str | None:
        """Tell that `/kraken/v2` is the only one."""
        return "spot" if path == "/kraken/v2" else None

    def greet(self, connection: Connection, query: Mapping[str, str], now_ns: int) -> list[Reply]:
        """Tell the system's status."""
        del query
        connection.last_beat_ns = now_ns
        return [Reply(status_text("online", connection.number))]

    def receive(self, connection: Connection, text: str, now_ns: int) -> list[Reply]:
        """Answer `ping`, `subscribe` and `unsubscribe`."""
        try:
            message = json.loads(text)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            return [_answer({"method": ""}, now_ns, error="Malformed request")]
        method = message.get("method")
        if method == "ping":
            return [_answer({**message, "method": "pong"}, now_ns, bare=True)]
        parameters = message.get("params")
        if method not in {"subscribe", "unsubscribe"} or not isinstance(parameters, dict):
            return [_answer(message, now_ns, error="Unsupported event")]
        channel = parameters.get("channel")
        if channel == "instrument":
            result = {
                "channel": channel,
                "snapshot": True,
                "warnings": ["tick_size is deprecated, use price_increment"],
            }
            return [_answer(message, now_ns, result=result), Reply(self._instruments())]
        names = parameters.get("symbol")
        if not isinstance(names, list) or not names:
            return [_answer(message, now_ns, error="Symbol(s) must be specified")]
        return [self._change(connection, message, parameters, str(name), now_ns) for name in names]

    def snapshot(self, topic: Topic, feed: SymbolFeed, now_ns: int) -> list[Outgoing]:
        """Give the whole book, the ticker, the last trades or the last bars."""
        if topic.kind == "book":
            bids, asks = feed.market.bids.top(topic.depth), feed.market.asks.top(topic.depth)
            return [self._book(feed, "snapshot", bids, asks)]
        if topic.kind in {"bbo", "ticker"}:
            return [self._ticker(feed, "snapshot")]
        if topic.kind == "trade":
            rows = trades_since(feed, trade_count(feed) - _SNAPSHOT_TRADES, _SNAPSHOT_TRADES)
            return [self._trades(feed, "snapshot", rows)]
        now_ms, interval_ms = now_ns // 1_000_000, INTERVALS_MS[topic.interval]
        bars = bars_between(feed, interval_ms, now_ms - _SNAPSHOT_BARS * interval_ms, now_ms)
        return [self._bars(feed, "snapshot", [bar for bar in bars if bar.count], now_ms)]

    def update(self, topic: Topic, feed: SymbolFeed, change: Change, now_ms: int) -> list[Outgoing]:
        """Give a delta of the book with its checksum, the ticker, or the trades of one step."""
        del now_ms
        if topic.kind == "book":
            bids = side_delta(feed.market.bids, change.bids, topic.depth, tells_leaving=False)
            asks = side_delta(feed.market.asks, change.asks, topic.depth, tells_leaving=False)
            return [self._book(feed, "update", bids, asks)]
        if topic.kind == "bbo" and change.top_changed:
            return [self._ticker(feed, "update")]
        if change.fills and topic.kind == "ticker":
            return [self._ticker(feed, "update")]
        if change.fills and topic.kind == "trade":
            rows = trades_since(feed, trade_count(feed) - len(change.fills), len(change.fills))
            return [self._trades(feed, "update", rows)]
        return []

    def bar(
        self, topic: Topic, feed: SymbolFeed, bar: Bar, now_ms: int, *, confirmed: bool
    ) -> Outgoing | None:
        """Give a bar after a trade; that one has ended shows only when the next begins."""
        del topic
        return None if confirmed or not bar.count else self._bars(feed, "update", [bar], now_ms)

    def heartbeat(self, connection: Connection, now_ns: int) -> list[bytes]:
        """Send a heartbeat each second, busy or not, once there is a subscription."""
        if not connection.topics or now_ns - connection.last_beat_ns < _HEARTBEAT_EVERY_NS:
            return []
        connection.last_beat_ns = now_ns
        return [_HEARTBEAT]

    def is_idle(self, connection: Connection, now_ns: int) -> bool:
        """Tell that Kraken bears any silence."""
        del connection, now_ns
        return False

    def rest(self, request: Request, now_ms: int) -> Answer | None:
        """Answer a market-data request."""
        return kraken_rest.answer(self.feeds, request, now_ms)

    def reject(self, connection: Connection, text: str, now_ns: int) -> list[Reply]:
        """Refuse a request to subscribe, symbol by symbol."""
        del connection
        message = json.loads(text)
        names = message["params"]["symbol"]
        return [
            _answer(message, now_ns, error=f"Currency pair not supported {name}", symbol=name)
            for name in names
        ]

    def status_text(self, system: str) -> str:
        """Announce a status of the system."""
        return status_text(system, 0)

    def rule(self, request: Request) -> tuple[Rule, int]:
        """Allow about one request a second, with some patience."""
        del request
        return Rule("requests", 20, 15_000), 1

    def over_limit(self, verdict: Verdict) -> Answer:
        """Refuse as Kraken does: 200, and an error."""
        del verdict
        return kraken_rest.refusal("EGeneral:Too many requests")

    def skip_numbers(self, feed: SymbolFeed, channel: str, count: int) -> None:
        """Refuse: there are no numbers to skip, a lost message shows in the checksum only."""
        del feed, channel, count
        raise ValueError("Kraken sends no sequence numbers: drop a frame, or corrupt a checksum")

    def _change(
        self,
        connection: Connection,
        message: dict[str, Any],
        parameters: dict[str, Any],
        name: str,
        now_ns: int,
    ) -> Reply:
        method = message["method"]
        feed = self.feeds.get(name)
        if feed is None or feed.delisted:
            return _answer(message, now_ns, error=f"Currency pair not supported {name}", symbol=name)
        topic, result = self._topic(parameters, feed)
        if topic is None:
            return _answer(message, now_ns, error=str(result["error"]), symbol=name)
        if method == "unsubscribe":
            if topic.wire not in connection.topics:
                return _answer(message, now_ns, error="Subscription Not Found", symbol=name)
            result.pop("snapshot", None)
            return _answer(message, now_ns, result=result)._replace(unsubscribe=(topic,))
        if topic.wire in connection.topics:
            return _answer(message, now_ns, error="Already subscribed", symbol=name)
        return _answer(message, now_ns, result=result)._replace(subscribe=(topic,))

    def _topic(self, parameters: dict[str, Any], feed: SymbolFeed) -> tuple[Topic | None, dict[str, Any]]:
        """Make the topic, and the result that confirms it; without a topic the result says what is wrong."""
        channel, symbol = parameters.get("channel"), feed.symbol
        topic: Topic | None = None
        told: dict[str, Any] = {"error": f"Channel not supported: {channel}"}
        if channel == "book":
            depth = parameters.get("depth", _DEFAULT_DEPTH)
            told = {"error": "Subscription depth not supported"}
            if depth in self.offered_depths:
                topic = Topic(self.name, "spot", symbol, "book", f"book-{depth}:{symbol}", depth)
                told = {"channel": channel, "depth": depth, "snapshot": True, "symbol": symbol}
        elif channel == "ohlc":
            minutes = parameters.get("interval", 1)
            told = {"error": "Subscription ohlc interval not supported"}
            if minutes in kraken_rest.INTERVALS:
                interval = kraken_rest.INTERVALS[minutes]
                wire = f"ohlc-{minutes}:{symbol}"
                topic = Topic(self.name, "spot", symbol, "bar", wire, interval=interval)
                told = {"channel": channel, "interval": minutes, "snapshot": True, "symbol": symbol}
                told["warnings"] = ["timestamp is deprecated, use interval_begin"]
        elif channel == "trade":
            topic = Topic(self.name, "spot", symbol, "trade", f"trade:{symbol}")
            told = {"channel": channel, "snapshot": True, "symbol": symbol}
        elif channel == "ticker":
            trigger = parameters.get("event_trigger", "trades")
            kind: Literal["bbo", "ticker"] = "bbo" if trigger == "bbo" else "ticker"
            topic = Topic(self.name, "spot", symbol, kind, f"ticker-{trigger}:{symbol}")
            told = {"channel": channel, "event_trigger": trigger, "snapshot": True, "symbol": symbol}
        return topic, told

    def _book(
        self, feed: SymbolFeed, kind: str, bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]
    ) -> Outgoing:
        instrument = feed.instrument
        text = (
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{feed.symbol}"'
            f',"bids":{_levels(instrument, bids)},"asks":{_levels(instrument, asks)}'
            f',"checksum":{checksum(feed.market.bids, feed.market.asks)}'
            f',"timestamp":"{_step_time(feed)}"}}]}}'
        )
        return Outgoing(text, "snapshot" if kind == "snapshot" else "delta", None)

    def _ticker(self, feed: SymbolFeed, kind: str) -> Outgoing:
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
        return Outgoing(text, "snapshot" if kind == "snapshot" else "delta", None)

    def _trades(self, feed: SymbolFeed, kind: str, trades: list[PastTrade]) -> Outgoing:
        instrument, rows = feed.instrument, []
        for trade in trades:
            nth = position_of(feed, trade.number) - position_at(feed, trade.at_ms)
            rows.append(
                f'{{"symbol":"{feed.symbol}","side":"{"buy" if trade.buys else "sell"}"'
                f',"price":{instrument.price_text(trade.ticks)},"qty":{instrument.size_text(trade.lots)}'
                f',"ord_type":"{"market" if trade.number % 3 else "limit"}","trade_id":{trade.number}'
                f',"timestamp":"{time_text(trade.at_ms * 1000 + nth)}"}}'
            )
        text = f'{{"channel":"trade","type":"{kind}","data":[{",".join(rows)}]}}'
        return Outgoing(text, "trade", trades[-1].number)

    def _bars(self, feed: SymbolFeed, kind: str, bars: list[Bar], now_ms: int) -> Outgoing:
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
        return Outgoing(text, "bar", bars[-1].open_ms if bars else None)

    def _instruments(self) -> str:
        pairs = []
        for feed in self.feeds.values():
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
        return _compact({"channel": "instrument", "type": "snapshot", "data": {"assets": [], "pairs": pairs}})


def checksum(bids: Side, asks: Side) -> int:
    """Compute Kraken's CRC32: price and size of the best ten, asks first, without point or leading zeros.

    At the pair's own precision these digits are the ticks and lots themselves.
    """
    levels = asks.top(CHECKSUM_LEVELS) + bids.top(CHECKSUM_LEVELS)
    return crc32("".join([f"{abs(key)}{lots}" for key, lots in levels]).encode())


def status_text(system: str, connection_id: int) -> str:
    """Say how the system is."""
    data = {
        "version": _VERSION,
        "system": system,
        "api_version": "v2",
        "connection_id": 10**19 + connection_id,
    }
    return _compact({"channel": "status", "type": "update", "data": [data]})


def time_text(at_us: int) -> str:
    """Write a time with microseconds, as Kraken does."""
    seconds, micros = divmod(at_us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{micros:06d}Z"


def _step_time(feed: SymbolFeed) -> str:
    # A few microseconds past the millisecond, so that rounding finds the same one as cutting does.
    return time_text(feed.now_ms * 1000 + feed.step_count % 400)


def _vwap_ticks(bar: Bar) -> int:
    return round(bar.turnover / bar.lots) if bar.lots else bar.close


def _levels(instrument: Instrument, levels: Iterable[tuple[int, int]]) -> str:
    price, size = instrument.price_text, instrument.size_text
    return "[" + ",".join([f'{{"price":{price(abs(key))},"qty":{size(lots)}}}' for key, lots in levels]) + "]"


def _answer(
    message: Mapping[str, Any],
    now_ns: int,
    *,
    result: dict[str, Any] | None = None,
    error: str | None = None,
    symbol: str | None = None,
    bare: bool = False,
) -> Reply:
    times = {"time_in": time_text(now_ns // 1000), "time_out": time_text(now_ns // 1000 + 24)}
    request = {"req_id": message["req_id"]} if "req_id" in message else {}
    method = {"method": message.get("method")}
    if bare:
        return Reply(_compact(method | request | times))
    if error is not None:
        named = {} if symbol is None else {"symbol": symbol}
        return Reply(_compact({"error": error} | method | request | {"success": False} | named | times))
    return Reply(_compact(method | request | {"result": result, "success": True} | times))


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
