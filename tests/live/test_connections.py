"""What a connection of a verified exchange is given, and one of an unverified exchange."""

import asyncio
import gc
import weakref
from itertools import pairwise
from types import SimpleNamespace

import pytest

from collector.buffer.buffer import Buffer
from collector.clock import Clock
from collector.events.bus import EventBus
from collector.events.notices import PotentialHalt
from collector.exchanges.addresses import Endpoints
from collector.live import replacement
from collector.live.connection import Connection
from collector.live.connections import Connections, ExchangeContext
from collector.live.limits import Pace
from collector.live.replacement import Replacements
from collector.live.resync import Resyncs
from collector.live.topic_subscriptions import TopicSubscriptions
from collector.live.unverified.books import UnverifiedBooks
from collector.live.unverified.socket import UnverifiedSocket
from collector.network.markets import Markets, Source
from collector.network.socket import Socket
from collector.streams.maker import StreamMaker
from collector.streams.router import Router, UnknownFrames
from collector.streams.stream import Outlet, Stream

TIMES = 100
PACE = Pace(backoff_base_s=0.0, backoff_max_s=0.0)


def connections_of(exchange: str, events: EventBus | None = None) -> Connections:
    buffer = Buffer(levels_per_row=1, max_rows=10, flush_rows=10)
    context = ExchangeContext(
        Source(exchange, "live", Endpoints(), ("spot",)),
        Markets(None, ("spot",)),
        PACE,
        Clock(),
        events or EventBus(),
        UnknownFrames(exchange, buffer),
        None,
        new_resyncs=lambda: Resyncs(
            backoff=PACE.backoff,
            snapshot_timeout_s=5.0,
            stale_after_s=10.0,
            max_mismatches=3,
            mismatch_window_s=60.0,
        ),
    )
    return Connections(context)


def stream_of(symbol: str, channel: str) -> Stream:
    """Make a stream of Kraken."""
    buffer = Buffer(levels_per_row=1, max_rows=10, flush_rows=10)
    outlet = Outlet(buffer, EventBus(), lambda: 1)
    maker = StreamMaker("kraken", outlet, levels_per_row=1, levels_shown=1, most_off_s=3600.0, max_jump=0.2)
    return maker.make("spot", {"id": symbol, "symbol": symbol}, channel)


def test_a_verified_exchange_is_read_by_the_router() -> None:
    one = connections_of("bybit").new("spot", "ws://nowhere", [])
    assert isinstance(one.subscriptions, TopicSubscriptions)
    assert type(one._socket) is Socket
    assert isinstance(one._take_frame.__self__, Router)


def test_an_unverified_exchange_is_read_by_ccxt() -> None:
    one = connections_of("okxus").new("spot", "", [])
    assert isinstance(one.subscriptions, UnverifiedBooks)
    assert isinstance(one._socket, UnverifiedSocket)
    assert one._socket.on_book == one.subscriptions.on_book
    assert not one.on_text("{}")
    assert one.liveness.heard_ns > 0


def test_each_connection_has_parts_and_a_name_of_its_own() -> None:
    connections = connections_of("bybit")
    first, second = (connections.new("spot", "ws://nowhere", []) for _ in range(2))
    assert (first.address.name, second.address.name) == ("bybit.spot.0", "bybit.spot.1")
    for part in ("_socket", "_heart", "subscriptions", "liveness", "_wake"):
        assert getattr(first, part) is not getattr(second, part), part


def test_bars_of_one_market_are_placed_apart_where_a_connection_takes_one_interval() -> None:
    connections = connections_of("kraken")
    for market in ("BTC/USD", "ETH/USD"):
        for channel in ("trade", "ohlcv.1m", "ohlcv.5m", "ohlcv.1h"):
            connections.place(stream_of(market, channel))
    placed = [[stream.topic.name for stream in one.subscriptions.streams] for one in connections.connections]
    assert placed == [
        ["trade:BTC/USD", "ohlcv.1m:BTC/USD", "trade:ETH/USD", "ohlcv.1m:ETH/USD"],
        ["ohlcv.5m:BTC/USD", "ohlcv.5m:ETH/USD"],
        ["ohlcv.1h:BTC/USD", "ohlcv.1h:ETH/USD"],
    ]


def test_an_interval_that_is_being_left_still_takes_its_place() -> None:
    connections = connections_of("kraken")
    connections.place(stream_of("BTC/USD", "ohlcv.1m"))
    (only,) = connections.connections
    only.subscriptions.remove(only.subscriptions.streams[0])
    connections.place(stream_of("BTC/USD", "ohlcv.5m"))
    assert len(connections.connections) == 2


