"""That nothing comes from an exchange is told once, soon, and with the reason; and so is its end."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collector.app.wiring import make_collector
from collector.clock import Clock
from collector.events.bus import EventBus
from collector.events.notices import FirstContact, PotentialHalt, State, SystemState
from collector.exchanges.addresses import Endpoints
from collector.live.first_contact import Contact
from collector.network.markets import Source
from collector.settings import load_settings
from collector.simulator import Simulator

SOURCE = Source("bybit", "live", Endpoints(), ("linear", "spot"))
REST, WEBSOCKETS = (
    "https://api.bybit.com",
    "wss://stream.bybit.com/v5/public/spot and wss://stream.bybit.com/v5/public/linear",
)


def contact(patience_s: float = 60.0) -> tuple[Contact, EventBus, list[tuple[str, str | None]]]:
    events, told = EventBus(lambda _: None), []
    events.attach(FirstContact, lambda one: told.append((one.address, one.why)))
    return Contact(SOURCE, events, Clock(), patience_s), events, told


def state(to: State, cause: str = "") -> SystemState:
    return SystemState("bybit", "bybit.linear.0", to, 0, cause)


@pytest.mark.parametrize(
    ("cause", "why"),
    [
        ("dns", "its name cannot be resolved"),
        ("no_such_host", "its name cannot be resolved"),
        ("refused", "the connection is refused"),
        ("timeout", "no answer"),
        ("http_503", "http_503: too busy"),
    ],
)
def test_the_first_failure_is_told_in_words_and_the_others_are_not(cause: str, why: str) -> None:
    first, _, told = contact()
    first.failed(cause, "too busy")
    first.failed("refused", "")
    assert told == [(REST, why)]


def test_a_websocket_that_cannot_be_reached_is_told_with_its_addresses_and_so_is_the_end() -> None:
    first, events, told = contact()
    first.has_markets()
    events.publish(state(State.DISCONNECTED, "refused: ClientConnectorError: no"))
    events.publish(state(State.DISCONNECTED, "timeout: no"))
    events.publish(state(State.CONNECTED))
    events.publish(state(State.DISCONNECTED, "reset: later"))
    assert told == [(WEBSOCKETS, "the connection is refused"), (WEBSOCKETS, None)]


def test_an_exchange_that_is_reached_at_once_is_nothing_to_tell() -> None:
    first, events, told = contact()
    first.has_markets()
    events.publish(state(State.CONNECTED))
    events.publish(state(State.DISCONNECTED, "reset: later"))
    events.publish(SystemState("kraken", "kraken.spot.0", State.DISCONNECTED, 0, "refused: no"))
    assert told == []


def test_where_nothing_fails_and_nothing_comes_patience_ends() -> None:
    async def wait() -> list[tuple[str, str | None]]:
        first, _, told = contact(0.1)
        first.begin()
        async with asyncio.timeout(10):
            while not told:  # noqa: ASYNC110  (there is nothing to be woken by)
                await asyncio.sleep(0.005)
        return told

    assert asyncio.run(wait()) == [(REST, "no answer yet, 0.1 s after it was asked")]


def test_an_exchange_that_has_none_of_the_markets_is_no_silent_one(tmp_path: Path) -> None:
    with Simulator(symbols={"bybit": ["BTC/USDT:USDT"]}, updates_per_s=0.0) as simulator:
        there = simulator.endpoints("bybit")
        overrides = {
            "exchanges.bybit": {"symbols": ["XBT"], "endpoints": there},
            "database.url": str(tmp_path / "live.db"),
        }
        settings = load_settings(overrides=overrides, environ={}, env_file=None)
        events, told, halts = EventBus(lambda _: None), [], []
        events.attach(FirstContact, told.append)
        events.attach(PotentialHalt, halts.append)
        collector = make_collector(settings, events=events, patience_s=1.0)
        collector.start()
        try:
            until_s = time.monotonic() + 30
            while "nothing_to_collect" not in {one.code for one in halts}:
                assert time.monotonic() < until_s, "it does not say that it has nothing to collect"
                time.sleep(0.01)
            time.sleep(1.2)  # longer than its patience
        finally:
            collector.stop()
    # A slow answer over REST may have been told; a websocket was never dialled.
    assert [one for one in told if one.address.startswith("ws:")] == []


@contextmanager
def closed_port() -> Iterator[int]:
    with socket.socket() as taken:  # bound and not listening: refused, and nobody else's
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@contextmanager
def silent_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:  # its backlog accepts, and nobody ever answers
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    ("port", "why"),
    [(closed_port, "the connection is refused"), (silent_port, "no answer yet, 0.3 s after it was asked")],
    ids=["closed", "silent"],
)
def test_a_collector_that_reaches_nobody_says_so_once_and_goes_on_trying(
    tmp_path: Path, port: object, why: str
) -> None:
    with port() as number:  # type: ignore[operator]
        own = {
            "symbols": ["BTC/USDT:USDT"],
            "endpoints": {"rest": f"http://127.0.0.1:{number}", "ws": f"ws://127.0.0.1:{number}"},
        }
        overrides = {
            "exchanges.bybit": own,
            "database.url": str(tmp_path / "live.db"),
            "stream.backoff_base_s": 0.01,
            "stream.backoff_max_s": 0.05,
            "stream.markets_timeout_s": 1.0,
        }
        settings = load_settings(overrides=overrides, environ={}, env_file=None)
        events, told, failures = EventBus(lambda _: None), [], []
        events.attach(FirstContact, told.append)
        events.attach(SystemState, failures.append)
        collector = make_collector(settings, events=events, patience_s=0.3)
        collector.start()
        try:
            until_s = time.monotonic() + 30
            while len(failures) < 2:
                assert time.monotonic() < until_s, "it does not try again"
                time.sleep(0.01)
            unreached = collector.view().unreached
        finally:
            collector.stop()
    assert [(one.exchange, one.address, one.why) for one in told] == [
        ("bybit", f"http://127.0.0.1:{number}", why)
    ]
    assert unreached == (f"bybit at http://127.0.0.1:{number}: {why}",)
