"""Run the command line: `python run.py [command]`, or `collector [command]`."""

import sys

import collector.clock

ALONE = ("--help", "-h", "--version", "--install-completion", "--show-completion")


def main(arguments: list[str] | None = None) -> None:
    """Run a command; without one, `collect`."""
    from collector.cli.running import end_at_once  # noqa: PLC0415

    end_at_once()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or (words[0].startswith("-") and words[0] not in ALONE):
        words.insert(0, "collect")
    from collector.cli.program import run  # noqa: PLC0415  (a broken install is told in words, not by import)

    sys.exit(run(words))
