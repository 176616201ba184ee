"""Which book rows are stored is said once for an exchange, and otherwise by market."""

from collections.abc import Callable

import pytest

from collector.settings import Settings

Load = Callable[..., Settings]
Problems = Callable[..., list[str]]

AT = "exchanges.bybit.sample.symbols"
EXPECTED = "expected markets, each with its mode, like {BTC/USDT:USDT: {mode: interval, interval_ms: 100}}"


def with_sample(sample: str) -> str:
    return f"exchanges:\n  bybit:\n    symbols: [BTC/USDT:USDT, ETHUSDT]\n    sample: {sample}\n"


def test_every_row_is_stored_unless_said_otherwise(load: Load) -> None:
    sample = load(with_sample("{}")).exchanges["bybit"].sample
    assert (sample.mode, sample.interval_ms, dict(sample.symbols)) == ("every", 1000, {})


def test_a_market_may_differ_from_its_exchange(load: Load) -> None:
    text = with_sample("{mode: on_top_change, symbols: {ETHUSDT: {mode: interval, interval_ms: 100}}}")
    sample = load(text).exchanges["bybit"].sample
    assert sample.mode == "on_top_change"
    assert {name: (one.mode, one.interval_ms) for name, one in sample.symbols.items()} == {
        "ETHUSDT": ("interval", 100)
    }


def test_markets_may_differ_by_the_environment(load: Load) -> None:
    variable = "COLLECTOR_EXCHANGES__BYBIT__SAMPLE__SYMBOLS"
    settings = load(with_sample("{}"), environ={variable: "BTC/USDT:USDT=interval:100, ETHUSDT=every"})
    symbols = settings.exchanges["bybit"].sample.symbols
    assert [(name, one.mode, one.interval_ms) for name, one in symbols.items()] == [
        ("BTC/USDT:USDT", "interval", 100),
        ("ETHUSDT", "every", None),
    ]
    assert settings.masked()["exchanges"]["bybit"]["sample"]["symbols"]["ETHUSDT"]["mode"] == "every"


@pytest.mark.parametrize(
    ("sample", "problem"),
    [
        (
            "{mode: evry}",
            "sample.mode: found 'evry', expected one of every, on_top_change, interval; did you mean every?",
        ),
        (
            "{interval_ms: 0}",
            "sample.interval_ms: found 0, expected whole milliseconds, from 1 to 86400000 (a day)",
        ),
        ("{symbols: every}", f"sample.symbols: found 'every', {EXPECTED}"),
        ("{symbols: {ETHUSDT: every}}", f"sample.symbols.ETHUSDT: found 'every', {EXPECTED}"),
        ("{symbols: {ETHUSDT: {mode: evry}}}", f"sample.symbols.ETHUSDT.mode: found 'evry', {EXPECTED}"),
        ("{symbols: {ETHUSDT: {interval_ms: 5}}}", f"sample.symbols.ETHUSDT.mode: found nothing, {EXPECTED}"),
        ("{symbols: {ETHUSDT: {mode: every, x: 5}}}", f"sample.symbols.ETHUSDT.x: found 5, {EXPECTED}"),
        (
            "{symbols: {ETHUSD: {mode: every}}}",
            "sample.symbols.ETHUSD: found a market that symbols does not name, expected one of them",
        ),
        (
            "{symbols: {ETHUSDT: {mode: every, interval_ms: 5}}}",
            (
                "sample.symbols.ETHUSDT.interval_ms: found 5, but mode is every, "
                "expected it with mode interval only"
            ),
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(problems: Problems, sample: str, problem: str) -> None:
    assert problems(with_sample(sample)) == [f"live.yaml line 4: exchanges.bybit.{problem}"]


@pytest.mark.parametrize(
    "text", ["ETHUSDT", "ETHUSDT=interval:soon", "=every", "ETHUSDT=every,ETHUSDT=every"]
)
def test_a_mistake_in_the_environment_is_told(problems: Problems, text: str) -> None:
    variable = "COLLECTOR_EXCHANGES__BYBIT__SAMPLE__SYMBOLS"
    assert problems(with_sample("{}"), environ={variable: text}) == [
        f"environment variable {variable}: {AT}: found '{text}', {EXPECTED}"
    ]
