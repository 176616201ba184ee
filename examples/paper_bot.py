"""Trade on paper: a bot that gets its data from the collector and keeps its orders in the same database.

    python examples/paper_bot.py --seconds 20            # on simulated exchanges, on this machine
    python examples/paper_bot.py --live --seconds 60     # on Bybit's own data; orders stay on paper

It goes long where both the microprice and the ten best levels lean up, short where both lean down. An order
is filled at the price that stands when it would arrive, and pays a taker's fee. At an alarm it goes flat
and waits until the book is verified again, or the exchange online. This shows how the parts fit together;
it is no advice to trade.
"""

import argparse
import sqlite3
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector import (
    BookVerified,
    ComponentFactory,
    DataIngestor,
    L2Update,
    PotentialHalt,
    State,
    SystemState,
)
from collector.bot.components import register
from collector.simulator import Simulator

SYMBOL = "BTC/USDT:USDT"
ORDERS = """CREATE TABLE IF NOT EXISTS bot_orders (
    id INTEGER PRIMARY KEY, sequence INTEGER, decided_ns INTEGER, filled_ns INTEGER,
    size REAL, price REAL, fee REAL, why TEXT)"""


@dataclass(slots=True)
class Order:
    """What was decided and waits to arrive at the exchange."""

    size: float  # below 0 sells
    decided_ns: int
    why: str


@dataclass(slots=True)
class Account:
    """What the bot has."""

    cash: float = 0.0
    position: float = 0.0
    fees: float = 0.0
    fills: int = 0

    def fill(self, size: float, price: float, fee: float) -> None:
        """Take a fill."""
        self.cash -= size * price + fee
        self.position += size
        self.fees += fee
        self.fills += 1


