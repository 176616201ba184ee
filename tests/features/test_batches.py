"""Order flow and sampling go on from batch to batch: every cut of the same updates gives the same rows."""

import sys
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from collector.events.batch import StreamKey
from collector.events.settled import HELD, SAMPLED_OUT, STORED
from collector.features.options import Sampling
from collector.features.rows import BookRows
from collector.features.stream_facts import StreamFacts

sys.path.insert(0, str(Path(__file__).parent))
from books import BOOKS, LEVELS_A_ROW, Case, batch
from oracle import Sampled, Told, Update, same

MS = 1_000_000
SAMPLINGS = [Sampling(), Sampling("on_top_change"), Sampling("interval", 100), Sampling("interval", 7)]
EVERY = [Sampling()] * len(SAMPLINGS)


@dataclass(frozen=True)
class Step:
    """An update of a stream so long after the one before, and whether the stream's segment ends with it."""

    stream: int
    after_ns: int
    book: Case
    ends: bool


STEPS = st.lists(
    st.builds(
        Step,
        st.integers(0, len(SAMPLINGS) - 1),
        st.one_of(st.integers(1, 3 * MS), st.sampled_from([50 * MS, 100 * MS, 250 * MS])),
        BOOKS,
        st.sampled_from([False, False, False, False, True]),
    ),
    max_size=40,
)
SIZES = st.lists(st.integers(1, 9), min_size=1)
WAITS = st.lists(st.sampled_from([0, 0, MS, 120 * MS]), min_size=1)  # heard so long after the last update


class Run:
    """The same updates to the features and to the oracle, batch by batch."""

    def __init__(self, samplings: list[Sampling], features: str) -> None:
        self.samplings = samplings
        self.rows = BookRows(self.facts, LEVELS_A_ROW, "deep" if features == "deep" else "practical")
        self.now_ns = 1_000 * MS
        self.segment_of = dict(enumerate(range(1, len(samplings) + 1)))
        self.oracle: dict[int, Sampled] = {}
        self.expected: dict[int, list[Told]] = {}
        self.stored: dict[int, list[dict[str, object]]] = {}
        self.sequence = 0
        self.fates = {STORED: 0, SAMPLED_OUT: 0, HELD: 0}

    def facts(self, stream: int) -> StreamFacts:
        key = StreamKey("bybit", f"S{stream}/USDT", "book.50")
        return StreamFacts(key, 50, "simulator", self.samplings[stream])

    def batch(self, steps: list[Step], wait_ns: int, *, is_last: bool) -> None:
        updates: list[Update] = []
        closed: list[int] = []
        for step in steps:
            self.now_ns += step.after_ns
            self.sequence += 1
            segment = self.segment_of[step.stream]
            update = Update(self.now_ns, step.stream, segment, *step.book, sequence=self.sequence)
            updates.append(update)
            self._tell_the_oracle(update)
            if step.ends:
                closed.append(segment)
                self.segment_of[step.stream] = max(self.segment_of.values()) + 1
                self.expected[segment] += self.oracle.pop(segment).over()
        self.now_ns += wait_ns
        for segment, sampled in self.oracle.items():
            waiting = sampled.waiting
            if waiting and (
                is_last or waiting.received_ns // sampled.window_ns < self.now_ns // sampled.window_ns
            ):
                self.expected[segment] += sampled.over()
        heard = dict.fromkeys(self.segment_of.values(), self.now_ns)
        self._settle(updates, closed, heard, is_last=is_last)

    def _tell_the_oracle(self, update: Update) -> None:
        sampling = self.samplings[update.stream]
        if update.segment not in self.oracle:
            self.oracle[update.segment] = Sampled(sampling.mode, sampling.window_ns)
        self.expected.setdefault(update.segment, []).extend(self.oracle[update.segment].take(update))

    def _settle(
        self, updates: list[Update], closed: list[int], heard: dict[int, int], *, is_last: bool
    ) -> None:
        settled = self.rows.settle(batch(updates, closed=closed, heard_ns=heard), is_last=is_last)
        fates = [STORED] * len(settled) if settled.fates is None else settled.fates.tolist()
        received = settled.at_ns.tolist()
        assert received == sorted(received)
        assert settled.held_before == self.fates[HELD]
        told = [one for one, fate in zip(settled.sequences.tolist(), fates, strict=True) if fate == STORED]
        columns = [columns for _, columns in settled.tables]
        for row, sequence in enumerate(told):
            stored = {name: column[row] for table in columns for name, column in table.items()}
            assert stored["sequence"] == sequence
            self.stored.setdefault(int(str(stored["segment_id"])), []).append(stored)
        assert all(len(column) == len(told) for table in columns for column in table.values())
        self.fates[STORED] += fates.count(STORED)
        self.fates[SAMPLED_OUT] += fates.count(SAMPLED_OUT)
        self.fates[HELD] = fates.count(HELD)
        # The identity: what came in is stored, sampled away, or held.
        assert sum(self.fates.values()) == self.sequence
        assert self.fates[HELD] == sum(one.waiting is not None for one in self.oracle.values())

    def check(self) -> None:
        """Hold what was stored against the oracle, number by number."""
        assert {segment for segment, told in self.expected.items() if told} == set(self.stored)
        for segment, stored in self.stored.items():
            expected = self.expected[segment]
            assert [row["sequence"] for row in stored] == [one.update.sequence for one in expected]
            for row, one in zip(stored, expected, strict=True):
                flows = {"ofi": one.flow[0]}
                if "ofi_1" in row:
                    flows |= {f"ofi_{level + 1}": flow for level, flow in enumerate(one.flow)}
                for name, flow in flows.items():
                    assert same(row[name], flow), (name, row, one)


def run(
    steps: list[Step], sizes: list[int], waits: list[int], samplings: list[Sampling], features: str
) -> Run:
    running = Run(samplings, features)
    turn = 0
    while steps:
        size = sizes[turn % len(sizes)]
        running.batch(steps[:size], waits[turn % len(waits)], is_last=False)
        steps = steps[size:]
        turn += 1
    running.batch([], 0, is_last=True)
    running.check()
    return running


@given(STEPS, SIZES, WAITS, st.sampled_from(["practical", "deep"]))
def test_every_row_has_its_flow_in_any_batch_size(
    steps: list[Step], sizes: list[int], waits: list[int], features: str
) -> None:
    run(steps, sizes, waits, EVERY, features)


@given(STEPS, SIZES, WAITS, st.sampled_from(["practical", "deep"]))
def test_sampling_equals_the_oracle_in_any_batch_size(
    steps: list[Step], sizes: list[int], waits: list[int], features: str
) -> None:
    found = run(steps, sizes, waits, SAMPLINGS, features)
    assert found.fates[HELD] == 0
    assert found.fates[STORED] + found.fates[SAMPLED_OUT] == len(steps)


def test_the_first_row_of_a_segment_is_stored_whatever_it_shows() -> None:
    run([Step(1, 1, ([], [], 10), ends=False)] * 2, [1], [0], SAMPLINGS, "practical")
