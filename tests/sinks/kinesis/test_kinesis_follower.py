"""A follower before a stream: an outage opens its breaker, fills its spool, and costs nothing."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))
from local_aws import CREDENTIALS, FaultyAws, LocalAws, fails_at_random, hang, moto_server
from stream_rig import MARKETS, expected_ids, of_markets, parts_of_stream, sink_at, trade_ids

from collector.events.batch import StreamKey
from collector.retry import Backoff
from collector.sinks.contract import SessionState
from collector.spool.file import SpoolFile
from collector.writer.balance import Balance
from collector.writer.breaker import Breaker, BreakerState
from collector.writer.follower import Follower
from collector.writer.limits import Limits, SpoolLimits, WriterLimits


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with moto_server() as server:
        yield server


@pytest.fixture
def proxy(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyAws]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with FaultyAws(aws.url) as one:
        yield one


@pytest.fixture
def stream(aws: LocalAws) -> str:
    return aws.make_stream(shards=2)


class Followed:
    """A follower of one session, started."""

    def __init__(self, folder: Path, endpoint: str, stream: str, session: str, call_timeout_s: float) -> None:
        self.states: list[BreakerState] = []
        self.sink = sink_at(
            endpoint, stream, call_timeout_s=call_timeout_s, dead_letters=str(folder / "dead.jsonl")
        )
        self.follower = Follower(
            self.sink,
            SpoolFile(folder / "follower-spool", max_bytes=1 << 24, synchronous="OFF"),
            Breaker(
                2,
                Backoff(0.01, 0.02),
                Backoff(0.02, 0.05),
                on_change=lambda state, _: self.states.append(state),
            ),
            Balance(session, lambda _number: StreamKey("bybit", MARKETS[0], "trade")),
            Limits(WriterLimits(interval_s=0.02), SpoolLimits(after_s=0.1), call_timeout_s),
            session=SessionState(session, 1_000, "0", "host", 1, "{}"),
        )
        self.follower.open()
        self.follower.start()
        self.session = session

    def offer(self, numbers: range) -> None:
        for number in numbers:
            self.follower.offer(of_markets(number, session=self.session))

    @property
    def rows(self) -> int:
        return self.follower.state().rows

    def stop(self, timeout_s: float = 20.0) -> None:
        self.follower.ask_to_stop()
        self.follower.stop(timeout_s)


@pytest.fixture
def follow(proxy: FaultyAws, stream: str, tmp_path: Path) -> Iterator[Callable[..., Followed]]:
    started: list[Followed] = []

    def start(session: str = "session-1", call_timeout_s: float = 30.0) -> Followed:
        started.append(Followed(tmp_path, proxy.url, stream, session, call_timeout_s))
        return started[-1]

    yield start
    proxy.be_well()
    for one in started:
        one.stop()


def wait_until(condition: Callable[[], object], what: str) -> None:
    until_s = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < until_s, f"not within a minute: {what}"
        time.sleep(0.005)


def test_an_outage_opens_the_breaker_and_its_end_closes_it(
    aws: LocalAws, proxy: FaultyAws, stream: str, follow: Callable[..., Followed]
) -> None:
    one = follow()
    one.offer(range(3))
    wait_until(lambda: one.rows == 36, "put")
    assert len(proxy.puts()) <= 3  # those that come together go out together
    proxy.die()
    one.offer(range(3, 20))
    wait_until(lambda: one.follower.state().breaker == "open", "left alone")
    assert "EndpointConnectionError" in str(one.follower.state().last_error)
    wait_until(lambda: one.follower.state().spooled == 204, "in the spool")
    proxy.plan(fails_at_random(0.3), times=10)
    proxy.come_back()
    wait_until(lambda: one.rows == 240, "brought in")
    wait_until(lambda: one.follower.state().last_error is None, "no error")
    state = one.follower.state()
    assert (state.breaker, state.spooled, state.dropped) == ("closed", 0, 0)
    assert state.puts is not None
    assert state.puts.rows == 240
    assert one.states[0] is BreakerState.OPEN
    assert one.states[-1] is BreakerState.CLOSED
    parts = parts_of_stream(aws.records(stream))
    for symbol in MARKETS:
        assert trade_ids(parts, symbol) == expected_ids(symbol, range(20))


def test_what_an_outage_left_is_delivered_by_the_next_start_in_order(
    aws: LocalAws, proxy: FaultyAws, stream: str, follow: Callable[..., Followed]
) -> None:
    one = follow()
    one.offer(range(2))
    wait_until(lambda: one.rows == 24, "put")
    proxy.die()
    one.offer(range(2, 9))
    one.stop(3.0)
    state = one.follower.state()
    assert (state.rows, state.in_memory, state.spooled, state.dropped) == (24, 0, 84, 0)
    proxy.come_back()
    later = follow("session-2")
    later.offer(range(9, 11))
    wait_until(lambda: later.follower.state().spooled == 0 and later.rows == 108, "all brought in")
    parts = parts_of_stream(aws.records(stream))
    for symbol in MARKETS:
        assert trade_ids(parts, symbol) == expected_ids(symbol, range(11))
    sessions = [part.session.session_id for part in parts[f"bybit:{MARKETS[0]}"]]
    assert sessions == sorted(sessions)
    assert set(sessions) == {"session-1", "session-2"}


def test_an_endpoint_that_hangs_is_broken_off_and_tried_again(
    aws: LocalAws, proxy: FaultyAws, stream: str, follow: Callable[..., Followed]
) -> None:
    one = follow(call_timeout_s=1.0)
    proxy.plan(hang, times=2)
    one.offer(range(2))
    wait_until(lambda: proxy.failed == 2, "tried again")
    wait_until(lambda: one.rows == 24, "put")
    assert trade_ids(parts_of_stream(aws.records(stream)), MARKETS[0]) == expected_ids(MARKETS[0], range(2))


def test_a_row_that_no_record_can_hold_is_missing_and_told_of(
    aws: LocalAws, stream: str, follow: Callable[..., Followed]
) -> None:
    one = follow()
    one.offer(range(1))
    one.follower.offer(of_markets(1, columns={"price": [1.0, "dear", 2.0, 3.0]}, markets=MARKETS[:1]))
    one.offer(range(2, 3))
    wait_until(lambda: one.rows == 27, "put")
    assert one.follower.state().rejected == 1
    parts = parts_of_stream(aws.records(stream))
    expected = expected_ids(MARKETS[0], range(3))
    assert trade_ids(parts, MARKETS[0]) == [*expected[:5], *expected[6:]]
    of_market = parts[f"bybit:{MARKETS[0]}"]
    (original,) = (
        rows.columns["original"][0] for part in of_market for rows in part.rows if rows.table == "rejected"
    )
    assert '"price": "dear"' in str(original)
    assert sum(one.rejected.get("poison", 0) for part in of_market for one in part.accounting) == 1
    ends = [one.end_cause for part in of_market for one in part.segments]
    assert "poison" in ends
