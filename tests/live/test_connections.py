"""What a connection of a verified exchange is given, and one of an unverified exchange."""

import asyncio
import gc
import weakref

from collector.buffer.buffer import Buffer
from collector.clock import Clock
from collector.events.bus import EventBus
from collector.exchanges.addresses import Endpoints
from collector.live.connection import Connection
from collector.live.connections import Connections, ExchangeContext
from collector.live.limits import Pace
from collector.live.resync import Resyncs
from collector.live.topic_subscriptions import TopicSubscriptions
from collector.live.unverified.books import UnverifiedBooks
from collector.live.unverified.socket import UnverifiedSocket
from collector.network.markets import Markets, Source
from collector.network.socket import Socket
from collector.streams.router import Router, UnknownFrames

TIMES = 100
PACE = Pace(backoff_base_s=0.0, backoff_max_s=0.0)


def connections_of(exchange: str) -> Connections:
    buffer = Buffer(levels_per_row=1, max_rows=10, flush_rows=10)
    context = ExchangeContext(
        Source(exchange, "live", Endpoints(), ("spot",)),
        Markets(None, ("spot",)),
        PACE,
        Clock(),
        EventBus(),
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
    return Connections(context, lambda: None)


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
