"""OKX v5: the public and the business websocket, as https://www.okx.com/docs-v5/en/ documents them."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from collector.simulator.admission import Rule, Verdict
from collector.simulator.dialect import Dialect
from collector.simulator.exchanges.exchange import Exchange
from collector.simulator.exchanges.okx import frames, rest
from collector.simulator.exchanges.okx.recorded import OkxDialect
from collector.simulator.market import Bar, Change, Conventions, Pair, SymbolFeed, side_delta
from collector.simulator.messages import (
    Answer,
    Connection,
    Outgoing,
    Reply,
    Request,
    Topic,
    compact_json,
)

_ROOT = "/okx/ws/v5/"
_BOOK_DEPTHS = {"bbo-tbt": 1, "books5": 5, "books": 400}
_CHANNELS_BEHIND_LOGIN = {"books-l2-tbt", "books50-l2-tbt"}
# Subscribe, unsubscribe and login count together.
_REQUESTS_PER_HOUR = 480
_HOUR_NS = 3600 * 10**9
_ARGUMENT_CHARACTERS = 64 * 1024
# A contract is 10^-n of the base, 1 where nothing else is listed here; a lot is 0.01 contract.
_CONTRACT_DECIMALS = {"BTC": 2, "ETH": 1, "BNB": 2, "XRP": -2, "ADA": -2, "DOGE": -3, "TRX": -3}
_LOT_OF_CONTRACT_DECIMALS = 2
_NO_SUCH_CHANNEL = "60018"
_BUSY = "50026"


class Okx(Exchange):
    """OKX's public and business websockets and its REST market data."""

    name = "okx"
    default_symbols = ("BTC/USDT:USDT", "ETH/USDT:USDT", "BTC/USDT")
    dialect: ClassVar[Dialect] = OkxDialect()
    lists_both_kinds = True
    rest_prefixes: ClassVar[tuple[str, ...]] = ("/api/v5/",)
    level_pattern: ClassVar[re.Pattern[str]] = re.compile(
        r'\["(?P<price>[^"]*)","(?P<size>[^"]*)","0","\d+"\]'
    )
    connection_rule: ClassVar[Rule] = Rule("connections", 3, 1_000)
    busy_words: ClassVar[str] = "System error. Try again later."
    stray_frames: ClassVar[Sequence[str]] = (
        '{"arg":{"channel":"status"},"data":[]}',
        '{"arg":{"channel":"books","instId":"NOBODY-USDT"},"action":"update","data":[]}',
    )
    offered_depths: ClassVar[tuple[int, ...]] = (1, 5, 400)
    idle_close: ClassVar[tuple[int, str]] = (4004, "No data received in 30s")
    idle_after_ns: ClassVar[int] = 30 * 10**9
    # A book without a change is sent again: whole where it always is, else as an update without levels.
    repeats_after_ns: ClassVar[int | None] = 60 * 10**9

    @classmethod
    def conventions(cls, pair: Pair) -> Conventions:
        """Return how OKX names a market and writes its numbers: sizes of swaps count contracts."""
        name = f"{pair.base}-{pair.quote}"
        contract_decimals = _CONTRACT_DECIMALS.get(pair.base, 0) if pair.settle else 0
        lot_decimals = _LOT_OF_CONTRACT_DECIMALS + contract_decimals if pair.settle else pair.lot_decimals
        return Conventions(
            name=f"{name}-SWAP" if pair.settle else name,
            sequence="event",
            lot_decimals=lot_decimals,
            price_decimals=pair.tick_decimals,
            size_decimals=_LOT_OF_CONTRACT_DECIMALS if pair.settle else lot_decimals,
            trims_zeros=True,
            contract_decimals=contract_decimals,
        )

    def market_at(self, path: str) -> str | None:
        """Return public or business for `/okx/ws/v5/{which}`: both serve every kind of market."""
        which = path.removeprefix(_ROOT)
        return which if which in {"public", "business"} else None

    def greet(self, connection: Connection, query: Mapping[str, str], now_ns: int) -> list[Reply]:
        """Send nothing: OKX waits for the client."""
        del connection, query, now_ns
        return []

    def receive(self, connection: Connection, text: str, now_ns: int) -> list[Reply]:
        """Answer the bare text `ping`, and `subscribe` and `unsubscribe` argument by argument."""
        if text == "ping":
            return [Reply("pong")]
        try:
            message = json.loads(text)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            return [_error(connection, {}, "60012", f"Invalid request: {text}")]
        problem = _problem(message, text) or _too_frequent(connection, now_ns)
        if problem:
            return [_error(connection, message, *problem)]
        return [self._change(connection, message, argument) for argument in message["args"]]

    def snapshot(self, topic: Topic, feed: SymbolFeed, now_ns: int) -> list[Outgoing]:
        """Send the book; trades and bars have no snapshot."""
        del now_ns
        return [frames.whole_book(topic, feed)] if topic.kind in {"book", "bbo"} else []

    def update(self, topic: Topic, feed: SymbolFeed, change: Change, now_ms: int) -> list[Outgoing]:
        """Send an update of `books`, a shorter book whole if it changed, or each trade of one step."""
        del now_ms
        if topic.kind == "trade":
            return frames.trades(topic, feed, change)
        if topic.kind not in {"book", "bbo"}:
            return []
        bids = side_delta(feed.market.bids, change.bids, topic.depth, removes_leaving=True)
        asks = side_delta(feed.market.asks, change.asks, topic.depth, removes_leaving=True)
        if frames.is_incremental(topic):
            return [frames.book_update(topic, feed, bids, asks, frames.previous_id(feed, change))]
        return [frames.whole_book(topic, feed)] if bids or asks else []

    def bar(self, topic: Topic, feed: SymbolFeed, bar: Bar, now_ms: int, *, confirmed: bool) -> Outgoing:
        """Write a bar in its present state."""
        del now_ms
        return frames.candle(topic, feed, bar, confirmed=confirmed)

    def heartbeat(self, connection: Connection, now_ns: int) -> list[bytes]:
        """Send nothing: here the client pings."""
        del connection, now_ns
        return []

    def is_idle(self, connection: Connection, now_ns: int, quiet_ns: int) -> bool:
        """Return whether no data and no ping passed for too long."""
        del connection, now_ns
        return quiet_ns > self.idle_after_ns

    def repeat(self, topic: Topic, feed: SymbolFeed, now_ns: int) -> list[Outgoing]:
        """Send the book again: an update without levels, whose `prevSeqId` is its `seqId`, for `books`."""
        if topic.kind not in {"book", "bbo"}:
            return []
        if frames.is_incremental(topic):
            at_ms = now_ns // 1_000_000
            return [frames.book_update(topic, feed, [], [], feed.last_event, at_ms)]
        return [frames.whole_book(topic, feed)]

    def rest(self, request: Request, now_ms: int) -> Answer | None:
        """Answer a market-data request."""
        return rest.answer(self.by_name, request, now_ms)

    def reject(self, connection: Connection, text: str, now_ns: int, words: str | None = None) -> list[Reply]:
        """Refuse a request to subscribe, argument by argument; with words (perhaps a code first) once."""
        del now_ns
        message = json.loads(text)
        if words:
            code, _, note = words.partition(" ")
            is_code = code.removeprefix("-").isdigit()
            return [_error(connection, message, *((code, note) if is_code else (_BUSY, words)))]
        return [_no_such_channel(connection, message, argument) for argument in message["args"]]

    def shutdown_text(self, now_ms: int) -> str:
        """Announce that the connection will soon be closed, by the notice that OKX has for it."""
        del now_ms
        return self.status_text("maintenance")

    def status_text(self, system: str) -> str:
        """Announce that the connection will soon be closed for a service upgrade: OKX has no other status."""
        if system == "online":
            return super().status_text(system)
        return compact_json(
            {
                "event": "notice",
                "code": "64008",
                "msg": "The connection will soon be closed for a service upgrade. Please reconnect.",
                "connId": "a4d3ae55",
            }
        )

    def rule(self, request: Request) -> tuple[Rule, int]:
        """Return the allowance of the request's own path, for 2 s."""
        return rest.rule(request), 1

    def over_limit(self, verdict: Verdict) -> Answer:
        """Refuse as OKX does: 429, without a time to wait."""
        del verdict
        return rest.refusal("50011", "Too Many Requests", 429)

    def stream_channel(self, channel: str) -> str:
        """Return `bbo` for one level, the book of 5 for five, that of 400 for any other depth."""
        if channel == "book.1":
            return "bbo"
        return "book.400" if channel.startswith("book.") and channel != "book.5" else channel

    def skip_numbers(self, feed: SymbolFeed, channel: str, count: int) -> None:
        """Skip sequence ids as if a message had carried them; all book channels of a symbol share them."""
        del channel
        feed.events.skip(feed.step_count + 1, count)

    def restart_numbers(self, feed: SymbolFeed, channel: str) -> bool:
        """Count ids from the beginning again: the next update has a `seqId` below its `prevSeqId`."""
        del channel
        step = feed.step_count + 1
        feed.events.restart(step, step - feed.market.event)
        return False

    def _change(self, connection: Connection, message: Mapping[str, Any], argument: dict[str, Any]) -> Reply:
        topic = self._topic(connection.market, argument)
        if topic is None:
            if argument["channel"] in _CHANNELS_BEHIND_LOGIN:
                return _error(connection, message, "60011", "Please log in")
            return _no_such_channel(connection, message, argument)
        ack = _answer(connection, message, {"event": message["op"], "arg": argument})
        if message["op"] == "unsubscribe":
            return ack._replace(unsubscribe=(topic,))
        return ack if topic.wire in connection.topics else ack._replace(subscribe=(topic,))

    def _topic(self, endpoint: str, argument: Mapping[str, Any]) -> Topic | None:
        channel, name = argument["channel"], argument["instId"]
        market = "linear" if name.endswith("-SWAP") else "spot"
        feed = self.by_name.get((market, name))
        if feed is None or feed.delisted:
            return None
        wire, symbol = frames.wire_name(channel, name), feed.symbol
        if endpoint == "public" and channel in _BOOK_DEPTHS:
            depth = _BOOK_DEPTHS[channel]
            return Topic(self.name, market, symbol, "bbo" if depth == 1 else "book", wire, depth)
        if channel == ("trades" if endpoint == "public" else "trades-all"):
            return Topic(self.name, market, symbol, "trade", wire)
        interval = rest.INTERVALS.get(channel.removeprefix("candle"))
        if endpoint == "business" and channel.startswith("candle") and interval:
            return Topic(self.name, market, symbol, "bar", wire, interval=interval)
        return None


