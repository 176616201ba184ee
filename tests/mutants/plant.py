"""Plant faults at random and see which of them the tests of their folder catch.

    python tests/mutants/plant.py [--seed N] [--count N] [--folders sinks,query] [--jobs N]

Each fault is planted alone, in a copy of the tree. Only tests of the folder of the same name look for it, and
of these only those that run its line. A fault that changes nothing anybody could observe is listed in
`equivalent.toml` with the reason. Exit code 1: fewer than 95 % of the others were caught.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from planting import judged, table
from planting.choice import WEIGHTS, all_plants, choose
from planting.folders import folder_of_tests
from planting.lines import Lines, learn
from planting.plants import Plant
from planting.rounds import Fate, Gardener, Result, try_all

ROOT = Path(__file__).resolve().parents[2]


def main(words: Sequence[str] | None = None) -> int:
    """Run as the options say; return the exit code."""
    options = _options(words)
    equivalents = judged.read()
    everywhere = all_plants(ROOT)
    for gone in equivalents.unmatched([one for plants in everywhere.values() for one in plants]):
        print(f"equivalent.toml: its place is no longer in the program: {gone}")
    folders = [one for one in options.folders.split(",") if one]
    if unknown := sorted({*folders, *options.weights} - set(everywhere)):
        print(f"no such folder: {', '.join(unknown)}; expected some of {', '.join(everywhere)}")
        return 2
    possible = {name: plants for name, plants in everywhere.items() if not folders or name in folders}
    chosen = choose(ROOT, possible, options.weights, count=options.count, seed=options.seed)
    print(f"{len(chosen)} plants of {sum(map(len, possible.values()))}, seed {options.seed}")
    if options.list:
        print("\n".join(table.rows([Result(one, Fate.NOT_RUN) for one in chosen])))
        return 0
    results = _results(chosen, equivalents, options.jobs)
    shown = results if options.all else [one for one in results if one.fate is not Fate.CAUGHT]
    print("\n".join([*table.rows(shown), "", *table.summary(results)]))
    return 0 if table.share_caught(results) >= table.ENOUGH else 1


def _results(chosen: Sequence[Plant], equivalents: judged.Judged, jobs: int) -> list[Result]:
    found: dict[Plant, Result] = {}
    for one in chosen:
        if (reason := equivalents.reason(one)) is not None:
            found[one] = Result(one, Fate.EQUIVALENT, reason)
    planted = [one for one in chosen if one not in found]
    lines = _learn({folder_of_tests(one.module) for one in planted}, jobs)
    began_s = time.monotonic()

    def told(result: Result) -> None:
        found[result.plant] = result
        caught = sum(one.fate is Fate.CAUGHT for one in found.values())
        line = f"{len(found)}/{len(chosen)} tried, {caught} caught, {time.monotonic() - began_s:.0f} s"
        ending = "\r" if sys.stdout.isatty() else "\n"
        print(
            f"{line}  {result.fate:<10} {result.plant.module}:{result.plant.lines[0]}", end=ending, flush=True
        )

    with tempfile.TemporaryDirectory(prefix="plants-", ignore_cleanup_errors=True) as scratch:
        Path(scratch).chmod(0o755)
        try_all(
            planted,
            lines,
            lambda number: Gardener(ROOT, Path(scratch) / str(number)),
            jobs=min(jobs, len(planted)) or 1,
            told=told,
        )
    return [found[one] for one in chosen]


def _learn(folders: set[str], jobs: int) -> dict[str, Lines]:
    kept = ROOT / ".mutants"
    kept.mkdir(exist_ok=True)

    def one(tests: str) -> Lines:
        began_s = time.monotonic()
        lines = learn(ROOT, tests, kept)
        print(f"{tests}: {len(lines.took_s)} tests, learnt in {time.monotonic() - began_s:.0f} s", flush=True)
        for name in lines.not_passed:
            print(f"  does not pass without any fault, catches nothing: {name}")
        return lines

    with ThreadPoolExecutor(jobs) as pool:
        return dict(zip(sorted(folders), pool.map(one, sorted(folders)), strict=True))


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Plant faults at random; see which of them the tests catch.")
    parser.add_argument(
        "--seed", type=int, default=1, help="the same seed plants the same faults (default 1)"
    )
    parser.add_argument("--count", type=int, default=100, help="how many faults (default 100)")
    parser.add_argument("--folders", default="", help="only in these folders: sinks,query")
    parser.add_argument(
        "--weights",
        type=_weights,
        default=WEIGHTS,
        help="how often each folder is drawn: sinks=20,query=20; the rest share 30 by their size",
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="how many at a time (default: cores)"
    )
    parser.add_argument("--all", action="store_true", help="show what was caught as well, and by which test")
    parser.add_argument("--list", action="store_true", help="only show what would be planted")
    return parser.parse_args(words)


def _weights(text: str) -> dict[str, float]:
    return {name: float(weight) for name, _, weight in (one.partition("=") for one in text.split(","))}


if __name__ == "__main__":
    sys.exit(main())
