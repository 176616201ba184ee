"""Long forms: many frames at full speed, none lost, none out of order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from collector.simulator import Simulator

if TYPE_CHECKING:
    from tests.simulator.conftest import Client

pytestmark = pytest.mark.proof


def test_two_hundred_thousand_frames_made_ahead_equal_the_truth(connect: type[Client]) -> None:
    with (
        Simulator(symbols={"bybit": ["BTC/USDT:USDT"]}, updates_per_s=0.0) as simulator,
        connect(simulator, "/v5/public/linear") as client,
    ):
        client.send(op="subscribe", args=["orderbook.50.BTCUSDT"])
        client.receive()
        simulator.prepare(200_000)
        simulator.release()
        bids: dict[float, float] = {}
        asks: dict[float, float] = {}
        for at, state in enumerate(simulator.truth.books("bybit", "BTC/USDT:USDT", "book.50")):
            data = client.receive()["data"]
            client.apply(bids, data["b"])
            client.apply(asks, data["a"])
            assert data["u"] == state.sequence
            if at % 97 == 0:
                assert tuple(sorted(bids.items(), reverse=True)) == state.bids
                assert tuple(sorted(asks.items())) == state.asks
