"""Ask the API of a database, or of a running collector, by real sockets."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from websockets.sync.client import ClientConnection, connect

from collector.serve import Server, server_of, server_of_database
from collector.settings import ServeSettings, Settings, load_settings

sys.path.insert(0, str(Path(__file__).parent))
from serve_rig import Answer, ask

sys.path.insert(0, str(Path(__file__).parents[1] / "whole_path"))
from rig import Rig

EXAMPLE = Path(__file__).parents[2] / "trading_bot_live.db.example"
TABLE = "l2_training_data_practical"
TEXT_WITHIN_S = 30.0


def port_of(server: Server) -> int:
    assert server.port is not None
    return server.port


@contextmanager
def serving_database(path: Path, **settings: Any) -> Iterator[int]:
    """Serve a database that nobody writes; yields the port."""
    server = server_of_database(
        _settings(load_settings(environ={}, env_file=None), settings), str(path), TABLE
    )
    assert server.start()
    try:
        yield port_of(server)
    finally:
        server.close()


@contextmanager
def serving_collector(rig: Rig, **settings: Any) -> Iterator[int]:
    """Serve a collector that runs; yields the port."""
    server = server_of(_settings(rig.settings, settings), rig.collector, by_default=True)
    assert server is not None
    assert server.start()
    try:
        yield port_of(server)
    finally:
        server.close()


def _settings(settings: Settings, serve: dict[str, Any]) -> Settings:
    return settings.model_copy(update={"serve": ServeSettings(port=0, **serve)})


def get(port: int, path: str, **query: Any) -> Any:
    """Return the document at a path; fail where there is none."""
    answer = asked(port, path, **query)
    assert answer.status == 200, answer.raw
    return answer.json


def asked(port: int, path: str, *headers: str, method: str = "GET", **query: Any) -> Answer:
    text = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items())
    return ask(port, f"{path}?{text}" if text else path, *headers, method=method)


class Listener:
    """A client of /ws."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.events: list[dict[str, Any]] = []

    def say(self, **command: Any) -> None:
        self.send(json.dumps(command))

    def send(self, text: str) -> None:
        self._connection.send(text)

    def until(self, *types: str) -> dict[str, Any]:
        """Return the next event of one of these types; those before it are kept as well."""
        seen = len(self.events)
        while True:
            for event in self.events[seen:]:
                if event["type"] in types:
                    return event
            seen = len(self.events)
            self.events += json.loads(self._connection.recv(timeout=TEXT_WITHIN_S))


@contextmanager
def listening(port: int, **more: Any) -> Iterator[Listener]:
    with connect(f"ws://127.0.0.1:{port}/ws", proxy=None, **more) as connection:
        yield Listener(connection)
