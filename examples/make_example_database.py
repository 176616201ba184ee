"""Make trading_bot_live.db.example: what the collector writes in a minute, from the simulated exchanges.

    python examples/make_example_database.py [--seconds 75] [--to trading_bot_live.db.example]

Books, trades and bars of three exchanges, with one hole: after a while one of them is cut off for a moment.
"""

import argparse
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from collector.app.wiring import make_collector
from collector.settings import load_settings
from collector.simulator import Simulator

SYMBOLS = {"bybit": ["BTC/USDT:USDT", "ETH/USDT:USDT"], "binance": ["BTC/USDT"], "kraken": ["BTC/USD"]}
BOOKS = {"bybit": "book.50", "binance": "book.50", "kraken": "book.25"}
UPDATES_PER_S = 10.0
BROKEN = "bybit"
LATEST_START_S = 15.0


def main() -> int:
    """Collect, then leave one plain file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=75.0, help="more than a minute has finished bars")
    parser.add_argument("--to", type=Path, default=Path("trading_bot_live.db.example"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trading_bot_live.db"
        with Simulator(symbols=SYMBOLS, updates_per_s=UPDATES_PER_S) as simulator:
            if not collect(simulator, path, options.seconds):
                return 1
        make_plain(path)
        options.to.write_bytes(path.read_bytes())
    print(f"{options.to}: {options.to.stat().st_size:,} bytes")
    return 0


def collect(simulator: Simulator, path: Path, seconds: float) -> bool:
    """Run the collector; True when nothing was lost."""
    overrides: dict[str, object] = {"database.url": str(path), "stream.backoff_base_s": 1.0}
    for exchange, symbols in SYMBOLS.items():
        overrides[f"exchanges.{exchange}.symbols"] = symbols
        overrides[f"exchanges.{exchange}.channels"] = [BOOKS[exchange], "trade", "ohlcv.1m"]
        overrides[f"exchanges.{exchange}.endpoints"] = simulator.endpoints(exchange)
    collector = make_collector(load_settings(overrides=overrides, environ={}, env_file=None))
    while time.time() % 60 > LATEST_START_S:  # so that the minute, and with it the bars, end after the hole
        time.sleep(1.0)
    collector.start()
    try:
        time.sleep(seconds / 4)
        simulator.faults.refuse(BROKEN, 503, count=3)
        simulator.faults.close(exchange=BROKEN)
        time.sleep(seconds * 3 / 4)
    finally:
        report = collector.stop()
    print(*report.problems, sep="\n")
    return report.good


def make_plain(path: Path) -> None:
    """Leave a file that opens where nothing can be written, and does not say on which machine it was made."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE collector_sessions SET host = 'example', pid = 1")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("VACUUM")
    connection.close()


if __name__ == "__main__":
    sys.exit(main())
