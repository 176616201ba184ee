"""Record every frame, request and REST answer of a collector, at the seams of its sockets and of ccxt.

The collector itself knows nothing of it: while `recording` lasts, sockets are of a class that notes what
passes, and what ccxt hands its answers to notes them. Nothing is done for a frame otherwise.
"""

import gzip
import json
import os
import socket as sockets
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple
from unittest.mock import patch

import ccxt
import msgspec

from collector.exchanges.exchange import Payload
from collector.live import connections
from collector.network.failures import Failure
from collector.network.socket import Reader, Socket

# `http` are the answers that the collector got, `rest` those that the check asked for beside it.
What = Literal["connect", "recv", "send", "http", "rest", "control", "down"]
IS_THE_CHECKS = "is_the_checks"  # set on a ccxt object of the check itself


class Line(NamedTuple):
    """Something that passed: `text` is a frame, a request, the body of an answer, an address or a cause."""

    what: What
    at_ns: int
    connection: str
    text: str
    url: str = ""
    status: int = 200


@dataclass
class Recording:
    """All that passed at one place, in order. Lines are added by several threads."""

    lines: list[Line] = field(default_factory=list)
    open: list["RecordingSocket"] = field(default_factory=list)

    def add(self, what: What, connection: str, text: str, url: str = "", status: int = 200) -> None:
        """Add a line, received now."""
        self.lines.append(Line(what, time.time_ns(), connection, text, url, status))

    def of(self, *what: What) -> list[Line]:
        """Return the lines of some kinds."""
        return [line for line in list(self.lines) if line.what in what]

    def counts(self) -> Counter[str]:
        """Count the lines of each kind."""
        return Counter(line.what for line in list(self.lines))

    def cut(self) -> int:
        """Cut every socket at its TCP end, as a router would; return how many."""
        return sum(one.cut() for one in list(self.open))

    def write(self, path: Path, header: dict[str, object]) -> None:
        """Write JSON lines: `t`, `conn`, `ts` in seconds, `data` verbatim; the simulator can replay them."""
        with gzip.open(path, "wt", encoding="utf-8") as file:
            rows = [{"t": "header", **header}, *(_row(line) for line in self.lines)]
            file.writelines(f"{json.dumps(row, ensure_ascii=False, separators=(',', ':'))}\n" for row in rows)


def _row(line: Line) -> dict[str, object]:
    row: dict[str, object] = {"t": line.what, "conn": line.connection, "ts": line.at_ns / 1e9}
    if line.what == "connect":
        return row | {"addr": line.text}
    if line.what in {"http", "rest"}:
        row |= {"url": line.url, "status": line.status}
    return row | {"data": line.text}


class _RecordingReader:
    """Notes each frame before the reader gets it."""

    def __init__(self, reader: Reader, to: Recording, connection: str) -> None:
        self._reader = reader
        self._to = to
        self._connection = connection

    def on_text(self, text: str) -> bool:
        self._to.add("recv", self._connection, text)
        return self._reader.on_text(text)

    def on_sign_of_life(self) -> None:
        self._to.add("control", self._connection, "ping or pong of the websocket")
        self._reader.on_sign_of_life()

    def on_gone(self, failure: Failure) -> None:
        self._to.add("down", self._connection, str(failure))
        self._reader.on_gone(failure)


_ACTIVE: dict[str, Recording] = {}  # by exchange: its places are checked one after the other


class RecordingSocket(Socket):
    """A socket of the collector that notes what passes."""

    def __init__(self, source: Any, markets: Any, url: str, *more: Any) -> None:
        super().__init__(source, markets, url, *more)
        self._to = _ACTIVE[source.exchange]
        self._name = url

    async def open(self, reader: Reader) -> None:
        """Dial, and note the address."""
        self._name = f"{self._url}#{1 + self._to.counts()['connect']}"
        self._to.add("connect", self._name, self._url)
        await super().open(_RecordingReader(reader, self._to, self._name))
        self._to.open.append(self)

    async def send(self, payload: Payload, *, is_counted: bool = True) -> None:
        """Send a request, and note it."""
        text = payload if isinstance(payload, str) else msgspec.json.encode(dict(payload)).decode()
        await super().send(payload, is_counted=is_counted)
        self._to.add("send", self._name, text)

    async def ping(self) -> None:
        """Send a ping of the websocket, and note it."""
        await super().ping()
        self._to.add("send", self._name, "ping of the websocket")

    async def disconnect(self) -> None:
        """Close the socket."""
        if self in self._to.open:
            self._to.open.remove(self)
        await super().disconnect()

    def cut(self) -> bool:
        """Shut the TCP connection down under the websocket; return whether there was one."""
        with suppress(AttributeError, OSError):
            descriptor = self._client.connection.get_extra_info("socket").fileno()
            with sockets.socket(fileno=os.dup(descriptor)) as under:
                under.shutdown(sockets.SHUT_RDWR)
                return True
        return False


@contextmanager
def recording(exchange: str) -> Iterator[Recording]:
    """Record all that passes between us and an exchange until the end of the block."""
    _ACTIVE[exchange] = made = Recording()
    try:
        yield made
    finally:
        del _ACTIVE[exchange]


@contextmanager
def seams() -> Iterator[None]:
    """Put the recording socket and the recording of REST in place; once for all exchanges."""
    plain = ccxt.Exchange.on_rest_response

    def noted(self: Any, code: int, reason: Any, url: str, *more: Any) -> Any:
        body = plain(self, code, reason, url, *more)
        if (to := _ACTIVE.get(self.id)) is not None:
            what: What = "rest" if hasattr(self, IS_THE_CHECKS) else "http"
            to.add(what, f"{self.id}.{what}", body, url, int(code))
        return body

    with (
        patch.object(connections, "Socket", RecordingSocket),
        patch.object(ccxt.Exchange, "on_rest_response", noted),
    ):
        yield
