"""From a swap to transactions: coverage, accounting and rows that always say the same."""

from array import array
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from collector.events.batch import (
    INT_COLUMNS,
    NO_INT,
    Batch,
    Counts,
    Liveness,
    SegmentClosed,
    SegmentOpened,
    StreamKey,
    Witnessed,
)
from collector.events.settled import Settled
from collector.sinks.contract import AccountingState, SegmentState, SessionState, WriteSet
from collector.writer.prepare import Preparation

KEYS = [StreamKey("bybit", symbol, "book.50") for symbol in ("BTC/USDT:USDT", "ETH/USDT:USDT")]
SESSION = SessionState("session", 1, "0", "host", 1, "{}")


def book_rows(batch: Batch, *, is_last: bool) -> Settled:  # noqa: ARG001
    integers = np.frombuffer(batch.integers, dtype=np.int64).reshape(-1, INT_COLUMNS)
    received_at_ns, _, sequences, streams, segments, _ = integers.T
    columns = {"received_at_ns": received_at_ns.tolist()}
    return Settled("book", columns, streams, segments, received_at_ns, sequences)


def make(most_rows: int = 1000) -> Preparation:
    return Preparation(
        SESSION,
        KEYS.__getitem__,
        book_rows,
        most_rows=most_rows,
    )


def batch(
    rows: list[tuple[int, int, int, int]] | None = None,  # received_at_ns, sequence, stream, segment
    *,
    opened: tuple[SegmentOpened, ...] = (),
    closed: tuple[SegmentClosed, ...] = (),
    heard_ns: dict[int, int] | None = None,
    counts: dict[int, Counts] | None = None,
) -> Batch:
    integers = array("q")
    for received_at_ns, sequence, stream, segment in rows or []:
        integers.extend((received_at_ns, NO_INT, sequence, stream, segment, 1))
    return Batch(array("d"), integers, opened, closed, heard_ns or {}, counts or {})


def opened(segment: int, stream: int = 0, start_ns: int = 100) -> SegmentOpened:
    return SegmentOpened(segment, stream, start_ns, "sequence", Liveness())


def one(write_sets: list[WriteSet]) -> WriteSet:
    assert len(write_sets) == 1
    return write_sets[0]


def test_nothing_happened_is_no_transaction() -> None:
    assert list(make().write_sets(batch(), extend_alive=True)) == []


def test_rows_extend_their_segment() -> None:
    preparation = make()
    rows = [(100, 7, 0, 1), (110, 8, 0, 1)]
    counts = {0: Counts(received=3, rejected={"stale": 1})}
    write_set = one(
        list(preparation.write_sets(batch(rows, opened=(opened(1),), counts=counts), extend_alive=False))
    )
    (segment,) = write_set.segments
    assert (segment.start_ns, segment.end_ns, segment.alive_until_ns, segment.rows) == (100, 110, 110, 2)
    assert (segment.first_sequence, segment.last_sequence, segment.end_cause) == (7, 8, None)
    (terms,) = write_set.accounting
    assert (terms.received, terms.written, terms.rejected_total, terms.difference) == (3, 2, 1, 0)


def test_a_quiet_stream_is_covered_while_its_connection_is_heard() -> None:
    preparation = make()
    list(preparation.write_sets(batch([(100, 7, 0, 1)], opened=(opened(1),)), extend_alive=False))
    assert list(preparation.write_sets(batch(heard_ns={1: 500}), extend_alive=False)) == []
    quiet = one(list(preparation.write_sets(batch(heard_ns={1: 500}), extend_alive=True)))
    assert [(state.end_ns, state.alive_until_ns) for state in quiet.segments] == [(100, 500)]


def closing(alive_until_ns: int | None) -> SegmentState:
    preparation = make()
    list(
        preparation.write_sets(
            batch([(100, 7, 0, 1)], opened=(opened(1),), heard_ns={1: 300}), extend_alive=True
        )
    )
    closed = SegmentClosed(1, "cause", "detail", alive_until_ns)
    return one(list(preparation.write_sets(batch(closed=(closed,)), extend_alive=True))).segments[0]


def test_doubt_pulls_a_segment_back_to_its_last_proven_update() -> None:
    assert closing(None).alive_until_ns == 100
    assert closing(400).alive_until_ns == 400


def test_a_segment_without_a_row_is_never_told_of() -> None:
    preparation = make()
    assert list(preparation.write_sets(batch(opened=(opened(1),), heard_ns={1: 5}), extend_alive=True)) == []
    closed = SegmentClosed(1, "stop", "", 500)
    assert list(preparation.write_sets(batch(closed=(closed,)), extend_alive=True)) == []


ROWS = st.lists(st.integers(0, 1), min_size=1, max_size=40)


