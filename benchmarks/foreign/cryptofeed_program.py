"""Run cryptofeed under measure, in its own interpreter: its Bybit feed, its callback, its queue to a store.

<its python> benchmarks/foreign/cryptofeed_program.py <descriptor of the pipe> <setting as JSON>
"""

import asyncio
import importlib
import json
import logging
import sqlite3
import sys
import threading
from collections import defaultdict
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from foreign.rounds import Hearing, serve

NEVER = 10**9
TABLE = """
CREATE TABLE book (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp REAL, receipt_timestamp REAL,
    exchange TEXT, symbol TEXT, data TEXT)
"""
INDEX = "CREATE INDEX book_time ON book (exchange, symbol, timestamp)"
INSERT = "INSERT INTO book (timestamp, receipt_timestamp, exchange, symbol, data) VALUES (?, ?, ?, ?, ?)"


class Cryptofeed:
    """Its own handler on uvloop, in a thread as ours is; the main thread waits for the measure."""

    def __init__(self, setting: dict[str, Any]) -> None:
        self.hearing = Hearing()
        names = [symbol.partition(":")[0].replace("/", "-") + "-PERP" for symbol in setting["symbols"]]
        self._places = {name: place for place, name in enumerate(names)}
        self._store = _store_of(setting)
        self._listens = bool(setting["listens"])
        callbacks = [self._hear] if self._listens else []
        callbacks += [self._store] if self._store is not None else []
        module = importlib.import_module("cryptofeed")
        self._handler = module.FeedHandler(config={"uvloop": True, "log": {"disabled": True}})
        feed = _feed_class(setting["rest"], setting["ws"])
        self._handler.add_feed(
            feed(symbols=names, channels=["l2_book"], callbacks={"l2_book": callbacks}, timeout=-1)
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Start the loop's thread."""
        self._thread.start()

    def through(self) -> int:
        """Count what the bot heard; where none listens, what was stored."""
        if not self._thread.is_alive():
            raise RuntimeError("cryptofeed's loop has ended")
        return self.hearing.count if self._listens else int(self._store.stats.written)

    def stop(self) -> None:
        """End as it would at a signal."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._handler.request_stop)
        self._thread.join(10.0)

    async def _hear(self, book: Any, _receipt_s: float) -> None:
        self.hearing.note(self._places[book.symbol], round(book.timestamp * 1000))

    def _run(self) -> None:
        new_loop = importlib.import_module("uvloop").new_event_loop
        with asyncio.Runner(loop_factory=new_loop) as runner:
            self._loop = runner.get_loop()
            runner.run(self._handler.run_async(install_signal_handlers=False))


def _feed_class(rest: str, ws: str) -> Any:
    """Point its Bybit feed at our server. It takes `wss://` only, so the address is changed on the way."""
    connection = importlib.import_module("cryptofeed.connection")
    bybit: Any = importlib.import_module("cryptofeed.exchanges").Bybit
    linear, routes = bybit.websocket_endpoints[0], bybit.rest_endpoints[0].routes

    class Pointed(bybit):  # type: ignore[misc]  # a class of another interpreter's packages
        websocket_endpoints = (
            connection.WebsocketEndpoint(
                f"wss://{ws.partition('://')[2]}/v5/public/linear",
                instrument_filter=linear.instrument_filter,
                channel_filter=linear.channel_filter,
                options={"compression": None},
            ),
        )
        rest_endpoints = (connection.RestEndpoint(rest, routes=routes),)

        def _wrap_connection(self, conn: Any) -> Any:
            if conn.address:
                conn.address = conn.address.replace("wss://", "ws://", 1)
            return conn

    return Pointed


def _store_of(setting: dict[str, Any]) -> Any:
    """Make the store: its own for PostgreSQL; for SQLite, which it has none for, the least on its own queue.

    It flushes as often as ours does. A snapshot after each thousandth delta is left out, in its favour.
    """
    flush = {"batch_max": 1000, "batch_interval": setting["flush_s"], "snapshot_interval": NEVER}
    flush["overflow"] = setting["overflow"]
    if setting["store"] == "postgresql":
        module = importlib.import_module("cryptofeed.backends.postgres")
        return module.BookPostgres(**setting["database"], **flush)
    return _sqlite_store(setting["database"], flush) if setting["store"] == "sqlite" else None


def _sqlite_store(path: str, options: dict[str, Any]) -> Any:
    module = importlib.import_module("cryptofeed.backends.backend")
    as_json: Any = importlib.import_module("cryptofeed._json").dumps

    class BookSQLite(module.BackendQueue, module.BackendBookCallback):  # type: ignore[misc, name-defined]
        """The columns of its PostgreSQL table, with the settings of our file, in a thread beside the loop."""

        snapshots_only = False
        numeric_type = float
        none_to = None

        def __init__(self, *, snapshot_interval: int, **options: Any) -> None:
            self.snapshot_interval = snapshot_interval
            self.snapshot_count: defaultdict[str, int] = defaultdict(int)
            super().__init__(**options)
            self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", TABLE, INDEX):
                self._file.execute(statement)

        async def write_batch(self, batch: list[dict[str, Any]]) -> None:
            await asyncio.to_thread(self._insert, batch)

        async def close(self) -> None:
            self._file.close()

        def _insert(self, batch: list[dict[str, Any]]) -> None:
            self._file.execute("BEGIN IMMEDIATE")
            self._file.executemany(INSERT, map(_row, batch))
            self._file.execute("COMMIT")

    def _row(data: dict[str, Any]) -> tuple[Any, ...]:
        payload = {"snapshot": data["book"]} if "book" in data else {"delta": data["delta"]}
        place = data["exchange"], data["symbol"]
        return (data["timestamp"], data["receipt_timestamp"], *place, as_json(payload))

    return BookSQLite(**options)


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # what its queue drops is counted
    wanted = json.loads(sys.argv[2])
    serve(Cryptofeed(wanted), len(wanted["symbols"]), Pipe(int(sys.argv[1])))
