"""Whatever an exchange answers when its markets are asked for: a list, or a StreamError, and nothing else."""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from copy import deepcopy
from typing import Any

import ccxt
import pytest

from collector.errors import StreamError, UserError
from collector.exchanges.addresses import Endpoints
from collector.network.budget import Budget
from collector.network.choosing import look_up
from collector.network.markets import Source, load_markets
from collector.simulator import Simulator

SYMBOLS = {
    "bybit": ["BTC/USDT:USDT", "BTC/USDT"],
    "binance": ["BTC/USDT", "BTC/USDT:USDT"],
    "kraken": ["BTC/USD", "ETH/USD"],
    "okx": ["BTC/USDT", "BTC/USDT:USDT"],
}
ODD: list[Any] = [None, {}, [], "", 0, -1, "x", True, float("inf"), [[]], {"a": 1}]
NAMES = ("BTCUSDT", "BTC/USDT", "XBTUSD", "NOPE")
TRIES = 15
MANY_TRIES = 60
Fault = Callable[[Simulator, str], None]


@pytest.fixture(autouse=True)
def _without_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask without waiting for a turn, also after a 403: what is asked here goes to us."""
    monkeypatch.setattr(Budget, "turn_here", lambda *_: nullcontext())
    monkeypatch.setattr(Budget, "closed_for_s", 0.0)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(symbols=SYMBOLS, updates_per_s=0.0) as running:
        running.faults.rest_allowance("kraken", 10_000)
        yield running


def source(simulator: Simulator, exchange: str) -> Source:
    ends = simulator.endpoints(exchange)
    kinds = ("spot",) if exchange == "kraken" else ("linear", "spot")
    return Source(exchange, "live", Endpoints(ends["rest"], ends["ws"]), kinds)


def loaded_or_refused(simulator: Simulator, exchange: str, words: int = 1) -> str | None:
    """Load and look names up; return the first words of why that cannot be, or None."""
    try:
        markets = load_markets(source(simulator, exchange), 5.0)
    except StreamError as error:
        return ":".join(str(error).split(":")[:words])
    assert markets.by_symbol
    look_up(markets, NAMES)
    return None


WHOLE: dict[str, Fault] = {
    "nothing": lambda simulator, exchange: simulator.faults.rest_nothing(exchange),
    "half": lambda simulator, exchange: simulator.faults.rest_truncated(exchange),
    "a page": lambda simulator, exchange: simulator.faults.rest_html(exchange, status=200),
    "a page of an error": lambda simulator, exchange: simulator.faults.rest_html(exchange),
    "no result": lambda simulator, exchange: simulator.faults.rest_missing_key(exchange, "result"),
    "forbidden": lambda simulator, exchange: simulator.faults.rest_status(exchange, 403),
    "moved": lambda simulator, exchange: simulator.faults.rest_status(exchange, 302),
}


@pytest.mark.parametrize("exchange", SYMBOLS)
@pytest.mark.parametrize("answer", WHOLE)
def test_an_answer_that_is_no_list_raises_a_stream_error_or_leaves_the_rest(
    simulator: Simulator, exchange: str, answer: str
) -> None:
    WHOLE[answer](simulator, exchange)
    assert loaded_or_refused(simulator, exchange) in {None, "could not load the markets"}


@pytest.mark.parametrize("key", ["altname", "wsname", "base", "pair_decimals", "status", "fees"])
def test_a_pair_of_kraken_without_one_of_its_keys(simulator: Simulator, key: str) -> None:
    simulator.faults.rest_missing_key("kraken", key, path="AssetPairs")
    assert loaded_or_refused(simulator, "kraken", 2) in {None, "could not load the markets: bad_response"}


@pytest.mark.parametrize("tries", [TRIES, pytest.param(MANY_TRIES, marks=pytest.mark.proof)])
@pytest.mark.parametrize("exchange", SYMBOLS)
def test_a_list_with_anything_anywhere_in_it(
    simulator: Simulator, exchange: str, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys left out, and values of other types: through ccxt's own parser."""
    answers: dict[str, Any] = {}
    fetch = ccxt.Exchange.fetch
    chance, odd_url = random.Random(exchange), ""

    def record(self: Any, url: str, *more: Any) -> Any:
        answers[url] = fetch(self, url, *more)
        return answers[url]

    def answer(self: Any, url: str, *_more: Any) -> Any:
        del self
        return changed(answers[url], chance) if url == odd_url else answers[url]

    monkeypatch.setattr(ccxt.Exchange, "throttle", lambda *_: None)
    monkeypatch.setattr(ccxt.Exchange, "fetch", record)
    simulator.calm()  # an answer that nobody asked for may be left of another test
    load_markets(source(simulator, exchange), 5.0)
    monkeypatch.setattr(ccxt.Exchange, "fetch", answer)
    loaded = failed = 0
    for _ in range(tries):
        odd_url = chance.choice(list(answers))
        try:
            markets = load_markets(source(simulator, exchange), 5.0)
        except StreamError:
            failed += 1
            continue
        loaded += 1
        look_up(markets, NAMES)
        for name in NAMES:
            try:
                markets.find(name)
            except UserError:
                continue
    assert loaded + failed == tries
    assert loaded, "each was refused: nothing of ours has read any"


def changed(answer: Any, chance: random.Random) -> Any:
    """Return an answer that is odd in one place."""
    whole = {"": deepcopy(json.loads(json.dumps(answer)))}
    holder: Any = whole
    key: Any = ""
    while isinstance(holder[key], dict | list) and holder[key] and chance.random() < 0.85:
        holder = holder[key]
        key = chance.choice(list(holder)) if isinstance(holder, dict) else chance.randrange(len(holder))
    if holder is not whole and isinstance(holder, dict) and chance.random() < 0.5:
        del holder[key]
    else:
        holder[key] = chance.choice(ODD)
    return whole[""]
