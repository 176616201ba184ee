"""Programs on ccxt.pro: the plain watch loop that most people write, and a careful one that loses nothing."""

import asyncio
import queue
import threading
import time
from typing import TYPE_CHECKING, Any

import ccxt.pro
import sqlalchemy as sa

from bench.book_frames import STYLES, Style
from bench.programs import Setting
from bench.server import Sent
from collector.database.engine import make_engine
from collector.database.tables import DEFAULT_TABLE_NAME, make_tables
from collector.events.instants import iso_text
from collector.exchanges.addresses import ccxt_config

if TYPE_CHECKING:
    from collector.exchanges.exchange import MarketKind

ROWS_A_TRANSACTION = 1000
FLUSH_S = 0.1
LEVELS = 10
Top = tuple[float, float, float, float]  # bid price, bid size, ask price, ask size
CCXT_DEPTHS = {"bybit": 50, "kraken": 25}


class WatchLoop:
    """`while True: book = await exchange.watch_order_book(symbol)`, one task a symbol."""

    def __init__(self, setting: Setting) -> None:
        self._style = STYLES[setting.style]
        self._symbols = setting.symbols
        self._exchange = self._make(config_of(self._style, setting))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch_all()))
        self._returned = 0
        self._behind = 0  # books before this one have their last update

    def _make(self, config: dict[str, Any]) -> Any:
        return getattr(ccxt.pro, self._style.exchange)(config)

    def start(self) -> None:
        """Start the loop in a thread."""
        self._thread.start()

    def is_ready(self) -> bool:
        """Say whether every book has levels."""
        books = self._exchange.orderbooks
        return all(symbol in books and len(books[symbol]["bids"]) for symbol in self._symbols)

    def has_reached(self, sent: Sent, seen: int) -> bool:
        """Say whether every book is at its last update, whether or not the loop ever saw it."""
        del seen  # the loop sees but a part of them
        books = self._exchange.orderbooks
        while self._behind < len(self._symbols):
            at_ms = books[self._symbols[self._behind]]["timestamp"]
            if at_ms is None or at_ms < sent.last_ms:
                return False
            self._behind += 1
        self._behind = 0
        return True

    def seen(self) -> int:
        """Count the times that the loop had a book in hand."""
        return self._returned

    def stop(self) -> None:
        """End the loop."""
        if self._loop is not None and self._main is not None:
            self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join()

    async def _watch_all(self) -> None:
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        try:
            await self._exchange.load_markets()
            await asyncio.gather(*(self._watch(symbol) for symbol in self._symbols))
        except asyncio.CancelledError:
            pass
        finally:
            await self._exchange.close()

    async def _watch(self, symbol: str) -> None:
        depth = CCXT_DEPTHS.get(self._style.exchange)
        while True:
            await self._exchange.watch_order_book(symbol, depth)
            self._returned += 1


class CarefulBaseline(WatchLoop):
    """ccxt.pro's own book, read at every message; dicts over a queue; SQLAlchemy Core, 1,000 at a time."""

    def __init__(self, setting: Setting) -> None:
        self._rows: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._table = make_tables(DEFAULT_TABLE_NAME).hot
        self._engine = make_engine(
            sa.make_url(f"sqlite:///{setting.folder / 'careful.db'}"), synchronous="FULL", busy_timeout_s=5.0
        )
        self._table.metadata.create_all(self._engine)
        self._committed = 0
        self._stopping = threading.Event()
        self._writer = threading.Thread(target=self._write)
        super().__init__(setting)

    def _make(self, config: dict[str, Any]) -> Any:
        rows, base = self._rows, getattr(ccxt.pro, self._style.exchange)
        flows: dict[str, Top] = {}

        class Careful(base):  # type: ignore[misc]  # the base is known at run time only
            """Reads the book whenever ccxt has changed it: nothing is conflated."""

            def handle_order_book(self, client: Any, message: Any) -> None:
                received_at_ns = time.time_ns()
                super().handle_order_book(client, message)
                symbol = self.safe_symbol(message["data"]["s"], None, None, "contract")
                row = row_of(self.orderbooks[symbol], flows)
                row["symbol"], row["exchange"] = symbol, "bybit"
                row["sequence"] = message["data"]["u"]
                row["received_at_ns"], row["timestamp"] = received_at_ns, iso_text(received_at_ns)
                rows.put(row)

        return Careful(config)

    def start(self) -> None:
        """Start the writer as well."""
        self._writer.start()
        super().start()

    def is_ready(self) -> bool:
        """Say whether the first row of each book is committed."""
        return self._committed >= len(self._symbols)

    def has_reached(self, sent: Sent, seen: int) -> bool:
        """Say whether every update is committed."""
        return seen >= sent.updates

    def seen(self) -> int:
        """Count committed rows."""
        return self._committed

    def stop(self) -> None:
        """End the writer as well."""
        super().stop()
        self._stopping.set()
        self._writer.join()
        self._engine.dispose()

    def _write(self) -> None:
        while not self._stopping.is_set():
            rows = self._next_rows()
            if rows:
                with self._engine.begin() as connection:
                    connection.execute(self._table.insert(), rows)
                self._committed += len(rows)

    def _next_rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        deadline_s = time.monotonic() + FLUSH_S
        while len(rows) < ROWS_A_TRANSACTION:
            try:
                rows.append(self._rows.get(timeout=max(0.0, deadline_s - time.monotonic())))
            except queue.Empty:
                break
        return rows


def config_of(style: Style, setting: Setting) -> dict[str, Any]:
    """Lead ccxt to the benchmark's server."""
    kind: MarketKind = "linear" if style.instrument.is_linear else "spot"
    return {**ccxt_config(style.exchange, "live", setting.endpoints, (kind,)), "enableRateLimit": False}


def row_of(book: Any, flows: dict[str, Top]) -> dict[str, Any]:
    """Compute a row of the hot table from ccxt's book, in plain Python."""
    bids, asks = book["bids"][:LEVELS], book["asks"][:LEVELS]
    (bid, bid_size), (ask, ask_size) = bids[0], asks[0]
    total_bid, total_ask = sum(level[1] for level in bids), sum(level[1] for level in asks)
    mid, symbol = (bid + ask) / 2, book["symbol"]
    before, flows[symbol] = flows.get(symbol), (bid, bid_size, ask, ask_size)
    return {
        "bid_price_1": bid,
        "bid_size_1": bid_size,
        "ask_price_1": ask,
        "ask_size_1": ask_size,
        "mid_price": mid,
        "spread": ask - bid,
        "spread_bps": (ask - bid) / mid * 10_000,
        "microprice": (bid * ask_size + ask * bid_size) / (bid_size + ask_size),
        "order_book_imbalance": (total_bid - total_ask) / (total_bid + total_ask),
        "total_bid_volume_10": total_bid,
        "total_ask_volume_10": total_ask,
        "exchange_timestamp": book["timestamp"],
        "data_source": "simulator",
        "data_quality_score": 1.0,
        "segment_id": 1,
        "depth": 50,
        "ofi": None if before is None else _flow(before, flows[symbol]),
    }


def _flow(before: Top, now: Top) -> float:
    came = (now[1] if now[0] >= before[0] else 0.0) - (before[1] if now[0] <= before[0] else 0.0)
    return came - (now[3] if now[2] <= before[2] else 0.0) + (before[3] if now[2] >= before[2] else 0.0)
