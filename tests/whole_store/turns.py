"""Histories of a shared store: a seed decides which step follows which. The same seed, the same history."""

import logging
import random
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from one_collector import Collector
from promises import Promises
from shared_store import DAY_NS, SharedStore

from collector.query import loading
from collector.retention import one_archiver
from collector.sinks.sql import open_database

Act = Callable[[], object]

PIECE_ROWS = 5
STEPS = 40
PATIENCE_S = 0.05  # with a transaction that is held


class History:
    """A store, and the steps that may be taken."""

    def __init__(self, folder: Path, url: str, seed: int, *, many: bool) -> None:
        self._draw = random.Random(seed)
        random.seed(seed)  # the pauses of a breaker
        self.taken: list[str] = []
        self.store = SharedStore(folder, url, self._draw, many=many)
        self.promises = Promises(self.store)

    def run(self, steps: int) -> None:
        """Take so many steps; what must hold is looked at after each, and once more when all is well."""
        try:
            for _ in range(steps):
                self._step()
            self.store.settle()
            self.promises.at_the_end()
        finally:
            self.store.close()

    def _step(self) -> None:
        names, acts, weights = zip(*self._steps(), strict=True)
        (which,) = self._draw.choices(range(len(names)), weights)
        self.taken.append(names[which])
        acts[which]()
        self.promises.any()

    def _steps(self) -> Iterator[tuple[str, Act, float]]:
        """Yield what may happen now, each with its name and how likely it is."""
        store, draw, promises = self.store, self._draw, self.promises
        yield "hours", partial(self._wait, draw.uniform(0.1, 30) * DAY_NS / 24), 3
        table, folder = draw.choice(store.places).table, draw.choice("ab")
        if len(store.runs) < 3:
            yield f"archive {table} to {folder}", partial(store.archive, table, folder), 3
        if store.runs:
            run, count = draw.choice(store.runs), draw.randint(1, 6)
            yield "slices", partial(store.slices, run, count), 6
            yield "archiver killed", partial(store.end, run), 0.5
            yield "archiver stops", partial(self._stop_archiver, run), 0.5
        yield "begin to read on and on", partial(promises.begin_iteration, draw.choice(store.places)), 2
        yield "read on", partial(promises.iterate, draw.randint(1, 3)), 3
        yield from self._of_collectors()
        for place in store.places:
            if place.number not in store.running:
                if store.many or not store.running:
                    yield f"start {place.number}", partial(store.start, place.number), 6
                yield f"stranger at {place.number}", partial(store.stranger, place.number), 1

    def _of_collectors(self) -> Iterator[tuple[str, Act, float]]:
        store, draw = self.store, self._draw
        if not store.running:
            return
        number, one = draw.choice(sorted(store.running.items()))
        count = draw.randint(1, 4)
        yield "rows", partial(store.rows, one, count), 6
        yield "days pass", partial(store.days, one, count), 2
        yield "two archive", partial(store.two_archive, one, draw.randint(1, 8)), 1
        yield "moved and told again", partial(store.moved_and_told_again, one, 2 * count), 1
        yield "moved while read", partial(self._moved_while_read, one), 1
        yield "deliver", partial(one.deliver, 3 * count), 6
        yield "relieve", partial(one.relieve, count), 2
        yield "spill", one.spill, 1
        yield "bar", partial(store.bar, one), 2
        yield "told again", partial(store.again, one, 2 * count), 2
        yield "corrected", partial(store.corrected, one), 1
        yield "poison", partial(store.poisoned, one), 1
        yield "refuse", partial(setattr, one.sink, "refusals", count), 1
        yield "lose the answer", partial(setattr, one.sink, "lost_answers", 1), 1
        yield "swallow", partial(self._swallow, one, draw.choice(["begin", "commit"])), 1
        yield "damage bytes", partial(store.damage_bytes, one), 1
        yield "damage a page", partial(store.damage_page, one, draw.random()), 0.5
        yield f"kill {number}", partial(store.kill, number), 2
        yield f"stop {number}", partial(store.stop, number, empty=draw.random() < 0.5), 1
        others = [other for other in store.running.values() if other.place.table == one.place.table]
        if len(others) > 1:
            other = next(two for two in others if two is not one)
            yield "overtaken", partial(store.overtaken, one, other, draw.randint(1, 3)), 4

    def _wait(self, for_ns: float) -> None:
        self.store.now_ns += int(for_ns)

    def _moved_while_read(self, one: Collector) -> None:
        self.store.days(one, 3)
        self.promises.begin_iteration(one.place)
        self.promises.iterate(1)
        self.store.archive_all(one.place.table)
        self.promises.iterate(2)

    def _stop_archiver(self, run: "object") -> None:
        run.stop.ask()
        self.store.slices(run, 1)

    def _swallow(self, one: Collector, call: str) -> None:
        self.store.rows(one, 1)
        one.sink.swallowed = [call]
        one.deliver(2)


def run(seeds: Iterable[int], new_database: Callable[[], str] | None = None, steps: int = STEPS) -> None:
    """Run a history of each seed: of several collectors at once where there is a server for them."""
    for seed in seeds:
        if new_database is None:
            run_one(seed, steps=steps)
        else:
            run_one(seed, new_database(), many=True, steps=steps)


def run_one(seed: int, url: str | None = None, *, many: bool = False, steps: int = STEPS) -> None:
    """Run one history; a failure tells the seed and what was done."""
    shared = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="history-", dir=shared if shared.is_dir() else None))
    history = None
    try:
        with _made_small(), _quiet():
            history = History(folder, url or f"sqlite:///{folder / 'live.db'}", seed, many=many)
            history.run(steps)
    except BaseException as failure:
        failure.add_note(f"seed {seed}, steps: {', '.join(history.taken if history else ())}")
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _made_small() -> Iterator[None]:
    """Let pieces be small and patience short, and look once only whether a table has to be migrated."""
    migrate, migrated = open_database.bring_to_head, set[tuple[sa.URL, str]]()

    def migrate_once(engine: sa.Engine, table_name: str, **how: Any) -> bool:
        if (engine.url, table_name) in migrated:
            return False
        migrated.add((engine.url, table_name))
        return migrate(engine, table_name, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(open_database, "bring_to_head", migrate_once)
        patch.setattr(loading, "PIECE_ROWS", PIECE_ROWS)
        patch.setattr(one_archiver, "_PATIENCE_S", PATIENCE_S)
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Say nothing of all these faults."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.reset_defaults()
