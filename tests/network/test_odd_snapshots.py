"""Whatever REST answers when a book is asked for: a snapshot, or a StreamError, and nothing else."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from collector.errors import StreamError
from collector.events.messages import Snapshot
from collector.exchanges.addresses import Endpoints
from collector.exchanges.registry import EXCHANGES
from collector.network.allowance import Need
from collector.network.budgets import Budgets
from collector.network.markets import Markets, Source, load_markets
from collector.network.request_line import Turn
from collector.network.snapshots import Snapshots
from collector.simulator import Simulator

SYMBOL, MARKET_ID, TOPIC = "BTC/USDT", "BTCUSDT", "btcusdt@depth@100ms"
Fault = Callable[[Simulator], None]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols={"binance": [SYMBOL]}, updates_per_s=0.0) as running:
        yield running


@pytest.fixture(scope="module")
def source(simulator: Simulator) -> Source:
    ends = simulator.endpoints("binance")
    return Source("binance", "live", Endpoints(ends["rest"], ends["ws"]), ("spot",))


@pytest.fixture(scope="module")
def markets(source: Source) -> Markets:
    return load_markets(source, 5.0)


def body(text: str, status: int = 200) -> Fault:
    return lambda simulator: simulator.faults.rest_status("binance", status, path="depth", body=text)


ODD: dict[str, Fault] = {
    "nothing": lambda simulator: simulator.faults.rest_nothing("binance", path="depth"),
    "half": lambda simulator: simulator.faults.rest_truncated("binance", path="depth"),
    "a page": lambda simulator: simulator.faults.rest_html("binance", path="depth", status=200),
    "no number": lambda simulator: simulator.faults.rest_missing_key("binance", "lastUpdateId", path="depth"),
    "no bids": lambda simulator: simulator.faults.rest_missing_key("binance", "bids", path="depth"),
    **{
        text: body(text)
        for text in ("[]", "null", '"x"', "1", "[1]", '{"bids":1,"asks":{},"lastUpdateId":2}')
    },
    **{f"{status} {text}": body(text, status) for status in (403, 418) for text in ("[]", "null", "1", "{}")},
}


@pytest.mark.parametrize("odd", ODD)
def test_an_answer_that_is_no_book_raises_a_stream_error(
    simulator: Simulator, source: Source, markets: Markets, odd: str
) -> None:
    protocol = EXCHANGES["binance"]
    ODD[odd](simulator)

    async def fetch() -> Snapshot:
        snapshots = Snapshots(source, markets, protocol, 5.0, Budgets())
        try:
            with pytest.raises(StreamError):
                await snapshots.fetch(MARKET_ID, "spot", 50, TOPIC, Turn(TOPIC, Need.BROKEN))
            snapshots = await renewed(snapshots)
            return await snapshots.fetch(MARKET_ID, "spot", 50, TOPIC, Turn(TOPIC, Need.BROKEN))
        finally:
            await snapshots.close()

    async def renewed(before: Snapshots) -> Snapshots:
        await before.close()  # its budget is closed where the answer was that of a limit
        return Snapshots(source, markets, protocol, 5.0, Budgets())

    assert asyncio.run(fetch()).bids