@given(ROWS, st.integers(1, 9))
def test_a_large_batch_is_cut_and_the_identity_holds_at_every_cut(streams: list[int], most_rows: int) -> None:
    preparation = make(most_rows)
    rows = [(100 + place, place, stream, stream + 1) for place, stream in enumerate(streams)]
    firsts = {stream: 100 + streams.index(stream) for stream in set(streams)}
    counts = {stream: Counts(received=streams.count(stream)) for stream in firsts}
    everything = batch(
        rows,
        opened=tuple(opened(stream + 1, stream, start_ns) for stream, start_ns in firsts.items()),
        closed=tuple(SegmentClosed(stream + 1, "stop", "", 999) for stream in firsts),
        counts=counts,
    )
    write_sets = list(preparation.write_sets(everything, extend_alive=True))
    assert [row for write_set in write_sets for row in write_set.rows[0].columns["received_at_ns"]] == [
        received for received, *_ in rows
    ]
    assert len({write_set.batch_id for write_set in write_sets}) == len(write_sets)
    committed = dict.fromkeys(firsts, 0)
    covered = dict.fromkeys(firsts, 0)
    counted = dict.fromkeys(firsts, 0)
    ends: dict[int, str | None] = {}
    for write_set in write_sets:
        assert write_set.row_count <= most_rows
        for received in write_set.rows[0].columns["received_at_ns"]:
            committed[streams[int(received) - 100]] += 1
        for terms in write_set.accounting:
            assert terms.difference == terms.pending == 0
            counted[KEYS.index(StreamKey(terms.exchange, terms.symbol, terms.channel))] += terms.written
        for state in write_set.segments:
            covered[state.segment_id - 1] += state.rows
        # What has been told at each commit is what has been committed by then: a kill between two is no lie.
        assert covered == counted == committed
        ends |= {state.segment_id: state.end_cause for state in write_set.segments}
    assert set(ends.values()) == {"stop"}


def test_rows_of_a_long_batch_are_made_as_they_are_taken() -> None:
    """All at once they would be most of the memory that a burst takes."""
    made: list[int] = []

    def counting(piece: Batch, *, is_last: bool) -> Settled:
        made.append(piece.rows)
        return book_rows(piece, is_last=is_last)

    preparation = Preparation(SESSION, KEYS.__getitem__, counting, most_rows=10)
    long = batch([(100 + place, place, 0, 1) for place in range(45)], opened=(opened(1),))
    write_sets = preparation.write_sets(long, extend_alive=True)
    next(write_sets)
    assert made == [10, 10]  # the second tells that the first is not the last
    assert [write_set.row_count for write_set in write_sets] == [10, 10, 10, 5]
    assert made == [10, 10, 10, 10, 5]


def test_each_count_is_told_once() -> None:
    preparation = make()
    counts = Counts(received=3, merged=1, dropped=1, rejected={"stale": 1})
    list(preparation.write_sets(batch(counts={0: counts}), extend_alive=False))
    more = Counts(received=7, merged=2, dropped=1, rejected={"stale": 2, "crossed": 1})
    write_set = one(
        list(
            preparation.write_sets(
                batch([(100, 7, 0, 1)], opened=(opened(1),), counts={0: more}), extend_alive=False
            )
        )
    )
    assert write_set.accounting == (
        AccountingState(
            "session", *KEYS[0], received=4, written=1, merged=1, rejected={"stale": 1, "crossed": 1}
        ),
    )


def test_a_later_state_of_a_segment_tells_its_own_first_row() -> None:
    preparation = make()
    list(preparation.write_sets(batch([(100, 7, 0, 1)], opened=(opened(1),)), extend_alive=False))
    (state,) = one(
        list(preparation.write_sets(batch([(130, 8, 0, 1), (140, 9, 0, 1)]), extend_alive=False))
    ).segments
    assert (state.start_ns, state.first_sequence, state.rows) == (130, 8, 2)
    assert (state.end_ns, state.last_sequence) == (140, 9)


def test_a_silence_that_means_that_nothing_happened_is_covered_without_a_row() -> None:
    preparation = make()
    silent, book = replace(opened(1), covers_silence=True), opened(2, stream=1)
    begun = one(list(preparation.write_sets(batch(opened=(silent, book)), extend_alive=True)))
    assert [(state.segment_id, state.rows, state.start_ns) for state in begun.segments] == [(1, 0, 100)]
    heard = one(list(preparation.write_sets(batch(heard_ns={1: 500, 2: 500}), extend_alive=True)))
    assert [(state.segment_id, state.alive_until_ns) for state in heard.segments] == [(1, 500)]
    closed = (SegmentClosed(1, "stop", "", 700), SegmentClosed(2, "stop", "", 700))
    ended = one(list(preparation.write_sets(batch(closed=closed), extend_alive=True)))
    assert [(state.segment_id, state.end_cause) for state in ended.segments] == [(1, "stop")]


def test_comparisons_stand_with_their_segment_also_when_it_ends_in_the_same_batch() -> None:
    preparation = make()
    first = batch([(100, 1, 0, 1)], opened=(opened(1),), counts={0: Counts(received=1)})
    first.witnessed[1] = Witnessed(5, 0)
    (state,) = one(list(preparation.write_sets(first, extend_alive=True))).segments
    assert (state.witnessed, state.disagreed) == (5, 0)
    last = batch(closed=(SegmentClosed(1, "witness", "", None),))
    last.witnessed[1] = Witnessed(2, 1)
    (state,) = one(list(preparation.write_sets(last, extend_alive=True))).segments
    assert (state.witnessed, state.disagreed, state.end_cause) == (7, 1, "witness")
    late = batch()
    late.witnessed[1] = Witnessed(1, 0)
    assert list(preparation.write_sets(late, extend_alive=True)) == []
