"""Define the command `bench`: the measures of `benchmarks/`, which stand in the source tree."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from collector.cli.options import AsJson
from collector.nearest import did_you_mean

EXIT_INTERRUPTED = 130
FOLDER = Path(__file__).resolve().parents[3] / "benchmarks"


def bench(
    name: Annotated[
        str,
        typer.Argument(
            help="What to measure: stream, path, write, read, latency, serve, records, follower, peers, disk "
            "or simulator."
        ),
    ],
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="A short form, under half a minute: less exact.")
    ] = False,
    as_json: AsJson = False,
    cryptofeed: Annotated[
        str | None,
        typer.Option(
            "--cryptofeed",
            metavar="ENVIRONMENT",
            help="Of `peers`: the environment in which cryptofeed is installed, or its Python.",
        ),
    ] = None,
) -> int:
    """Measure speed on this machine, beside a baseline of the same run. Nothing leaves the machine.

    Example: python run.py bench stream --quick
    """
    from collector.errors import UserError  # noqa: PLC0415  (the help must not wait for it)

    script = _script(name)
    options = [option for option, wanted in (("--quick", quick), ("--json", as_json)) if wanted]
    if cryptofeed is not None:
        if name != "peers":
            raise UserError(f"found --cryptofeed for {name}, expected it of peers only")
        options += ["--cryptofeed", cryptofeed]
    return _until_interrupted([sys.executable, str(script), *options])


def _until_interrupted(command: list[str]) -> int:
    """Run a program in a session of its own: Ctrl-C does not reach it there, and we end it."""
    running: list[int] = []
    asked: list[int] = []

    def on_interrupt(number: int, _frame: FrameType | None) -> None:
        asked.append(number)
        for leader in running:
            os.killpg(leader, signal.SIGTERM)

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        with subprocess.Popen(command, start_new_session=True) as program:  # noqa: S603  (ours)
            running.append(program.pid)
            if asked:  # meanwhile
                program.terminate()
            code = program.wait()
    finally:
        running.clear()
        signal.signal(signal.SIGINT, before)
    return EXIT_INTERRUPTED if asked else code


def _script(name: str) -> Path:
    from collector.errors import UserError  # noqa: PLC0415  (the help must not wait for it)

    known = {path.stem: path for path in sorted(FOLDER.glob("*.py"))}
    if not known:
        raise UserError(
            f"there are no benchmarks at {FOLDER}: they come with the source, not with the package"
        )
    if name not in known:
        hint = did_you_mean(name, known)
        raise UserError(f"no benchmark is called {name!r}, expected one of {', '.join(known)}{hint}")
    return known[name]
