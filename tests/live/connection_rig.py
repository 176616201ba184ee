"""The parts of one connection around a socket that is only written down: what it is sent, what it says."""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from outlet_rig import OutletRig

from collector.book import Rule, VerifiedBook, WholeBooks
from collector.book.bridged import BridgedBook
from collector.clock import Clock
from collector.errors import FrameError
from collector.events.batch import Liveness, StreamKey
from collector.events.messages import Ack, Message, Other, Snapshot
from collector.events.notices import PotentialHalt, SnapshotFailed, State
from collector.exchanges.binance.rule import SpotContinuity
from collector.exchanges.exchange import Exchange
from collector.exchanges.registry import EXCHANGES
from collector.live.context import Address, ConnectionContext
from collector.live.put_off import PutOff, PutOffStreams
from collector.live.requests import Requests
from collector.live.resync import Resyncs
from collector.live.topic_subscriptions import TopicSubscriptions
from collector.network.request_line import Turn
from collector.streams.book_stream import BookStream
from collector.streams.router import Router, UnknownFrames
from collector.streams.stream import Stream, Topic
from collector.streams.trade_stream import TradeRule, TradeStream

sys.path.insert(0, str(Path(__file__).parents[1]))
from full_backoff import FullBackoff

SLOW_WAIT_S = 600.0  # between asking again for what is refused in words that nobody knows


class FakeSnapshots:
    """REST as a test says: what is fetched next, or what is raised instead."""

    def __init__(self) -> None:
        self.answers: list[Snapshot | Exception] = []
        self.asked: list[str] = []
        self.has_checks = True
        self.closed = False

    def holds(self, book: object, kind: str) -> bool:
        del book, kind
        return False

    def is_closed(self, kind: str) -> bool:
        del kind
        return self.closed

    async def ask(self, market_id: str, kind: str, channel: str, topic: str, turn: Turn) -> Snapshot:
        del channel
        return await self.fetch(market_id, kind, 0, topic, turn)

    async def fetch(self, market_id: str, kind: str, depth: int, topic: str, turn: Turn) -> Snapshot:
        del kind, depth, topic
        self.asked.append(market_id)
        turn.is_sent = True
        turn.on_sent()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class SubscriptionsRig:
    """Subscriptions on made-up time; each request is answered as `answer` says."""

    def __init__(self, protocol: Exchange = EXCHANGES["binance"]) -> None:
        self.outlet = OutletRig()
        self.sent: list[Mapping[str, Any]] = []
        self.halts: list[PotentialHalt] = []
        self.failed: list[SnapshotFailed] = []
        self.outlet.events.attach(PotentialHalt, self.halts.append)
        self.outlet.events.attach(SnapshotFailed, self.failed.append)
        self.now_s = 1000.0
        self.protocol = protocol
        clock = Clock(lambda: 0, lambda: int(self.now_s * 1e9))
        self.liveness = Liveness(1)
        self.context = ConnectionContext(
            Address("binance", "spot", "binance.spot", "ws://nowhere"),
            protocol,
            clock,
            self.outlet.events,
            lambda: self.now_s,
            self.liveness,
        )
        self.requests = Requests(self._send, timeout_s=5.0)
        self.snapshots = FakeSnapshots()
        self.resyncs = Resyncs(
            backoff=FullBackoff(1.0, 60.0),
            snapshot_timeout_s=30.0,
            stale_after_s=10.0,
            max_mismatches=3,
            mismatch_window_s=60.0,
        )
        self.put_off = PutOffStreams(
            self.context, PutOff(FullBackoff(1.0, 60.0), SLOW_WAIT_S, alarm_after=10)
        )
        self.answer: Callable[[str], Ack | None] = lambda request_id: Ack(request_id, True, "")
        self._said: Message | FrameError = Other()
        self.unknown = UnknownFrames("binance", self.outlet.buffer)
        self.router = Router(self._read, self.unknown, self.liveness, self)

    @property
    def is_woken(self) -> bool:
        """Return whether the connection was woken since this was last asked."""
        woken = self.context.wake.is_set()
        self.context.wake.clear()
        return woken

    def collect(self, *streams: Stream) -> TopicSubscriptions:
        return TopicSubscriptions(
            streams,
            self.context,
            self.resyncs,
            self.requests,
            self.router,
            self.snapshots,  # type: ignore[arg-type]
            self.put_off,
        )

    def hear(self, said: Message | FrameError, text: str = "") -> None:
        """Route a frame that holds one message, or that cannot be read."""
        self._said = said
        self.router.take(text, self.outlet.now_ns)

    def _read(self, _text: str) -> list[Message]:
        if isinstance(self._said, FrameError):
            raise self._said
        return [self._said]

    def on_ack(self, ack: Ack) -> bool:
        return self.requests.answered(ack)

    def on_status(self, state: State, text: str) -> None:
        pass

    def on_pong(self) -> None:
        pass

    def on_mistake(self, what: str) -> None:
        raise AssertionError(what)

    def trades(self, symbol: str = "BTC/USDT", *, numbered: bool = False) -> TradeStream:
        name = symbol.replace("/", "")
        topic = Topic(f"{name.lower()}@trade", f"{name.lower()}@trade", name, "spot")
        key = StreamKey("binance", symbol, "trade")
        return TradeStream(key, topic, self.outlet.outlet, TradeRule(numbered, 3600.0))

    def bridged(self, symbol: str = "BTC/USDT", depth: int = 20) -> BookStream:
        name = symbol.replace("/", "")
        topic = Topic(f"{name.lower()}@depth", f"{name.lower()}@depth", name, "spot", depth)
        book = BridgedBook(SpotContinuity(), depth)
        return BookStream(
            StreamKey("binance", symbol, f"book.{depth}"), topic, self.outlet.outlet, book, levels_per_row=1
        )

    def unnumbered(self, symbol: str, rule: Rule = WholeBooks("none", ids_grow=False)) -> BookStream:  # noqa: B008
        topic = Topic(f"book.10:{symbol}", f"book.10:{symbol}", symbol, "spot", 10)
        book = VerifiedBook(rule, 10)
        return BookStream(
            StreamKey("kraken", symbol, "book.10"), topic, self.outlet.outlet, book, levels_per_row=1
        )

    async def settled(self) -> None:
        """Let what was started run to its end."""
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)

    async def _send(self, payload: Mapping[str, Any]) -> None:
        self.sent.append(json.loads(json.dumps(payload)))
        answer = self.answer(str(self.requests._last_id))
        if answer is not None:
            asyncio.get_running_loop().call_soon(self.requests.answered, answer)


def levels_around(
    price: float, count: int = 20, size: float = 1.0
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Return as many bids and asks around a price, one apart, best first."""
    bids = [(price - step, size) for step in range(1, count + 1)]
    return bids, [(price + step, size) for step in range(1, count + 1)]
