"""Check the collector against the real exchanges, a minute each, and report in plain words.

    python tests/live_exchanges/check_exchanges.py [--seconds N] [--only bybit:linear,okx] [--folder DIR]

Every exchange, kind of market and environment that the collector knows: the exchanges side by side, the
places of one exchange one after the other. No key is needed. What cannot be reached is SKIPPED by name.
LIVE_ENDPOINTS (`bybit=http://127.0.0.1:PORT,...`, or one base for all) leads it to a simulator instead.

Exit code 0: all that could be reached behaves as documented, or nothing could be reached. 1: differences,
each by its name. 2: options that cannot be read.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from checking import report
from checking.places import ENDPOINTS, all_places, chosen, read_endpoints
from checking.run import Result, run

from collector.errors import UserError
from collector.log.options import LogOptions
from collector.log.output import set_up_logging

FOLDER = "./live-report"
SECONDS = 60.0


def main(words: Sequence[str] | None = None) -> int:
    """Run as the options say; return the exit code."""
    options = _options(words)
    try:
        places = chosen(all_places(read_endpoints(os.environ.get(ENDPOINTS, ""))), options.only)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    folder = Path(options.folder)
    folder.mkdir(parents=True, exist_ok=True)
    set_up_logging(LogOptions(format="json", file=str(folder / "collector.log")))

    def show(result: Result) -> None:
        if not options.json:
            print(report.row(result), flush=True)

    if not options.json:
        print(f"{len(places)} places, {options.seconds:g} s each\n")
    results = run(places, folder, options.seconds, show)
    as_json = json.dumps([one.as_json() for one in results], indent=2)
    as_words = report.words(results)
    (folder / "report.json").write_text(f"{as_json}\n", encoding="utf-8")
    (folder / "report.txt").write_text(as_words, encoding="utf-8")
    print(as_json if options.json else f"\n{as_words}\nreport: {folder / 'report.txt'}")
    return report.exit_code(results)


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="make live"
    )
    add = parser.add_argument
    add("--seconds", type=_seconds, default=SECONDS, help="at each place, about (default: %(default)g)")
    add("--only", default="", help="some places: exchange, kind of market, environment, joined by colons")
    add("--folder", default=FOLDER, help="where report and frames go (default: %(default)s)")
    add("--json", action="store_true", help="print the report as JSON")
    return parser.parse_args(words)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 1.0 <= seconds <= 3600.0:
        raise argparse.ArgumentTypeError(f"{text}: 1 to 3600 expected")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
