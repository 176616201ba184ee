"""Binance, spot and USD-M futures: their websockets as the recorded frames have them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from collector.simulator.admission import Rule, Verdict
from collector.simulator.dialect import Dialect
from collector.simulator.exchanges.binance import frames, rest
from collector.simulator.exchanges.binance.recorded import BinanceDialect
from collector.simulator.exchanges.exchange import Exchange
from collector.simulator.market import (
    INTERVALS_MS,
    Bar,
    BarsInOutages,
    Change,
    Conventions,
    Pair,
    SymbolFeed,
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
from collector.simulator.wire import PING, frame

_DEPTH_SPEEDS = {
    "spot": {"depth", "depth@100ms", "depth@1000ms"},
    "linear": {"depth", "depth@0ms", "depth@100ms", "depth@250ms", "depth@500ms"},
}
_PING_EVERY_NS = {"spot": 20 * 10**9, "linear": 180 * 10**9}
_PONG_WITHIN_NS = {"spot": 60 * 10**9, "linear": 600 * 10**9}
_MESSAGES_PER_S = {"spot": 5, "linear": 10}
_STREAMS_PER_CONNECTION = 1024
_POLICY = 1008
_OVERLOADED = -1008
_SHORTEST_BAN_MS, _LONGEST_BAN_MS = 2 * 60_000, 3 * 24 * 3600 * 1000


class Binance(Exchange):
    """Binance's public websocket streams and REST."""

    name = "binance"
    default_symbols = ("BTC/USDT", "ETH/USDT", "BTC/USDT:USDT", "ETH/USDT:USDT")
    dialect: ClassVar[Dialect] = BinanceDialect()
    lists_both_kinds = True
    rest_prefixes: ClassVar[tuple[str, ...]] = ("/api/v3/", "/fapi/v1/", "/dapi/v1/")
    connection_rule: ClassVar[Rule] = Rule("connections", 300, 300_000)
    offered_depths: ClassVar[tuple[int, ...]] = (0,)
    lifetime_ns: ClassVar[int | None] = 24 * 3600 * 10**9
    batches_diffs: ClassVar[bool] = True
    bars_in_outages: ClassVar[BarsInOutages] = "missing"  # as recorded: BTCUSDT, 2020-06-28 02:00 to 05:00
    busy_words: ClassVar[str] = (
        "-1008 Server is currently overloaded with other requests. Please try again in a few minutes."
    )
    stray_frames: ClassVar[Sequence[str]] = (
        '{"e":"24hrMiniTicker","E":1,"s":"NOBODYUSDT"}',
        '{"stream":"nobodyusdt@depth@100ms","data":{"e":"depthUpdate"}}',
        '{"result":["btcusdt@trade"],"id":987654321}',
    )

    @classmethod
    def conventions(cls, pair: Pair) -> Conventions:
        """Return how Binance names a market and writes its numbers."""
        if pair.settle:
            return Conventions(
                name=pair.joined,
                sequence="event",
                lot_decimals=pair.lot_decimals,
                price_decimals=max(2, pair.tick_decimals),
                size_decimals=pair.lot_decimals,
                # All futures are numbered in one space: a symbol's ids leave gaps between its own.
                ids_per_event=8,
            )
        return Conventions(
            name=pair.joined,
            sequence="event",
            lot_decimals=pair.lot_decimals,
            price_decimals=8,
            size_decimals=8,
        )

    def market_at(self, path: str) -> str | None:
        """Return spot for `/stream` and `/ws`, linear for `/fut`."""
        head = path.split("/")[1]
        return {"stream": "spot", "ws": "spot", "fut": "linear"}.get(head)

    def greet(self, connection: Connection, query: Mapping[str, str], now_ns: int) -> list[Reply]:
        """Send nothing; subscribe to the streams that the address names."""
        connection.last_beat_ns = connection.last_pong_ns = now_ns
        connection.wrapped = connection.path.endswith("/stream")
        named = query.get("streams", "") if connection.wrapped else connection.path.partition("/ws/")[2]
        topics = [self._topic(connection.market, name) for name in named.split("/") if "@" in name]
        return [Reply(None, subscribe=tuple(topic for topic in topics if topic))]

    def receive(self, connection: Connection, text: str, now_ns: int) -> list[Reply]:
        """Answer SUBSCRIBE, UNSUBSCRIBE and LIST_SUBSCRIPTIONS; too many a second end it."""
        connection.recent_ns[:] = [at for at in connection.recent_ns if now_ns - at < 10**9] + [now_ns]
        if len(connection.recent_ns) > _MESSAGES_PER_S[connection.market]:
            return [Reply(None, close_code=_POLICY)]
        try:
            message = json.loads(text)
        except ValueError:
            return [_refusal(3, "Invalid JSON: expected value at line 1 column 1", None)]
        if not isinstance(message, dict):
            return [_refusal(2, "Invalid request: request must be an object", None)]
        return [self._obey(connection, message)]

    def snapshot(self, topic: Topic, feed: SymbolFeed, now_ns: int) -> list[Outgoing]:
        """Send nothing: the snapshot of a book is fetched over REST."""
        del topic, feed, now_ns
        return []

    def update(self, topic: Topic, feed: SymbolFeed, change: Change, now_ms: int) -> list[Outgoing]:
        """Send a diff of the whole book, the best prices, or the trades of one step."""
        if topic.kind == "book":
            return [frames.diff(topic, feed, change, now_ms)]
        if topic.kind == "bbo" and change.top_changed:
            return [frames.best(topic, feed, now_ms)]
        if topic.kind == "trade" and change.fills:
            aggregated = topic.wire.endswith("@aggTrade")
            return (frames.aggregates if aggregated else frames.trades)(topic, feed, change, now_ms)
        return []

    def bar(self, topic: Topic, feed: SymbolFeed, bar: Bar, now_ms: int, *, confirmed: bool) -> Outgoing:
        """Write a bar in its present state."""
        return frames.bar(topic, feed, bar, now_ms, confirmed=confirmed)

    def heartbeat(self, connection: Connection, now_ns: int) -> list[bytes]:
        """Ping, with the time in it."""
        if now_ns - connection.last_beat_ns < _PING_EVERY_NS[connection.market]:
            return []
        connection.last_beat_ns = now_ns
        return [frame(str(now_ns // 1_000_000).encode(), PING)]

    def is_idle(self, connection: Connection, now_ns: int, quiet_ns: int) -> bool:
        """Return whether pongs have been missing for too long."""
        del quiet_ns
        return now_ns - connection.last_pong_ns > _PONG_WITHIN_NS[connection.market]

    def rest(self, request: Request, now_ms: int) -> Answer | None:
        """Answer a market-data request."""
        return rest.answer(self.by_name, request, now_ms)

    def skip_numbers(self, feed: SymbolFeed, channel: str, count: int) -> None:
        """Skip update ids as if a message had carried them; all channels share them."""
        del channel
        feed.events.skip(feed.step_count + 1, count)

    def reject(self, connection: Connection, text: str, now_ns: int, words: str | None = None) -> list[Reply]:
        """Refuse a request to subscribe; words may begin with a code, as in `-1008 Server is busy`."""
        del connection, now_ns
        number = json.loads(text).get("id")
        if not words:
            return [_refusal(2, "Invalid request: invalid stream", number)]
        code, _, note = words.partition(" ")
        if not code.lstrip("-").isdigit():
            return [_refusal(_OVERLOADED, words, number)]
        return [_refusal(int(code), note, number)]

    def shutdown_text(self, now_ms: int) -> str:
        """Announce that the server is about to be shut down."""
        return f'{{"e":"serverShutdown","E":{now_ms}}}'

    def has_placeholders(self, feed: SymbolFeed) -> bool:
        """Return whether this is a market of USD-M futures."""
        return feed.instrument.is_linear

    def placeholder(self, topic: Topic, feed: SymbolFeed, number: int, now_ms: int) -> Outgoing | None:
        """Write a trade without price and size on the stream of single trades."""
        return frames.placeholder(feed, number, now_ms) if topic.wire.endswith("@trade") else None

    def rule(self, request: Request) -> tuple[Rule, int]:
        """Allow a weight of 6000 a minute on spot, 2400 on futures, before refusals and then a ban."""
        bucket, capacity = ("spot", 6000) if request.path.startswith("/api/") else ("linear", 2400)
        rule = Rule(
            bucket,
            capacity,
            60_000,
            refused_until_ban=10,
            ban_ms=_SHORTEST_BAN_MS,
            longest_ban_ms=_LONGEST_BAN_MS,
        )
        return rule, rest.weight(request)

    def over_limit(self, verdict: Verdict) -> Answer:
        """Refuse as Binance does: 429, then 418, with the seconds to wait."""
        note = (
            "Way too much request weight used; IP banned."
            if verdict.is_ban
            else "Too much request weight used."
        )
        headers = {"Retry-After": str(verdict.wait_s), **self.used_headers(verdict)}
        return rest.refusal(-1003, note, 418 if verdict.is_ban else 429, headers)

    def used_headers(self, verdict: Verdict) -> dict[str, str]:
        """Write the weight used in this minute as headers."""
        return {"X-MBX-USED-WEIGHT": str(verdict.used), "X-MBX-USED-WEIGHT-1M": str(verdict.used)}

    def stream_channel(self, channel: str) -> str:
        """Return the one stream of diffs for books of every depth."""
        return "book" if channel.startswith("book.") else channel

    def wrap(self, topic: Topic, text: str) -> str:
        """Put a message in the form of a combined stream."""
        return f'{{"stream":"{topic.wire}","data":{text}}}'

    def _obey(self, connection: Connection, message: dict[str, Any]) -> Reply:
        number, method, names = message.get("id"), message.get("method"), message.get("params")
        if method == "LIST_SUBSCRIPTIONS":
            return Reply(compact_json({"result": list(connection.topics), "id": number}))
        if method not in {"SUBSCRIBE", "UNSUBSCRIBE"}:
            return _refusal(2, f"Invalid request: unknown variant `{method}`", number)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return _refusal(1, "Invalid value type: expected array of strings", number)
        if method == "SUBSCRIBE" and len(connection.topics) + len(names) > _STREAMS_PER_CONNECTION:
            return _refusal(2, "Invalid request: too many streams", number)
        # A stream that does not exist is acknowledged too; it stays silent.
        topics = [topic for name in names if (topic := self._topic(connection.market, name))]
        ack = Reply(compact_json({"result": None, "id": number}))
        if method == "UNSUBSCRIBE":
            return ack._replace(unsubscribe=tuple(topics))
        return ack._replace(subscribe=tuple(topic for topic in topics if topic.wire not in connection.topics))

    def _topic(self, market: str, name: str) -> Topic | None:
        symbol_name, _, stream = name.partition("@")
        feed = self.by_name.get((market, symbol_name.upper()))
        # A market that was taken off is silent until it is listed again, as its streams are.
        if feed is None or symbol_name != symbol_name.lower():
            return None
        symbol = feed.symbol
        if stream in _DEPTH_SPEEDS[market]:
            return Topic(self.name, market, symbol, "book", name)
        if stream in {"trade", "aggTrade"}:
            return Topic(self.name, market, symbol, "trade", name)
        if stream == "bookTicker":
            return Topic(self.name, market, symbol, "bbo", name)
        interval = stream.removeprefix("kline_")
        if interval != stream and interval in INTERVALS_MS:
            return Topic(self.name, market, symbol, "bar", name, interval=interval)
        return None


def _refusal(code: int, note: str, number: object) -> Reply:
    return Reply(compact_json({"error": {"code": code, "msg": note}, "id": number}))
