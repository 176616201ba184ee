"""The least that a program in Python must do: a socket, a JSON parser, an INSERT of ready values."""

import asyncio
import json
import threading
from itertools import chain
from typing import Any

import aiohttp
import orjson
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from bench.programs import Setting
from bench.server import Sent
from collector.database.sqlite_file import sqlite_library
from collector.database.tables import DEFAULT_TABLE_NAME, ROW_COLUMNS, make_tables

ROWS_A_TRANSACTION = 1000
FLUSH_S = 0.1
READY = {"symbol": "BTC/USDT:USDT", "exchange": "bybit", "data_source": "simulator", "depth": 50}


class Floor:
    """Plain aiohttp and orjson, no book, no features; rows of the same width in multi-row statements."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._rows: list[tuple[Any, ...]] = []
        self._committed = 0
        self._stopping = threading.Event()
        self._full = threading.Event()
        self._reader = threading.Thread(target=lambda: asyncio.run(self._read()))
        self._writer = threading.Thread(target=self._write)

    def start(self) -> None:
        """Start both threads."""
        self._writer.start()
        self._reader.start()

    def is_ready(self) -> bool:
        """Say whether a row of each book is committed."""
        return self._committed >= len(self._setting.symbols)

    def has_reached(self, sent: Sent, seen: int) -> bool:
        """Say whether every update is committed."""
        return seen >= sent.updates

    def seen(self) -> int:
        """Count committed rows."""
        return self._committed

    def stop(self) -> None:
        """End both threads."""
        self._stopping.set()
        self._reader.join()
        self._full.set()
        self._writer.join()

    async def _read(self) -> None:
        url = f"{self._setting.endpoints.ws}/v5/public/linear"
        names = [symbol.partition(":")[0].replace("/", "") for symbol in self._setting.symbols]
        ready = tuple(READY.get(column, 0.5) for column in ROW_COLUMNS)
        place = ROW_COLUMNS.index("sequence")
        before, after = ready[:place], ready[place + 1 :]
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
            await socket.send_str(
                json.dumps({"op": "subscribe", "args": [f"orderbook.50.{each}" for each in names]})
            )
            while not self._stopping.is_set():
                try:
                    message = await socket.receive(FLUSH_S)
                except TimeoutError:
                    continue
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return
                frame = orjson.loads(message.data)
                if "topic" in frame:
                    self._rows.append((*before, frame["data"]["u"], *after))
                    if len(self._rows) == ROWS_A_TRANSACTION:
                        self._full.set()

    def _write(self) -> None:
        connection = sqlite_library().connect(self._setting.folder / "floor.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        table = make_tables(DEFAULT_TABLE_NAME).hot
        connection.execute(str(CreateTable(table).compile(dialect=sqlite.dialect())))
        for index in table.indexes:
            connection.execute(str(CreateIndex(index).compile(dialect=sqlite.dialect())))
        head = f"INSERT INTO {table.name} ({', '.join(ROW_COLUMNS)}) VALUES "
        group = f"({','.join('?' * len(ROW_COLUMNS))})"
        while not self._stopping.is_set() or self._rows:
            self._full.wait(FLUSH_S)
            self._full.clear()
            while some := self._rows[:ROWS_A_TRANSACTION]:
                del self._rows[: len(some)]
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(head + ",".join([group] * len(some)), tuple(chain.from_iterable(some)))
                connection.execute("COMMIT")
                self._committed += len(some)
        connection.close()
