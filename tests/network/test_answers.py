"""What REST answers about limits, in headers, statuses and words, reaches the budget."""

import asyncio
from collections.abc import Iterator

import ccxt
import pytest

from collector.errors import StreamError
from collector.exchanges.addresses import Endpoints
from collector.exchanges.exchange import RestSnapshot, Told, Used
from collector.exchanges.registry import EXCHANGES
from collector.network.allowance import REFUSED_PAUSE_S, Need
from collector.network.answers import classify_answer, heed, heed_failure
from collector.network.attempts import LIMITED_WAIT_S
from collector.network.budget import Budget
from collector.network.budgets import Budgets
from collector.network.markets import Source, load_markets
from collector.network.rest import RestClient
from collector.simulator import Simulator

NOW_MS = 1_672_738_134_000.0
TOO_MANY = ccxt.DDoSProtection("binance 429 Too Many Requests {}")
BANNED = ccxt.DDoSProtection("binance 418 I'm a teapot {}")
KRAKENS = ccxt.DDoSProtection('kraken {"error":["EGeneral:Too many requests"]}')
AWAY = ccxt.ExchangeNotAvailable("kraken GET https://x 503 no {}")


@pytest.mark.parametrize(
    ("exchange", "headers", "told"),
    [
        ("binance", {"x-mbx-used-weight-1m": "70", "x-mbx-used-weight": "70"}, Told({60.0: Used(70.0, 7.0)})),
        (
            "binance",
            {"x-mbx-used-weight-10s": "7", "x-mbx-used-weight-1h": "8"},
            Told({10.0: Used(7.0, 7.0), 3600.0: Used(8.0, 1867.0)}),
        ),
        ("binance", {"x-mbx-used-weight-1m": "nonsense", "x-mbx-order-count-1m": "5"}, Told({})),
        ("bybit", {"x-bapi-limit": "100", "x-bapi-limit-status": "99"}, Told()),
        (
            "bybit",
            {"x-bapi-limit-status": "0", "x-bapi-limit-reset-timestamp": "1672738134824"},
            Told(wait_s=0.824),
        ),
        ("bybit", {"x-bapi-limit-status": "0", "x-bapi-limit-reset-timestamp": "1672738100000"}, Told()),
        (  # our clock is an hour behind
            "bybit",
            {"x-bapi-limit-status": "0", "x-bapi-limit-reset-timestamp": "1672741734000"},
            Told(wait_s=10.0),
        ),
        ("bybit", {"x-bapi-limit-status": "0"}, Told()),
        ("kraken", {"retry-after": "5"}, Told()),
        ("okx", {}, Told()),
    ],
)
def test_headers_are_read_as_documented(exchange: str, headers: dict[str, str], told: Told) -> None:
    assert EXCHANGES[exchange].told(headers, NOW_MS) == told


def budget_of(exchange: str) -> Budget:
    return Budget(EXCHANGES[exchange].rest_limits["spot"], lambda: 100.0)


def test_headers_are_heeded_in_any_case_of_letters() -> None:
    budget = budget_of("binance")
    heed(budget, "binance", {"X-MBX-USED-WEIGHT-1M": "5990"})
    assert budget.used_share > 0.99
    assert budget.closed_for_s == 0.0


@pytest.mark.parametrize(
    ("exchange", "error", "headers", "cause", "closed_s"),
    [
        (
            "binance",
            TOO_MANY,
            {"Retry-After": "7"},
            "http_429",
            7.0,
        ),
        ("binance", TOO_MANY, {}, "http_429", REFUSED_PAUSE_S),
        ("binance", BANNED, {}, "http_418", 120.0),
        (
            "binance",
            BANNED,
            {"retry-after": "3600"},
            "http_418",
            3600.0,
        ),
        ("bybit", ccxt.RateLimitExceeded("bybit 403 Forbidden {}"), {}, "http_403", 600.0),
        ("bybit", ccxt.RateLimitExceeded('bybit {"retCode":10006}'), {}, "rate_limit", REFUSED_PAUSE_S),
        (
            "kraken",
            ccxt.DDoSProtection('kraken {"error":["EGeneral:Too many requests"]}'),
            {},
            "rate_limit",
            60.0,
        ),
        ("kraken", ccxt.ExchangeError('kraken {"error":["EService: Throttled"]}'), {}, "throttled", 60.0),
        ("okx", ccxt.RateLimitExceeded('okx {"code":"50011","msg":"..."}'), {}, "rate_limit", 60.0),
        ("okx", ccxt.ExchangeError('okx {"code":"50061","data":[],"msg":"..."}'), {}, "throttled", 60.0),
        ("okx", ccxt.ExchangeError('okx {"code":"51001","data":["50061"],"msg":"..."}'), {}, None, 0.0),
        (
            "kraken",
            ccxt.ExchangeNotAvailable("kraken GET https://x 503 no {}"),
            {"Retry-After": "9"},
            None,
            0.0,
        ),
    ],
)
def test_a_refusal_for_asking_too_much_closes_the_budget(
    exchange: str, error: ccxt.BaseError, headers: dict[str, str], cause: str | None, closed_s: float
) -> None:
    budget = budget_of(exchange)
    failure = heed_failure(budget, error, exchange, headers)
    assert budget.closed_for_s == closed_s
    if cause is not None:
        assert (failure.kind, failure.cause, failure.retry_after_s) == ("rate_limit", cause, closed_s)


