"""Ask what to collect, and write it down."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from collector.cli.options import DEFAULT_DATABASE, DEFAULT_OUTPUT
from collector.cli.running import interrupt_raises

if TYPE_CHECKING:
    from rich.console import Console

    from collector.cli.commands.init.answers import Answers
    from collector.cli.commands.init.write import WrittenFile

EXIT_INTERRUPTED = 130
# What a missing answer would be, in the example of a whole command.
EXAMPLES = {"--markets": "BTC,ETH", "--purpose": "training", "--db": DEFAULT_DATABASE}

Given = Mapping[str, str | None]


def init(
    *,
    exchanges: Annotated[
        str | None,
        typer.Option("--exchanges", "--exchange", "-e", help="From where, with commas: bybit,binance,kraken"),
    ] = None,
    markets: Annotated[
        str | None,
        typer.Option(
            *("--markets", "--symbols", "-s"),
            help="Coins or markets, with commas: BTC,ETH or BTC/USDT:USDT or kraken:BTC/USD",
        ),
    ] = None,
    purpose: Annotated[
        str | None, typer.Option("--purpose", help="What for: training, bot or light.")
    ] = None,
    db: Annotated[
        str | None, typer.Option("--db", help="Where to: a path of an SQLite file, or an SQLAlchemy URL.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = DEFAULT_OUTPUT,
    force: Annotated[bool, typer.Option("--force", help="Replace the file where there is one.")] = False,
) -> int:
    """Ask four questions (from where, which markets, what for, where to) and write a configuration file.

    An answer given as an option is not asked for; with all four no terminal is needed.

    Example: python run.py init --exchanges bybit,kraken --markets BTC,ETH --purpose training --db ./live.db

    Exit codes: 0 written; 2 an answer that cannot be used, or is missing where nobody can be asked.
    """
    given = {"--exchanges": exchanges, "--markets": markets, "--purpose": purpose, "--db": db}
    try:
        with interrupt_raises():
            written = _written(given, output, force=force)
    except (KeyboardInterrupt, EOFError):
        print("\nnothing was written", file=sys.stderr)
        return EXIT_INTERRUPTED
    from collector.cli.commands.init.write import print_written  # noqa: PLC0415

    print_written(written)
    return 0


def _written(given: Given, output: Path, *, force: bool) -> "WrittenFile":
    from rich.console import Console  # noqa: PLC0415

    from collector.cli.commands.init.file import check_place, exists_error  # noqa: PLC0415
    from collector.cli.commands.init.write import write  # noqa: PLC0415
    from collector.errors import UserError  # noqa: PLC0415

    console = Console(highlight=False)
    can_ask = sys.stdin.isatty() and sys.stdout.isatty()
    if not can_ask and None in given.values():
        raise UserError(_missing(given, output))
    check_place(output)
    if output.exists() and not force:
        if not can_ask or not _may_replace(console, output):
            raise exists_error(output)
        force = True
    return write(_answers(console, given), output, replace=force)


def _missing(given: Given, output: Path) -> str:
    from collector.cli.commands.init.next_steps import same_command  # noqa: PLC0415
    from collector.exchanges.registry import DEFAULT_EXCHANGE  # noqa: PLC0415
    from collector.masking import mask_url  # noqa: PLC0415

    examples = {"--exchanges": DEFAULT_EXCHANGE, **EXAMPLES}
    missing = ", ".join(option for option, value in given.items() if value is None)
    whole = {option: mask_url(value or examples[option]) for option, value in given.items()}
    example = same_command(whole, output)
    return f"there is no terminal to ask on, expected {missing} as well, for example:\n  {example}"


def _may_replace(console: "Console", output: Path) -> bool:
    from collector.cli.commands.init.questions import is_agreed  # noqa: PLC0415

    return is_agreed(console, f"{output} exists. Replace it?")


def _answers(console: "Console", given: Given) -> "Answers":
    """Parse the options first, so that a mistake there ends it, then ask for the rest."""
    from collector.cli.commands.init import answers  # noqa: PLC0415
    from collector.cli.commands.init.interview import Interview  # noqa: PLC0415
    from collector.cli.commands.init.markets import markets  # noqa: PLC0415

    exchanges, purpose = given["--exchanges"], given["--purpose"]
    for text, read in ((exchanges, answers.exchanges), (purpose, answers.purpose)):
        if text is not None:
            read(text)
    database = None if given["--db"] is None else answers.database(given["--db"])
    interview = Interview(console, of=sum(value is None for value in given.values()))
    chosen = interview.exchanges() if exchanges is None else answers.exchanges(exchanges)
    named = given["--markets"]
    found = interview.markets(chosen) if named is None else markets(chosen, named)
    return answers.Answers(
        found,
        interview.purpose() if purpose is None else answers.purpose(purpose),
        database or interview.database(),
    )
