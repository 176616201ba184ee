"""An exchange of one's own: by call or plug-in, loaded when its name is configured, or refused in words."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from collector import DataIngestorConfig, register_exchange
from collector.errors import SettingsError, UserError
from collector.exchanges import EXCHANGES, PLUGINS, exchange_of, is_known, is_registered, unregister_exchange
from collector.exchanges.limits import Rate
from collector.settings import Settings, load_settings

sys.path.insert(0, str(Path(__file__).parents[1]))
from own_plugin import Installed, installed

__all__ = ["installed"]
BYBIT = EXCHANGES["bybit"]


def loaded(**overrides: object) -> Settings:
    return load_settings(overrides=overrides, environ={}, env_file=None)


def configured(name: str) -> Settings:
    return loaded(**{f"exchanges.{name}.symbols": ["BTC/USDT"]})


def test_a_plug_in_is_loaded_when_its_name_is_configured_and_not_before(installed: Installed) -> None:
    installed.add_exchange("mine", "own_mine")
    configured("bybit")
    assert not is_registered("mine")
    assert "own_mine" not in sys.modules
    assert PLUGINS.names() == ["mine"]
    settings = configured("mine")
    assert settings.exchanges["mine"].channels == ("book.50",)
    assert exchange_of("mine").summary == "of one's own"
    assert [(one.group, one.name, one.origin) for one in PLUGINS.loaded] == [
        ("collector.exchanges", "mine", "dist-own_mine 1.2")
    ]
    with pytest.raises(SettingsError, match=r"found 'book.30', a depth that mine does not offer"):
        loaded(**{"exchanges.mine.symbols": ["BTC/USDT"], "exchanges.mine.channels": ["book.30"]})


def test_a_plug_in_may_prove_an_exchange_that_ccxt_alone_knows(installed: Installed) -> None:
    assert not exchange_of("gate").is_verified
    installed.add_exchange("gate", "own_gate")
    assert exchange_of("gate").is_verified


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({"__init__": "raise RuntimeError('no licence')"}, "cannot be loaded: RuntimeError('no licence')"),
        ({"__init__": "import sys; sys.exit(3)"}, "cannot be loaded: SystemExit(3)"),
        ({"__init__": "import no_such_thing"}, "cannot be loaded: ModuleNotFoundError"),
        ({"__init__": ""}, "cannot be loaded: AttributeError"),
        ({"__init__": "OWN = 5"}, "is refused: found int, expected an Exchange"),
        ({"frames": ""}, "is refused: own_bad.frames: a function read_frame expected, found none"),
        ({"rule": "1 / 0"}, "is refused: own_bad.rule: cannot be imported: ZeroDivisionError"),
    ],
)
def test_a_broken_plug_in_costs_a_message_and_nobody_else_anything(
    installed: Installed, files: dict[str, str], text: str
) -> None:
    installed.add_exchange("bad", "own_bad", **files)
    installed.add_exchange("good", "own_good")
    configured("bybit")
    configured("good")
    with pytest.raises(SettingsError) as refused:
        loaded(**{"exchanges.bad.symbols": ["BTC/USDT"], "exchanges.bybit.symbols": ["BTC/USDT"]})
    (problem,) = refused.value.problems
    assert problem.startswith("command line: exchanges.bad: found the plug-in 'bad' of dist-own_bad 1.2 ")
    assert text in problem
    assert not is_known("bad")
    assert not is_registered("bad")
    with pytest.raises(SettingsError, match="the plug-in 'bad'"):
        exchange_of("bad")


def test_the_short_keys_and_the_plain_variable_know_plug_ins_too(installed: Installed) -> None:
    installed.add_exchange("mine", "own_short")
    installed.add_exchange("bad", "own_bad", frames="")
    assert DataIngestorConfig(exchange="mine").to_settings().exchanges["mine"].symbols
    named = load_settings(environ={"EXCHANGE": "mine", "SYMBOLS": "BTCUSDT"}, env_file=None)
    assert list(named.exchanges) == ["mine"]
    with pytest.raises(
        SettingsError, match=r"config: exchange: found 'bad', expected .*; the plug-in 'bad' of dist"
    ):
        DataIngestorConfig(exchange="bad")
    with pytest.raises(SettingsError, match="variable EXCHANGE: exchange: found the plug-in 'bad' of dist"):
        load_settings(environ={"EXCHANGE": "bad", "SYMBOLS": "BTCUSDT"}, env_file=None)


def test_two_plug_ins_of_one_name_are_both_refused_and_one_of_ours_is_never_replaced(
    installed: Installed,
) -> None:
    installed.add_exchange("twice", "own_one")
    installed.add_exchange("twice", "own_two")
    installed.add_exchange("bybit", "own_bybit")
    with pytest.raises(
        SettingsError,
        match=r"'twice' of dist-own_one 1\.2 and dist-own_two 1\.2: 2 have this name, expected one",
    ):
        configured("twice")
    configured("bybit")
    assert exchange_of("bybit") is BYBIT


def test_a_plug_in_must_have_the_name_of_its_entry_point(installed: Installed) -> None:
    installed.add_exchange("other", "own_other", entry="mine")
    with pytest.raises(
        SettingsError, match="found an exchange of the name 'other', expected that of its entry"
    ):
        configured("mine")


def test_an_exchange_is_registered_by_a_call_with_the_checks_of_the_registry(installed: Installed) -> None:
    installed.add_exchange("unused", "own_called")
    mine = replace(BYBIT, name="called", package="own_called", ccxt_id="bybit")
    register_exchange(mine)
    register_exchange(mine)  # the same once more is no clash
    assert configured("called").exchanges["called"].symbols == ("BTC/USDT",)
    unregister_exchange("called")
    unregister_exchange("called")
    assert not is_known("called")
    unregister_exchange("bybit")
    assert is_known("bybit")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": "bybit"}, "an exchange 'bybit' is registered already"),
        ({"name": "My Own"}, "name: small letters, digits and _ expected, found 'My Own'"),
        ({"package": ""}, "package: the package with its frames, rule and history expected"),
        ({"package": "no_such_package"}, "no_such_package.frames: cannot be imported"),
        ({"preferred": ("spot",)}, "preferred: "),
        ({"depths": {"spot": (50, 1)}}, "depths in order expected"),
        ({"limits": None}, "the facts cannot be checked: AttributeError"),
        ({"limits": replace(BYBIT.limits, requests={"spot": Rate(1, 1.0)})}, "linear: no limits"),
    ],
)
def test_what_contradicts_itself_is_refused_by_the_registry(
    installed: Installed, changes: dict[str, object], text: str
) -> None:
    installed.add_exchange("unused", "own_facts")
    facts = {"name": "facts", "package": "own_facts", "ccxt_id": "bybit", **changes}
    with pytest.raises(UserError) as refused:
        register_exchange(replace(BYBIT, **facts))  # type: ignore[arg-type]
    assert text in str(refused.value)
    assert "facts" not in EXCHANGES


def test_what_is_no_exchange_is_refused() -> None:
    with pytest.raises(UserError, match="found dict, expected an Exchange"):
        register_exchange({"name": "mine"})  # type: ignore[arg-type]
