"""One feed on a list of markets that a test writes; nothing is dialled that a test does not serve."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from copy import copy
from typing import Any

import pytest

from collector.buffer.buffer import Buffer
from collector.clock import Clock
from collector.events.bus import EventBus
from collector.events.market_lists import MarketsFound, MarketsNotRefreshed
from collector.events.notices import PotentialHalt, SystemState
from collector.exchanges.addresses import Endpoints
from collector.live import insisting
from collector.live.feed import Feed
from collector.live.limits import Integrity, Limits, Pace, Wanted
from collector.network import markets as loading
from collector.network.markets import Markets, Source

DEADLINE_S = 10.0
PACE = Pace(backoff_base_s=0.0, backoff_max_s=0.0, max_reconnect_attempts=3)


def market(symbol: str, **facts: Any) -> dict[str, Any]:
    base, _, quote = symbol.partition("/")
    whole = {"id": base + quote, "symbol": symbol, "base": base, "quote": quote, "spot": True, "info": {}}
    return {**whole, **facts}


class Listing:
    """An exchange's list of markets, as a ccxt object keeps it."""

    def __init__(self, *markets: dict[str, Any], exchange: str = "bybit") -> None:
        self.id = exchange
        self.markets = {one["symbol"]: one for one in markets}
        self.markets_by_id = self.currencies = self.currencies_by_id = self.options = {}
        self.baseCurrencies = self.quoteCurrencies = {}
        self.symbols = self.ids = self.codes = ()

    def set_markets_from_exchange(self, other: "Listing") -> None:
        self.markets = other.markets


Answer = Listing | Exception


class FeedRig:
    """A feed of spot markets; each load is answered by the next of `answers`, the last one for ever."""

    def __init__(
        self,
        patch: pytest.MonkeyPatch,
        *symbols: str,
        answers: list[Answer],
        pace: Pace = PACE,
        exchange: str = "bybit",
    ) -> None:
        self.answers = answers
        self.loads = 0
        self.events = EventBus()
        self.halts: list[PotentialHalt] = []
        self.states: list[SystemState] = []
        self.found: list[MarketsFound] = []
        self.not_refreshed: list[MarketsNotRefreshed] = []
        self.events.attach(PotentialHalt, self.halts.append)
        self.events.attach(SystemState, self.states.append)
        self.events.attach(MarketsFound, self.found.append)
        self.events.attach(MarketsNotRefreshed, self.not_refreshed.append)
        with socket.socket() as free:  # nobody listens there
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        source = Source(exchange, "live", Endpoints(f"http://{address}", f"ws://{address}"), ("spot",))
        patch.setattr(loading, "load_markets", self._load)
        patch.setattr(insisting, "LEAST_WAIT_S", 0.0)
        numbers = iter(range(10**6))
        self.feed = Feed(
            Wanted(source, symbols, ("book.50" if exchange == "bybit" else "book.10",)),
            Limits(pace, Integrity(), levels_per_row=1, levels_shown=1),
            Buffer(levels_per_row=1, max_rows=100, flush_rows=100),
            clock=Clock(),
            events=self.events,
            new_segment_id=lambda: next(numbers),
        )

    @property
    def streams(self) -> list[str]:
        connections = self.feed._connections
        return [] if connections is None else [one.key.symbol for one in connections.streams]

    def codes(self) -> list[str]:
        """Return the alarms, but for those of websockets that nobody serves."""
        return [one.code for one in self.halts if one.code != "unreachable"]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110  (what is waited for tells nobody)
                await asyncio.sleep(0.001)

    def run(self, scene: Callable[[], Awaitable[None]]) -> None:
        """Run the feed beside a scene; it must go on to the scene's end, and end then."""

        async def both() -> None:
            running = asyncio.create_task(self.feed.run())
            try:
                await scene()
                assert not running.done()
                self.feed.stop()
                await asyncio.wait_for(running, DEADLINE_S)
            finally:
                running.cancel()

        asyncio.run(both())

    def _load(self, source: Source, timeout_s: float) -> Markets:
        del timeout_s
        self.loads += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return Markets(copy(answer), source.kinds)  # each load makes an object of its own
