"""Listen to ticks without a database, as with an exchange's own stream client.

    python examples/listen.py --seconds 5              # on simulated exchanges, on this machine
    python examples/listen.py --live --seconds 30      # on Binance's own data

A callback gets each tick, the store of ticks has the latest of each market, and what is wrong with the data
is told as it is with a database. Nothing is stored, and no file is made.
"""

import argparse
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from typing import Any

from collector import BookVerified, Listener, PotentialHalt, Tick
from collector.simulator import Simulator

SYMBOLS = ["BTC/USDT", "ETH/USDT"]


class Volumes:
    """What was traded of each market. Called in one thread, which is the callback's own."""

    def __init__(self) -> None:
        self.ticks: defaultdict[str, int] = defaultdict(int)
        self.traded: defaultdict[str, float] = defaultdict(float)

    def on_tick(self, tick: Tick) -> None:
        """Add a trade: its market, price, quantity, time and id."""
        self.ticks[tick.symbol] += 1
        self.traded[tick.symbol] += tick.price * tick.quantity


def on_trouble(event: PotentialHalt | BookVerified) -> None:
    """Print an alarm and its end: between them prices are not to be trusted."""
    if isinstance(event, PotentialHalt):
        print(f"alarm: {event.code}: {event.reason}")
    else:
        print(f"{event.symbol} is verified again, after {event.cause}")


def main() -> int:
    """Listen for so many seconds and print what was traded."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--live", action="store_true", help="use the exchange's own data, not the simulator")
    parser.add_argument("--trouble", action="store_true", help="have the simulator break a book half-way")
    options = parser.parse_args()
    config: dict[str, Any] = {
        "exchange": "binance",
        "symbol": SYMBOLS,
        "channels": ["trade"],
        "max_mismatches": 1,
    }
    with ExitStack() as stack:
        simulator = None
        if not options.live:
            simulator = stack.enter_context(Simulator(symbols={"binance": SYMBOLS}, updates_per_s=100.0))
            config["endpoints"] = simulator.endpoints("binance")
        listener, volumes = Listener(config), Volumes()
        listener.add_tick_callback(volumes.on_tick, name="volumes")
        listener.events.subscribe((PotentialHalt, BookVerified), on_trouble, name="trouble")
        stack.enter_context(listener)  # raises what prevents a start; stops in the end
        time.sleep(options.seconds / 2)
        if simulator is not None and options.trouble:
            simulator.faults.gap("binance", SYMBOLS[0])
        time.sleep(options.seconds / 2)
        for symbol, tick in listener.ticks.get_all().items():
            traded = f"{volumes.ticks[symbol]} ticks, {volumes.traded[symbol]:.2f} USDT traded"
            print(f"{symbol}: {traded}, last {tick.price} at {tick.timestamp:%H:%M:%S.%f} ({tick.trade_id})")
        print(listener.is_healthy())
    return 0 if listener.report is not None and listener.report.exact else 1


if __name__ == "__main__":
    sys.exit(main())
