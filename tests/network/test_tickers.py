"""What was traded of each market, as each exchange tells it, within its request budget."""

import time

import pytest

from collector.errors import StreamError
from collector.exchanges import Endpoints, MarketKind, exchange_of
from collector.network.budgets import Budgets
from collector.network.markets import Markets, Source, load_markets
from collector.network.tickers import load_volumes
from collector.simulator import Simulator

SYMBOLS = {
    "bybit": ["BTC/USDT:USDT", "ETH/USDT:USDT"],
    "binance": ["BTC/USDT:USDT", "ETH/USDT:USDT"],
    "kraken": ["BTC/USD", "ETH/USD"],
    "okx": ["BTC/USDT:USDT", "ETH/USDT:USDT"],
}
DAY_MS = 86_400_000


def source_at(simulator: Simulator, exchange: str, *kinds: MarketKind) -> Source:
    at = simulator.endpoints(exchange)
    return Source(exchange, "live", Endpoints(at["rest"], at["ws"]), kinds)


def traded(simulator: Simulator, exchange: str, symbol: str) -> float:
    """Sum up what the exchange made within the last day, in the quote currency, hour by hour."""
    now_ms = time.time_ns() // 1_000_000
    hours = simulator.truth.bars_between(exchange, symbol, "ohlcv.1h", now_ms - DAY_MS, now_ms + 1)
    return sum(one.volume * (one.high + one.low) / 2 for one in hours)


@pytest.mark.parametrize("exchange", sorted(SYMBOLS))
def test_the_volumes_are_what_was_traded_in_the_quote_currency(exchange: str) -> None:
    budgets = Budgets()
    with Simulator(symbols={exchange: SYMBOLS[exchange]}, updates_per_s=0.0) as simulator:
        source = source_at(simulator, exchange, *exchange_of(exchange).kinds)
        markets, kind = load_markets(source, 60.0, budgets), source.kinds[-1]
        told = load_volumes(source, markets, kind, 60.0, budgets)
        of_kind = [one for one in SYMBOLS[exchange] if (":" in one) == (kind == "linear")]
        assert sorted(told) == of_kind
        first = of_kind[0]
        assert told[first] == pytest.approx(traded(simulator, exchange, first), rel=0.06)
        simulator.faults.volume(exchange, first, 7.0)
        more = load_volumes(source, markets, kind, 60.0, budgets)
    assert more[first] == pytest.approx(7 * told[first], rel=0.01)
    assert more[of_kind[1]] == pytest.approx(told[of_kind[1]], rel=0.01)


def test_binance_counts_the_weight_of_all_markets() -> None:
    budgets = Budgets(lambda: 0.0)  # nothing comes back meanwhile
    with Simulator(symbols={"binance": SYMBOLS["binance"]}, updates_per_s=0.0) as simulator:
        source = source_at(simulator, "binance", "linear", "spot")
        markets, kept = load_markets(source, 60.0, budgets), source.budgets(budgets)
        before = [kept[kind].used_share for kind in source.kinds]
        for kind in source.kinds:
            load_volumes(source, markets, kind, 60.0, budgets)
        used = [kept[kind].used_share - one for kind, one in zip(source.kinds, before, strict=True)]
    # Half of 2400 and of 6000 a minute, of which a full bucket holds half a minute's.
    assert used == [pytest.approx(40 / 600), pytest.approx(80 / 1500)]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda faults: faults.rest_status("bybit", 503, path="tickers"), "http_503"),
        (lambda faults: faults.rest_html("bybit", path="tickers"), "could not read the tickers"),
        (lambda faults: faults.rest_truncated("bybit", path="tickers"), "could not read the tickers"),
    ],
)
def test_what_cannot_be_read_is_told(fault: object, words: str) -> None:
    budgets = Budgets()
    with Simulator(symbols={"bybit": SYMBOLS["bybit"]}, updates_per_s=0.0) as simulator:
        source = source_at(simulator, "bybit", "linear")
        markets: Markets = load_markets(source, 60.0, budgets)
        assert callable(fault)
        fault(simulator.faults)
        with pytest.raises(StreamError, match=words) as told:
            load_volumes(source, markets, "linear", 60.0, budgets)
    assert not told.value.permanent
