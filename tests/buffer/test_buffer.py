"""The buffer between the two threads: nothing lost, nothing doubled, every event counted at each swap."""

import struct
import threading
import time

import pytest

from collector.buffer.buffer import Buffer
from collector.events.batch import INT_COLUMNS, NO_INT, Liveness, SegmentClosed, SegmentOpened, StreamKey

KEY = StreamKey("bybit", "BTC/USDT:USDT", "book.50")
LEVELS = [1.0, 2.0, 3.0, 4.0]


def make(max_rows: int = 100, flush_rows: int = 10) -> Buffer:
    buffer = Buffer(levels_per_row=1, max_rows=max_rows, flush_rows=flush_rows)
    assert buffer.register(KEY) == 0
    return buffer


def put(buffer: Buffer, number: int) -> bool:
    return buffer.append(0, number, 1000 + number, None, number, 7, 10, LEVELS)


def test_a_stream_is_registered_once() -> None:
    buffer = make()
    assert buffer.register(KEY) == 0
    assert buffer.register(KEY._replace(symbol="ETH/USDT:USDT")) == 1
    assert buffer.key(0) == KEY


def test_a_swap_takes_all_and_leaves_nothing() -> None:
    buffer = make()
    put(buffer, 1)
    buffer.count_rejected(0, 2, "stale")
    batch = buffer.swap()
    assert batch.integers.tolist() == [1001, NO_INT, 1, 0, 7, 10]
    assert batch.levels.tolist() == LEVELS
    assert (batch.counts[0].received, batch.counts[0].rejected) == (2, {"stale": 1})
    after = buffer.swap()
    assert (after.rows, after.counts, after.opened, after.closed) == (0, {}, (), ())


def test_a_full_buffer_counts_what_it_does_not_take() -> None:
    buffer = make(max_rows=3)
    assert [put(buffer, number) for number in range(1, 6)] == [True, True, True, False, False]
    assert not buffer.has_room
    counts = buffer.swap().counts[0]
    assert (counts.received, counts.dropped) == (5, 2)
    assert buffer.has_room
    assert put(buffer, 6)


def test_an_open_segments_connection_tells_how_long_it_was_alive() -> None:
    buffer, liveness = make(), Liveness(5)
    buffer.open_segment(SegmentOpened(7, 0, 1000, "sequence", liveness))
    liveness.heard_ns = 9
    assert buffer.swap().heard_ns == {7: 9}
    buffer.close_segment(SegmentClosed(7, "stop", "", 9))
    batch = buffer.swap()
    assert batch.heard_ns == {}
    assert [closed.segment_id for closed in batch.closed] == [7]


def test_enough_rows_wake_the_writer() -> None:
    buffer = make(flush_rows=3)
    woken = threading.Event()

    def wait() -> None:
        buffer.wait(30.0)
        woken.set()

    waiter = threading.Thread(target=wait)
    waiter.start()
    for number in range(1, 4):
        assert not woken.is_set()
        put(buffer, number)
    assert woken.wait(10.0)
    waiter.join(10.0)
    assert not waiter.is_alive()


def test_a_hurried_writer_does_not_wait() -> None:
    buffer = make()
    buffer.hurry()
    buffer.wait(30.0)  # the test's own time limit is the check