def _problem(message: Mapping[str, Any], text: str) -> tuple[str, str] | None:
    """Return the code and the note for a request that is not in order."""
    operation, arguments = message.get("op"), message.get("args")
    if operation is None or not isinstance(arguments, list):
        return "60012", f"Invalid request: {text}"
    if operation not in {"subscribe", "unsubscribe"}:
        return "60019", f"Invalid op: {operation}"
    are_named = arguments and all(
        isinstance(each, dict) and all(isinstance(each.get(key), str) for key in ("channel", "instId"))
        for each in arguments
    )
    if not are_named or len(compact_json(arguments)) > _ARGUMENT_CHARACTERS:
        return "60013", "Invalid args"
    return None


def _too_frequent(connection: Connection, now_ns: int) -> tuple[str, str] | None:
    """Count a request; return the code and the note if it is one too many within an hour."""
    connection.recent_ns[:] = [at for at in connection.recent_ns if now_ns - at < _HOUR_NS] + [now_ns]
    return ("60014", "Requests too frequent") if len(connection.recent_ns) > _REQUESTS_PER_HOUR else None


def _no_such_channel(
    connection: Connection, message: Mapping[str, Any], argument: Mapping[str, Any]
) -> Reply:
    note = (
        f"Wrong URL or channel:{argument.get('channel')},instId:{argument.get('instId')} doesn't exist. "
        "Please use the correct URL, channel and parameters referring to API document."
    )
    return _error(connection, message, _NO_SUCH_CHANNEL, note)


def _error(connection: Connection, message: Mapping[str, Any], code: str, note: str) -> Reply:
    return _answer(connection, message, {"event": "error", "code": code, "msg": note})


def _answer(connection: Connection, message: Mapping[str, Any], body: dict[str, Any]) -> Reply:
    request = {"id": message["id"]} if "id" in message else {}
    return Reply(compact_json(request | body | {"connId": f"a4d3{connection.number:04x}"}))
