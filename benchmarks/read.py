"""What reading costs: loader and export beside plain `pandas.read_sql`, on the same table in the same run.

    python benchmarks/read.py [--quick] [--json]

Ten million rows in SQLite (2.9 GB on disk; --quick: 300,000), to a frame of a state a second and to Parquet.
Last come the same rows moved to files, as `retention` moves them. Each way runs in a process of its own,
alone, so that its peak memory is its own; CPU is counted when all is imported, and is that of all processes
which it starts. Long questions are read by a child where the extra `fast` is installed. The baselines read
the same columns and resample or write them with pandas; they know nothing of holes.
"""

import argparse
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import sqlalchemy as sa
from bench.archived_days import ARCHIVED_WAYS, make_archived, verdict
from bench.long_table import SYMBOL, make
from bench.report import Report, run

from collector import load_features
from collector.database.sqlite_file import use_newest_sqlite
from collector.export.exporter import export
from collector.query.loaders import DEFAULT_COLUMNS

ROWS, QUICK_ROWS = 10_000_000, 300_000
FEW = ("bid_price_1", "ask_price_1", "mid_price", "ofi")


def _question(columns: Sequence[str]) -> str:
    return (
        f"SELECT timestamp, segment_id, {', '.join(columns)} FROM l2_training_data_practical "
        f"WHERE symbol = '{SYMBOL}' AND exchange = 'bybit' ORDER BY timestamp"
    )


def _by_pandas(path: Path, columns: Sequence[str] = DEFAULT_COLUMNS) -> pd.DataFrame:
    with sqlite3.connect(path) as connection:
        return pd.read_sql(_question(columns), connection)


def _by_sqlalchemy(path: Path) -> pd.DataFrame:
    with sa.create_engine(f"sqlite:///{path}").connect() as connection:
        return pd.read_sql(sa.text(_question(DEFAULT_COLUMNS).replace(":USDT", "\\:USDT")), connection)


def _seconds(frame: pd.DataFrame) -> int:
    frame.index = pd.to_datetime(frame.pop("timestamp"), format="ISO8601")
    every = frame.resample("1s", closed="right", label="right")
    states = every.last()
    states["ofi"] = every["ofi"].sum()
    return len(states)


def _parquet(frame: pd.DataFrame, folder: Path) -> int:
    frame.to_parquet(folder / "all.parquet", compression="zstd")
    return len(frame)


WAYS: dict[str, tuple[str, Callable[[Path, Path], int]]] = {
    "read_sql (sqlite3), resample": ("1 s frame", lambda path, _: _seconds(_by_pandas(path))),
    "read_sql (SQLAlchemy), resample": ("1 s frame", lambda path, _: _seconds(_by_sqlalchemy(path))),
    "load_features": ("1 s frame", lambda path, _: len(load_features(path, SYMBOL, every="1s"))),
    "read_sql (sqlite3), rows": ("rows", lambda path, _: len(_by_pandas(path))),
    "load_features, rows": ("rows", lambda path, _: len(load_features(path, SYMBOL))),
    "load_features (python), rows": (
        "rows",
        lambda path, _: len(load_features(path, SYMBOL, engine="python")),
    ),
    "read_sql (sqlite3), 4 columns": ("4 columns", lambda path, _: len(_by_pandas(path, FEW))),
    "load_features, 4 columns": ("4 columns", lambda path, _: len(load_features(path, SYMBOL, columns=FEW))),
    "load_features (python), 4 columns": (
        "4 columns",
        lambda path, _: len(load_features(path, SYMBOL, columns=FEW, engine="python")),
    ),
    "read_sql (sqlite3), to_parquet": ("Parquet", lambda path, folder: _parquet(_by_pandas(path), folder)),
    "export, 1 process": ("Parquet", lambda path, folder: export(path, folder).rows),
    "export (python), 1 process": (
        "Parquet",
        lambda path, folder: export(path, folder, engine="python").rows,
    ),
    "export, 2 processes": ("Parquet", lambda path, folder: export(path, folder, jobs=2).rows),
    **ARCHIVED_WAYS,
}


def _child(name: str, path: Path) -> None:
    use_newest_sqlite()
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        began_s, began_cpu_s = time.monotonic(), _cpu_s()
        found = WAYS[name][1](path, Path(folder))
        wall_s, cpu_s = time.monotonic() - began_s, _cpu_s() - began_cpu_s
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    told = {
        "found": found,
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "peak_mb": sum(one.ru_maxrss for one in used) / 1024,
    }
    print(json.dumps(told))


def _cpu_s() -> float:
    """Return the CPU that this process has had and its children: what is imported before is in none of it."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def work(report: Report, options: argparse.Namespace) -> None:
    """Measure each way, the baseline of each aim first."""
    rows = QUICK_ROWS if options.quick else ROWS
    base: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.db"
        make(path, rows)
        make_archived(path)
        for name, (aim, _) in WAYS.items():
            command = [sys.executable, __file__, "--child", name, str(path)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            one = json.loads(done.stdout.splitlines()[-1])
            of = base.setdefault(aim, one)
            report.add(
                to=aim,
                way=f"{name:<32}",
                seconds=one["wall_s"],
                cpu_s=one["cpu_s"],
                peak_mb=round(one["peak_mb"]),
                times_faster=of["wall_s"] / one["wall_s"],
                times_less_cpu=of["cpu_s"] / one["cpu_s"],
                part_of_memory=one["peak_mb"] / of["peak_mb"],
            )
            verdict(report, name, of["cpu_s"] / one["cpu_s"])
            if name == "load_features, rows":
                report.verdict(f"{aim}: times less CPU than read_sql", of["cpu_s"] / one["cpu_s"], "4")
            if name in {"load_features", "export, 2 processes"}:
                report.verdict(f"{aim}: times faster than read_sql", of["wall_s"] / one["wall_s"], "5")
                report.verdict(f"{aim}: part of its memory", one["peak_mb"] / of["peak_mb"], "0.2")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child(sys.argv[2], Path(sys.argv[3]))
    else:
        run(__doc__, work)
