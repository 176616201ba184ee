"""The life of one connection: it dials, subscribes, tells its states, and waits as long as it was told to."""

import asyncio
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from collector.errors import StreamError
from collector.events.batch import Liveness
from collector.events.messages import Ack, Snapshot
from collector.events.notices import State, SystemState
from collector.exchanges.exchange import Rate
from collector.live.connection import Connection, Parts
from collector.live.requests import ControlMessages, Requests
from collector.network.attempts import Attempts
from collector.network.failure_table import FailureClass
from collector.network.failures import Failure
from collector.network.socket import Heart, Reader
from collector.network.turnstile import Turnstile
from collector.retry import NO_REST, Backoff, Rest
from collector.streams.router import Router

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "streams"))
from connection_rig import SubscriptionsRig, levels_around
from full_backoff import FullBackoff

DEADLINE_S = 60.0
NO_WAIT = Backoff(0.0, 0.0)
REFUSED_WAIT_S = 600.0
RESET = Failure(FailureClass.TRANSIENT, "reset")


class FakeSocket:
    """A socket of which a test says how each dial ends; it accepts every subscription."""

    def __init__(self, dials: list[Failure | None]) -> None:
        self.failure: Failure | None = None
        self.sent: list[Any] = []
        self.dialled = 0
        self.closed = False
        self.requests = Requests(self.send, timeout_s=5.0)
        self._reader: Reader | None = None
        self._dials = dials

    async def open(self, reader: Reader) -> None:
        self._reader = reader
        self.dialled += 1
        self.failure = self._dials.pop(0) if self._dials else None
        if self.failure is not None:
            raise StreamError(str(self.failure))

    async def send(self, payload: Any) -> None:
        self.sent.append(payload)
        answer = Ack(str(payload["id"]), True)
        asyncio.get_running_loop().call_soon(self.requests.answered, answer)

    def give_up(self, failure: Failure) -> None:
        if self.failure is None:
            self.failure = failure
            if self._reader is not None:
                self._reader.on_gone(failure)

    async def disconnect(self) -> None:
        pass

    async def close(self) -> None:
        self.closed = True


