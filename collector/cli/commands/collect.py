"""Define the command `collect`."""

import sys
import time

from collector.cli.options import (
    Channels,
    ConfigFile,
    ConfiguredDatabase,
    Exchange,
    Followers,
    NoServe,
    NoWait,
    Plain,
    Seconds,
    Symbols,
)
from collector.cli.table import print_text
from collector.clock import BEGAN_S

TOLD_WITHIN_S = 4.5  # of the program's start: that nothing comes from an exchange
PATIENCE_S = 2.0, 3.0  # at least, and at most


def collect(
    *,
    config: ConfigFile = None,
    exchange: Exchange = None,
    symbols: Symbols = None,
    channels: Channels = None,
    db: ConfiguredDatabase = None,
    follower: Followers = None,
    seconds: Seconds = None,
    plain: Plain = False,
    no_serve: NoServe = False,
    no_wait: NoWait = False,
) -> int:
    """Collect until stopped; Ctrl-C drains, closes and prints the accounting. A second one forces.

    With nothing configured: BTC and ETH perpetuals of Bybit into ./trading_bot_live.db. In the environment,
    SYMBOLS=BTCUSDT,ETHUSDT names markets, EXCHANGE=binance their exchange, BINANCE_TESTNET=true its testnet.

    Example: python run.py collect --symbols BTC/USDT:USDT --db ./live.db

    Exit codes: 0 all is well and accounted for; 1 something accepted was lost; 2 a mistake in what was asked;
    75 the database is away and was not waited for (--no-wait, or --seconds were over).
    """
    from collector.cli.announcing import announce, log_notes, log_room  # noqa: PLC0415
    from collector.cli.options import configured  # noqa: PLC0415
    from collector.cli.running import run_in_foreground, screen_for  # noqa: PLC0415
    from collector.cli.start import EXIT_CODES, Outcome  # noqa: PLC0415
    from collector.errors import DatabaseAway  # noqa: PLC0415
    from collector.log import set_up_logging  # noqa: PLC0415

    loaded = configured(
        config, exchange=exchange, symbols=symbols, channels=channels, db=db, followers=follower
    )
    settings = loaded.settings
    set_up_logging(settings.logging, secrets=settings.secrets())
    announce(loaded)
    log_notes(loaded)
    log_room(settings)
    from collector.app import make_collector  # noqa: PLC0415  (what it imports takes a second)
    from collector.serve import report_metrics, server_of  # noqa: PLC0415

    screen = screen_for(settings.logging, wanted=not plain)
    least_s, most_s = PATIENCE_S
    patience_s = min(max(TOLD_WITHIN_S - (time.monotonic() - BEGAN_S), least_s), most_s)
    try:
        collector = make_collector(settings, patience_s=patience_s)
        report_metrics(settings, collector)
        return run_in_foreground(
            collector,
            seconds,
            screen=screen,
            server=None if no_serve else server_of(settings, collector, by_default=True),
            waits=not no_wait,
            log_is_elsewhere=settings.logging.file is not None,
        )
    except DatabaseAway as error:  # only where it is not waited for
        print_text(f"error: {error}", file=sys.stderr)
        return EXIT_CODES[Outcome.AWAY]
