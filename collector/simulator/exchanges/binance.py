"""Binance, spot and USD-M futures: their websockets as the recorded frames have them."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from collector.simulator.exchanges import binance_rest
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
from collector.simulator.market.bars import INTERVALS_MS, Bar
from collector.simulator.market.depth import whole_side_delta
from collector.simulator.market.instruments import Instrument
from collector.simulator.market.market import Change
from collector.simulator.market.symbol_feed import SymbolFeed
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


class Binance(Exchange):
    """Binance's public websocket streams and REST."""

    name = "binance"
    lists_both_kinds = True
    rest_prefixes: ClassVar[tuple[str, ...]] = ("/api/v3/", "/fapi/v1/", "/dapi/v1/")
    connection_rule: ClassVar[Rule] = Rule("connections", 300, 300_000)
    offered_depths: ClassVar[tuple[int, ...]] = (0,)
    lifetime_ns: ClassVar[int | None] = 24 * 3600 * 10**9

    def market_at(self, path: str) -> str | None:
        """Tell spot (`/stream`, `/ws`) from futures (`/fut`)."""
        head = path.split("/")[1]
        return {"stream": "spot", "ws": "spot", "fut": "linear"}.get(head)

    def greet(self, connection: Connection, query: Mapping[str, str], now_ns: int) -> list[Reply]:
        """Say nothing; subscribe to the streams that the address names."""
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
        """Say nothing: the snapshot of a book is fetched over REST."""
        del topic, feed, now_ns
        return []

    def update(self, topic: Topic, feed: SymbolFeed, change: Change, now_ms: int) -> list[Outgoing]:
        """Give a diff of the whole book, the best prices, or the trades of one step."""
        if topic.kind == "book":
            return [self._diff(topic, feed, change, now_ms)]
        if topic.kind == "bbo" and change.top_changed:
            return [self._best(topic, feed, now_ms)]
        if topic.kind == "trade" and change.fills:
            aggregated = topic.wire.endswith("@aggTrade")
            return (self._aggregates if aggregated else self._trades)(topic, feed, change, now_ms)
        return []

    def bar(self, topic: Topic, feed: SymbolFeed, bar: Bar, now_ms: int, *, confirmed: bool) -> Outgoing:
        """Give a bar as it stands."""
        instrument = feed.instrument
        price, size = instrument.price_text, instrument.size_text
        turnover, buy_turnover = binance_rest.turnover_texts(instrument, bar)
        k = {
            "t": bar.open_ms,
            "T": bar.end_ms - 1,
            "s": instrument.name,
            "i": topic.interval,
            "f": bar.first_trade,
            "L": bar.first_trade + bar.count - 1 if bar.count else -1,
            "o": price(bar.open),
            "c": price(bar.close),
            "h": price(bar.high),
            "l": price(bar.low),
            "v": size(bar.lots),
            "n": bar.count,
            "x": confirmed,
            "q": turnover,
            "V": size(bar.buy_lots),
            "Q": buy_turnover,
            "B": "0",
        }
        text = _compact({"e": "kline", "E": now_ms, "s": instrument.name, "k": k})
        return Outgoing(text, "bar", bar.open_ms)

    def heartbeat(self, connection: Connection, now_ns: int) -> list[bytes]:
        """Ping, with the time in it."""
        if now_ns - connection.last_beat_ns < _PING_EVERY_NS[connection.market]:
            return []
        connection.last_beat_ns = now_ns
        return [frame(str(now_ns // 1_000_000).encode(), PING)]

    def is_idle(self, connection: Connection, now_ns: int) -> bool:
        """Tell whether pongs have been missing for too long."""
        return now_ns - connection.last_pong_ns > _PONG_WITHIN_NS[connection.market]

    def rest(self, request: Request, now_ms: int) -> Answer | None:
        """Answer a market-data request."""
        return binance_rest.answer(self.by_name, request, now_ms)

    def skip_numbers(self, feed: SymbolFeed, channel: str, count: int) -> None:
        """Let update ids pass as if a message had carried them; all channels share them."""
        del channel
        feed.events.skip(feed.step_count + 1, count)

    def reject(self, connection: Connection, text: str, now_ns: int) -> list[Reply]:
        """Refuse a request to subscribe."""
        del connection, now_ns
        return [_refusal(2, "Invalid request: invalid stream", json.loads(text).get("id"))]

    def rule(self, request: Request) -> tuple[Rule, int]:
        """Allow 6000 of weight a minute on spot, 2400 on futures; who goes on after that is banned."""
        bucket, capacity = ("spot", 6000) if request.path.startswith("/api/") else ("linear", 2400)
        return Rule(bucket, capacity, 60_000, refused_until_ban=10), binance_rest.weight(request)

    def over_limit(self, verdict: Verdict) -> Answer:
        """Refuse as Binance does: 429, then 418, with the seconds to wait."""
        note = (
            "Way too much request weight used; IP banned."
            if verdict.is_ban
            else "Too much request weight used."
        )
        headers = {"Retry-After": str(verdict.wait_s), **self.used_headers(verdict)}
        return binance_rest.refusal(-1003, note, 418 if verdict.is_ban else 429, headers)

    def used_headers(self, verdict: Verdict) -> dict[str, str]:
        """Tell the weight used in this minute."""
        return {"X-MBX-USED-WEIGHT": str(verdict.used), "X-MBX-USED-WEIGHT-1M": str(verdict.used)}

    def stream_channel(self, channel: str) -> str:
        """Tell that one stream of diffs serves books of every depth."""
        return "book" if channel.startswith("book.") else channel

    def wrap(self, topic: Topic, text: str) -> str:
        """Put a message in the form of a combined stream."""
        return f'{{"stream":"{topic.wire}","data":{text}}}'

    def _obey(self, connection: Connection, message: dict[str, Any]) -> Reply:
        number, method, names = message.get("id"), message.get("method"), message.get("params")
        if method == "LIST_SUBSCRIPTIONS":
            return Reply(_compact({"result": list(connection.topics), "id": number}))
        if method not in {"SUBSCRIBE", "UNSUBSCRIBE"}:
            return _refusal(2, f"Invalid request: unknown variant `{method}`", number)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return _refusal(1, "Invalid value type: expected array of strings", number)
        if method == "SUBSCRIBE" and len(connection.topics) + len(names) > _STREAMS_PER_CONNECTION:
            return _refusal(2, "Invalid request: too many streams", number)
        # A stream that does not exist is acknowledged too; it stays silent.
        topics = [topic for name in names if (topic := self._topic(connection.market, name))]
        ack = Reply(_compact({"result": None, "id": number}))
        if method == "UNSUBSCRIBE":
            return ack._replace(unsubscribe=tuple(topics))
        return ack._replace(subscribe=tuple(topic for topic in topics if topic.wire not in connection.topics))

    def _topic(self, market: str, name: str) -> Topic | None:
        symbol_name, _, stream = name.partition("@")
        feed = self.by_name.get((market, symbol_name.upper()))
        if feed is None or feed.delisted or symbol_name != symbol_name.lower():
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

    def _diff(self, topic: Topic, feed: SymbolFeed, change: Change, now_ms: int) -> Outgoing:
        instrument = feed.instrument
        bids = whole_side_delta(feed.market.bids, change.bids)
        asks = whole_side_delta(feed.market.asks, change.asks)
        first = feed.update_id(feed.step_count, change.first_event)
        last = feed.last_event
        if topic.market == "spot":
            numbers = f'"s":"{instrument.name}","U":{first},"u":{last}'
        else:
            before = first - instrument.ids_per_event
            # Ids of other symbols lie between two messages: U is seldom the last u and one.
            first -= change.first_event % (instrument.ids_per_event - 1)
            numbers = f'"T":{feed.now_ms},"s":"{instrument.name}","U":{first},"u":{last},"pu":{before}'
            bids.reverse()  # futures list bids from the lowest up, spot from the best down
        text = (
            f'{{"e":"depthUpdate","E":{now_ms},{numbers}'
            f',"b":{_levels(instrument, bids)},"a":{_levels(instrument, asks)}}}'
        )
        return Outgoing(text, "delta", last)

    def _best(self, topic: Topic, feed: SymbolFeed, now_ms: int) -> Outgoing:
        instrument = feed.instrument
        (bid, bid_lots), (ask, ask_lots) = feed.market.bids.top(1)[0], feed.market.asks.top(1)[0]
        body = (
            f'"u":{feed.last_event},"s":"{instrument.name}"'
            f',"b":"{instrument.price_text(-bid)}","B":"{instrument.size_text(bid_lots)}"'
            f',"a":"{instrument.price_text(ask)}","A":"{instrument.size_text(ask_lots)}"'
        )
        if topic.market == "linear":
            body = f'"e":"bookTicker",{body},"T":{feed.now_ms},"E":{now_ms}'
        return Outgoing(f"{{{body}}}", "snapshot", feed.last_event)

    def _trades(self, topic: Topic, feed: SymbolFeed, change: Change, now_ms: int) -> list[Outgoing]:
        instrument, out = feed.instrument, []
        for number, fill in enumerate(change.fills, feed.trade_base + len(feed.trades) - len(change.fills)):
            price, size = instrument.price_text(fill.ticks), instrument.size_text(fill.lots)
            maker = "false" if fill.taker_buys else "true"
            core = f'"s":"{instrument.name}","t":{number},"p":"{price}","q":"{size}"'
            if topic.market == "spot":
                text = f'{{"e":"trade","E":{now_ms},{core},"T":{feed.now_ms},"m":{maker},"M":true}}'
            else:
                text = f'{{"e":"trade","E":{now_ms},"T":{feed.now_ms},{core},"X":"MARKET","m":{maker}}}'
            out.append(Outgoing(text, "trade", number))
        return out

    def _aggregates(self, topic: Topic, feed: SymbolFeed, change: Change, now_ms: int) -> list[Outgoing]:
        out = []
        count = len(feed.trades)
        group = len(feed.groups)
        ends = [count]
        while group and feed.groups[group - 1][0] >= count - len(change.fills):
            group -= 1
            ends.append(feed.groups[group][0])
        for number, (first, end) in enumerate(zip(ends[:0:-1], ends[-2::-1], strict=True), group):
            aggregate = binance_rest.aggregate(feed, number, first, end)
            out.append(
                Outgoing(_compact(_agg_message(topic, feed, aggregate, now_ms)), "trade", aggregate["a"])
            )
        return out


def _agg_message(topic: Topic, feed: SymbolFeed, aggregate: dict[str, Any], now_ms: int) -> dict[str, Any]:
    name = feed.instrument.name
    head: dict[str, Any] = {"e": "aggTrade", "E": now_ms}
    head |= {"s": name, "a": aggregate["a"]} if topic.market == "spot" else {"a": aggregate["a"], "s": name}
    keys = ("p", "q", "f", "l", "T", "m", "M") if topic.market == "spot" else ("p", "q", "f", "l", "T", "m")
    return head | {key: aggregate[key] for key in keys}


def _levels(instrument: Instrument, levels: list[tuple[int, int]]) -> str:
    price, size = instrument.price_text, instrument.size_text
    return "[" + ",".join([f'["{price(abs(key))}","{size(lots)}"]' for key, lots in levels]) + "]"


def _refusal(code: int, note: str, number: object) -> Reply:
    return Reply(_compact({"error": {"code": code, "msg": note}, "id": number}))


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
