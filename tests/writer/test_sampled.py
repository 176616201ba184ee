"""Where rows are sampled away, each commit still says no more than what is committed."""

import sys
from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from collector.events.batch import Batch, Counts, StreamKey
from collector.features.options import Sampling
from collector.features.rows import BookRows
from collector.features.stream_facts import StreamFacts
from collector.sinks.contract import SessionState, WriteSet
from collector.writer.prepare import Preparation

sys.path.insert(0, str(Path(__file__).parents[1] / "features"))
from books import LEVELS_A_ROW, batch, opened
from oracle import Update

MS = 1_000_000
SAMPLINGS = [Sampling(), Sampling("on_top_change"), Sampling("interval", 10), Sampling("interval", 15)]
KEYS = [StreamKey("bybit", f"S{stream}/USDT", "book.50") for stream in range(len(SAMPLINGS))]


class Database:
    """What has been committed: the sums of the terms, the rows, and coverage as it stands."""

    def __init__(self) -> None:
        self.terms: dict[int, Counter[str]] = {stream: Counter() for stream in range(len(KEYS))}
        self.rows: Counter[int] = Counter()
        self.deep_rows: Counter[int] = Counter()
        self.told_rows: Counter[int] = Counter()
        self.alive_until_ns: dict[int, int] = {}

    def commit(self, write_set: WriteSet) -> None:
        for one in write_set.accounting:
            stream = KEYS.index(StreamKey(one.exchange, one.symbol, one.channel))
            for term in ("received", "written", "sampled_out", "pending"):
                self.terms[stream][term] += getattr(one, term)
        for rows in write_set.rows:
            counted = self.rows if rows.table == "book" else self.deep_rows
            counted.update(int(str(segment)) - 1 for segment in rows.columns["segment_id"])
        for state in write_set.segments:
            stream = state.segment_id - 1
            self.told_rows[stream] += state.rows
            assert state.end_ns <= state.alive_until_ns
            assert self.alive_until_ns.get(stream, 0) <= state.alive_until_ns
            self.alive_until_ns[stream] = state.alive_until_ns

    def check(self, updates: list[Update]) -> None:
        """Every update that is covered is a row or counted, and nothing else is."""
        for stream, terms in self.terms.items():
            settled = terms["written"] + terms["sampled_out"]
            assert terms["received"] == settled + terms["pending"]
            assert terms["pending"] in (0, 1)
            assert terms["written"] == self.rows[stream] == self.told_rows[stream] == self.deep_rows[stream]
            if stream in self.alive_until_ns:
                until_ns = self.alive_until_ns[stream]
                assert settled == sum(one.stream == stream and one.received_ns <= until_ns for one in updates)


STEPS = st.lists(
    st.tuples(st.integers(0, len(KEYS) - 1), st.integers(1, 6 * MS), st.sampled_from([1.0, 2.0])),
    min_size=1,
    max_size=40,
)
SIZES = st.lists(st.integers(0, 9), min_size=1).filter(any)


@given(STEPS, SIZES, st.integers(1, 5), st.sampled_from([0, 30 * MS]))
def test_what_is_covered_is_a_row_or_counted_at_every_commit(
    steps: list[tuple[int, int, float]], sizes: list[int], most_rows: int, wait_ns: int
) -> None:
    facts = [
        StreamFacts(key, 50, "simulator", sampling) for key, sampling in zip(KEYS, SAMPLINGS, strict=True)
    ]
    book_rows = BookRows(facts.__getitem__, LEVELS_A_ROW, "deep")
    preparation = Preparation(
        SessionState("session", 1, "0", "host", 1, "{}"),
        KEYS.__getitem__,
        book_rows.settle,
        most_rows=most_rows,
    )
    database, updates, counts = Database(), list[Update](), {stream: Counts() for stream in range(len(KEYS))}
    now_ns, turn = 1000 * MS, 0

    def deliver(one: Batch, *, is_last: bool) -> None:
        for write_set in preparation.write_sets(one, extend_alive=True, is_last=is_last):
            database.commit(write_set)
            database.check(updates)

    begun: set[int] = set()
    while steps:
        some, steps = steps[: sizes[turn % len(sizes)]], steps[sizes[turn % len(sizes)] :]
        new, news = [], []
        for stream, after_ns, size in some:
            now_ns += after_ns
            counts[stream].received += 1
            book = [(99.0, size)], [(101.0, 1.0)], 10
            new.append(Update(now_ns, stream, stream + 1, *book, sequence=len(updates) + len(new)))
            if stream not in begun:
                begun.add(stream)
                news.append(opened(stream + 1, stream, start_ns=now_ns))
        updates += new
        now_ns += wait_ns
        handed = batch(new, opened=news, heard_ns=dict.fromkeys((stream + 1 for stream in begun), now_ns))
        deliver(with_counts(handed, {one.stream: counts[one.stream].copy() for one in new}), is_last=False)
        turn += 1
    deliver(batch([]), is_last=True)
    assert all(not terms["pending"] for terms in database.terms.values())
    assert sum(terms["received"] for terms in database.terms.values()) == len(updates)


def with_counts(handed: Batch, counts: dict[int, Counts]) -> Batch:
    """Add how many events came in."""
    handed.counts.update(counts)
    return handed


@given(STEPS, st.integers(1, 5), st.booleans())
def test_pieces_of_a_batch_give_the_rows_of_the_whole(
    steps: list[tuple[int, int, float]], most_rows: int, is_last: bool
) -> None:
    now_ns, updates = 1000 * MS, list[Update]()
    for stream, after_ns, size in steps:
        now_ns += after_ns
        book = [(99.0, size)], [(101.0, 1.0)], 10
        updates.append(Update(now_ns, stream, stream + 1, *book, sequence=len(updates)))
    news = [opened(stream + 1, stream) for stream in range(len(KEYS))]

    def rows_of(each: int) -> dict[object, list[tuple[object, ...]]]:
        facts = [
            StreamFacts(key, 50, "simulator", sampling) for key, sampling in zip(KEYS, SAMPLINGS, strict=True)
        ]
        preparation = Preparation(
            SessionState("session", 1, "0", "host", 1, "{}"),
            KEYS.__getitem__,
            BookRows(facts.__getitem__, LEVELS_A_ROW).settle,
            most_rows=each,
        )
        whole = batch(updates, opened=news, closed=[1], heard_ns=dict.fromkeys(range(2, 5), now_ns))
        found: dict[object, list[tuple[object, ...]]] = {}
        for write_set in preparation.write_sets(whole, extend_alive=True, is_last=is_last):
            for rows in write_set.rows:
                for row in zip(*rows.columns.values(), strict=True):
                    found.setdefault(row[1], []).append(row)
        return found

    assert rows_of(most_rows) == rows_of(1000)
