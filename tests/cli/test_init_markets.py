"""The names of markets that a person gives `init`, and the plans and files that come of them."""

import sys
from pathlib import Path

import pytest

from collector.cli.commands.init import next_steps
from collector.cli.commands.init.answers import Answers, database, exchanges, purpose
from collector.cli.commands.init.file import put_in_place, written_aside
from collector.cli.commands.init.markets import markets
from collector.cli.commands.init.purposes import PURPOSES
from collector.cli.commands.init.yaml_text import yaml_text
from collector.errors import UserError
from collector.exchanges.registry import EXCHANGES, exchange_of
from collector.settings import load_settings

ALL = ("bybit", "binance", "kraken")
PERPETUAL = "BTC/USDT:USDT"


@pytest.mark.parametrize(
    ("where", "text", "found"),
    [
        (ALL, "BTC", {"bybit": [PERPETUAL], "binance": ["BTC/USDT"], "kraken": ["BTC/USD"]}),
        (ALL, "btcusdt", {"bybit": [PERPETUAL], "binance": ["BTC/USDT"], "kraken": ["BTC/USDT"]}),
        (("bybit",), "BTC-USDC", {"bybit": ["BTC/USDC:USDC"]}),
        (("binance",), "USDC", {"binance": ["USDC/USDT"]}),
        (("bybit",), f" BTC , ,ETH/USDT,{PERPETUAL}", {"bybit": [PERPETUAL, "ETH/USDT"]}),
        (("bybit", "kraken"), f"{PERPETUAL},BTC/USD", {"bybit": [PERPETUAL], "kraken": ["BTC/USD"]}),
        (
            ("bybit", "kraken"),
            "bybit:eth,kraken:btc/eur",
            {"bybit": ["ETH/USDT:USDT"], "kraken": ["BTC/EUR"]},
        ),
        (("gate", "bybit"), "gate:BTC/USDT,BTC", {"gate": ["BTC/USDT"], "bybit": [PERPETUAL]}),
    ],
)
def test_a_name_means_a_market_of_each_exchange(
    where: tuple[str, ...], text: str, found: dict[str, list[str]]
) -> None:
    assert {name: list(symbols) for name, symbols in markets(where, text).items()} == found


@pytest.mark.parametrize(
    ("where", "text", "problem"),
    [
        (("bybit",), " , ", "no market is named, expected some, such as BTC,ETH"),
        (("bybit",), "BTC/USDT/ETH", "names no market, expected a coin such as BTC"),
        (("bybit",), "BTC/", "names no market"),
        (("bybit",), "B TC", "names no market"),
        (
            ("kraken",),
            "BTCUSD",
            "can be read in several ways, expected a coin like BTC, or a market like BTC/USD",
        ),
        (
            ("kraken",),
            PERPETUAL,
            r"\(linear\) is not collected from kraken, expected such as kraken: BTC/USD",
        ),
        (("bybit",), "BTC/USD", r"\(spot\) is not collected from bybit, expected such as bybit: BTC/USDT"),
        (("bybit",), "BTC/USD:BTC", r"\(inverse\) is not collected from bybit"),
        (("bybit",), "kraken:BTC", "names the exchange 'kraken', expected bybit"),
        (("bybit", "kraken"), PERPETUAL, "no market of kraken is among .*, expected kraken:BTC/USD as well"),
        (("gate",), "BTC", "which market of BTC is meant at gate is not known, expected its whole name"),
    ],
)
def test_a_name_that_cannot_be_understood_is_told_with_what_to_write(
    where: tuple[str, ...], text: str, problem: str
) -> None:
    with pytest.raises(UserError, match=problem):
        markets(where, text)


def test_exchanges_and_purposes_have_numbers_as_well() -> None:
    assert exchanges("3, Bybit,1") == ("kraken", "bybit")
    assert purpose(" 2 ").name == "bot"
    with pytest.raises(UserError, match="did you mean bybit"):
        exchanges("bybti")
    with pytest.raises(UserError, match="expected some of bybit, binance, kraken, okx"):
        exchanges("5")
    with pytest.raises(UserError, match="expected one of training, bot, light; did you mean training"):
        purpose("trainng")


@pytest.mark.parametrize("wanted", PURPOSES)
@pytest.mark.parametrize("exchange", [*EXCHANGES, "gate"])
def test_every_purpose_can_be_had_from_every_exchange_and_kind_of_market(
    tmp_path_factory: pytest.TempPathFactory, wanted: str, exchange: str
) -> None:
    quote = "USD" if exchange == "kraken" else "USDT"
    forms = {"spot": f"BTC/{quote}", "linear": f"BTC/{quote}:{quote}"}
    every = [forms[kind] for kind in exchange_of(exchange).kinds]
    for symbols in [*([one] for one in every), every]:
        answers = Answers({exchange: symbols}, PURPOSES[wanted], database("./live.db"))
        path = tmp_path_factory.mktemp("init") / "collector.yaml"
        path.write_text(yaml_text(answers, made_by="again"))
        (one,) = load_settings(path, environ={}, env_file=None).exchanges.values()
        assert list(one.symbols) == symbols
        assert one.sample.mode == PURPOSES[wanted].sample_mode
        assert any(channel.startswith("book.") for channel in one.channels)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("postgresql://me:s3cret@host:5433/market", "postgresql://me@host:5433/market"),
        ("postgresql+psycopg://me:s3cret@host/market", "postgresql://me@host/market"),
        (
            "postgres://me@host/market?password=s3cret&sslmode=require",
            "postgresql://me@host/market?sslmode=require",
        ),
    ],
)
def test_a_password_is_not_kept(text: str, kept: str) -> None:
    found = database(text)
    assert (found.url, found.is_server, found.has_password) == (kept, True, True)
    assert not database(kept).has_password


def test_a_file_that_came_meanwhile_is_not_replaced(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("file") / "collector.yaml"
    with written_aside(path, "ours") as aside:
        path.write_text("theirs")
        with pytest.raises(UserError, match="--force replaces it"):
            put_in_place(aside, path, replace=False)
    assert path.read_text() == "theirs"
    assert list(path.parent.iterdir()) == [path]
    with written_aside(path, "ours") as aside:
        put_in_place(aside, path, replace=True)
    assert path.read_text() == "ours"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("started_as", "words"),
    [
        ("run.py", "python run.py"),
        ("../it's/run.py", "python '../it'\"'\"'s/run.py'"),
        ("/opt/bin/collector", "collector"),
    ],
)
def test_commands_are_told_as_they_can_be_typed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, started_as: str, words: str
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [started_as])
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert next_steps.program() == words
    monkeypatch.setenv("PATH", "/nowhere")  # an environment that is not activated
    assert next_steps.program() == words.replace("python ", f"{python} ")
    options = {"--db": "my data.db"}
    assert next_steps.same_command(options, Path("x.yaml")).endswith("init --db 'my data.db' --output x.yaml")