def test_a_time_in_the_words_is_kept() -> None:
    """https://docs.kraken.com/exchange/guides/rest/ratelimits: "EService: Throttled: [UNIX timestamp]"."""
    error = ccxt.ExchangeError('kraken {"error":["EService: Throttled: 1700000042"]}')
    assert classify_answer(error, "kraken", {}, 1_700_000_000.0).retry_after_s == 42.0
    assert classify_answer(error, "kraken", {}, 1_700_000_100.0).retry_after_s == 0.0


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols={"binance": ["BTC/USDT"]}, updates_per_s=0.0) as running:
        yield running


def source_of(simulator: Simulator) -> Source:
    ends = simulator.endpoints("binance")
    return Source("binance", "live", Endpoints(ends["rest"], ends["ws"]), ("spot", "linear"))


def test_a_client_asks_within_the_budget_that_the_markets_have_spent(simulator: Simulator) -> None:
    source, budgets = source_of(simulator), Budgets()
    kept = source.budgets(budgets)
    request = EXCHANGES["binance"].rest
    assert request is not None
    load_markets(source, 5.0, budgets)
    spent = kept["spot"]._allowance._windows[0][0].total(0.0)
    assert spent == 20.0  # exchangeInfo
    assert kept["linear"]._allowance._windows[0][0].total(0.0) == 1.0

    async def ask() -> None:
        client = RestClient(source, 5.0, budgets=budgets)
        try:
            assert client.budgets == kept
            answer = await client.ask(request.request("BTCUSDT", "spot", 1000), "spot", Need.BACKFILL)
            assert answer["bids"]
            assert kept["spot"]._allowance._windows[0][0].total(0.0) == spent + 50.0
            simulator.faults.rest_status("binance", 418, path="/api/v3/depth", retry_after_s=1234)
            with pytest.raises(StreamError, match="http_418") as refused:
                await client.ask(request.request("BTCUSDT", "spot", 1000), "spot", Need.BACKFILL)
            assert refused.value.retry_after_s == 1234.0
            assert not refused.value.permanent
            answer = await client.ask(request.request("BTCUSDT", "linear", 1000), "linear", Need.BACKFILL)
            assert answer["bids"]
        finally:
            await client.close()

    asyncio.run(ask())
    assert kept["linear"].closed_for_s == 0.0 < kept["spot"].closed_for_s
    with pytest.raises(StreamError, match="none is sent for") as left_alone:
        load_markets(source, 5.0, budgets)
    assert left_alone.value.retry_after_s == pytest.approx(1234.0, abs=60.0)


def test_a_load_that_is_refused_without_a_time_waits_as_its_attempts_do(simulator: Simulator) -> None:
    source, budgets = source_of(simulator), Budgets()
    kept = source.budgets(budgets)
    simulator.faults.rest_status("binance", 429, path="/api/v3/exchangeInfo")
    with pytest.raises(StreamError, match="http_429"):
        load_markets(source, 5.0, budgets)
    assert 0.0 < kept["spot"].closed_for_s <= LIMITED_WAIT_S


@pytest.mark.parametrize(("exchange", "market_id"), [("okx", "BTC-USDT"), ("bybit", "BTCUSDT")])
@pytest.mark.parametrize(("status", "closed_s"), [(429, REFUSED_PAUSE_S), (503, 0.0)])
def test_a_status_tells_what_happened_whatever_stands_in_the_body(
    exchange: str, market_id: str, status: int, closed_s: float
) -> None:
    """Where ccxt knows neither code nor words of a body that is JSON it says nothing of the status."""
    facts, budgets = EXCHANGES[exchange], Budgets()
    assert facts.history is not None
    names = facts.past_pages.named(market_id, "spot", "trade")
    request = RestSnapshot(facts.history.trades["spot"].ccxt_method, names, 1.0)
    with Simulator(symbols={exchange: ["BTC/USDT"]}, updates_per_s=0.0) as simulator:
        simulator.faults.rest_status(exchange, status)
        at = simulator.endpoints(exchange)
        source = Source(exchange, "live", Endpoints(at["rest"], at["ws"]), ("spot",))

        async def ask() -> float:
            client = RestClient(source, 5.0, budgets=budgets)
            try:
                with pytest.raises(StreamError, match=f"http_{status}: "):
                    await client.ask(request, "spot", Need.BACKFILL)
                return client.budgets["spot"].closed_for_s
            finally:
                await client.close()

        assert asyncio.run(ask()) == pytest.approx(closed_s, abs=5.0)
