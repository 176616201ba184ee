"""Faults on demand, each one call: on connections, frames, numbers, markets and REST."""

import zlib
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Literal

from collector.errors import UserError
from collector.simulator.exchanges.exchange import Answer
from collector.simulator.faults.tampers import (
    HTML,
    Drop,
    Duplicate,
    Edit,
    Instead,
    Reorder,
    RestFault,
    Tamper,
    change_checksum,
    change_sizes,
    empty_levels,
    set_number,
)
from collector.simulator.market.market import Market
from collector.simulator.market.symbol_feed import SymbolFeed
from collector.simulator.wire import BINARY, NO_CLOSE_FRAME, TEXT, frame

if TYPE_CHECKING:
    from collector.simulator.session import Session
    from collector.simulator.world import World


class Faults:
    """What can be made to go wrong. Each method may be called from any thread; the truth records it."""

    def __init__(self, world: "World", call: Callable[[Coroutine[Any, Any, int]], int]) -> None:
        self._world = world
        self._call = call

    # Connections

    def close(
        self,
        exchange: str | None = None,
        code: int = NO_CLOSE_FRAME,
        symbol: str | None = None,
        reason: str = "",
    ) -> int:
        """Close connections with a code (1006: without a word); tells how many."""
        return self._on_sessions(
            "close", exchange, symbol, lambda session: session.close(code, reason), str(code)
        )

    def reset(self, exchange: str | None = None, symbol: str | None = None) -> int:
        """Cut connections by RST; tells how many."""
        return self._on_sessions("reset", exchange, symbol, lambda session: session.reset())

    def half_open(self, exchange: str | None = None, symbol: str | None = None) -> int:
        """Say nothing more on connections and hear nothing, but keep them open; tells how many."""
        return self._on_sessions("half_open", exchange, symbol, lambda session: session.mute())

    def accept_silently(self, exchange: str, count: int = 1) -> None:
        """Open the next connections and say nothing on them, ever."""
        self._do("accept_silently", exchange, lambda: self._world.doors[exchange].silent(count))

    def refuse(self, exchange: str, status: int = 503, count: int = 1) -> None:
        """Answer the next connections with an HTTP status instead; 0 cuts them off."""
        self._do(
            "refuse", exchange, lambda: self._world.doors[exchange].refuse(status, count), detail=str(status)
        )

    def expire(self, exchange: str) -> int:
        """Let the exchange's limit on a connection's age (24 h) be reached now; tells how many."""
        return self._on_sessions("expire", exchange, None, lambda session: session.close(1001))

    def stall(self, exchange: str, symbol: str, channel: str = "book.50") -> None:
        """Send nothing more of one channel, while pongs and all else go on, until `unstall`."""
        stream = self._stream(exchange, symbol, channel)
        self._do("stall", exchange, lambda: self._world.hub.stalled.add(stream), symbol, channel)

    def unstall(self, exchange: str, symbol: str, channel: str = "book.50") -> None:
        """Send a stalled channel again; what it missed stays missed."""
        stream = self._stream(exchange, symbol, channel)
        self._do("unstall", exchange, lambda: self._world.hub.stalled.discard(stream), symbol, channel)

    # Subscriptions

    def reject_subscription(self, exchange: str, count: int = 1) -> None:
        """Answer the next requests to subscribe with the exchange's error."""
        self._do("reject_subscription", exchange, lambda: self._world.doors[exchange].reject(count))

    def ignore_subscription(self, exchange: str, count: int = 1) -> None:
        """Never answer the next requests to subscribe."""
        self._do("ignore_subscription", exchange, lambda: self._world.doors[exchange].ignore(count))

    # Frames

    def raw_frame(self, exchange: str, data: str | bytes, symbol: str | None = None) -> int:
        """Send any text or bytes as one frame; tells on how many connections."""
        payload, opcode = (data.encode(), TEXT) if isinstance(data, str) else (data, BINARY)
        return self._raw("raw_frame", exchange, symbol, frame(payload, opcode), repr(data[:80]))

    def malformed_frame(self, exchange: str, symbol: str | None = None) -> int:
        """Send a frame that breaks off in the middle of its JSON."""
        return self._raw(
            "malformed_frame", exchange, symbol, frame(b'{"topic":"orderbook.50.BTCUSDT","type":"del')
        )

    def huge_frame(self, exchange: str, size_bytes: int = 50_000_000, symbol: str | None = None) -> int:
        """Send one frame of valid JSON that is far too large."""
        payload = b'{"pad":"' + b"x" * max(0, size_bytes - 10) + b'"}'
        return self._raw("huge_frame", exchange, symbol, frame(payload), str(size_bytes))

    def deep_frame(self, exchange: str, depth: int = 100_000, symbol: str | None = None) -> int:
        """Send JSON nested so deeply that a parser may give up."""
        return self._raw("deep_frame", exchange, symbol, frame(b"[" * depth + b"]" * depth), str(depth))

    def bomb(self, exchange: str, size_bytes: int = 200_000_000, symbol: str | None = None) -> int:
        """Send a small compressed frame that inflates to this size; only where compression was agreed."""
        squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
        parts = [squeeze.compress(b"[" * 1_000_000) for _ in range(size_bytes // 1_000_000)]
        payload = (b"".join(parts) + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]
        data = frame(payload, compressed=True)
        return self._on_sessions(
            "bomb",
            exchange,
            symbol,
            lambda session: session.write(data),
            str(size_bytes),
            needs_compression=True,
        )

    def drop_frame(self, exchange: str, symbol: str, channel: str = "book.50", count: int = 1) -> None:
        """Lose the next messages of a channel."""
        self._arm("drop_frame", exchange, symbol, channel, Drop(count))

    def duplicate_frame(self, exchange: str, symbol: str, channel: str = "book.50") -> None:
        """Send the next message of a channel twice."""
        self._arm("duplicate_frame", exchange, symbol, channel, Duplicate())

    def reorder(self, exchange: str, symbol: str, channel: str = "book.50") -> None:
        """Send the next message of a channel after the one that follows it."""
        self._arm("reorder", exchange, symbol, channel, Reorder())

    # Content

    def gap(self, exchange: str, symbol: str, channel: str = "book.50", count: int = 1) -> None:
        """Skip sequence numbers: the next message has the number after the one expected."""
        each, feed = self._world.exchange(exchange), self._feed(exchange, symbol)
        self._do(
            "gap", exchange, lambda: each.skip_numbers(feed, channel, count), symbol, channel, str(count)
        )

    def restart(self, exchange: str, symbol: str, channel: str = "book.50") -> None:
        """Have the next message be a snapshot numbered 1, as after a restart of Bybit's service."""
        each, feed = self._world.exchange(exchange), self._feed(exchange, symbol)

        def apply() -> None:
            feed.numbering(channel).restart(feed.step_count + 1, 1)
            self._world.hub.arm(
                self._stream(exchange, symbol, channel),
                Instead(lambda topic: each.snapshot(topic, feed, self._world.clock_ns())),
            )

        self._do("restart", exchange, apply, symbol, channel)

    def bad_number(
        self,
        exchange: str,
        symbol: str,
        channel: str = "book.50",
        value: str = "NaN",
        part: Literal["price", "size"] = "price",
    ) -> None:
        """Write NaN, Infinity, 1e400, -1, 0 or anything else where the next level has its price or size."""
        edit = set_number(self._world.exchange(exchange).level_pattern, part, value)
        self._arm("bad_number", exchange, symbol, channel, Edit(edit), f"{part} {value}")

    def corrupt_level(self, exchange: str, symbol: str, channel: str = "book.50") -> None:
        """Send wrong sizes of levels that stay, under numbers and a checksum that say nothing is wrong."""
        edit = change_sizes(self._world.exchange(exchange).level_pattern)
        self._arm("corrupt_level", exchange, symbol, channel, Edit(edit))

    def corrupt_checksum(self, exchange: str, symbol: str, channel: str = "book.10") -> None:
        """Send a wrong checksum under the right levels."""
        self._arm("corrupt_checksum", exchange, symbol, channel, Edit(change_checksum))

    def checksum_without_data(self, exchange: str, symbol: str, channel: str = "book.10") -> None:
        """Send the next message without its levels, so that the checksum changes and the book does not."""
        self._arm("checksum_without_data", exchange, symbol, channel, Edit(empty_levels))

    def status(self, exchange: str, system: str = "maintenance") -> int:
        """Announce a status of the system: online, cancel_only, post_only, limit_only, maintenance."""
        text = self._world.exchange(exchange).status_text(system)
        return self._raw("status", exchange, None, frame(text.encode()), system)

    # Markets

    def crossed_book(self, exchange: str, symbol: str) -> None:
        """Have the next step cross the book, checksum and all, and the one after put it right."""
        self._plan("crossed_book", exchange, symbol, Market.cross, Market.uncross)

    def sweep(self, exchange: str, symbol: str, levels: int = 30, *, buys: bool = False) -> None:
        """Have the next step be a market order that takes whole levels off one side."""
        self._plan("sweep", exchange, symbol, lambda market: market.sweep(buys=buys, levels=levels))

    def delist(self, exchange: str, symbol: str) -> None:
        """Take a symbol off the exchange: gone from REST, its streams silent, new subscriptions refused."""
        self._set_feed("delist", exchange, symbol, lambda feed: setattr(feed, "delisted", True))

    def clock(self, offset_s: float) -> None:
        """Set the exchanges' clock ahead, or behind (negative), of the true time."""

        def apply() -> None:
            self._world.clock_offset_ns = int(offset_s * 1e9)

        self._do("clock", None, apply, detail=str(offset_s))

    # REST

    def rest_status(
        self,
        exchange: str,
        status: int,
        count: int = 1,
        path: str = "",
        body: str = "",
        retry_after_s: int | None = None,
    ) -> None:
        """Answer the next requests with this status (429, 418, 403, 500 ...)."""
        headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        answer = Answer(body or f'{{"code":-1003,"msg":"status {status}"}}', status, headers)
        self._arm_rest(RestFault("rest_status", exchange, path, count, instead=answer), str(status))

    def rest_html(self, exchange: str, count: int = 1, path: str = "", status: int = 502) -> None:
        """Answer the next requests with a page of HTML."""
        answer = Answer(HTML, status, content_type="text/html")
        self._arm_rest(RestFault("rest_html", exchange, path, count, instead=answer), str(status))

    def rest_truncated(self, exchange: str, count: int = 1, path: str = "") -> None:
        """Cut the next answers off in the middle of their JSON."""
        self._arm_rest(RestFault("rest_truncated", exchange, path, count, keeps_share=0.5))

    def rest_slow(self, exchange: str, delay_s: float, count: int = 1, path: str = "") -> None:
        """Let the next answers wait."""
        self._arm_rest(RestFault("rest_slow", exchange, path, count, delay_s=delay_s), str(delay_s))

    def rest_allowance(self, exchange: str, capacity: int) -> None:
        """Allow only so much weight a window, so that the exchange's own limit is soon met."""
        self._do(
            "rest_allowance",
            exchange,
            lambda: self._world.capacities.update({exchange: capacity}),
            detail=str(capacity),
        )

    def connection_allowance(self, exchange: str, capacity: int) -> None:
        """Allow only so many new connections in the window that the exchange counts (5 or 10 minutes)."""
        self._do(
            "connection_allowance",
            exchange,
            lambda: self._world.connection_capacities.update({exchange: capacity}),
            detail=str(capacity),
        )

    def stale_snapshot(self, exchange: str, symbol: str, steps: int = 100) -> None:
        """Answer requests for the book with an old one, until called with 0."""
        self._set_feed(
            "stale_snapshot", exchange, symbol, lambda feed: setattr(feed, "stale_steps", steps), str(steps)
        )

    def snapshot_edge(self, exchange: str, symbol: str, levels: int | None = 20) -> None:
        """Show only the best levels over REST, whatever was asked, until called with None.

        Followed by `sweep`, a level beyond the edge becomes the best without ever having been told.
        """
        self._set_feed(
            "snapshot_edge", exchange, symbol, lambda feed: setattr(feed, "edge_levels", levels), str(levels)
        )

    # How they are applied

    def _feed(self, exchange: str, symbol: str) -> SymbolFeed:
        if (exchange, symbol) not in self._world.feeds:
            raise UserError(f"no simulated market is {symbol} on {exchange}")
        return self._world.feeds[exchange, symbol]

    def _stream(self, exchange: str, symbol: str, channel: str) -> tuple[str, str, str]:
        return exchange, symbol, self._world.exchange(exchange).stream_channel(channel)

    def _do(
        self,
        name: str,
        exchange: str | None,
        action: Callable[[], object],
        symbol: str | None = None,
        channel: str | None = None,
        detail: str = "",
    ) -> None:
        async def apply() -> int:
            with self._world.lock:
                if symbol is not None and exchange is not None:
                    self._feed(exchange, symbol).catch_up()
                action()
                self._world.truth.note_fault(name, exchange, symbol, channel, detail=detail)
            return 1

        self._call(apply())

    def _arm(
        self, name: str, exchange: str, symbol: str, channel: str, tamper: Tamper, detail: str = ""
    ) -> None:
        stream = self._stream(exchange, symbol, channel)
        self._do(name, exchange, lambda: self._world.hub.arm(stream, tamper), symbol, channel, detail)

    def _arm_rest(self, fault: RestFault, detail: str = "") -> None:
        self._do(fault.name, fault.exchange, lambda: self._world.rest_faults.append(fault), detail=detail)

    def _plan(self, name: str, exchange: str, symbol: str, *moves: Callable[[Market], Any]) -> None:
        self._do(name, exchange, lambda: self._feed(exchange, symbol).plan(*moves), symbol)

    def _set_feed(
        self, name: str, exchange: str, symbol: str, change: Callable[[SymbolFeed], None], detail: str = ""
    ) -> None:
        self._do(name, exchange, lambda: change(self._feed(exchange, symbol)), symbol, detail=detail)

    def _raw(self, name: str, exchange: str, symbol: str | None, data: bytes, detail: str = "") -> int:
        return self._on_sessions(name, exchange, symbol, lambda session: session.write(data), detail)

    def _on_sessions(
        self,
        name: str,
        exchange: str | None,
        symbol: str | None,
        action: Callable[["Session"], None],
        detail: str = "",
        *,
        needs_compression: bool = False,
    ) -> int:
        async def apply() -> int:
            chosen = self._world.chosen(exchange, symbol)
            if needs_compression:
                chosen = [session for session in chosen if session.is_compressed]
            for session in chosen:
                connection = session.connection
                self._world.truth.note_fault(
                    name, connection.exchange, symbol, connection=connection.number, detail=detail
                )
                action(session)
            return len(chosen)

        return self._call(apply())
