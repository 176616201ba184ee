"""Draw the live table of a real run of the demo: docs/pictures/demo.svg.

    python examples/make_picture.py [--seconds 20] [--to docs/pictures/demo.svg]

Collects from the simulated exchanges as `python run.py demo` does, and keeps the last table as a picture that
loads nothing: no font and no script from anywhere.
"""

import argparse
import contextlib
import io
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console, Group
from rich.terminal_theme import SVG_EXPORT_THEME

from collector.app.view import View
from collector.app.wiring import make_collector
from collector.cli.commands.demo import demo_markets, demo_settings
from collector.cli.live_table import draw
from collector.cli.screen import EVERY_S, Rates
from collector.errors import UserError
from collector.log.output import set_up_logging
from collector.simulator import Simulator

COMMAND = "python run.py demo"
LATEST_S = 60.0  # the table must show every stream verified so long after
WIDTH, HEIGHT = 110, 40  # columns and lines of the terminal
# As rich's own format, but with the fonts that are there: its own one fetches them from a foreign address.
SVG = """\
<svg class="rich-terminal" role="img" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
  <title>The live table of the demo: streams, their state, rates, prices, and the accounts below</title>
  <style>
    .{unique_id}-matrix {{
      font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
      font-size: {char_height}px;
      line-height: {line_height}px;
    }}
    .{unique_id}-title {{ font-size: 18px; font-family: ui-sans-serif, system-ui, sans-serif; }}
    {styles}
  </style>
  <defs>
    {lines}
  </defs>
  {chrome}
  <g transform="translate({terminal_x}, {terminal_y})">
    {backgrounds}
    <g class="{unique_id}-matrix">
    {matrix}
    </g>
  </g>
</svg>
"""


def main() -> int:
    """Collect, then draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to collect before")
    parser.add_argument("--to", type=Path, default=Path("docs/pictures/demo.svg"))
    options = parser.parse_args()
    to = options.to.resolve()
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # as if somebody began there
            table = collect(options.seconds)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    to.write_text(as_svg(table), encoding="utf-8")
    print(f"{options.to}: {to.stat().st_size:,} bytes")
    return 0


def collect(seconds: float) -> Group:
    """Run the demo; return its last table, all streams verified and all accounts settled."""
    with Simulator(symbols=demo_markets()) as simulator:
        settings = demo_settings(simulator, "./demo.db", os.environ)
        set_up_logging(replace(settings.logging, level="warning"))
        collector = make_collector(settings)
        rates = Rates()
        collector.start()
        try:
            began_s = time.monotonic()
            while (took_s := time.monotonic() - began_s) < seconds + LATEST_S and not collector.wait(EVERY_S):
                view = collector.view()
                table = draw(view, rates.of(view), time.time_ns(), WIDTH, HEIGHT)
                if took_s >= seconds and is_settled(view):
                    return table
        finally:
            collector.stop()
    raise UserError(f"not every stream was verified within {seconds + LATEST_S:g} s: is this machine busy?")


def is_settled(view: View) -> bool:
    """Say whether all is verified and nothing is between two accounts."""
    return not view.difference and all(stream.state == "verified" for stream in view.collected)


def as_svg(table: Group) -> str:
    """Draw a table as a terminal window."""
    console = Console(file=io.StringIO(), record=True, width=WIDTH, height=HEIGHT, force_terminal=True)
    console.print(table)
    svg = console.export_svg(title=COMMAND, theme=SVG_EXPORT_THEME, code_format=SVG, unique_id="demo")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


if __name__ == "__main__":
    sys.exit(main())
