"""Define the command `plan`."""

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from collector.cli.options import AsJson, Channels, ConfigFile, ConfiguredDatabase, Exchange, Symbols
from collector.cli.planning import DAY_S, StreamPlan, expected_lines, make_plan, plain_values, print_plan
from collector.cli.running import interrupt_raises
from collector.cli.table import print_text
from collector.events import UNKNOWN

if TYPE_CHECKING:
    from collector.settings import Settings

MEASURE_S = 30.0


def plan(
    *,
    config: ConfigFile = None,
    exchange: Exchange = None,
    symbols: Symbols = None,
    channels: Channels = None,
    db: ConfiguredDatabase = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Collect for a while into a throw-away file, and count.")
    ] = False,
    measure_s: Annotated[
        float, typer.Option("--measure-seconds", help="How long.", min=1, max=3600)
    ] = MEASURE_S,
    as_json: AsJson = False,
) -> int:
    """Estimate messages and rows a second, gigabytes a day, and when the disk will be full.

    Example: python run.py plan --config live.yaml --measure

    Exit codes: 0 said; 1 the measuring lost something; 2 a mistake in what was asked.
    """
    from collector.cli.announcing import default_setup, levels_note  # noqa: PLC0415
    from collector.cli.options import configured  # noqa: PLC0415
    from collector.errors import UserError  # noqa: PLC0415

    loaded = configured(config, exchange=exchange, symbols=symbols, channels=channels, db=db)
    settings = loaded.settings
    if not settings.exchanges:
        raise UserError("nothing to plan: name markets with --symbols, or exchanges.<name>.symbols in a file")
    make_plan(settings, ())  # a database that cannot be is told before anything is measured
    found = make_plan(settings, _measured(settings, measure_s) if measure else expected_lines(settings))
    if as_json:
        print(json.dumps(plain_values(found)))
        return 0
    if text := default_setup(loaded):
        print_text(text)
    print_plan(found)
    if text := levels_note(settings):
        print_text(text)
    return 0


def throw_away(settings: "Settings", file: Path) -> "Settings":
    """Return the settings for a file that nobody keeps: nothing of theirs is written, read or moved."""
    return settings.model_copy(
        update={
            "database": replace(settings.database, url=str(file)),
            "followers": (),
            "spool": replace(settings.spool, path=None),  # beside the file
            "retention": replace(settings.retention, days=None, hot_hours=None),
        }
    )


def _measured(settings: "Settings", seconds: float) -> list[StreamPlan]:
    """Collect for `seconds` into a throw-away file; its bytes are divided by rows."""
    from collector.app import make_collector  # noqa: PLC0415
    from collector.cli.plain import progress  # noqa: PLC0415
    from collector.log import set_up_logging  # noqa: PLC0415

    quiet = replace(settings.logging, level="warning")
    set_up_logging(quiet, secrets=settings.secrets())
    with interrupt_raises(), tempfile.TemporaryDirectory(prefix="collector-plan-") as folder:
        file = Path(folder) / "plan.db"
        collector = make_collector(throw_away(settings, file))
        collector.start()
        try:
            with progress("seconds", shown=True) as show:
                for second in range(int(seconds)):
                    if collector.wait(1.0):
                        break
                    show(second + 1, int(seconds))
        finally:
            report = collector.stop()
        file_bytes = file.stat().st_size - _empty_bytes(Path(folder) / "empty.db", settings)
    for problem in report.problems:
        print_text(f"problem: {problem}", file=sys.stderr)
    states = [state for state in report.accounting if state.symbol != UNKNOWN]
    rows = sum(state.written for state in states)
    bytes_a_row = file_bytes / rows if rows else 0.0
    return [
        StreamPlan(
            *(state.exchange, state.symbol, state.channel),
            state.received / report.seconds,
            state.written / report.seconds,
            state.written / report.seconds * bytes_a_row * DAY_S / 1e9,
            "measured",
        )
        for state in states
    ]


def _empty_bytes(file: Path, settings: "Settings") -> int:
    from collector.sinks import SqlSink  # noqa: PLC0415

    sink = SqlSink(str(file), settings.database.table_name)
    sink.open()
    sink.close()
    return file.stat().st_size
