"""A simulator for the check to run against, quick and steady, and ways to make it differ."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from checking.places import Place, all_places, chosen

from collector.exchanges.addresses import Endpoints
from collector.simulator import Simulator
from collector.simulator.messages import Outgoing, Topic
from collector.simulator.tampers import RestFault

LINEAR = ["BTC/USDT:USDT", "ETH/USDT:USDT"]
MARKETS = {
    "bybit": LINEAR,
    "binance": ["BTC/USDT", "ETH/USDT"],
    "kraken": ["BTC/USD", "ETH/USD"],
    "okx": LINEAR,
}
PLACES = "bybit:linear:live,binance:spot:live,kraken:spot:live,okx:linear:live"
QUICK = "bybit:linear:live,binance:spot:live,okx:linear:live"  # Kraken takes its time over five sockets
LEVELS = 1100  # no fewer than the deepest book that is asked for
UPDATES_A_SECOND = 8.0  # in a second or two no more than the slack of the documented pushes

Edit = Callable[[str], str]


@contextmanager
def simulated(markets: dict[str, list[str]] = MARKETS) -> Iterator[Simulator]:
    """Run a simulator of the exchanges."""
    with Simulator(symbols=markets, updates_per_s=UPDATES_A_SECOND, levels=LEVELS) as simulator:
        yield simulator


def places(simulator: Simulator, only: str = PLACES) -> list[Place]:
    """Return places that lead to a simulator."""
    base = f"http://127.0.0.1:{simulator.port}"
    return chosen(all_places({"": Endpoints(base, f"ws{base.removeprefix('http')}")}), only)


def replacing(pattern: str, by: str) -> Edit:
    """Return an edit of a text."""
    return lambda text: re.sub(pattern, by, text)


class _Always:
    """A fault of a channel that never ends."""

    done = False

    def __init__(self, edit: Edit) -> None:
        self._edit = edit

    def __call__(self, topic: Topic, message: Outgoing) -> list[Outgoing]:
        del topic
        return [message._replace(text=self._edit(message.text))]


def edit_channel(simulator: Simulator, exchange: str, symbol: str, channel: str, edit: Edit) -> None:
    """Change every message of a channel."""
    simulator._world.hub.arm((exchange, symbol, channel), _Always(edit))


def edit_rest(simulator: Simulator, exchange: str, path: str, edit: Edit) -> None:
    """Change every REST answer of a path."""
    fault = RestFault("edited", exchange, path, 1_000_000, edit=edit)
    simulator._world.rest_faults.append(fault)


def edit_answers(simulator: Simulator, exchange: str, edit: Edit) -> None:
    """Change every answer to a request on a websocket."""
    dialect: Any = simulator._world.exchange(exchange)
    plain = dialect.receive

    def receive(*question: Any) -> Any:
        return [one._replace(text=one.text and edit(one.text)) for one in plain(*question)]

    dialect.receive = receive


def ignore_leaving(simulator: Simulator, exchange: str) -> None:
    """Confirm requests to unsubscribe, and go on sending."""
    dialect: Any = simulator._world.exchange(exchange)
    plain = dialect.receive
    dialect.receive = lambda *question: [one._replace(unsubscribe=()) for one in plain(*question)]


def edit_snapshots(simulator: Simulator, exchange: str, channel: str, edit: Edit) -> None:
    """Change the snapshots with which a channel begins."""
    dialect: Any = simulator._world.exchange(exchange)
    plain = dialect.snapshot

    def snapshot(topic: Topic, *more: Any) -> Sequence[Outgoing]:
        found = plain(topic, *more)
        return [one._replace(text=edit(one.text)) for one in found] if topic.channel == channel else found

    dialect.snapshot = snapshot
