"""The command `plan`."""

import datetime as dt
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from collector.cli.interrupts import raised
from collector.cli.options import AsJson, Channels, ConfigFile, ConfiguredDatabase, Exchange, Symbols
from collector.cli.plain import print_table, size
from collector.events.batch import UNKNOWN

if TYPE_CHECKING:
    from collector.settings import Settings

DAY_S = 86_400
MEASURE_S = 30.0
SPARE = 0.95  # of the free space: a disk should never be quite full
SUSTAINED_A_S = 10_000  # messages; what the design holds without a stop


@dataclass(frozen=True, slots=True)
class Line:
    """What one stream brings."""

    exchange: str
    symbol: str
    channel: str
    messages_a_s: float
    rows_a_s: float
    gigabytes_a_day: float
    basis: str  # at most, busy, measured


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
    """Say what to expect: messages and rows a second, gigabytes a day, and when the disk will be full.

    Example: python run.py plan --config live.yaml --measure

    Exit codes: 0 said; 1 the measuring lost something; 2 a mistake in what was asked.
    """
    from collector.cli.announcing import default_setup  # noqa: PLC0415
    from collector.cli.configured import configured  # noqa: PLC0415
    from collector.errors import UserError  # noqa: PLC0415

    loaded = configured(config, exchange=exchange, symbols=symbols, channels=channels, db=db)
    settings = loaded.settings
    if not settings.exchanges:
        raise UserError("nothing to plan: name markets with --symbols, or exchanges.<name>.symbols in a file")
    folder = _folder(settings)
    lines = _measured(settings, measure_s) if measure else _expected(settings)
    free = shutil.disk_usage(folder).free if folder is not None else None
    gigabytes = sum(line.gigabytes_a_day for line in lines)
    days = free * SPARE / 1e9 / gigabytes if free is not None and gigabytes else None
    if as_json:
        print(json.dumps(_as_json(lines, free, days)))
        return 0
    if text := default_setup(loaded):
        print(text)
    _print(lines, gigabytes)
    _print_disk(folder, free, days)
    return 0


def _expected(settings: "Settings") -> list[Line]:
    from collector.cli.rates import expected  # noqa: PLC0415
    from collector.exchanges.meaning import kind_meant  # noqa: PLC0415

    deep = getattr(settings.storage, "features", "practical") == "deep"
    lines = []
    for name, one in settings.exchanges.items():
        for symbol in one.symbols:
            for channel in one.channels:
                rate = expected(name, kind_meant(name, symbol, one.market), channel, deep=deep)
                lines.append(
                    Line(
                        *(name, symbol, channel),
                        rate.messages_a_s,
                        sum(rate.rows_a_s.values()),
                        rate.bytes_a_s * DAY_S / 1e9,
                        "at most" if rate.is_bound else "busy",
                    )
                )
    return lines


def _measured(settings: "Settings", seconds: float) -> list[Line]:
    """Collect for so long into a throw-away file; bytes are shared out by rows."""
    from collector.app import Collector  # noqa: PLC0415
    from collector.cli.progress import progress  # noqa: PLC0415
    from collector.logs import set_up_logging  # noqa: PLC0415

    quiet = settings.logging.model_copy(update={"level": "warning"})
    set_up_logging(quiet, secrets=settings.secrets())
    with raised(), tempfile.TemporaryDirectory(prefix="collector-plan-") as folder:
        file = Path(folder) / "plan.db"
        throw_away = settings.database.model_copy(update={"url": str(file)})
        collector = Collector(settings.model_copy(update={"database": throw_away}))
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
        print(f"problem: {problem}", file=sys.stderr)
    states = [state for state in report.accounting if state.symbol != UNKNOWN]
    rows = sum(state.written for state in states)
    bytes_a_row = file_bytes / rows if rows else 0.0
    return [
        Line(
            *(state.exchange, state.symbol, state.channel),
            state.received / report.seconds,
            state.written / report.seconds,
            state.written / report.seconds * bytes_a_row * DAY_S / 1e9,
            "measured",
        )
        for state in states
    ]


def _empty_bytes(file: Path, settings: "Settings") -> int:
    from collector.sinks.sql import SqlSink  # noqa: PLC0415

    sink = SqlSink(str(file), settings.database.table_name)
    sink.open()
    sink.close()
    return file.stat().st_size


def _folder(settings: "Settings") -> Path | None:
    from collector.sinks.database_url import database_url, sqlite_path  # noqa: PLC0415

    path = sqlite_path(database_url(settings.database.url))
    return path.parent if path is not None else None


def _as_json(lines: Sequence[Line], free: int | None, days: float | None) -> dict[str, Any]:
    return {
        "streams": [asdict(line) for line in lines],
        "messages_a_s": sum(line.messages_a_s for line in lines),
        "rows_a_s": sum(line.rows_a_s for line in lines),
        "gigabytes_a_day": sum(line.gigabytes_a_day for line in lines),
        "free_bytes": free,
        "days_until_full": days,
    }


def _print(lines: Sequence[Line], gigabytes: float) -> None:
    rows = [
        [
            *(line.exchange, line.symbol, line.channel),
            *(f"{line.messages_a_s:,.1f}", f"{line.rows_a_s:,.3g}", f"{line.gigabytes_a_day:,.3g}"),
            line.basis,
        ]
        for line in lines
    ]
    messages, stored = sum(line.messages_a_s for line in lines), sum(line.rows_a_s for line in lines)
    rows.append(["total", "", "", f"{messages:,.1f}", f"{stored:,.0f}", f"{gigabytes:,.3g}", ""])
    print_table(("exchange", "symbol", "channel", "messages/s", "rows/s", "GB/day", ""), rows, left=3)
    if any(line.basis == "busy" for line in lines):
        print(
            "at most: the exchange pushes no faster. busy: as a busy market was seen to send; most send less"
        )
    if messages > SUSTAINED_A_S:
        print(f"more than {SUSTAINED_A_S:,} messages/s: divide the markets between several collectors")


def _print_disk(folder: Path | None, free: int | None, days: float | None) -> None:
    if folder is None or free is None:
        print("the database is on a server: see there how much room it has")
    elif days is None:
        print(f"{size(free)} free in {folder}")
    else:
        full = dt.datetime.now(dt.UTC) + dt.timedelta(days=min(days, 36_500))
        print(f"{size(free)} free in {folder}: full in {days:,.1f} days, about {full:%Y-%m-%d}")
