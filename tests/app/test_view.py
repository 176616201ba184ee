"""What is remembered of streams and connections, and how a collector looks at one moment."""

import pytest

from collector.app.view import StreamView, View, Watch, WriterView
from collector.events.batch import StreamKey
from collector.events.bus import EventBus
from collector.events.notices import (
    ChoreState,
    ClockStep,
    PotentialHalt,
    SegmentChanged,
    State,
    StreamNow,
    SystemState,
)
from collector.sinks.contract import AccountingState

KEY = StreamKey("bybit", "BTC/USDT", "book.50")
COUNTS = AccountingState("s", *KEY, received=10, written=6, dropped=1, pending=2)


class Rig:
    def __init__(self) -> None:
        self.events = EventBus()
        self.watch = Watch()
        self.watch.listen(self.events)

    def state(self, state: State, connection: str = "bybit.0") -> None:
        self.events.publish(SystemState("bybit", connection, state, 1))

    def segment(self, *, verified: bool, cause: str = "", at_ns: int = 5) -> None:
        self.events.publish(SegmentChanged(*KEY, 1, at_ns, verified, cause))

    def stream(self, *glances: StreamNow) -> StreamView:
        (one,) = self.watch.streams([COUNTS], glances or None, [KEY])
        return one


def test_a_stream_is_down_then_syncing_then_verified() -> None:
    rig = Rig()
    assert rig.stream() == StreamView(KEY, "down", COUNTS, None, 0, "", 0)
    rig.state(State.CONNECTED)
    assert rig.stream().state == "syncing"
    rig.segment(verified=True)
    assert rig.stream().state == "verified"
    rig.segment(verified=False, cause="sequence_gap", at_ns=9)
    one = rig.stream()
    assert (one.state, one.gaps, one.last_cause, one.last_cause_ns) == ("syncing", 1, "sequence_gap", 9)
    rig.segment(verified=False, cause="stale", at_ns=11)
    assert (rig.stream().gaps, rig.stream().last_cause) == (2, "stale")


@pytest.mark.parametrize("end", [State.DISCONNECTED, State.STOPPED])
def test_an_exchange_is_up_while_one_of_its_connections_is(end: State) -> None:
    rig = Rig()
    rig.state(State.CONNECTED, "bybit.0")
    rig.state(State.CONNECTED, "bybit.1")
    rig.state(end, "bybit.0")
    assert rig.stream().state == "syncing"
    rig.state(State.MAINTENANCE, "bybit.1")  # what an exchange says of itself cuts no connection
    assert rig.stream().state == "syncing"
    rig.state(end, "bybit.1")
    assert rig.stream().state == "down"
    assert rig.watch.connections == {"bybit.0": end.value, "bybit.1": end.value}


@pytest.mark.parametrize("cause", ["stop", "unsubscribed"])
def test_an_end_that_somebody_asked_for_is_no_gap(cause: str) -> None:
    rig = Rig()
    rig.segment(verified=True)
    rig.segment(verified=False, cause=cause)
    assert (rig.stream().state, rig.stream().gaps, rig.stream().last_cause) == ("down", 0, "")


def test_alarms_are_counted_and_the_last_is_kept() -> None:
    rig = Rig()
    halts = [PotentialHalt("bybit", code, "why", 1) for code in ("a", "b")]
    for halt in halts:
        rig.events.publish(halt)
    assert (rig.watch.halts, rig.watch.last_halt) == (2, halts[1])


def test_a_glance_stands_beside_its_stream() -> None:
    glance = StreamNow(KEY, True, 1.0, 2.0)
    other = StreamNow(KEY._replace(symbol="ETH/USDT"), True)
    assert Rig().stream(glance, other).glance is glance


def test_the_whole_adds_up_its_streams() -> None:
    unknown = StreamKey("bybit", "_unknown", "_unknown")
    lost = AccountingState("s", *unknown, received=5, written=9, dropped=3, pending=4)
    streams = (
        StreamView(KEY, "down", COUNTS, None, 0, "", 0),
        StreamView(unknown, "down", lost, None, 0, "", 0),
    )
    view = View("s", "db", 1.0, True, streams, {}, WriterView(0, 0, 0, 0.0, None, 0, 0), (), 0, None)
    assert (view.pending, view.dropped) == (6, 4)
    assert view.difference == 1 + 11  # each by itself, not one against the other
    assert view.collected == streams[:1]