class Rig(Connection):
    """A connection of one stream of trades."""

    def __init__(
        self,
        *dials: Failure | None,
        most_attempts: int = 10,
        backoff: Backoff = NO_WAIT,
        rest: Rest = NO_REST,
    ) -> None:
        self.rig = rig = SubscriptionsRig()
        self.states: list[tuple[State, str]] = []
        rig.outlet.events.attach(SystemState, lambda event: self.states.append((event.state, event.cause)))
        self.halts = rig.halts
        self.stream = rig.trades()
        self.connects = Turnstile(Rate(1000, 1.0), Rate(1000, 1.0), lambda: rig.now_s)
        self.socket = FakeSocket(list(dials))
        rig.requests = self.socket.requests
        control = ControlMessages(rig.context, rig.requests, self.socket.give_up)
        rig.router = Router(rig.protocol.read_frame, rig.unknown, rig.liveness, control)
        super().__init__(
            rig.context,
            Parts(
                self.socket,
                Heart(60.0, self._beat, lambda: rig.now_s),
                rig.collect(self.stream),
                rig.router.take,
                rig.unknown.count,
            ),
            connects=self.connects,
            attempts=Attempts(backoff, refused_wait_s=REFUSED_WAIT_S, rest=rest),
            alarm_after_attempts=most_attempts,
        )

    async def _beat(self) -> bool:
        return True

    async def woken(self) -> None:
        """Wake the connection, as if time had passed, and let it go on."""
        self.rig.context.wake.set()
        for _ in range(20):
            await asyncio.sleep(0)

    async def until(self, condition: Callable[[], object]) -> None:
        """Let the connection run on, turn by turn, until something holds."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110  (what is waited for tells nobody)
                await asyncio.sleep(0)


def run(rig: Rig, scene: Callable[[], Any]) -> None:
    async def both() -> None:
        running = asyncio.create_task(rig.run())
        try:
            await scene()
            rig.stop()
            await asyncio.wait_for(running, DEADLINE_S)
        finally:
            running.cancel()

    asyncio.run(both())


def test_it_dials_subscribes_and_tells_each_state() -> None:
    rig = Rig()

    async def scene() -> None:
        await rig.until(lambda: rig.stream.verified)
        assert [one["params"] for one in rig.socket.sent] == [["btcusdt@trade"]]
        assert rig.states == [(State.CONNECTED, "")]
        rig.socket.give_up(RESET)
        await rig.until(lambda: len(rig.states) == 3)
        assert rig.states[1:] == [(State.DISCONNECTED, "reset"), (State.CONNECTED, "")]
        await rig.until(lambda: rig.stream.verified)

    run(rig, scene)
    assert rig.states[3:] == [(State.STOPPED, "stopped")]
    assert rig.socket.closed
    assert rig.rig.outlet.causes() == ["disconnect", "stop"]


def test_a_book_whose_stream_does_not_come_to_where_rest_stood_is_given_up() -> None:
    rig = Rig()
    book = rig.rig.bridged()
    rig.subscriptions._snapshots = rig.rig.snapshots  # type: ignore[assignment]
    rig.rig.snapshots.answers = [StreamError("later")] * 10
    rig.subscriptions.add(book)

    async def scene() -> None:
        await rig.until(lambda: rig.stream.verified)
        for number in (100, 105):
            book.take(Snapshot(book.topic.name, number, None, *levels_around(1000.0)), number, Liveness(1))
        assert book.verified
        rig.rig.now_s += 31.0
        rig._wake.set()
        await rig.until(lambda: not book.verified)

    run(rig, scene)
    assert rig.rig.outlet.causes()[0] == "edge"


def test_a_refusal_that_says_how_long_holds_up_all_behind_the_address() -> None:
    rig = Rig(Failure(FailureClass.RATE_LIMIT, "http_429", 17.0))

    async def scene() -> None:
        await rig.until(lambda: rig.connects.closed_for_s)
        assert rig.connects.closed_for_s == pytest.approx(17.0)
        rig.rig.now_s += 16.0
        for _ in range(20):
            await asyncio.sleep(0)
        assert rig.socket.dialled == 1

    run(rig, scene)


def test_a_refusal_is_told_once_and_tried_again_slowly_until_it_is_over() -> None:
    """Nothing that an exchange says ends a connection: bans are lifted, keys renewed."""
    refusal = Failure(FailureClass.PERMANENT, "authentication")
    rig = Rig(refusal, refusal)

    async def scene() -> None:
        for dialled in (1, 2):
            await rig.until(
                lambda dialled=dialled: rig.socket.dialled == dialled and len(rig.states) == dialled
            )
            assert rig.refusal is not None
            rig.rig.now_s += REFUSED_WAIT_S - 1.0
            await rig.woken()
            assert rig.socket.dialled == dialled
            rig.rig.now_s += 2.0
            await rig.woken()
        await rig.until(lambda: rig.stream.verified)
        assert rig.refusal is None

    run(rig, scene)
    assert [one.code for one in rig.halts] == ["connection_refused"]
    assert rig.halts[0].reason == (
        "binance: BTC/USDT trade refused by ws://nowhere: authentication; tried again every 600 s"
    )


def test_one_that_opens_and_never_acks_waits_longer_each_time_and_raises_the_alarm() -> None:
    """How long the socket was open says nothing: all that time nothing was confirmed."""
    rig = Rig(most_attempts=3, backoff=FullBackoff(1.0, 60.0))
    dialled_s: list[float] = []

    async def begin(on_connected: Callable[[], None]) -> None:
        on_connected()
        dialled_s.append(rig.rig.now_s)
        rig.rig.now_s += 31.0
        raise StreamError("no answer within 30 s")

    async def scene() -> None:
        while len(dialled_s) < 6 and rig.rig.now_s < 2000.0:
            await rig.woken()
            rig.rig.now_s += 0.25

    rig.subscriptions.begin = begin  # type: ignore[method-assign]
    run(rig, scene)
    waits = [later - earlier - 31.0 for earlier, later in pairwise(dialled_s)]
    assert waits == pytest.approx([1.0, 2.0, 4.0, 8.0, 16.0], abs=0.3)
    assert [one.code for one in rig.halts] == ["unreachable"]


def test_a_socket_that_cannot_be_let_go_of_ends_nothing() -> None:
    rig = Rig()

    async def broken() -> None:
        raise ValueError("ours")

    async def scene() -> None:
        await rig.until(lambda: rig.stream.verified)
        rig.socket.disconnect = broken  # type: ignore[method-assign]
        rig.socket.give_up(RESET)
        await rig.until(lambda: rig.socket.dialled == 2 and rig.stream.verified)

    run(rig, scene)
    assert rig.halts[0].reason.startswith("ValueError('ours') in broken (test_connection.py:")


def test_too_many_attempts_in_a_row_raise_one_alarm_and_tries_go_on() -> None:
    rig = Rig(*[RESET] * 5, most_attempts=3)

    async def scene() -> None:
        await rig.until(lambda: rig.stream.verified)

    run(rig, scene)
    assert rig.socket.dialled == 6
    assert [(one.code, one.reason) for one in rig.halts] == [
        ("unreachable", "3 attempts to connect failed; tries go on")
    ]


def test_it_rests_after_so_many_attempts_in_a_row_and_tells_so() -> None:
    rig = Rig(*[RESET] * 5, rest=Rest(2, 600.0))

    async def scene() -> None:
        while not rig.stream.verified and rig.rig.now_s < 5000.0:
            await rig.woken()
            rig.rig.now_s += 50.0

    began_s = rig.rig.now_s
    run(rig, scene)
    assert rig.socket.dialled == 6
    assert 1200.0 <= rig.rig.now_s - began_s < 2000.0
    assert [one.reason for one in rig.halts] == [
        "2 attempts to connect failed; rests for 600 s",
        "4 attempts to connect failed; rests for 600 s",
    ]


def test_it_gives_up_after_so_many_attempts_where_that_was_asked_for() -> None:
    rig = Rig(*[RESET] * 5, rest=Rest(3, None))

    async def scene() -> None:
        await rig.until(lambda: rig.is_over)
        await rig.woken()

    run(rig, scene)
    assert rig.socket.dialled == 3
    assert rig.socket.closed
    why = "binance: BTC/USDT trade given up: 3 attempts to connect failed in a row, the last: reset"
    assert rig.refusal is not None
    assert rig.refusal.startswith(why)
    assert rig.states[-1] == (State.ERROR, rig.refusal)
    assert [(one.code, one.reason) for one in rig.halts] == [("gave_up", rig.refusal)]


def test_a_fault_of_ours_is_told_and_the_connection_is_made_again() -> None:
    rig = Rig()

    begin = rig.subscriptions.begin

    async def broken_once(_on_connected: Callable[[], None]) -> None:
        rig.subscriptions.begin = begin  # type: ignore[method-assign]
        raise ValueError("ours")

    async def scene() -> None:
        await rig.until(lambda: rig.stream.verified)

    rig.subscriptions.begin = broken_once  # type: ignore[method-assign]
    run(rig, scene)
    (halt,) = rig.halts
    assert halt.code == "internal_error"
    assert halt.reason.startswith("ValueError('ours') in broken_once (test_connection.py:")


def test_its_age_is_that_of_the_socket_that_stands() -> None:
    rig = Rig()

    async def scene() -> None:
        assert rig.age_s == 0.0
        await rig.until(lambda: rig.stream.verified)
        rig.rig.now_s += 5.0
        assert rig.age_s == 5.0

    run(rig, scene)
    assert rig.age_s == 0.0


def test_the_next_frame_is_waited_for_until_the_time_is_over() -> None:
    rig = Rig()

    async def scene() -> None:
        await rig.until(lambda: rig.stream.verified)
        waiting = asyncio.create_task(rig.next_frame(DEADLINE_S))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()
        rig.on_text("{}")
        await asyncio.wait_for(waiting, DEADLINE_S)
        await rig.next_frame(0.01)

    run(rig, scene)
