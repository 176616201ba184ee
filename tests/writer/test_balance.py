"""The writer's side of the identity: each step moves a row from one term to another, and none twice."""

from typing import Any

import pytest

from collector.events.batch import Counts, StreamKey
from collector.sinks.contract import AccountingState, Receipt, SessionState, WriteSet
from collector.writer.balance import Balance
from collector.writer.queued_write import QueuedWrite

KEY = StreamKey("bybit", "BTC/USDT", "book.50")
SESSION = SessionState("s", 1, "0", "h", 1, "{}")


def queued(written: int = 5, sampled_out: int = 2, number: int = 1) -> QueuedWrite:
    account = AccountingState(
        "s", *KEY, received=written + sampled_out, written=written, sampled_out=sampled_out
    )
    return QueuedWrite(number, WriteSet("b", SESSION, accounting=(account,)))


@pytest.fixture
def balance() -> Balance:
    """Seven events are out of the buffer."""
    one = Balance("s", lambda _: KEY)
    one._in_flight[KEY] = 7
    return one


def state(balance: Balance, counts: Counts | None = None, waiting: int = 0) -> dict[str, Any]:
    (one,) = balance.states(lambda: {KEY: (counts or Counts(), waiting)})
    names = ("written", "merged", "sampled_out", "dropped", "pending", "carried_in")
    found = {name: getattr(one, name) for name in names if getattr(one, name)}
    return {**found, **({"rejected": one.rejected} if one.rejected else {})}


def test_what_is_committed_is_written_or_sampled_out(balance: Balance) -> None:
    assert state(balance) == {"pending": 7}
    balance.committed(queued(), Receipt())
    assert state(balance) == {"written": 5, "sampled_out": 2}


def test_what_a_database_had_already_is_merged(balance: Balance) -> None:
    balance.committed(queued(), Receipt(merged={KEY: 2}))
    assert state(balance) == {"written": 3, "merged": 2, "sampled_out": 2}


def test_what_is_in_the_spool_is_pending_until_it_is_committed(balance: Balance) -> None:
    one = queued()
    balance.spooled(one)
    assert one.spooled
    assert (state(balance), balance.rows_in_spool) == ({"pending": 5, "sampled_out": 2}, 5)
    balance.committed(one, Receipt())
    assert (state(balance), balance.rows_in_spool) == ({"written": 5, "sampled_out": 2}, 0)


@pytest.mark.parametrize("is_spooled", [False, True])
def test_rows_that_are_refused_are_counted_under_their_reason(balance: Balance, is_spooled: bool) -> None:
    one = queued()
    if is_spooled:
        balance.spooled(one)
    balance.rejected(one, {KEY: 2}, "poison")
    balance.rejected(one, {KEY: 1}, "damaged")
    expected = {"pending": 4 - 2 * is_spooled, "rejected": {"poison": 2, "damaged": 1}}
    assert state(balance) == {**expected, **({"sampled_out": 2} if is_spooled else {})}


def test_what_an_earlier_session_left_is_carried_in_unless_it_had_stored_it_itself(balance: Balance) -> None:
    balance.carried_in([queued(3, 1).write_set])
    assert state(balance) == {"carried_in": 3, "pending": 10}
    one = queued(3, 0)
    one.spooled = True
    balance.known_before(one)
    assert state(balance) == {"pending": 7}


def test_what_found_no_room_before_the_end_is_dropped(balance: Balance) -> None:
    assert balance.give_up() == 7
    assert state(balance) == {"dropped": 7}
    assert balance.give_up() == 0


def test_the_buffer_s_own_counts_are_added(balance: Balance) -> None:
    balance.rejected(queued(), {KEY: 1}, "poison")
    counts = Counts(received=50, merged=3, dropped=4, rejected={"stale": 5, "poison": 1})
    found = state(balance, counts, waiting=10)
    rejected = {"stale": 5, "poison": 2}
    assert found == {"merged": 3, "dropped": 4, "pending": 16, "rejected": rejected}