def test_kraken_must_push_where_something_is_subscribed_and_coverage_ends_with_the_last_push() -> None:
    connections = connections_of("kraken")
    connections.place(stream_of("BTC/USD", "trade"))
    (one,) = connections.connections
    pushes = one._heart._pushes
    assert pushes is not None
    assert (pushes.within_s, pushes.are_due()) == (10.0, True)
    one.on_text('{"method":"pong","req_id":1}')
    assert one._heart._is_pong
    heard_ns = one.liveness.heard_ns
    pushes.on_none(10.5)
    assert one.liveness.heard_ns < heard_ns - 10e9
    one.subscriptions.remove(one.subscriptions.streams[0])
    assert not pushes.are_due()
    assert connections_of("bybit").new("spot", "ws://nowhere", [])._heart._pushes is None


def test_connections_that_were_replaced_and_their_tasks_are_let_go_of() -> None:
    async def replace_many() -> list[weakref.ref[Connection]]:
        connections = connections_of("bybit")
        old = connections.new("spot", "ws://127.0.0.1:1", [])
        known = [weakref.ref(old)]
        for _ in range(TIMES):
            new = connections.new_beside(old, [])
            connections.start()
            connections.retire(old)
            new.is_leaving = False
            known.append(weakref.ref(new))
            old = new
        connections.stop()
        await connections.ended()
        await asyncio.sleep(0)  # the callbacks of the last tasks
        assert connections._running == {}
        assert connections.connections == [old]
        gc.collect()
        return [one for one in known if one() is not None and one() is not old]

    assert asyncio.run(replace_many()) == []


class Replacing(Replacements):
    """Replaces connections of Bybit that are never dialled, one an hour old, on a clock that a test moves."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now_s = 1000.0
        self.refused: str | None = None  # why the exchange refuses each new connection
        self.tried = 0
        self.all = connections_of("bybit")
        self._new_beside = self.all.new_beside
        patch.setattr(self.all, "start", lambda: None)
        patch.setattr(self.all, "new_beside", self._told)
        patch.setattr(replacement, "time", SimpleNamespace(monotonic=lambda: self.now_s))
        super().__init__(self.all, lambda stream: stream, asyncio.Event(), lifetime_s=3600.0)
        self.all.new("spot", "ws://nowhere", [])

    @property
    def only(self) -> Connection:
        (connection,) = self.all.connections
        return connection

    async def look_until_done(self) -> None:
        self.only._dialled_s = self.only._context.monotonic_s() - 3600.0
        self.look()
        await self.ended()
        await asyncio.sleep(0)  # the callbacks of the tasks

    def _told(self, old: Connection, streams: list[Stream]) -> Connection:
        self.tried += 1
        new = self._new_beside(old, streams)
        new.refusal = self.refused
        return new


def test_a_refused_replacement_is_tried_again_after_a_minute_then_two_and_so_on_up_to_an_hour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def waits_s(count: int) -> list[float]:
        replacing = Replacing(monkeypatch)
        replacing.refused = "401"
        tries_s: list[float] = []
        while len(tries_s) <= count:
            await replacing.look_until_done()
            if replacing.tried > len(tries_s):
                tries_s.append(replacing.now_s)
            replacing.now_s += 30.0
        return [after_s - before_s for before_s, after_s in pairwise(tries_s)]

    assert asyncio.run(waits_s(9)) == [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0, 3600.0]


def test_what_is_known_of_replaced_connections_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    async def replace_many() -> list[weakref.ref[Connection]]:
        replacing = Replacing(monkeypatch)
        known: list[weakref.ref[Connection]] = []
        for turn in range(TIMES):
            known.append(weakref.ref(replacing.only))
            replacing.refused = "401" if turn % 2 == 0 else None
            await replacing.look_until_done()
            replacing.now_s += 3600.0
        assert replacing.tried == TIMES
        replacing.refused = "401"
        await replacing.look_until_done()
        of_connections = (replacing._not_before_s, replacing._not_told_before_s, replacing._failed)
        assert [list(one) for one in of_connections] == [[replacing.only]] * 3
        gc.collect()
        return [one for one in known if one() is not None and one() is not replacing.only]

    assert asyncio.run(replace_many()) == []


def test_a_fault_that_ends_a_connection_is_told_at_once_and_the_connection_begins_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("collector.live.connections.RESTART_S", 0.0)
    events, halts, begun = EventBus(), list[PotentialHalt](), asyncio.Event()

    async def break_once() -> None:
        connections = connections_of("bybit", events)
        connection = connections.new("spot", "ws://127.0.0.1:1", [])
        ends = iter([ZeroDivisionError("of ours")])

        async def run() -> None:
            for error in ends:
                raise error
            begun.set()

        monkeypatch.setattr(connection, "run", run)
        connections.start()
        await asyncio.wait_for(begun.wait(), 5.0)
        await connections.ended()

    events.attach(PotentialHalt, halts.append)
    asyncio.run(break_once())
    ((code, reason),) = [(one.code, one.reason) for one in halts]
    assert code == "internal_error"
    assert "ZeroDivisionError('of ours')" in reason
