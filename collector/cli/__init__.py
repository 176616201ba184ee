"""Run the command line: `python run.py [command]`, or `collector [command]`."""

import sys

import collector.clock

ALONE = ("--help", "-h", "--version", "--install-completion", "--show-completion")


def main(arguments: list[str] | None = None) -> None:
    """Run a command; without one, `collect`."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or (words[0].startswith("-") and words[0] not in ALONE):
        words.insert(0, "collect")
    try:
        from collector.cli.running import end_at_once  # noqa: PLC0415

        end_at_once()
        from collector.cli.program import run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "collector").partition(".")[0] == "collector":
            raise  # a fault of ours
        print(
            f"error: {error.name} is not installed for {sys.executable}; where run.py is: "
            "python -m pip install -c constraints.txt -e .",
            file=sys.stderr,
        )
        sys.exit(2)
    sys.exit(run(words))
