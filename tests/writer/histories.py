"""Histories of the writer's world: rules that hypothesis puts into any order, from a seed."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from world import World

STREAMS = st.integers(0, 1)
TRUTH = st.booleans()


class Histories(RuleBasedStateMachine):
    """Any order of updates, steps of the two threads, faults, kills and restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="history-", dir=self.place()))
        self.world = World(self.folder)

    @staticmethod
    def place() -> str | None:
        """Keep the files in memory where that is to be had."""
        return "/dev/shm" if Path("/dev/shm").is_dir() else None

    @rule(stream=STREAMS, count=st.integers(1, 12))
    def rows(self, stream: int, count: int) -> None:
        self.world.rows(stream, count)

    @rule(stream=STREAMS)
    def poison(self, stream: int) -> None:
        self.world.poison(stream)

    @rule(stream=STREAMS)
    def reject(self, stream: int) -> None:
        self.world.reject(stream)

    @rule(stream=STREAMS)
    def close_segment(self, stream: int) -> None:
        self.world.close_segment(stream)

    @rule(stream=STREAMS, count=st.integers(1, 6))
    def again(self, stream: int, count: int) -> None:
        self.world.rows(stream, 1)
        for _ in range(2):  # or nothing would be there yet, most times
            self.world.deliver(fetch=True)
        self.world.again(stream, count)

    @rule(stream=STREAMS, where=st.floats(0, 0.999))
    def damage(self, stream: int, where: float) -> None:
        self.world.queue.spilling.set()
        for _ in range(3):
            self.world.rows(stream, 4)
            self.world.relieve(fetch=True)
        self.world.damage(where)

    @rule(fetch=TRUTH, steps=st.integers(1, 4))
    def deliver(self, fetch: bool, steps: int) -> None:
        for _ in range(steps):
            self.world.deliver(fetch=fetch)

    @rule(fetch=TRUTH, steps=st.integers(1, 4))
    def relieve(self, fetch: bool, steps: int) -> None:
        for _ in range(steps):
            self.world.relieve(fetch=fetch)

    @rule()
    def spill(self) -> None:
        self.world.queue.spilling.set()

    @rule()
    def hang(self) -> None:
        self.world.hang()

    @rule(times=st.integers(1, 6))
    def refuse(self, times: int) -> None:
        self.world.database.refusals = times

    @rule(times=st.integers(1, 2))
    def lose_the_answer(self, times: int) -> None:
        self.world.database.lost_answers = times

    @rule(full=TRUTH)
    def disk(self, full: bool) -> None:
        self.world.spool_file.refuses = full

    @rule(seconds=st.sampled_from([0.05, 0.5, 10.0]))
    def wait(self, seconds: float) -> None:
        self.world.now_s += seconds

    @rule()
    def kill(self) -> None:
        self.world.kill()

    @rule()
    def restart(self) -> None:
        self.world.restart()

    @invariant()
    def holds(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        try:
            self.world.settle()
        finally:
            self.world.close()
            shutil.rmtree(self.folder, ignore_errors=True)


def run(histories: int, steps: int = 40) -> None:
    """Run so many histories, the same ones each time; fail with the first that breaks a promise."""
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Histories,
        settings=settings(
            max_examples=histories,
            stateful_step_count=steps,
            derandomize=True,
            database=None,
            deadline=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
