"""Bring in the past in processes that are killed: `killed.py CONFIG START_MS END_MS ROWS KILL...`."""

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from backfill_rig import brought_in, killed_on_the_way, small_pages

from collector.exchanges.registry import EXCHANGES
from collector.network.ccxt_in_parts import import_ccxt_in_parts
from collector.settings.load import load_settings


def main(config: str, start_ms: str, end_ms: str, rows: str, *kills: str) -> None:
    import_ccxt_in_parts()
    import ccxt  # noqa: PLC0415
    import ccxt.pro  # noqa: PLC0415

    settings = load_settings(Path(config))
    small_pages(int(rows))
    for name in EXCHANGES:  # read once, and not in each child
        assert getattr(ccxt, name) is not getattr(ccxt.pro, name)

    def run(on_page: Callable[[], object]) -> None:
        _, progress = brought_in(
            settings, int(start_ms), int(end_ms), on_progress=lambda _progress: on_page()
        )
        assert progress is None or not progress.problems, progress

    killed_on_the_way(run, [int(kill) for kill in kills])


if __name__ == "__main__":
    main(*sys.argv[1:])
