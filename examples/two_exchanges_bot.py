"""Watch one coin on two exchanges: books, trades and bars in an asyncio program, on simulated exchanges.

    python examples/two_exchanges_bot.py --seconds 20

At every state of a book it looks where the coin could be bought for less than it could be sold for elsewhere,
after fees; it only counts. While an alarm is out it looks at nothing. It is no advice to trade.
"""

import argparse
import asyncio
import sys
from dataclasses import dataclass, field

from collector import (
    Bar,
    BookNotVerifiedError,
    BookVerified,
    DataIngestor,
    DataIngestorConfig,
    IngestorError,
    IngestorStats,
    L2Update,
    PotentialHalt,
    Trade,
)
from collector.simulator import Simulator

MARKETS = {"binance": "BTC/USDT", "bybit": "BTC/USDT:USDT"}
FEE = 0.0005  # of a trade's value, on either side


@dataclass
class Bot:
    """Knows the best prices of each exchange. Its handlers run in the program's event loop."""

    ingestor: DataIngestor
    best: dict[str, L2Update] = field(default_factory=dict)  # by exchange
    volume: dict[str, float] = field(default_factory=lambda: dict.fromkeys(MARKETS, 0.0))
    bars: list[Bar] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    alarms: dict[tuple[str, str | None], str] = field(default_factory=dict)  # that are not over
    updates: int = 0
    chances: int = 0
    halts: int = 0

    def listen(self) -> None:
        """Subscribe to everything. Call it where the loop runs: the handlers run there too."""
        kinds = (L2Update, PotentialHalt, BookVerified)  # one subscription: in the order in which they come
        self.ingestor.events.subscribe(kinds, self.on_event, name="books")
        self.ingestor.events.subscribe(Trade, self.on_trade, name="trades")
        self.ingestor.add_error_callback(self.on_error, name="errors")
        self.ingestor.bars("1s").on_close(self.on_bar)

    async def on_event(self, event: L2Update | PotentialHalt | BookVerified) -> None:
        """Take a state of a book, an alarm, or the end of one."""
        if isinstance(event, L2Update):
            self.updates += 1
            self.best[event.exchange] = event
            if not self.alarms:
                self.look()
        elif isinstance(event, PotentialHalt):
            self.halts += 1
            self.best.pop(event.exchange, None)
            self.alarms[event.exchange, event.symbol] = event.code
        else:
            self.alarms.pop((event.exchange, event.symbol), None)
            self.alarms.pop((event.exchange, None), None)

    def look(self) -> None:
        """Count where the coin is bought for less than it is sold for, after fees."""
        for here in self.best.values():
            for there in self.best.values():
                ask, bid = here.best_ask, there.best_bid
                if here is not there and ask is not None and bid is not None:
                    self.chances += bid * (1 - FEE) > ask * (1 + FEE)

    async def on_trade(self, trade: Trade) -> None:
        """Add up what is traded."""
        self.volume[trade.exchange] += trade.size

    async def on_bar(self, bar: Bar) -> None:
        """Keep a bar that is over."""
        self.bars.append(bar)

    async def on_error(self, error: IngestorError) -> None:
        """Keep what goes wrong."""
        self.errors.append(str(error))

    def report(self) -> str:
        """Say in a few lines what it came to; call it while the collector runs."""
        stats: IngestorStats = self.ingestor.get_stats()
        verified = sum(one["state"] == "verified" for one in stats["streams"])
        lines = [
            f"{verified} of {len(stats['streams'])} streams verified, {stats['received_per_s']:.0f} events/s",
            f"reconnects {stats['reconnects']}, mismatches {stats['mismatches']}",
            f"{self.updates} updates, {len(self.bars)} bars, {self.chances} chances, {self.halts} alarms",
        ]
        for exchange, symbol in MARKETS.items():
            try:
                book = self.ingestor.book(symbol, exchange)
            except BookNotVerifiedError as error:
                lines.append(str(error))
            else:
                prices = f"{book.update.best_bid} / {book.update.best_ask} at {book.sequence}"
                lines.append(f"{exchange}: {prices}, {self.volume[exchange]:.4f} traded")
        return "\n".join(lines)


async def run(simulator: Simulator, seconds: float, database: str) -> int:
    """Collect for so many seconds; 0 when nothing was lost."""
    where = {name: simulator.endpoints(name) for name in MARKETS}
    each = {name: {"symbol": symbol, "endpoints": where[name]} for name, symbol in MARKETS.items()}
    config = DataIngestorConfig(exchanges=each, channels=["trade"], db_path=database, max_mismatches=1)
    bot = Bot(DataIngestor(config))
    bot.listen()
    if not await bot.ingestor.astart(wait_for="all"):
        print(bot.ingestor.start_failure)
        return 1
    await asyncio.sleep(seconds / 2)
    simulator.faults.gap("bybit", MARKETS["bybit"])  # one message of its book is lost on the way
    await asyncio.sleep(seconds / 2)
    print(bot.report())
    return 0 if await bot.ingestor.astop() and not bot.alarms else 1


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--db", default="./two_exchanges.db")
    options = parser.parse_args()
    with Simulator(updates_per_s=100.0) as simulator:
        return asyncio.run(run(simulator, options.seconds, options.db))


if __name__ == "__main__":
    sys.exit(main())
