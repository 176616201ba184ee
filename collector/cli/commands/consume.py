"""Define the command `consume`."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from collector.cli.options import ConfigFile, ConfiguredDatabase, Plain

if TYPE_CHECKING:
    from collector.consume import Progress
    from collector.settings import Settings

EXIT_MISSING = 1
EXIT_AWAY = 75
RETRY_S = 5.0
SHOWN_EVERY_S = 0.5
LOGGED_EVERY_S = 60.0
DEAD_LETTERS = Path("consume-dead-letters.jsonl")


def consume(
    stream: Annotated[str, typer.Argument(help="The stream: kinesis://REGION/STREAM")],
    *,
    config: ConfigFile = None,
    db: ConfiguredDatabase = None,
    begin: Annotated[
        str,
        typer.Option(
            "--from",
            help="Where a first start begins: oldest, newest, or a time like 2026-01-31T12:00:00Z. "
            "Later ones go on where the last one ended.",
        ),
    ] = "oldest",
    once: Annotated[bool, typer.Option("--once", help="End when everything that is there was read.")] = False,
    until_idle: Annotated[
        float | None, typer.Option("--until-idle", min=0.1, help="End when nothing came for so many seconds.")
    ] = None,
    dead_letters: Annotated[
        Path, typer.Option("--dead-letters", help="Where records go that cannot be read, as lines of JSON.")
    ] = DEAD_LETTERS,
    plain: Plain = False,
) -> int:
    """Read a stream that collectors fill back into a database, each row once, coverage included.

    How far it was read is stored in the database with the rows: one that was killed goes on where its last
    commit was. SIGTERM or Ctrl-C ends it after the commit under way. One process a stream and database.

    Example: python run.py consume kinesis://eu-central-1/bitcoin-market-data --db ./live.db

    Exit codes: 0 all that was read is stored; 1 something was unreadable or is missing; 2 a mistake in what
    was asked; 75 the stream or the database is away, and --once or --until-idle says not to wait.
    """
    from collector.app import SignalSafeEvent  # noqa: PLC0415
    from collector.cli.options import configured  # noqa: PLC0415
    from collector.cli.running import rung_by_signals  # noqa: PLC0415
    from collector.consume import beginning  # noqa: PLC0415
    from collector.log import set_up_logging  # noqa: PLC0415

    settings = configured(config, db=db).settings
    set_up_logging(settings.logging, secrets=settings.secrets())
    position = beginning(begin, time.time())
    idle_s = 0.0 if once else until_idle
    ended = SignalSafeEvent()
    with rung_by_signals(ended):
        return _consume(settings, stream, position, dead_letters, idle_s, ended.wait, plain=plain)


def _consume(
    settings: "Settings",
    url: str,
    begin: str,
    dead_letters: Path,
    idle_s: float | None,
    wait: Callable[[float], bool],
    *,
    plain: bool,
) -> int:
    """Open the stream and the database, as soon as they answer, and read."""
    from collector.app import consuming  # noqa: PLC0415
    from collector.aws import AwsError, Failure  # noqa: PLC0415
    from collector.errors import DatabaseAway  # noqa: PLC0415
    from collector.loggers import get_logger  # noqa: PLC0415

    log = get_logger(__name__)
    is_told = False
    while True:
        face = _Face(plain=plain)
        try:
            with consuming(
                settings, url, begin=begin, dead_letters=dead_letters, wait=wait, on_progress=face.show
            ) as consumer:
                try:
                    consumer.run(idle_s=idle_s)
                finally:
                    face.close()
                print(_summary(consumer.progress))
                return EXIT_MISSING if consumer.progress.counts.is_something_missing else 0
        except (DatabaseAway, AwsError) as error:
            waits = {Failure.AWAY, Failure.THROTTLED, Failure.UNUSABLE}
            if isinstance(error, AwsError) and error.kind not in waits:
                print(f"error: {url}: {error}", file=sys.stderr)
                return 2
            if idle_s is not None:
                print(f"error: {error}", file=sys.stderr)
                return EXIT_AWAY
            if not is_told:
                log.warning("consume.waits", reason=str(error))
            is_told = True
        if wait(RETRY_S):
            return 0


class _Face:
    """Shows how far it is: a line on a terminal, a line of the log now and then elsewhere."""

    def __init__(self, *, plain: bool) -> None:
        from collector.log import is_terminal  # noqa: PLC0415

        self._is_line = not plain and is_terminal(sys.stderr)
        self._every_s = SHOWN_EVERY_S if self._is_line else LOGGED_EVERY_S
        self._due_s = time.monotonic() + (0.0 if self._is_line else self._every_s)
        self._line: object = None

    def show(self, progress: "Progress") -> None:
        if time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + self._every_s
        if self._is_line:
            self._draw(_text(progress))
        else:
            from collector.loggers import get_logger  # noqa: PLC0415

            get_logger(__name__).info("consume.progress", text=_text(progress))

    def _draw(self, text: str) -> None:
        from rich.live import Live  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        if not isinstance(self._line, Live):
            from rich.console import Console  # noqa: PLC0415

            self._line = Live(console=Console(stderr=True), auto_refresh=False, transient=True)
            self._line.start()
        self._line.update(Text(text, no_wrap=True, overflow="ellipsis"), refresh=True)

    def close(self) -> None:
        from rich.live import Live  # noqa: PLC0415

        if isinstance(self._line, Live):
            self._line.stop()


def _text(progress: "Progress") -> str:
    from collector.cli.plain import span  # noqa: PLC0415

    counts = progress.counts
    parts = [
        f"{counts.records:,} records, {counts.rows:,} rows of {progress.shards} shards",
        "" if progress.behind_s is None else f"{span(progress.behind_s)} behind",
        f"{counts.dead:,} dead letters" if counts.dead else "",
        progress.problem,
    ]
    return "; ".join(part for part in parts if part)


def _summary(progress: "Progress") -> str:
    counts = progress.counts
    parts = [
        f"{counts.records:,} records read, {counts.rows:,} rows stored in {counts.parts:,} parts",
        f"{_number(counts.repeated, 'part')} stored before" if counts.repeated else "",
        f"{_number(counts.dead, 'record')} among the dead letters" if counts.dead else "",
        f"{_number(counts.poison, 'row')} refused by the database" if counts.poison else "",
        f"{_number(progress.waiting, 'event')} of parts that are not complete yet, to be read again"
        if progress.waiting
        else "",
        f"{counts.losses:,} times something is missing: coverage shows the holes" if counts.losses else "",
    ]
    return "\n".join(part for part in parts if part)


def _number(count: int, what: str) -> str:
    return f"1 {what} is" if count == 1 else f"{count:,} {what}s are"
