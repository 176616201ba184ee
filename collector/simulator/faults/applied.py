"""How a fault takes effect: on the simulator's loop, under the market's lock, on record in the truth."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from collector.errors import UserError
from collector.simulator.faults.tampers import RestFault, Tamper
from collector.simulator.market.market import Market
from collector.simulator.market.symbol_feed import SymbolFeed
from collector.simulator.session import Session
from collector.simulator.wire import BINARY, TEXT, frame
from collector.simulator.world import World

_Value = TypeVar("_Value")


class AppliedFaults:
    """What every group of faults is built from."""

    def __init__(self, world: World, call: Callable[[Coroutine[Any, Any, int]], int]) -> None:
        self._world = world
        self._call = call

    def _feed(self, exchange: str, symbol: str) -> SymbolFeed:
        if (exchange, symbol) not in self._world.feeds:
            raise UserError(f"no simulated market is {symbol} on {exchange}")
        return self._world.feeds[exchange, symbol]

    def _stream(self, exchange: str, symbol: str, channel: str) -> tuple[str, str, str]:
        return exchange, symbol, self._world.exchange(exchange).stream_channel(channel)

    def _do(
        self,
        name: str,
        exchange: str | None,
        action: Callable[[], object],
        symbol: str | None = None,
        channel: str | None = None,
        detail: str = "",
    ) -> None:
        async def apply() -> int:
            with self._world.lock:
                if symbol is not None and exchange is not None:
                    self._feed(exchange, symbol).catch_up()
                action()
                self._world.truth.note_fault(name, exchange, symbol, channel, detail=detail)
            return 1

        self._call(apply())

    def _arm(
        self, name: str, exchange: str, symbol: str, channel: str, tamper: Tamper, detail: str = ""
    ) -> None:
        stream = self._stream(exchange, symbol, channel)
        self._do(name, exchange, lambda: self._world.hub.arm(stream, tamper), symbol, channel, detail)

    def _arm_rest(self, fault: RestFault, detail: str = "") -> None:
        self._do(fault.name, fault.exchange, lambda: self._world.rest_faults.append(fault), detail=detail)

    def _plan(self, name: str, exchange: str, symbol: str, *moves: Callable[[Market], Any]) -> None:
        self._do(name, exchange, lambda: self._feed(exchange, symbol).plan(*moves), symbol)

    def _set_feed(
        self, name: str, exchange: str, symbol: str, change: Callable[[SymbolFeed], None], detail: str = ""
    ) -> None:
        self._do(name, exchange, lambda: change(self._feed(exchange, symbol)), symbol, detail=detail)

    def _send(self, name: str, exchange: str, symbol: str | None, data: str | bytes, detail: str = "") -> int:
        payload, opcode = (data.encode(), TEXT) if isinstance(data, str) else (data, BINARY)
        framed = frame(payload, opcode)
        return self._on_sessions(name, exchange, symbol, lambda session: session.write(framed), detail)

    def _on_sessions(
        self,
        name: str,
        exchange: str | None,
        symbol: str | None,
        action: Callable[[Session], None],
        detail: str = "",
        *,
        needs_compression: bool = False,
    ) -> int:
        async def apply() -> int:
            chosen = self._world.chosen(exchange, symbol)
            if needs_compression:
                chosen = [session for session in chosen if session.is_compressed]
            for session in chosen:
                connection = session.connection
                self._world.truth.note_fault(
                    name, connection.exchange, symbol, connection=connection.number, detail=detail
                )
                action(session)
            return len(chosen)

        return self._call(apply())


def set_or_forget(values: dict[str, _Value], exchange: str, value: _Value | None) -> None:
    """Set what holds for an exchange; None stands for what usually holds."""
    if value is None:
        values.pop(exchange, None)
    else:
        values[exchange] = value
