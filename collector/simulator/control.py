"""The control address: everything that Python can ask of a running simulator, over HTTP on the same port.

GET  /_control                      what there is
POST /_control/publish              {"n": 100, "symbol": "BTC/USDT:USDT", "exchange": "bybit"}
POST /_control/prepare              {"n": 1000}; then /_control/release, flat out
POST /_control/pause, /_control/resume
POST /_control/faults/<name>        the fault's arguments, by name
GET  /_control/faults, /_control/connections
GET  /_control/schedule?seconds=600  what a nasty market will do, from its start
GET  /_control/log?last=100          the send log, where one is kept in memory
GET  /_control/truth/<books|trades|bars|sent>?exchange=&symbol=&channel=&last=100
"""

import asyncio
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from collector.errors import UserError
from collector.simulator.exchanges.messages import Answer, Connection
from collector.simulator.faults.faults import Faults, fault_names
from collector.simulator.market.truth import Truth
from collector.simulator.nasty import Planned
from collector.simulator.send_log import SendLog
from collector.simulator.wire import CONTROL_PATH

_BAD_REQUEST, _NOT_FOUND = 400, 404


class Control:
    """Answers requests to the control address."""

    def __init__(
        self,
        *,
        truth: Truth,
        faults: Faults,
        symbols: Mapping[str, list[str]],
        connections: Callable[[], list[Connection]],
        schedule: Callable[[float], list[Planned]],
        log: SendLog | None,
        commands: Mapping[str, Callable[..., object]],
    ) -> None:
        self._truth = truth
        self._faults = faults
        self._symbols = symbols
        self._connections = connections
        self._schedule = schedule
        self._log = log
        self._commands = commands

    async def answer(self, method: str, path: str, query: Mapping[str, str], body: str) -> Answer:
        """Answer a request; a mistaken one with what was expected."""
        words = path.removeprefix(CONTROL_PATH).strip("/").split("/")
        try:
            action = self._action(method, words, query, body)
            if action is None:
                return _json(
                    {"error": f"no such control: {method} {path}", "see": f"GET {CONTROL_PATH}"}, _NOT_FOUND
                )
            # A fault waits for the simulator's loop, which is the one that answers here.
            return _json(await asyncio.to_thread(action))
        except (TypeError, ValueError, KeyError, UserError) as error:
            return _json({"error": str(error)}, _BAD_REQUEST)

    def _action(
        self, method: str, words: list[str], query: Mapping[str, str], body: str
    ) -> Callable[[], object] | None:
        action: Callable[[], object] | None = None
        match method, words:
            case "GET", [""]:
                action = self._overview
            case "GET", ["faults"]:
                action = self._list_faults
            case "GET", ["connections"]:
                action = self._list_connections
            case "GET", ["schedule"]:
                action = partial(self._list_schedule, float(query.get("seconds", "600")))
            case "GET", ["log"]:
                action = partial(self._list_log, int(query.get("last", "100")))
            case "GET", ["truth", ("books" | "trades" | "bars" | "sent") as name]:
                action = partial(self._rows, name, query)
            case "POST", [name] if name in self._commands:
                action = _bound(self._commands[name], body)
            case "POST", ["faults", name] if name in fault_names():
                action = _bound(getattr(self._faults, name), body)
        return action

    def _list_faults(self) -> list[dict[str, Any]]:
        return [asdict(fault) for fault in self._truth.faults()]

    def _list_schedule(self, seconds: float) -> list[dict[str, Any]]:
        return [planned._asdict() for planned in self._schedule(seconds)]

    def _list_log(self, last: int) -> list[dict[str, Any]]:
        return [] if self._log is None else [line._asdict() for line in self._log.lines()[-last:]]

    def _overview(self) -> dict[str, Any]:
        faults = {name: str(inspect.signature(getattr(Faults, name))) for name in fault_names()}
        return {"symbols": self._symbols, "faults": faults}

    def _list_connections(self) -> list[dict[str, Any]]:
        keys = ("number", "exchange", "path", "market", "opened_ns")
        return [
            {key: getattr(connection, key) for key in keys} | {"topics": list(connection.topics)}
            for connection in self._connections()
        ]

    def _rows(self, name: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        arguments = {key: value for key, value in query.items() if key != "last"}
        rows = getattr(self._truth, name)(**arguments)
        return [asdict(row) for row in rows[-int(query.get("last", "100")) :]]


def _bound(method: Callable[..., object], body: str) -> Callable[[], object]:
    """Check the request's arguments against the method's before it is called."""
    arguments = json.loads(body or "{}")
    if not isinstance(arguments, dict):
        raise TypeError("expected a JSON object of arguments")
    inspect.signature(method).bind(**arguments)

    def run() -> object:
        return {"result": method(**arguments)}

    return run


def _json(value: object, status: int = 200) -> Answer:
    return Answer(json.dumps(value, separators=(",", ":")), status)
