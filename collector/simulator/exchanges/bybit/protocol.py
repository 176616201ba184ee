"""Bybit v5, spot and linear: its websocket as the recorded frames have it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from collector.simulator.exchanges.bybit import frames, rest
from collector.simulator.exchanges.bybit.recorded import BybitDialect
from collector.simulator.exchanges.bybit.rest import INTERVALS
from collector.simulator.exchanges.exchange import Exchange
from collector.simulator.exchanges.messages import (
    Answer,
    Connection,
    Outgoing,
    Reply,
    Request,
    Topic,
    compact_json,
)
from collector.simulator.faults.admission import Rule, Verdict
from collector.simulator.market.bars import Bar
from collector.simulator.market.depth import side_delta
from collector.simulator.market.instruments import Conventions, Pair
from collector.simulator.market.market import Change
from collector.simulator.market.symbol_feed import SymbolFeed
from collector.simulator.recordings.dialect import Dialect

_MARKETS = ("spot", "linear")
# A connection without a ping for this long is closed.
_SILENCE_LIMIT_NS = 600 * 10**9
_SPOT_TOPICS_PER_REQUEST = 10
_CHARACTERS_PER_REQUEST = 21_000
_BAN_MS = 10 * 60_000
# Offered until 2025; recordings have it.
_OLD_DEPTH = 500


class Bybit(Exchange):
    """Bybit's public v5 websocket and REST."""

    name = "bybit"
    default_symbols = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT", "BTC/USDT", "ETH/USDT")
    dialect: ClassVar[Dialect] = BybitDialect()
    lists_both_kinds = True
    rest_prefixes: ClassVar[tuple[str, ...]] = ("/v5/market/",)
    connection_rule: ClassVar[Rule] = Rule("connections", 500, 300_000)
    # The best prices are sent again, under the same `u`, when they did not change for 3 s.
    repeats_after_ns: ClassVar[int | None] = 3 * 10**9
    connection_refusal_status: ClassVar[int] = 403
    offered_depths: ClassVar[tuple[int, ...]] = (1, 50, 200, 1000)
    busy_words: ClassVar[str] = "system busy, please try again later"
    stray_frames: ClassVar[Sequence[str]] = (
        '{"topic":"liquidation.BTCUSDT","type":"snapshot","ts":1,"data":{}}',
        '{"topic":"orderbook.50.NOBODYUSDT","type":"delta","ts":1,"data":{"s":"NOBODYUSDT","b":[],"a":[]}}',
        '{"topic":"tickers.BTCUSDT","type":"delta"}',
    )

    @classmethod
    def conventions(cls, pair: Pair) -> Conventions:
        """Return how Bybit names a market and writes its numbers."""
        if pair.settle:
            return Conventions(
                name=pair.joined,
                sequence="message",
                lot_decimals=pair.lot_decimals,
                price_decimals=max(2, pair.tick_decimals),
                size_decimals=pair.lot_decimals,
                names_trades_by_uuid=True,
            )
        return Conventions(
            name=pair.joined,
            sequence="message",
            lot_decimals=pair.lot_decimals,
            price_decimals=pair.tick_decimals,
            size_decimals=pair.lot_decimals,
            trims_zeros=True,
        )

    def market_at(self, path: str) -> str | None:
        """Return the category of `/v5/public/{category}`."""
        category = path.removeprefix("/v5/public/")
        return category if category in _MARKETS else None

    def greet(self, connection: Connection, query: Mapping[str, str], now_ns: int) -> list[Reply]:
        """Send nothing: Bybit waits for the client."""
        del connection, query, now_ns
        return []

    def receive(self, connection: Connection, text: str, now_ns: int) -> list[Reply]:
        """Answer `ping`, `subscribe` and `unsubscribe`."""
        del now_ns
        try:
            message = json.loads(text)
            operation = message.get("op")
        except (ValueError, AttributeError):
            return [_answer(connection, {}, "error:request error", operation="", success=False)]
        if operation == "ping":
            return [_answer(connection, message, "pong", operation="ping")]
        if operation not in {"subscribe", "unsubscribe"}:
            return [
                _answer(connection, message, f"error:request op {operation} not supported", success=False)
            ]
        try:
            topics = self._asked_topics(connection, message)
        except ValueError as error:
            return [_answer(connection, message, f"error:{error}", success=False)]
        ack = _answer(connection, message, operation)
        if operation == "subscribe":
            return [ack._replace(subscribe=topics)]
        return [ack._replace(unsubscribe=topics)]

    def snapshot(self, topic: Topic, feed: SymbolFeed, now_ns: int) -> list[Outgoing]:
        """Send the whole book; trades and bars have no snapshot."""
        if topic.kind in {"book", "bbo"}:
            bids, asks = feed.market.bids.top(topic.depth), feed.market.asks.top(topic.depth)
            return [frames.book(topic, feed, "snapshot", bids, asks, now_ns // 1_000_000)]
        return []

    def update(self, topic: Topic, feed: SymbolFeed, change: Change, now_ms: int) -> list[Outgoing]:
        """Send a delta of the book, a snapshot of the best prices, or the trades of one step."""
        if topic.kind == "book":
            bids = side_delta(feed.market.bids, change.bids, topic.depth, removes_leaving=True)
            asks = side_delta(feed.market.asks, change.asks, topic.depth, removes_leaving=True)
            return [frames.book(topic, feed, "delta", bids, asks, now_ms)]
        if topic.kind == "bbo" and change.top_changed:
            return self.snapshot(topic, feed, now_ms * 1_000_000)
        if topic.kind == "trade" and change.fills:
            return [frames.trades(topic, feed, change, now_ms)]
        return []

    def bar(self, topic: Topic, feed: SymbolFeed, bar: Bar, now_ms: int, *, confirmed: bool) -> Outgoing:
        """Write a bar in its present state."""
        return frames.bar(topic, feed, bar, now_ms, confirmed=confirmed)

    def heartbeat(self, connection: Connection, now_ns: int) -> list[bytes]:
        """Send nothing: here the client pings."""
        del connection, now_ns
        return []

    def is_idle(self, connection: Connection, now_ns: int, quiet_ns: int) -> bool:
        """Return whether the client has been silent for too long."""
        del quiet_ns
        return now_ns - connection.last_client_ns > _SILENCE_LIMIT_NS

    def rest(self, request: Request, now_ms: int) -> Answer | None:
        """Answer a market-data request."""
        return rest.answer(self.by_name, request, now_ms)

    def reject(self, connection: Connection, text: str, now_ns: int, words: str | None = None) -> list[Reply]:
        """Refuse a request to subscribe, as a whole."""
        del now_ns
        message = json.loads(text)
        note = words or f"error:handler not found,topic:{message['args'][0]}"
        return [_answer(connection, message, note, success=False)]

    def rule(self, request: Request) -> tuple[Rule, int]:
        """Allow 600 requests in 5 s; one more bans the address for ten minutes."""
        del request
        return Rule("requests", 600, 5_000, 0, _BAN_MS, _BAN_MS), 1

    def over_limit(self, verdict: Verdict) -> Answer:
        """Refuse as Bybit does: 403, without saying for how long."""
        del verdict
        return Answer('{"retCode":10006,"retMsg":"Access too frequent"}', 403)

    def stream_channel(self, channel: str) -> str:
        """Return the best prices for a book of one level."""
        return "bbo" if channel == "book.1" else channel

    def skip_numbers(self, feed: SymbolFeed, channel: str, count: int) -> None:
        """Skip `u` of one channel: each depth counts for itself."""
        if channel in {"bbo", "book.1"}:
            feed.numbering("bbo").skip(len(feed.touches), count)
        else:
            feed.numbering(channel).skip(feed.step_count + 1, count)

    def _asked_topics(self, connection: Connection, message: dict[str, Any]) -> tuple[Topic, ...]:
        names = message.get("args")
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise ValueError("request args empty")
        if connection.market == "spot" and len(names) > _SPOT_TOPICS_PER_REQUEST:
            raise ValueError("args size >10")
        if len(json.dumps(names)) > _CHARACTERS_PER_REQUEST:
            raise ValueError("args size >21000")
        topics = []
        for name in names:
            topic = self._topic(connection.market, name)
            if topic is None:
                raise ValueError(f"handler not found,topic:{name}")
            if message["op"] == "subscribe" and name in connection.topics:
                raise ValueError(f"already subscribed,topic:{name}")
            topics.append(topic)
        return tuple(topics)

    def _topic(self, market: str, name: str) -> Topic | None:
        head, _, rest = name.partition(".")
        parameter, _, symbol_name = rest.rpartition(".")
        feed = self.by_name.get((market, symbol_name))
        if feed is None or feed.delisted:
            return None
        symbol = feed.symbol
        if head == "orderbook" and parameter in {str(depth) for depth in (*self.offered_depths, _OLD_DEPTH)}:
            depth = int(parameter)
            return Topic(self.name, market, symbol, "bbo" if depth == 1 else "book", name, depth)
        if head == "publicTrade" and not parameter:
            return Topic(self.name, market, symbol, "trade", name)
        if head == "kline" and parameter in INTERVALS:
            return Topic(self.name, market, symbol, "bar", name, interval=INTERVALS[parameter])
        return None


def _answer(
    connection: Connection,
    message: dict[str, Any],
    note: str,
    *,
    success: bool = True,
    operation: str | None = None,
) -> Reply:
    answer: dict[str, Any] = {"success": success, "ret_msg": note, "conn_id": connection.name}
    if message.get("req_id"):
        answer["req_id"] = message["req_id"]
    answer["op"] = message.get("op", "") if operation is None else operation
    return Reply(compact_json(answer))