@pytest.mark.parametrize(
    ("received_at_ns", "exchange_ms", "lag_ms"), [(5_000_000, 3, 2.0), (0, 3, None), (5_000_000, None, None)]
)
def test_a_lag_needs_both_times(received_at_ns: int, exchange_ms: int | None, lag_ms: float | None) -> None:
    assert StreamNow(KEY, True, received_at_ns=received_at_ns, exchange_ms=exchange_ms).lag_ms == lag_ms


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State.MAINTENANCE, "bybit is under maintenance"),
        (State.CANCEL_ONLY, "bybit takes cancellations of orders only"),
        (State.POST_ONLY, "bybit takes orders that make a market only"),
        (State.LIMIT_ONLY, "bybit takes limit orders only"),
        (State.OTHER, "bybit says of itself: error"),
    ],
)
def test_what_an_exchange_says_of_itself_stands_until_it_is_online(state: State, words: str) -> None:
    rig = Rig()
    rig.events.publish(SystemState("bybit", "bybit.0", state, 1, "error"))
    rig.state(State.CONNECTED, "bybit.1")
    rig.state(State.SHUTTING_DOWN, "bybit.1")
    assert rig.watch.statuses.troubles() == (words,)
    rig.state(State.ONLINE, "bybit.1")
    assert rig.watch.statuses.troubles() == ()


def test_what_is_asked_for_and_not_there_is_missing_and_what_is_asked_for_no_longer_has_left() -> None:
    rig = Rig()
    rig.state(State.CONNECTED)
    other, elsewhere = KEY._replace(symbol="ETH/USDT"), StreamKey("binance", "BTCUSDT", "trade")
    glances = [StreamNow(other, True)]
    views = rig.watch.streams([COUNTS], glances, [KEY, elsewhere, other])
    assert [(one.key, one.state) for one in views] == [
        (KEY, "missing"),  # counted before, and nobody collects it now
        (other, "syncing"),
        (elsewhere, "missing"),
    ]
    assert [one.counts.received for one in views] == [10, 0, 0]
    (left, _) = rig.watch.streams([COUNTS], glances, [other])
    assert (left.key, left.state) == (KEY, "left")
    (unanswered,) = rig.watch.streams([COUNTS], None, [KEY])
    assert unanswered.state == "syncing"


def test_reconnects_are_counted_by_the_class_of_their_cause_and_holes_by_theirs() -> None:
    rig = Rig()
    for cause in (
        "close_1006",
        "http_429: slow down",
        "attempt 3: could not load the markets: http_451: no",
        "close_1013: busy",
        "what?",
    ):
        rig.events.publish(SystemState("bybit", "bybit.0", State.DISCONNECTED, 1, cause))
    rig.state(State.STOPPED)
    for cause in ("checksum", "disconnect", "checksum", "stop"):
        rig.segment(verified=False, cause=cause)
    kept = rig.watch.remembered()
    assert kept["reconnects"] == {("bybit", "transient"): 3, ("bybit", "rate_limit"): 2}
    assert kept["holes"] == {("bybit", "checksum"): 2, ("bybit", "disconnect"): 1}


def test_a_chore_that_fails_is_remembered_until_it_works_and_a_step_of_the_clock_for_good() -> None:
    rig = Rig()
    rig.events.publish(ChoreState("archive", 1, "no room"))
    rig.events.publish(ClockStep(7, 3600.0))
    kept = rig.watch.remembered()
    assert (kept["failing_chores"], kept["clock_stepped_ns"], kept["clock_steps"]) == (
        (("archive", "no room"),),
        7,
        1,
    )
    rig.events.publish(ChoreState("archive", 2))
    assert rig.watch.remembered()["failing_chores"] == ()