@dataclass
class PaperBot:
    """Decides at every update. All its methods but start and stop run in the collector's callback thread."""

    ingestor: DataIngestor
    size: float = 0.01
    lean_bps: float = 0.02  # how far the microprice must be from the middle
    imbalance: float = 0.1  # how uneven the ten best levels must be
    fee_rate: float = 0.00055
    latency_s: float = 0.02
    account: Account = field(default_factory=Account)
    updates: int = 0
    halts: int = 0
    _order: Order | None = None
    _halt: PotentialHalt | None = None  # until it is over
    _last: L2Update | None = None

    def start(self) -> None:
        """Open the database that the collector writes as well, and listen."""
        path = Path(self.ingestor.database_url)
        self._database = sqlite3.connect(path, timeout=10.0, check_same_thread=False, isolation_level=None)
        self._database.execute(ORDERS)
        # One subscription for all: an alarm, its end and the updates around them come in their order.
        kinds = (L2Update, PotentialHalt, BookVerified, SystemState)
        self._end = self.ingestor.events.subscribe(kinds, self.on_event, name="paper bot")

    def stop(self) -> None:
        """Listen no more, and close."""
        self._end()
        self._database.close()

    def on_event(self, event: L2Update | PotentialHalt | BookVerified | SystemState) -> None:
        """Take an update, an alarm, or the end of one."""
        if isinstance(event, L2Update):
            self.on_update(event)
        elif isinstance(event, PotentialHalt):
            self.on_halt(event)
        elif self._halt is not None and self._ends(event, self._halt):
            print(f"the alarm is over: {self._halt.code}")
            self._halt = None

    def on_halt(self, halt: PotentialHalt) -> None:
        """Sell or buy back what there is, unless the alarm is about another market."""
        if halt.symbol not in (None, SYMBOL):
            return
        self.halts += 1
        self._halt = halt
        print(f"alarm, going flat: {halt.code}: {halt.reason}")
        if self.account.position and self._last is not None:
            self._order = Order(-self.account.position, self._last.received_at_ns, "alarm")

    def _ends(self, event: BookVerified | SystemState, halt: PotentialHalt) -> bool:
        """Return whether an event ends an alarm: a book's by its proof, an exchange's by its word."""
        if halt.code == "exchange_status":
            return isinstance(event, SystemState) and event.state is State.ONLINE
        return isinstance(event, BookVerified) and halt.symbol in (None, event.symbol)

    def on_update(self, update: L2Update) -> None:
        """Fill what has arrived by now, then decide."""
        self.updates += 1
        self._last = update
        order = self._order
        if order is not None and update.received_at_ns - order.decided_ns >= self.latency_s * 1e9:
            self._order = None
            self._fill(order, update)
        if self._order is None:
            wanted, why = self._wanted(update)
            if wanted != self.account.position:
                self._order = Order(wanted - self.account.position, update.received_at_ns, why)

    def _wanted(self, update: L2Update) -> tuple[float, str]:
        """Return the position to have, and why."""
        if self._halt is not None:
            return 0.0, "alarm"
        microprice, mid, imbalance = update.microprice, update.mid_price, update.order_book_imbalance
        if microprice is None or mid is None or imbalance is None:
            return self.account.position, "nothing known"
        lean_bps = (microprice - mid) / mid * 10_000
        if lean_bps > self.lean_bps and imbalance > self.imbalance:
            return self.size, f"leans up {lean_bps:.3f} bps, imbalance {imbalance:.2f}"
        if lean_bps < -self.lean_bps and imbalance < -self.imbalance:
            return -self.size, f"leans down {lean_bps:.3f} bps, imbalance {imbalance:.2f}"
        return self.account.position, "no signal"

    def _fill(self, order: Order, update: L2Update) -> None:
        price = update.best_ask if order.size > 0 else update.best_bid
        if price is None:
            return
        fee = abs(order.size) * price * self.fee_rate
        self.account.fill(order.size, price, fee)
        filled = (update.sequence, order.decided_ns, update.received_at_ns, order.size, price, fee, order.why)
        self._database.execute(
            "INSERT INTO bot_orders (sequence, decided_ns, filled_ns, size, price, fee, why) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            filled,
        )

    def result(self) -> str:
        """Say in a line what it came to, the open position valued at the middle."""
        mid = (self._last.mid_price if self._last else None) or 0.0
        worth = self.account.cash + self.account.position * mid
        return (
            f"{self.updates} updates, {self.account.fills} fills, {self.halts} alarms; position "
            f"{self.account.position:+g}, fees {self.account.fees:.2f}, result {worth:+.2f} USDT"
        )


def build_paper_bot(config: dict[str, Any], *, data_ingestor: DataIngestor) -> PaperBot:
    """Make the bot, as the factory does."""
    return PaperBot(data_ingestor, **config)


def main() -> int:
    """Run for so many seconds and print the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--db", default="./paper_bot.db")
    parser.add_argument("--live", action="store_true", help="use the exchange's own data, not the simulator")
    parser.add_argument("--trouble", action="store_true", help="have the simulator break the book half-way")
    options = parser.parse_args()
    feed: dict[str, Any] = {"exchange": "bybit", "symbol": SYMBOL, "db_path": options.db, "max_mismatches": 1}
    factory = ComponentFactory()
    register(factory)
    factory.register("paper_bot", build_paper_bot)
    with ExitStack() as stack:
        simulator = None
        if not options.live:
            simulator = stack.enter_context(Simulator(symbols={"bybit": [SYMBOL]}, updates_per_s=100.0))
            feed["endpoints"] = simulator.endpoints("bybit")
        parts = stack.enter_context(factory.create({"data_ingestor": feed, "paper_bot": {}}))
        half_s = options.seconds / 2
        time.sleep(half_s)
        if simulator is not None and options.trouble:
            simulator.faults.gap("bybit", SYMBOL)
        time.sleep(half_s)
    print(parts["paper_bot"].result())
    report = parts["data_ingestor"].report
    return 0 if report is not None and report.good else 1


if __name__ == "__main__":
    sys.exit(main())
