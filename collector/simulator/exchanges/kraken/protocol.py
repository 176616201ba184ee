"""Kraken websocket v2: subscriptions, heartbeats and answers as recorded."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from collector.simulator.admission import Rule, Verdict
from collector.simulator.dialect import Dialect
from collector.simulator.exchanges.exchange import Exchange
from collector.simulator.exchanges.kraken import frames, rest
from collector.simulator.exchanges.kraken.recorded import KrakenDialect
from collector.simulator.exchanges.kraken.topics import DEPTHS, topic_of
from collector.simulator.market import (
    INTERVALS_MS,
    Bar,
    Change,
    Conventions,
    Pair,
    SymbolFeed,
    bars_between,
    side_delta,
    trade_count,
    trades_since,
)
from collector.simulator.messages import (
    Answer,
    Connection,
    Outgoing,
    Reply,
    Request,
    Topic,
    compact_json,
)
from collector.simulator.wire import frame

_HEARTBEAT = frame(b'{"channel":"heartbeat"}')
_ONE_INTERVAL = "Already subscribed to one ohlc interval on this symbol"
_DATA = '"data":['
_HEARTBEAT_EVERY_NS = 10**9
_SNAPSHOT_TRADES = 50
_SNAPSHOT_BARS = 10
# No number is documented: the more there is to do, the fewer requests a second Kraken takes.
_REQUESTS_PER_S_AT_REST = 50


class Kraken(Exchange):
    """Kraken's public websocket v2 and REST."""

    name = "kraken"
    default_symbols = ("BTC/USD", "ETH/USD", "SOL/USD")
    dialect: ClassVar[Dialect] = KrakenDialect()
    rest_prefixes: ClassVar[tuple[str, ...]] = ("/0/public/",)
    level_pattern: ClassVar[re.Pattern[str]] = re.compile(r'{"price":(?P<price>[^,]*),"qty":(?P<size>[^}]*)}')
    connection_rule: ClassVar[Rule] = Rule("connections", 150, 600_000)
    offered_depths: ClassVar[tuple[int, ...]] = DEPTHS
    limits_by_load: ClassVar[bool] = True
    joins_updates: ClassVar[bool] = True
    busy_words: ClassVar[str] = "Exceeded msg rate"
    stray_frames: ClassVar[Sequence[str]] = (
        '{"channel":"ticker","type":"update","data":[]}',
        '{"channel":"executions","type":"update","data":[{}]}',
        '{"channel":"book","type":"update","data":[]}',
    )

    @classmethod
    def conventions(cls, pair: Pair) -> Conventions:
        """Return how Kraken names a market and writes its numbers."""
        decimals = pair.tick_decimals
        return Conventions(
            name=pair.symbol, sequence="none", lot_decimals=8, price_decimals=decimals, size_decimals=8
        )

    def market_at(self, path: str) -> str | None:
        """Return the only market for `/kraken/v2`."""
        return "spot" if path == "/kraken/v2" else None

    def greet(self, connection: Connection, query: Mapping[str, str], now_ns: int) -> list[Reply]:
        """Send the system's status."""
        del query
        connection.last_beat_ns = now_ns
        return [Reply(frames.status_text(self.system, connection.number))]

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
        problem = self._problem(connection, message, now_ns)
        if problem:
            return [_answer(message, now_ns, error=problem)]
        parameters = message["params"]
        channel = parameters.get("channel")
        if channel == "instrument":
            result = {
                "channel": channel,
                "snapshot": True,
                "warnings": ["tick_size is deprecated, use price_increment"],
            }
            return [_answer(message, now_ns, result=result), Reply(frames.instruments(self.feeds.values()))]
        return [
            self._change(connection, message, parameters, str(name), now_ns) for name in parameters["symbol"]
        ]

    def snapshot(self, topic: Topic, feed: SymbolFeed, now_ns: int) -> list[Outgoing]:
        """Send the whole book, the ticker, the last trades or the last bars."""
        if topic.kind == "book":
            bids, asks = feed.market.bids.top(topic.depth), feed.market.asks.top(topic.depth)
            return [frames.book(feed, "snapshot", bids, asks)]
        if topic.kind in {"bbo", "ticker"}:
            return [frames.ticker(feed, "snapshot")]
        if topic.kind == "trade":
            rows = trades_since(feed, trade_count(feed) - _SNAPSHOT_TRADES, _SNAPSHOT_TRADES)
            return [frames.trades(feed, "snapshot", rows)]
        now_ms, interval_ms = max(now_ns // 1_000_000, feed.now_ms), INTERVALS_MS[topic.interval]
        bars = bars_between(feed, interval_ms, now_ms - _SNAPSHOT_BARS * interval_ms, now_ms)
        return [frames.bars(feed, "snapshot", [bar for bar in bars if bar.count], now_ms)]

    def update(self, topic: Topic, feed: SymbolFeed, change: Change, now_ms: int) -> list[Outgoing]:
        """Send a delta of the book with its checksum, the ticker, or the trades of one step."""
        del now_ms
        if topic.kind == "book":
            bids = side_delta(feed.market.bids, change.bids, topic.depth, removes_leaving=False)
            asks = side_delta(feed.market.asks, change.asks, topic.depth, removes_leaving=False)
            return [frames.book(feed, "update", bids, asks)]
        if topic.kind == "bbo" and change.top_changed:
            return [frames.ticker(feed, "update")]
        if change.fills and topic.kind == "ticker":
            return [frames.ticker(feed, "update")]
        if change.fills and topic.kind == "trade":
            rows = trades_since(feed, trade_count(feed) - len(change.fills), len(change.fills))
            return [frames.trades(feed, "update", rows)]
        return []

    def bar(
        self, topic: Topic, feed: SymbolFeed, bar: Bar, now_ms: int, *, confirmed: bool
    ) -> Outgoing | None:
        """Send a bar after a trade; that one has ended shows only when the next begins."""
        del topic
        return None if confirmed or not bar.count else frames.bars(feed, "update", [bar], now_ms)

    def heartbeat(self, connection: Connection, now_ns: int) -> list[bytes]:
        """Send a heartbeat each second, busy or not, once there is a subscription."""
        if not connection.topics or now_ns - connection.last_beat_ns < _HEARTBEAT_EVERY_NS:
            return []
        connection.last_beat_ns = now_ns
        return [_HEARTBEAT]

    def is_idle(self, connection: Connection, now_ns: int, quiet_ns: int) -> bool:
        """Return that a connection is never idle: Kraken allows any silence."""
        del connection, now_ns, quiet_ns
        return False

    def rest(self, request: Request, now_ms: int) -> Answer | None:
        """Answer a market-data request."""
        return rest.answer(self.feeds, request, now_ms, self.system)

    def reject(self, connection: Connection, text: str, now_ns: int, words: str | None = None) -> list[Reply]:
        """Refuse a request to subscribe, symbol by symbol; with words once, without a symbol."""
        del connection
        message = json.loads(text)
        if words:
            return [_answer(message, now_ns, error=words)]
        names = message["params"]["symbol"]
        return [
            _answer(message, now_ns, error=f"Currency pair not supported {name}", symbol=name)
            for name in names
        ]

    def status_text(self, system: str) -> str:
        """Announce a status of the system."""
        return frames.status_text(system, 0)

    def rule(self, request: Request) -> tuple[Rule, int]:
        """Allow about one request a second, with some patience."""
        del request
        return Rule("requests", 20, 15_000), 1

    def over_limit(self, verdict: Verdict) -> Answer:
        """Refuse as Kraken does: 200, and an error."""
        return rest.refusal("EGeneral:Temporary lockout" if verdict.is_ban else "EGeneral:Too many requests")

    def skip_numbers(self, feed: SymbolFeed, channel: str, count: int) -> None:
        """Refuse: there are no numbers to skip, a lost message shows in the checksum only."""
        del feed, channel, count
        raise ValueError("Kraken sends no sequence numbers: drop a frame, or corrupt a checksum")

    def unchanged(self, topic: Topic, feed: SymbolFeed, now_ns: int) -> list[Outgoing]:
        """Send a level in the size that it has, under the right checksum, or the ticker again."""
        if topic.kind == "book":
            return [frames.book(feed, "update", feed.market.bids.top(1), [])]
        if topic.kind in {"bbo", "ticker"}:
            return [frames.ticker(feed, "update")]
        return super().unchanged(topic, feed, now_ns)

    def join(self, first: Outgoing, second: Outgoing) -> Outgoing:
        """Put the data of two messages into one frame."""
        begin = second.text.index(_DATA) + len(_DATA)
        text = f"{first.text.removesuffix(']}')},{second.text[begin:]}"
        times_us = first.times_us + second.times_us
        return Outgoing(text, first.kind, second.sequence, first.events + second.events, times_us)

    def _problem(self, connection: Connection, message: Mapping[str, Any], now_ns: int) -> str | None:
        """Return what is wrong with a request as a whole."""
        parameters = message.get("params")
        if message.get("method") not in {"subscribe", "unsubscribe"} or not isinstance(parameters, dict):
            return "Unsupported event"
        if self._exceeds_rate(connection, now_ns):
            return self.busy_words
        names = parameters.get("symbol")
        if parameters.get("channel") != "instrument" and (not isinstance(names, list) or not names):
            return "Symbol(s) must be specified"
        return None

    def _exceeds_rate(self, connection: Connection, now_ns: int) -> bool:
        """Count a request; return whether it is one too many for the present load."""
        recent = [at for at in connection.recent_ns if 0 <= now_ns - at < 10**9]
        connection.recent_ns[:] = [*recent, now_ns]
        capacity = self.message_capacity or _REQUESTS_PER_S_AT_REST
        return len(connection.recent_ns) > max(1, int(capacity / max(self.load, 1.0)))

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
        try:
            topic, result = topic_of(parameters, feed)
        except ValueError as error:
            return _answer(message, now_ns, error=str(error), symbol=name)
        if method == "unsubscribe":
            if topic.wire not in connection.topics:
                return _answer(message, now_ns, error="Subscription Not Found", symbol=name)
            result.pop("snapshot", None)
            return _answer(message, now_ns, result=result)._replace(unsubscribe=(topic,))
        problem = _already(connection, topic)
        if problem:
            return _answer(message, now_ns, error=problem, symbol=name)
        return _answer(message, now_ns, result=result)._replace(subscribe=(topic,))


def _already(connection: Connection, wanted: Topic) -> str | None:
    """Return why a topic cannot be subscribed to beside those of the connection."""
    if wanted.wire in connection.topics:
        return "Already subscribed"
    bars = {topic.symbol for topic in connection.topics.values() if topic.kind == "bar"}
    return _ONE_INTERVAL if wanted.kind == "bar" and wanted.symbol in bars else None


def _answer(
    message: Mapping[str, Any],
    now_ns: int,
    *,
    result: dict[str, Any] | None = None,
    error: str | None = None,
    symbol: str | None = None,
    bare: bool = False,
) -> Reply:
    times = {"time_in": frames.time_text(now_ns // 1000), "time_out": frames.time_text(now_ns // 1000 + 24)}
    request = {"req_id": message["req_id"]} if "req_id" in message else {}
    method = {"method": message.get("method")}
    if bare:
        return Reply(compact_json(method | request | times))
    if error is not None:
        named = {} if symbol is None else {"symbol": symbol}
        return Reply(compact_json({"error": error} | method | request | {"success": False} | named | times))
    return Reply(compact_json(method | request | {"result": result, "success": True} | times))
