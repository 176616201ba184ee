"""The interpreter changes hands quickly while a writer works and a bot hears; otherwise as Python has it."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.buffer.buffer import Buffer
from collector.events.batch import Liveness, SegmentOpened
from collector.sinks.contract import Receipt, SessionState, WriteSet
from collector.writer.balance import Balance
from collector.writer.breaker import Breaker
from collector.writer.follower import Follower
from collector.writer.limits import Limits, SpoolLimits, WriterLimits
from collector.writer.prepare import Preparation
from collector.writer.sources import BufferSource
from collector.writer.thread import WriterThread
from collector.writer.turns import MOST_A_SECOND, TURN_S, SwitchInterval, Turns

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from full_backoff import FullBackoff
from world import KEYS, Database, FullableSpool, book_rows

USUAL_S = 0.004
DEADLINE_S = 60.0  # of a condition: what fails to come does so on the busiest machine


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(USUAL_S)
    yield
    sys.setswitchinterval(before_s)


def is_interval(seconds: float) -> bool:
    return sys.getswitchinterval() == pytest.approx(seconds, abs=1e-6)


class Market:
    """Time that passes, and rows that come."""

    def __init__(self) -> None:
        self.now_s, self.rows = 100.0, 1_000_000

    def passes(self, seconds: float, rows: int = 0) -> None:
        self.now_s += seconds
        self.rows += rows


def turns_of(market: Market, *, heard: bool = True) -> Turns:
    return Turns(
        lambda: market.rows if heard else None, now_s=lambda: market.now_s, interval=SwitchInterval()
    )


def is_short_in_a_step(turns: Turns) -> bool:
    with turns.step():
        return is_interval(TURN_S)


def test_a_step_has_short_turns_while_a_bot_hears_and_the_usual_ones_come_back() -> None:
    assert is_short_in_a_step(turns_of(Market()))
    assert is_interval(USUAL_S)


def test_where_nobody_hears_nothing_is_touched() -> None:
    assert not is_short_in_a_step(turns_of(Market(), heard=False))


def test_turns_are_the_usual_ones_where_much_comes_until_less_does() -> None:
    market = Market()
    turns = turns_of(market)
    turns.wait(lambda timeout_s: market.passes(timeout_s, int(MOST_A_SECOND * timeout_s) - 1), 0.1)
    assert is_short_in_a_step(turns)
    market.passes(0.0, 2)
    assert not is_short_in_a_step(turns)
    turns.wait(lambda _: None, 0.1)  # rows enough for a write were there
    assert not is_short_in_a_step(turns)
    turns.wait(market.passes, 0.1)
    assert is_short_in_a_step(turns)


def test_what_comes_during_a_long_step_counts() -> None:
    market = Market()
    turns = turns_of(market)
    with turns.step():
        market.passes(1.0, MOST_A_SECOND + 1)
    assert not is_short_in_a_step(turns)


def test_a_few_rows_at_once_are_not_much() -> None:
    market = Market()
    turns = turns_of(market)
    turns.wait(lambda _: market.passes(0.0001, 10), 0.1)
    assert is_short_in_a_step(turns)


def test_of_two_writers_the_last_one_gives_the_usual_turns_back() -> None:
    interval = SwitchInterval()
    first, second = interval.short(), interval.short()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert is_interval(TURN_S)
    second.__exit__(None, None, None)
    assert is_interval(USUAL_S)


def test_what_the_program_itself_sets_meanwhile_stays() -> None:
    with SwitchInterval().short():
        sys.setswitchinterval(0.002)
    assert is_interval(0.002)


def test_turns_that_are_shorter_already_stay() -> None:
    sys.setswitchinterval(TURN_S / 2)
    with SwitchInterval().short():
        assert is_interval(TURN_S / 2)
    assert is_interval(TURN_S / 2)


def test_a_step_that_fails_gives_the_usual_turns_back() -> None:
    with pytest.raises(OSError, match="full"), turns_of(Market()).step():
        raise OSError("full")
    assert is_interval(USUAL_S)


class Watching(Database):
    """A database that notes how long turns are while it is written to."""

    def __init__(self) -> None:
        super().__init__()
        self.seen_s: set[float] = set()

    def write(self, write_set: WriteSet) -> Receipt:
        self.seen_s.add(round(sys.getswitchinterval(), 6))
        return super().write(write_set)


SESSION = SessionState("session", 1, "0", "host", 1, "{}")
LIMITS = Limits(WriterLimits(interval_s=0.01), SpoolLimits(after_s=60.0), 60.0)


def breaker() -> Breaker:
    return Breaker(2, FullBackoff(0.001, 0.001), FullBackoff(0.001, 0.001))


def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.002)


@pytest.mark.parametrize("heard", [True, False])
def test_the_writer_and_a_follower_have_short_turns_only_while_a_bot_hears(
    tmp_path: Path, *, heard: bool
) -> None:
    store, further = Watching(), Watching()
    buffer = Buffer(levels_per_row=1, max_rows=1000, flush_rows=1)
    buffer.register(KEYS[0])
    balance = Balance(SESSION.session_id, buffer.key)
    follower = Follower(
        further,
        FullableSpool(tmp_path / "beside", max_bytes=1 << 20, synchronous="OFF"),
        breaker(),
        Balance(SESSION.session_id, buffer.key),
        LIMITS,
        session=SESSION,
        heard=lambda: 0 if heard else None,
    )
    writer = WriterThread(
        BufferSource(
            buffer, Preparation(SESSION, buffer.key, book_rows, most_rows=100), balance, behind_at_rows=1000
        ),
        store,
        FullableSpool(tmp_path / "spool", max_bytes=1 << 20, synchronous="OFF"),
        breaker(),
        balance,
        LIMITS,
        session_id=SESSION.session_id,
        on_commit=lambda write_set, _took_s, _was_spooled: follower.offer(write_set),
        heard=lambda: 0 if heard else None,
    )
    follower.open()
    follower.start()
    writer.start()
    buffer.open_segment(SegmentOpened(7, 0, 1, "sequence", Liveness(1)))
    for number in range(1, 1000):
        buffer.append(0, number, number, None, number, 7, 10, [1.0, 1.0, 2.0, 1.0])
        until(lambda number=number: further.rows and len(further.rows) == number)
        if not heard or TURN_S in store.seen_s & further.seen_s:
            break
        time.sleep(0.002)
    assert writer.stop(DEADLINE_S)
    follower.ask_to_stop()
    assert follower.stop(DEADLINE_S)
    assert (TURN_S in store.seen_s, TURN_S in further.seen_s) == (heard, heard)
    assert is_interval(USUAL_S)