def test_two_threads_lose_and_double_nothing() -> None:
    buffer = make(max_rows=10**6, flush_rows=50)
    most = 20_000
    done = threading.Event()
    sequences: list[int] = []
    exact: list[bool] = []

    def write() -> None:
        while True:
            ending = done.is_set()
            batch = buffer.swap()
            sequences.extend(batch.integers[2::INT_COLUMNS].tolist())
            if batch.counts:
                exact.append(
                    batch.counts[0].received == len(sequences) + batch.counts[0].rejected.get("odd", 0)
                )
            if ending:
                return
            buffer.wait(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    expected = []
    for number in range(1, most + 1):
        if number % 7:
            expected.append(number)
            put(buffer, number)
        else:
            buffer.count_rejected(0, number, "odd")
    done.set()
    buffer.hurry()
    writer.join(30.0)
    assert not writer.is_alive()
    assert sequences == expected
    assert exact
    assert all(exact)


def test_bytes_bound_the_rows_as_well() -> None:
    row_bytes = 8 * (4 + INT_COLUMNS)  # a bid and an ask with their sizes, and what is told of the row

    def capacity(max_bytes: int | None) -> int:
        return Buffer(levels_per_row=1, max_rows=100, flush_rows=10, max_bytes=max_bytes).capacity_rows

    assert [capacity(5 * row_bytes), capacity(6 * row_bytes - 1), capacity(200 * row_bytes)] == [5, 5, 100]
    assert [capacity(1), capacity(None)] == [1, 100]


def test_a_writer_that_nobody_wakes_waits_no_longer_than_it_said() -> None:
    buffer = make()
    put(buffer, 1)
    over = threading.Event()

    def wait() -> None:
        buffer.wait(0.05)
        over.set()

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    assert over.wait(10.0)
    waiter.join(10.0)


def test_a_wait_is_not_cut_short_by_a_hurry_that_was_heard_before() -> None:
    buffer = make()
    buffer.hurry()
    buffer.wait(30.0)
    began_s = time.monotonic()
    buffer.wait(0.05)
    assert time.monotonic() - began_s >= 0.05


TRADE = (100.5, 2.0), (1000, 999, 7, 0, 5, 1, 0)
CANDLE = (1.0, 2.0, 0.5, 1.5, 10.0, 1.2), (1000, 999, 60_000, 0, 5, 1, NO_INT)


def put_trade(buffer: Buffer, number: int) -> bool:
    return buffer.append_trade(number, *TRADE, f"t{number}", None)


def test_trades_and_bars_come_out_as_they_went_in_and_take_room_as_well() -> None:
    buffer = make(max_rows=3)
    assert put_trade(buffer, 1)
    assert buffer.append_candle(2, *CANDLE)
    assert put(buffer, 3)
    assert not put_trade(buffer, 4)
    assert not buffer.append_candle(5, *CANDLE)
    batch = buffer.swap()
    assert (batch.rows, len(batch.trades), len(batch.candles)) == (1, 1, 1)
    assert (batch.trades.numbers.tolist(), batch.trades.integers.tolist()) == tuple(map(list, TRADE))
    assert (batch.trades.ids, batch.trades.marks) == (["t1"], [None])
    assert (batch.candles.numbers.tolist(), batch.candles.integers.tolist()) == tuple(map(list, CANDLE))
    assert (batch.counts[0].received, batch.counts[0].dropped) == (5, 2)
    after = buffer.swap()
    assert (len(after.trades), len(after.candles)) == (0, 0)


def test_rows_of_all_tables_together_wake_the_writer() -> None:
    buffer = make(flush_rows=3)
    put_trade(buffer, 1)
    buffer.append_candle(2, *CANDLE)
    assert buffer._rows < buffer._flush_rows
    put(buffer, 3)
    buffer.wait(30.0)  # at once; the test's own time limit is the check


def test_what_gives_no_row_is_counted_under_what_became_of_it() -> None:
    buffer = make()
    buffer.count_merged(0, 1)
    buffer.count_dropped(0, 2)
    buffer.count_rejected(0, 3, "stale")
    buffer.count_rejected(0, 4, "stale")
    counts = buffer.swap().counts[0]
    assert (counts.received, counts.merged, counts.dropped, counts.rejected) == (4, 1, 1, {"stale": 2})
    assert buffer.swap().counts == {}
    buffer.count_merged(0, 5)
    assert buffer.swap().counts[0].merged == 2  # counts go on over the swaps


def test_comparisons_are_added_up_from_swap_to_swap() -> None:
    buffer = make()
    buffer.count_witnessed(7, 2, 1)
    buffer.count_witnessed(7, 3, 0)
    buffer.count_witnessed(8, 1, 1)
    witnessed = buffer.swap().witnessed
    assert {segment: (one.compared, one.disagreed) for segment, one in witnessed.items()} == {
        7: (5, 1),
        8: (1, 1),
    }
    assert buffer.swap().witnessed == {}


def test_a_segment_that_moves_to_another_connection_is_alive_with_that() -> None:
    buffer, old, new = make(), Liveness(5), Liveness(50)
    buffer.open_segment(SegmentOpened(7, 0, 1000, "sequence", old))
    buffer.move_segment(7, new)
    assert buffer.swap().heard_ns == {7: 50}


def test_a_look_changes_nothing_and_tells_what_waits_and_the_highest_fill() -> None:
    buffer = make()
    eth = KEY._replace(symbol="ETH/USDT:USDT")
    other = buffer.register(eth)
    put(buffer, 1)
    put_trade(buffer, 2)
    buffer.append_candle(3, *CANDLE)
    buffer.count_rejected(other, 1, "stale")
    streams, high_rows = buffer.snapshot()
    assert (streams[KEY][0].received, streams[KEY][1]) == (3, 3)
    assert (streams[eth][0].rejected, streams[eth][1]) == ({"stale": 1}, 0)
    assert high_rows == buffer.high_rows == 3
    streams[KEY][0].received = 99  # a copy
    buffer.swap()
    put(buffer, 4)
    assert buffer.high_rows == 3
    assert buffer.snapshot()[1] == 3
    assert buffer.snapshot()[0][KEY][1] == 1
    for number in range(5, 9):
        put(buffer, number)
    assert buffer.high_rows == 5


def test_a_stream_keeps_its_own_tally() -> None:
    buffer = make()
    other = buffer.register(KEY._replace(symbol="ETH/USDT:USDT"))
    buffer.tally(0).received = 5
    assert buffer.tally(0).received == 5
    assert buffer.tally(other).received == 0


def test_a_row_of_another_width_is_a_mistake_of_ours() -> None:
    with pytest.raises(struct.error):
        make().append(0, 1, 1001, None, 1, 7, 10, [*LEVELS, 5.0])
    buffer = make()
    buffer.append(0, 1, 1001, 900, None, 7, 10, LEVELS)
    assert buffer.swap().integers.tolist() == [1001, 900, NO_INT, 0, 7, 10]
