"""REST's past, page by page, as each exchange has it: keys, windows, limits, inclusive ends, and faults."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from collector.simulator import Outage, Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulator.conftest import Client

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
NOW_MS = 1_790_000_000_000
BTC, SWAP, USD = "BTC/USDT", "BTC/USDT:USDT", "BTC/USD"
SYMBOLS = {"binance": [BTC, SWAP], "bybit": [BTC, SWAP], "kraken": [USD], "okx": [BTC, SWAP]}
OUTAGE_MS = (NOW_MS - 3 * HOUR_MS) // MINUTE_MS * MINUTE_MS, (NOW_MS - 2 * HOUR_MS) // MINUTE_MS * MINUTE_MS
OUTAGES = [Outage(exchange, *OUTAGE_MS, lost_ids=5 * (exchange == "okx")) for exchange in SYMBOLS]
KEY = {"X-MBX-APIKEY": "any"}
SPOT, LINEAR = "/api/v3", "/fapi/v1"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(
        symbols=SYMBOLS,
        updates_per_s=0.0,
        clock_ns=lambda: NOW_MS * 1_000_000,
        history_days=120,
        trades_a_minute=5,
        outages=OUTAGES,
    ) as running:
        running.publish(60)
        yield running


@pytest.fixture
def client(simulator: Simulator, connect: type[Client]) -> Iterator[Client]:
    for exchange in SYMBOLS:  # the clock stands still: no window ever ends
        simulator.faults.rest_allowance(exchange, 1_000_000)
    with connect(simulator, "/v5/public/linear") as opened:
        yield opened
    simulator.calm()


def rows(client: Client, path: str, headers: dict[str, str] | None = None) -> Any:
    status, _, body = client.get(path, headers=headers)
    assert status == 200, body
    answer = json.loads(body)
    if isinstance(answer, list):
        return answer
    return answer["data"] if "data" in answer else answer["result"]


def refused(client: Client, path: str) -> tuple[int, int]:
    status, _, body = client.get(path)
    return status, json.loads(body)["code"]


def ids(
    simulator: Simulator, exchange: str, symbol: str, start_ms: int, end_ms: int = NOW_MS + 1
) -> list[str]:
    return [each.trade_id for each in simulator.truth.trades_between(exchange, symbol, start_ms, end_ms)]


def test_single_trades_of_usd_m_need_a_key_and_those_of_spot_do_not(client: Client) -> None:
    path = "/historicalTrades?symbol=BTCUSDT&limit=1"
    assert refused(client, LINEAR + path) == (401, -2014)
    assert len(rows(client, LINEAR + path, KEY)) == len(rows(client, SPOT + path)) == 1


@pytest.mark.parametrize(
    ("root", "symbol", "limit", "most"), [(SPOT, BTC, 1000, 1000), (LINEAR, SWAP, 1000, 500)]
)
def test_single_trades_by_id(
    simulator: Simulator, client: Client, root: str, symbol: str, limit: int, most: int
) -> None:
    true = ids(simulator, "binance", symbol, NOW_MS - 5 * HOUR_MS)
    found: list[str] = []
    for _ in range(0, len(true), most):
        asked = int(found[-1]) + 1 if found else int(true[0])
        page = rows(client, f"{root}/historicalTrades?symbol=BTCUSDT&fromId={asked}&limit={limit}", KEY)
        assert len(page) == min(most, len(true) - len(found))
        found += [str(row["id"]) for row in page]
    assert found == true
    assert set(page[0]) == {
        *("id", "price", "qty", "quoteQty", "time", "isBuyerMaker"),
        *(["isBestMatch"] if root == SPOT else []),
    }


@pytest.mark.parametrize(("root", "symbol"), [(SPOT, BTC), (LINEAR, SWAP)])
def test_aggregates_by_id_and_by_time(simulator: Simulator, client: Client, root: str, symbol: str) -> None:
    start_ms = OUTAGE_MS[0] - HOUR_MS
    true = simulator.truth.aggregates_between("binance", symbol, start_ms, NOW_MS + 1)
    path = f"{root}/aggTrades?symbol=BTCUSDT"
    by_time = rows(client, f"{path}&startTime={start_ms}&endTime={start_ms + HOUR_MS}&limit=1000")
    found = list(by_time)
    for _ in range(len(found), len(true), 100):
        found += rows(client, f"{path}&fromId={found[-1]['a'] + 1}&limit=100")
    assert [(str(row["a"]), row["f"], row["l"], row["T"]) for row in found] == [
        (each.trade.trade_id, each.first_id, each.last_id, each.trade.exchange_ms) for each in true
    ]
    assert [after["a"] for after in found[1:]] == [row["a"] + 1 for row in found[:-1]]
    assert [after["f"] for after in found[1:]] == [row["l"] + 1 for row in found[:-1]]
    assert {row["l"] - row["f"] for row in found} >= {0, 1}
    exact = found[7]["T"]
    assert [row["T"] for row in rows(client, f"{path}&startTime={exact}&endTime={exact}")] == [exact]
    newest = rows(client, f"{path}&endTime={exact}&limit=3")
    assert [row["a"] for row in newest] == [row["a"] for row in found[5:8]]
    assert ("M" in found[0]) == (root == SPOT)


def test_windows_of_usd_m_last_an_hour_and_its_past_a_day(simulator: Simulator, client: Client) -> None:
    path = "/aggTrades?symbol=BTCUSDT&startTime={}&endTime={}"
    wide = path.format(NOW_MS - 2 * HOUR_MS, NOW_MS - HOUR_MS + 1)
    assert refused(client, LINEAR + wide) == (400, -1127)
    assert len(rows(client, SPOT + wide)) > 200
    old = path.format(NOW_MS - 26 * HOUR_MS, NOW_MS - 25 * HOUR_MS)
    assert len(rows(client, SPOT + old)) > 200
    assert rows(client, LINEAR + old) == []
    first = simulator.truth.aggregates_between("binance", SWAP, NOW_MS - 30 * HOUR_MS, NOW_MS)[0]
    (row,) = rows(client, f"{LINEAR}/aggTrades?symbol=BTCUSDT&limit=1&fromId={first.trade.trade_id}")
    assert NOW_MS - DAY_MS <= row["T"] < NOW_MS - DAY_MS + 2 * MINUTE_MS
    for root in (SPOT, LINEAR):
        assert refused(client, f"{root}/aggTrades?symbol=BTCUSDT&fromId=1&startTime=1") == (400, -1128)


def test_single_trades_of_usd_m_are_those_of_three_months(simulator: Simulator, client: Client) -> None:
    old = ids(simulator, "binance", SWAP, NOW_MS - 100 * DAY_MS, NOW_MS - 100 * DAY_MS + MINUTE_MS)[0]
    (row,) = rows(client, f"{LINEAR}/historicalTrades?symbol=BTCUSDT&limit=1&fromId={old}", KEY)
    assert NOW_MS - 90 * DAY_MS <= row["time"] < NOW_MS - 90 * DAY_MS + 2 * MINUTE_MS
    spot = ids(simulator, "binance", BTC, NOW_MS - 100 * DAY_MS, NOW_MS - 100 * DAY_MS + MINUTE_MS)[0]
    (row,) = rows(client, f"{SPOT}/historicalTrades?symbol=BTCUSDT&limit=1&fromId={spot}")
    assert str(row["id"]) == spot


@pytest.mark.parametrize(("root", "most"), [(SPOT, 1000), (LINEAR, 1500)])
def test_bars_of_binance_have_real_holes_and_the_open_one(client: Client, root: str, most: int) -> None:
    path = f"{root}/klines?symbol=BTCUSDT&interval=1m&limit=2000"
    start_ms = NOW_MS - 30 * HOUR_MS
    oldest = [row[0] for row in rows(client, f"{path}&startTime={start_ms}")]
    assert len(oldest) == most
    assert oldest[0] == -(-start_ms // MINUTE_MS) * MINUTE_MS
    newest = [row[0] for row in rows(client, path)]
    assert len(newest) == most
    assert newest[-1] == NOW_MS // MINUTE_MS * MINUTE_MS
    holes = [(before + MINUTE_MS, after) for before, after in pairwise(newest) if after - before > MINUTE_MS]
    assert holes == [OUTAGE_MS]
    edge = OUTAGE_MS[1]
    assert [row[0] for row in rows(client, f"{path}&startTime={edge}&endTime={edge}")] == [edge]


@pytest.mark.parametrize(("category", "symbol"), [("spot", BTC), ("linear", SWAP)])
def test_bars_of_bybit_come_the_newest_first(
    simulator: Simulator, client: Client, category: str, symbol: str
) -> None:
    path = f"/v5/market/kline?category={category}&symbol=BTCUSDT&interval=1"
    start_ms, end_ms = OUTAGE_MS[0] - 2 * MINUTE_MS, OUTAGE_MS[1]
    page = rows(client, f"{path}&start={start_ms}&end={end_ms}&limit=1000")["list"]
    true = simulator.truth.bars_between("bybit", symbol, "ohlcv.1m", start_ms, end_ms + 1)
    assert [int(row[0]) for row in page] == list(range(end_ms, start_ms - 1, -MINUTE_MS))
    assert [[float(text) for text in row[1:6]] for row in page[::-1]] == [
        [bar.open, bar.high, bar.low, bar.close, bar.volume] for bar in true
    ]
    assert {row[5] for row in page[1:-2]} == {"0"}
    cut = rows(client, f"{path}&start={start_ms}&end={end_ms}&limit=3")["list"]
    assert cut == page[:3]
    assert int(rows(client, path)["list"][0][0]) == NOW_MS // MINUTE_MS * MINUTE_MS


@pytest.mark.parametrize(("category", "symbol", "most"), [("spot", BTC, 60), ("linear", SWAP, 1000)])
def test_bybit_has_its_newest_trades_only(
    simulator: Simulator, client: Client, category: str, symbol: str, most: int
) -> None:
    page = rows(client, f"/v5/market/recent-trade?category={category}&symbol=BTCUSDT&limit=1000")["list"]
    true = ids(simulator, "bybit", symbol, NOW_MS - 8 * HOUR_MS)
    assert [row["execId"] for row in page] == true[: -most - 1 : -1]


def test_trades_of_kraken_by_its_last(simulator: Simulator, client: Client) -> None:
    start_ms = NOW_MS - 5 * HOUR_MS
    true = simulator.truth.trades_between("kraken", USD, start_ms, NOW_MS + 1)
    found: list[Any] = []
    last = start_ms * 1_000_000 - 1
    for _ in range(len(true)):
        answer = rows(client, f"/0/public/Trades?pair=XBTUSD&count=50&since={last}")
        assert len(answer["XXBTZUSD"]) <= 50
        if not answer["XXBTZUSD"]:
            break
        found += answer["XXBTZUSD"]
        last = int(answer["last"])
    assert last == int(answer["last"])  # what nobody is after remains where it was
    assert [str(row[6]) for row in found] == [each.trade_id for each in true]
    same = [row for row, after in pairwise(found) if row[2] == after[2]]
    assert same  # `last` tells apart what the shown times do not
    assert {after[6] - row[6] for row, after in pairwise(found)} == {1}
    whole = rows(client, "/0/public/Trades?pair=XBTUSD&since=0")
    assert len(whole["XXBTZUSD"]) == 1000
    assert whole["XXBTZUSD"][0][2] < (NOW_MS - 119 * DAY_MS) / 1000


def test_bars_of_kraken_are_the_newest_whatever_since(client: Client) -> None:
    path = "/0/public/OHLC?pair=XBTUSD&interval=1"
    whole = rows(client, f"{path}&since=0")
    opens = [row[0] for row in whole["XXBTZUSD"]]
    present = NOW_MS // MINUTE_MS * 60
    assert opens == list(range(present - 719 * 60, present + 60, 60))
    assert whole["last"] == opens[-2]
    assert [row[0] for row in rows(client, f"{path}&since={whole['last']}")["XXBTZUSD"]] == [present]
    assert [row[0] for row in rows(client, f"{path}&since={present + 999}")["XXBTZUSD"]] == [present]


@pytest.mark.parametrize(("name", "symbol"), [("BTC-USDT", BTC), ("BTC-USDT-SWAP", SWAP)])
def test_trades_of_okx_by_id_and_by_time(
    simulator: Simulator, client: Client, name: str, symbol: str
) -> None:
    path = f"/api/v5/market/history-trades?instId={name}"
    true = ids(simulator, "okx", symbol, OUTAGE_MS[0] - HOUR_MS, NOW_MS - HOUR_MS)
    page = rows(client, f"{path}&type=2&after={NOW_MS - HOUR_MS}")
    found = [row["tradeId"] for row in page]
    for _ in range(len(found), len(true), 100):
        found += [row["tradeId"] for row in rows(client, f"{path}&after={found[-1]}&limit=100")]
    assert found[: len(true)] == true[::-1]
    assert int(found[0]) - int(true[0]) == len(true) - 1 + 5  # ids that the outage lost
    between = rows(client, f"{path}&before={true[4]}&after={true[9]}")
    assert [row["tradeId"] for row in between] == true[8:4:-1]
    newest = ids(simulator, "okx", symbol, NOW_MS - 2 * HOUR_MS)[:-101:-1]
    assert [row["tradeId"] for row in rows(client, f"{path}&before={true[0]}")] == newest
    oldest = rows(client, f"{path}&type=2&after={NOW_MS - 90 * DAY_MS + HOUR_MS}")
    assert {int(row["ts"]) >= NOW_MS - 90 * DAY_MS for row in oldest} == {True}
    assert rows(client, f"{path}&type=2&after={NOW_MS - 91 * DAY_MS}") == []


def test_past_candles_of_okx_are_over_and_between_both_ends(client: Client) -> None:
    path = "/api/v5/market/history-candles?instId=BTC-USDT&bar=1m"
    present = NOW_MS // MINUTE_MS * MINUTE_MS
    newest = rows(client, f"{path}&limit=300")
    assert [int(row[0]) for row in newest] == [present - at * MINUTE_MS for at in range(1, 301)]
    assert {row[8] for row in newest} == {"1"}
    old = present - 100 * DAY_MS
    between = rows(client, f"{path}&before={old}&after={old + 5 * MINUTE_MS}")
    assert [int(row[0]) for row in between] == [old + at * MINUTE_MS for at in (4, 3, 2, 1)]
    assert rows(client, f"{path}&before={old}&limit=1")[0] == newest[0]


PAGES = {
    "binance": f"{SPOT}/aggTrades?symbol=BTCUSDT",
    "bybit": "/v5/market/kline?category=linear&symbol=BTCUSDT&interval=1",
    "kraken": "/0/public/Trades?pair=XBTUSD",
    "okx": "/api/v5/market/history-trades?instId=BTC-USDT",
}


@pytest.mark.parametrize("exchange", PAGES)
def test_pages_of_the_past_fail_as_others_do(simulator: Simulator, client: Client, exchange: str) -> None:
    path = PAGES[exchange]
    part = path.partition("?")[0].rpartition("/")[2]
    whole = client.get(path)[2]
    simulator.faults.rest_status(exchange, 429, path=part, retry_after_s=3)
    status, headers, _ = client.get(path)
    assert (status, headers["Retry-After"]) == (429, "3")
    simulator.faults.rest_status(exchange, 503, path=part)
    assert client.get(path)[0] == 503
    simulator.faults.rest_html(exchange, path=part)
    assert client.get(path)[2].startswith("<html>")
    simulator.faults.rest_truncated(exchange, path=part)
    assert len(client.get(path)[2]) == len(whole) // 2
    simulator.faults.rest_slow(exchange, 30.0, path=part)
    with pytest.raises(TimeoutError):
        client.get(path, timeout_s=0.2)
    simulator.faults.rest_nothing(exchange, path=part)
    assert len(client.get(path)[2]) < 100
    assert len(client.get(path)[2]) > 1000


def test_pages_are_weighed_and_too_many_are_refused_with_the_time_to_wait(
    simulator: Simulator, client: Client
) -> None:
    def used(path: str) -> int:
        return int(client.get(path, headers=KEY)[1]["X-MBX-USED-WEIGHT-1M"])

    for path, weight in (
        (f"{SPOT}/aggTrades?symbol=BTCUSDT", 4),
        (f"{SPOT}/historicalTrades?symbol=BTCUSDT&limit=1", 25),
        (f"{SPOT}/klines?symbol=BTCUSDT&interval=1m&limit=1", 2),
        (f"{LINEAR}/aggTrades?symbol=BTCUSDT", 20),
        (f"{LINEAR}/historicalTrades?symbol=BTCUSDT&limit=1", 200),
        (f"{LINEAR}/klines?symbol=BTCUSDT&interval=1m&limit=99", 1),
        (f"{LINEAR}/klines?symbol=BTCUSDT&interval=1m&limit=499", 2),
        (f"{LINEAR}/klines?symbol=BTCUSDT&interval=1m&limit=1000", 5),
        (f"{LINEAR}/klines?symbol=BTCUSDT&interval=1m&limit=1500", 10),
    ):
        assert used(path) + weight == used(path)
    simulator.faults.rest_allowance("binance", 1)
    statuses = [client.get(PAGES["binance"]) for _ in range(12)]
    assert [status for status, _, _ in statuses] == [429] * 10 + [418] * 2
    assert all(int(headers["Retry-After"]) > 0 for _, headers, _ in statuses)
    simulator.faults.rest_allowance("kraken", 1)
    client.get(PAGES["kraken"])
    assert json.loads(client.get(PAGES["kraken"])[2]) == {"error": ["EGeneral:Too many requests"]}
