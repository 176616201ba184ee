"""REST as it is: limits of their own, bans, queues, and answers that are valid and yet odd."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from collector.errors import UserError
from collector.simulator import Simulator
from collector.simulator.faults.admission import Allowance, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulator.conftest import Client

SYMBOLS = {
    "bybit": ["BTC/USDT:USDT"],
    "binance": ["BTC/USDT", "BTC/USDT:USDT"],
    "kraken": ["BTC/USD", "ETH/USD"],
    "okx": ["BTC/USDT"],
}
DEPTH = {
    "bybit": "/v5/market/orderbook?category=linear&symbol=BTCUSDT&limit=50",
    "spot": "/api/v3/depth?symbol=BTCUSDT",
    "linear": "/fapi/v1/depth?symbol=BTCUSDT",
    "kraken": "/0/public/Depth?pair=XXBTZUSD",
    "okx": "/api/v5/market/books?instId=BTC-USDT&sz=50",
}


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols=SYMBOLS, updates_per_s=0.0) as running:
        yield running


@pytest.fixture
def client(simulator: Simulator, connect: type[Client]) -> Iterator[Client]:
    with connect(simulator, "/v5/public/linear") as opened:
        yield opened


def body(client: Client, path: str) -> Any:
    status, _, text = client.get(path)
    assert status == 200
    return json.loads(text)


def statuses(client: Client) -> dict[str, int]:
    return {name: client.get(path)[0] for name, path in DEPTH.items()}


def test_a_refusal_in_the_middle(simulator: Simulator, client: Client) -> None:
    simulator.faults.rest_status("binance", 429, count=2, path="/fapi/", retry_after_s=7, after=1)
    answers = [client.get(DEPTH["linear"]) for _ in range(4)]
    assert [status for status, _, _ in answers] == [200, 429, 429, 200]
    assert answers[1][1]["Retry-After"] == "7"


@pytest.mark.parametrize(
    ("bucket", "banned"), [("", {"spot", "linear"}), ("spot", {"spot"}), ("linear", {"linear"})]
)
def test_a_long_ban_is_of_one_exchange_and_one_of_its_limits(
    simulator: Simulator, client: Client, bucket: str, banned: set[str]
) -> None:
    simulator.faults.rest_ban("binance", 3600.0, bucket)
    assert statuses(client) == {name: 418 if name in banned else 200 for name in DEPTH}
    _, headers, _ = client.get(DEPTH[min(banned)])
    assert 3590 <= int(headers["Retry-After"]) <= 3600
    simulator.faults.rest_ban("binance", 0.0, bucket)
    assert set(statuses(client).values()) == {200}


def test_bybit_bans_who_asks_too_often_and_nobody_else_does(simulator: Simulator, client: Client) -> None:
    simulator.faults.rest_allowance("bybit", 3)
    assert [client.get(DEPTH["bybit"])[0] for _ in range(5)] == [200, 200, 200, 403, 403]
    simulator.faults.clock(60.0)  # a new window, but the ban lasts ten minutes
    assert statuses(client) == {name: 403 if name == "bybit" else 200 for name in DEPTH}
    simulator.faults.rest_allowance("bybit", None)
    simulator.faults.clock(601.0)
    assert client.get(DEPTH["bybit"])[0] == 200


def test_kraken_bans_with_a_200(simulator: Simulator, client: Client) -> None:
    simulator.faults.rest_ban("kraken", 60.0)
    assert body(client, DEPTH["kraken"])["error"] == ["EGeneral:Temporary lockout"]


def test_each_further_ban_is_longer() -> None:
    rule = Rule("spot", 1, 60_000, refused_until_ban=0, ban_ms=120_000, longest_ban_ms=400_000)
    allowance, now_ms, waits = Allowance(), 0, []
    for _ in range(4):
        allowance.spend(rule, 1, now_ms)
        verdict = allowance.spend(rule, 1, now_ms)
        assert verdict.is_ban
        waits.append(verdict.wait_ms)
        now_ms += verdict.wait_ms
    assert waits == [120_000, 240_000, 400_000, 400_000]


@pytest.mark.parametrize("place", DEPTH)
def test_a_book_without_levels(simulator: Simulator, client: Client, place: str) -> None:
    exchange = place if place in SYMBOLS else "binance"
    whole = body(client, DEPTH[place])
    simulator.faults.rest_empty_book(exchange)
    empty = body(client, DEPTH[place])
    assert json.dumps(empty).count("[]") - json.dumps(whole).count("[]") == 2
    assert set(empty) == set(whole)
    assert len(json.dumps(body(client, DEPTH[place]))) > len(json.dumps(empty)) + 100


@pytest.mark.parametrize(
    ("exchange", "path", "expected"),
    [
        ("kraken", "/0/public/AssetPairs", {"error": None, "result": {}}),
        ("binance", "/api/v3/exchangeInfo", {}),
        ("binance", "/fapi/v1/trades?symbol=BTCUSDT", []),
    ],
)
def test_well_answered_and_nothing_in_it(
    simulator: Simulator, client: Client, exchange: str, path: str, expected: Any
) -> None:
    simulator.faults.rest_nothing(exchange)
    assert body(client, path) == expected
    assert body(client, path) != expected


def test_nothing_in_the_forms_of_bybit_and_okx(simulator: Simulator, client: Client) -> None:
    for exchange, key, nothing in (("bybit", "result", {}), ("okx", "data", [])):
        simulator.faults.rest_nothing(exchange)
        assert body(client, DEPTH[exchange])[key] == nothing


@pytest.mark.parametrize("key", ["altname", "pair_decimals", "wsname"])
def test_one_pair_of_kraken_lacks_a_key(simulator: Simulator, client: Client, key: str) -> None:
    simulator.faults.rest_missing_key("kraken", key, path="AssetPairs")
    body(client, "/0/public/Assets")  # another path: not this one
    first, second = body(client, "/0/public/AssetPairs")["result"].values()
    assert key not in first
    assert key in second


def test_a_market_is_listed_while_the_exchange_runs(simulator: Simulator, client: Client) -> None:
    path = "/v5/market/instruments-info?category=linear"
    before = {row["symbol"] for row in body(client, path)["result"]["list"]}
    client.send(op="subscribe", args=["orderbook.50.DOGEUSDT"])
    assert not client.receive()["success"]
    simulator.faults.enlist("bybit", "DOGE/USDT:USDT")
    after = {row["symbol"] for row in body(client, path)["result"]["list"]}
    assert (before, after - before) == ({"BTCUSDT"}, {"DOGEUSDT"})
    client.send(op="subscribe", args=["orderbook.50.DOGEUSDT"])
    assert client.receive()["success"]
    assert client.receive()["type"] == "snapshot"
    simulator.publish(2, "DOGE/USDT:USDT")
    assert [client.receive()["type"] for _ in range(2)] == ["delta", "delta"]


@pytest.mark.parametrize(("exchange", "symbol"), [("kraken", "BTC/USD"), ("binance", "BTC/USDT")])
def test_a_market_goes_and_comes_back(
    simulator: Simulator, client: Client, exchange: str, symbol: str
) -> None:
    path = "/0/public/AssetPairs" if exchange == "kraken" else "/api/v3/exchangeInfo"
    whole = client.get(path)[2]
    simulator.faults.delist(exchange, symbol)
    assert len(client.get(path)[2]) < len(whole)
    simulator.faults.enlist(exchange, symbol)
    assert len(client.get(path)[2]) == len(whole)


def test_a_market_listed_later_moves_by_itself(connect: type[Client]) -> None:
    with (
        Simulator(symbols={"kraken": ["BTC/USD"]}, updates_per_s=100.0) as simulator,
        connect(simulator, "/kraken/v2") as client,
    ):
        simulator.faults.enlist("kraken", "ETH/USD")
        client.send(method="subscribe", params={"channel": "book", "symbol": ["ETH/USD"], "depth": 10})
        while client.receive().get("type") != "update":
            pass


def test_what_is_no_symbol_is_not_listed(simulator: Simulator) -> None:
    with pytest.raises(UserError, match="expected one such as BTC/USDT"):
        simulator.faults.enlist("bybit", "DOGEUSDT")


def test_answers_queue_at_each_server_for_itself(simulator: Simulator, client: Client) -> None:
    simulator.faults.rest_queue("binance", 150.0)
    began_s = time.monotonic()
    for name in ("bybit", "kraken", "okx"):
        client.get(DEPTH[name])
    others_s = time.monotonic() - began_s
    began_s = time.monotonic()
    for _ in range(3):
        client.get(DEPTH["spot"])
    took_s = time.monotonic() - began_s
    assert took_s >= 0.45
    assert others_s < took_s
