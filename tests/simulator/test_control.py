"""The control address: the same faults and truths, for those who are not Python."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from collector.simulator import Simulator
from collector.simulator.faults.faults import fault_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulator.conftest import Client

BTC = "BTC/USDT:USDT"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=0.0) as running:
        yield running


def ask(simulator: Simulator, path: str, arguments: dict[str, Any] | None = None) -> Any:
    data = None if arguments is None else json.dumps(arguments).encode()
    with urllib.request.urlopen(
        f"http://127.0.0.1:{simulator.port}/_control{path}", data, timeout=10
    ) as answer:
        return json.load(answer)


def test_overview_names_every_fault_and_symbol(simulator: Simulator) -> None:
    overview = ask(simulator, "")
    assert overview["symbols"] == {"bybit": [BTC]}
    assert (
        set(overview["faults"])
        == set(fault_names())
        >= {"close", "gap", "bomb", "rest_status", "snapshot_edge"}
    )


def test_publish_and_a_fault_reach_the_wire(simulator: Simulator, connect: type[Client]) -> None:
    with connect(simulator, "/v5/public/linear") as client:
        client.send(op="subscribe", args=["orderbook.50.BTCUSDT"])
        assert [client.receive().get("type") for _ in range(2)] == [None, "snapshot"]
        ask(simulator, "/faults/gap", {"exchange": "bybit", "symbol": BTC})
        ask(simulator, "/publish", {"n": 2})
        assert client.receive()["type"] == "delta"
        (connection,) = ask(simulator, "/connections")
        assert connection["topics"] == ["orderbook.50.BTCUSDT"]
    (fault,) = ask(simulator, "/faults")
    assert (fault["name"], fault["symbol"]) == ("gap", BTC)


def test_truth_is_readable(simulator: Simulator) -> None:
    simulator.publish(5)
    books = ask(simulator, f"/truth/books?exchange=bybit&symbol={BTC}&channel=book.10&last=2")
    state = simulator.truth.books("bybit", BTC, "book.10")[-1]
    assert books[-1]["sequence"] == state.sequence
    assert books[-1]["bids"] == [list(level) for level in state.bids]
    assert len(books) == 2


@pytest.mark.parametrize(
    ("path", "arguments", "status", "word"),
    [
        ("/faults/gap", {"exchange": "bybit"}, 400, "symbol"),
        ("/faults/nonsense", {}, 404, "nonsense"),
        ("/faults/_do", {}, 404, "no such control"),
        ("/publish", {"n": 1, "symbol": "NO/NO"}, 400, "NO/NO"),
        ("/faults/close", {"exchange": "bybit", "color": "red"}, 400, "color"),
    ],
)
def test_a_mistake_is_told(
    simulator: Simulator, path: str, arguments: dict[str, Any], status: int, word: str
) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(simulator, path, arguments)
    with refused.value as answer:
        assert answer.code == status
        assert word in answer.read().decode()


def test_the_schedule_and_the_log_are_readable(connect: type[Client]) -> None:
    options = {"symbols": {"bybit": [BTC]}, "updates_per_s": 0.0, "seed": 3}
    with Simulator(profile="nasty", send_log=1000, **options) as nasty:
        planned = ask(nasty, "/schedule?seconds=300")
        assert planned == [each._asdict() for each in nasty.schedule(300)]
        assert 100 < len(planned) < 250
        with connect(nasty, "/v5/public/linear"):
            assert "opened" in {line["event"] for line in ask(nasty, "/log?last=100")}


def test_a_steady_market_has_neither(simulator: Simulator) -> None:
    assert ask(simulator, "/schedule") == ask(simulator, "/log") == []
