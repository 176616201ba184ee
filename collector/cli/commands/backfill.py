"""Define the command `backfill`."""

import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from collector.cli.options import Channels, ConfigFile, ConfiguredDatabase, Exchange, Plain, Symbols
from collector.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from collector.backfilling import Plan, Progress

EXIT_MISSING = 1
EXIT_AWAY = 75
EXIT_INTERRUPTED = 130
LOGGED_EVERY_S = 30.0


def backfill(
    *,
    start: Annotated[str, typer.Option("--start", help="From when on: 2026-01-31 or 2026-01-31T12:00:00Z.")],
    end: Annotated[str, typer.Option("--end", help="Until when; the same, or now.")] = "now",
    exchange: Exchange = None,
    symbols: Symbols = None,
    channels: Channels = None,
    interval: Annotated[
        str | None, typer.Option("--interval", help="Only bars, of this length: 1m, 1h, 1d ...")
    ] = None,
    holes: Annotated[bool, typer.Option("--holes", help="Only what coverage lacks.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it takes and what cannot be had; ask for nothing.")
    ] = False,
    config: ConfigFile = None,
    db: ConfiguredDatabase = None,
    plain: Plain = False,
) -> int:
    """Bring trades and bars of the past into the database, over REST.

    Without options: those of what is configured. What an exchange does not have is said at once. Killed or
    interrupted at any point, the same command goes on where it ended; what is there is not asked for again.

    Example: python run.py backfill --start 2026-01-01 --symbols BTC/USDT:USDT --interval 1m --db ./live.db

    Exit codes: 0 all that can be had is there; 1 something did not come; 2 a mistake in what was asked;
    75 the database is away; 130 interrupted.
    """
    from collector.app import Asked, SignalSafeEvent, backfill  # noqa: PLC0415
    from collector.cli.options import configured  # noqa: PLC0415
    from collector.cli.plain import progress as drawn  # noqa: PLC0415
    from collector.cli.running import rung_by_signals  # noqa: PLC0415
    from collector.errors import DatabaseAway  # noqa: PLC0415
    from collector.log import set_up_logging  # noqa: PLC0415

    if interval is not None and channels is not None:
        raise UserError("--interval means bars of that length, --channels names what is wanted: give one")
    wanted = channels if interval is None else f"ohlcv.{interval}"
    settings = configured(config, exchange=exchange, symbols=symbols, channels=wanted, db=db).settings
    set_up_logging(settings.logging, secrets=settings.secrets())
    now_s = time.time()
    asked = Asked(_moment_ms("--start", start, now_s), _moment_ms("--end", end, now_s), only_holes=holes)
    if asked.end_ms <= asked.start_ms:
        raise UserError(f"--end {end} is not after --start {start}")
    ended = SignalSafeEvent()
    with ExitStack() as stack:
        stack.enter_context(rung_by_signals(ended))
        bar = stack.enter_context(drawn("rows", shown=not plain))
        face = _Face(bar, is_bar=not plain and sys.stderr.isatty())
        try:
            _, progress = backfill(
                settings,
                asked,
                is_dry=dry_run,
                on_plan=_print_plan,
                is_stopping=lambda: ended.wait(0.0),
                on_progress=face.show,
            )
        except DatabaseAway as error:
            print(f"error: {error}", file=sys.stderr)
            return EXIT_AWAY
    return 0 if progress is None else _last_word(progress)


def _moment_ms(option: str, text: str, now_s: float) -> int:
    if text == "now":
        return int(now_s * 1000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"{option} {text!r}: a time like 2026-01-31T12:00:00Z expected, or now") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def _print_plan(planned: "Plan") -> None:
    """Print what it takes, by exchange, and what cannot be had."""
    from collector.backfilling import Estimate, estimate  # noqa: PLC0415
    from collector.cli.plain import print_table  # noqa: PLC0415

    for note in planned.notes:
        print(f"note: {note}")
    if not planned.stretches:
        print("nothing to ask for: all that can be had is there")
        return
    rows = []
    for name, stretches in planned.by_exchange().items():
        whole = sum(map(estimate, stretches), Estimate())
        streams = len({one.key for one in stretches})
        rows.append([name, f"{streams:,}", f"{whole.requests:,}", _minutes(whole.seconds), f"{whole.rows:,}"])
    whole = planned.estimate()
    if len(rows) > 1:
        streams = len({one.key for one in planned.stretches})
        rows.append(
            ["all", f"{streams:,}", f"{whole.requests:,}", _minutes(whole.seconds), f"{whole.rows:,}"]
        )
    headings = ["exchange", "streams", "requests", "minutes", "rows", ""]
    print_table(headings, [[*row, ""] for row in rows], left=1)
    print("at most about: trades are counted as those of a busy market")


def _minutes(seconds: float) -> str:
    return f"{seconds / 60.0:,.1f}"


class _Face:
    """Shows how far it is: a bar on a terminal, a line of the log now and then elsewhere."""

    def __init__(self, bar: "Callable[[int, int], None]", *, is_bar: bool) -> None:
        self._bar = bar
        self._is_bar = is_bar
        self._due_s = time.monotonic() + LOGGED_EVERY_S

    def show(self, progress: "Progress") -> None:
        """Show how far it is."""
        now_s = time.monotonic()
        if self._is_bar:
            self._bar(progress.rows, max(progress.rows, int(progress.rows / max(progress.share, 1e-9))))
        elif now_s >= self._due_s:
            from collector.loggers import get_logger  # noqa: PLC0415

            self._due_s = now_s + LOGGED_EVERY_S
            left_s = progress.left_s(now_s)
            get_logger(__name__).info(
                "backfill.progress",
                percent=round(progress.share * 100.0, 1),
                rows=progress.rows,
                rows_a_second=round(progress.rows_a_second(now_s)),
                left_s=None if left_s is None else round(left_s),
                at=progress.now_at,
            )


def _last_word(progress: "Progress") -> int:
    """Print what came, and return the exit code."""
    failures = f", {progress.failures:,} of which failed" if progress.failures else ""
    print(f"{progress.rows:,} rows came, of {progress.requests:,} requests{failures}")
    for problem in progress.problems:
        print(f"problem: {problem}")
    if progress.is_stopped:
        print("interrupted: the same command goes on where it ended")
        return EXIT_INTERRUPTED
    return EXIT_MISSING if progress.problems else 0
