"""Gather the commands. What a command needs is imported when it runs: `--help` must answer at once."""

import os
import sys
from typing import Annotated

import typer

from collector.cli.commands.archive import archive
from collector.cli.commands.backfill import backfill
from collector.cli.commands.backup import backup
from collector.cli.commands.bench import bench
from collector.cli.commands.collect import collect
from collector.cli.commands.config import config
from collector.cli.commands.consume import consume
from collector.cli.commands.coverage import coverage
from collector.cli.commands.dashboard import dashboard
from collector.cli.commands.demo import demo
from collector.cli.commands.doctor.command import doctor
from collector.cli.commands.export import export
from collector.cli.commands.init.command import init
from collector.cli.commands.jobs import jobs
from collector.cli.commands.kinesis import kinesis
from collector.cli.commands.local.command import local
from collector.cli.commands.migrate import migrate
from collector.cli.commands.plan import plan
from collector.cli.commands.plot import plot
from collector.cli.commands.report import report
from collector.cli.commands.simulate import simulate
from collector.cli.commands.status import status
from collector.cli.commands.symbols import symbols
from collector.cli.commands.tail import tail
from collector.cli.commands.verify import verify
from collector.cli.commands.version import version
from collector.cli.option_words import in_option_words, options_of
from collector.cli.table import print_text
from collector.errors import QueryError, UserError
from collector.version import __version__

EXIT_MISTAKE = 2
HELP = {"--help", "-h", "--version"}
EXIT_INTERRUPTED = 130

app = typer.Typer(
    help="Collect crypto market data that can be trusted. Without a command: collect. In the environment, "
    "SYMBOLS=BTCUSDT,ETHUSDT names markets and EXCHANGE=binance their exchange.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)
for command in (
    collect,
    init,
    demo,
    simulate,
    local,
    kinesis,
    doctor,
    plan,
    status,
    coverage,
    report,
    verify,
    symbols,
    tail,
    export,
    plot,
    dashboard,
    consume,
    backfill,
    archive,
    backup,
    version,
    bench,
):
    app.command()(command)
app.add_typer(migrate)
app.add_typer(jobs)
app.add_typer(config)


def _number(asked: bool) -> None:
    if asked:
        print(f"collector {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    number: Annotated[
        bool, typer.Option("--version", callback=_number, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Handle the options before a command."""


def _set_up_libraries() -> None:
    """Set up the libraries: this process is ours alone."""
    from collector.lean import this_process_is_ours  # noqa: PLC0415

    this_process_is_ours()
    from collector.database import use_newest_sqlite  # noqa: PLC0415
    from collector.log import LogOptions, set_up_logging  # noqa: PLC0415
    from collector.network import import_ccxt_in_parts  # noqa: PLC0415

    set_up_logging(LogOptions(level="warning"))  # what a command does not log itself is no result of it
    use_newest_sqlite()
    import_ccxt_in_parts()
    # To look for plugins of pydantic is to read what every installed package tells of itself.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def _in_own_words(error: UserError, words: list[str]) -> str:
    """Return what a user's mistake is: of a question to the library, by the options of the command."""
    if not isinstance(error, QueryError):
        return str(error)
    return in_option_words(str(error), options_of(typer.main.get_command(app), words))


def run(words: list[str]) -> int:
    """Run the command line and return the exit code; a user's mistake is printed without a traceback."""
    if not HELP.intersection(words):
        _set_up_libraries()
    try:
        code = app(words, standalone_mode=False)
    except UserError as error:
        print_text(f"error: {_in_own_words(error, words)}", file=sys.stderr)
        return EXIT_MISTAKE
    except typer.Exit as leave:
        return leave.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        show = getattr(error, "show", None)  # click's own: a wrong option, an unknown command
        if show is None:
            raise
        show()
        return int(getattr(error, "exit_code", EXIT_MISTAKE))
    return code if isinstance(code, int) else 0
