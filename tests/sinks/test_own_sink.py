"""A sink of one's own: by call or by a plug-in, loaded when a URL of its scheme is configured."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector import register_sink
from collector.errors import SettingsError, UserError
from collector.settings import Settings, load_settings
from collector.sinks import PLUGINS, make_follower, make_store, unregister
from collector.sinks.options import SinkOptions

sys.path.insert(0, str(Path(__file__).parents[1]))
from own_plugin import SINK, Installed, installed

__all__ = ["installed"]
OPTIONS = SinkOptions("books")


def followed_by(*urls: str, database: str = "live.db") -> Settings:
    overrides: dict[str, object] = {"symbols": "BTCUSDT", "followers": list(urls), "database.url": database}
    return load_settings(overrides=overrides, environ={}, env_file=None)


def add_sink(installed: Installed, scheme: str, package: str, text: str = SINK) -> None:
    line = f"{scheme} = {package}:Counting"
    installed.add(f"dist-{package}", {"collector.sinks": line}, {f"{package}/__init__.py": text})


@pytest.fixture
def scheme() -> Iterator[str]:
    yield "mine"
    unregister("mine")


def test_a_plug_in_is_loaded_when_a_url_of_its_scheme_is_configured(
    installed: Installed, tmp_path: Path
) -> None:
    add_sink(installed, "counting", "own_counting")
    followed_by("./second.db")
    assert "own_counting" not in sys.modules
    followed_by(f"counting://{tmp_path}/batches")
    assert [(one.name, one.origin) for one in PLUGINS.loaded] == [("counting", "dist-own_counting 1.2")]
    made: Any = make_follower(f"counting://{tmp_path}/batches", OPTIONS)
    made.open()
    assert (made.table_name, (tmp_path / "batches").read_text()) == ("books", "")
    with pytest.raises(
        SettingsError, match=r"database\.url: found 'counting://x', expected a path of an SQLite"
    ):
        followed_by(database="counting://x")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("raise RuntimeError('no licence')", "cannot be loaded: RuntimeError('no licence')"),
        ("Counting = 5", "is refused: found int, expected a function of a URL and SinkOptions"),
        ("", "cannot be loaded: AttributeError"),
    ],
)
def test_a_broken_plug_in_costs_a_message_and_nobody_else_anything(
    installed: Installed, text: str, told: str
) -> None:
    add_sink(installed, "broken", "own_broken", text)
    add_sink(installed, "whole", "own_whole")
    followed_by("./second.db", "whole://here")
    with pytest.raises(SettingsError) as refused:
        followed_by("whole://here", "broken://here")
    (problem,) = refused.value.problems
    assert problem.startswith(
        "command line: followers[1].url: found 'broken://here', the plug-in 'broken' of"
    )
    assert told in problem
    with pytest.raises(UserError, match="the plug-in 'broken' of dist-own_broken 1"):
        make_follower("broken://here", OPTIONS)
    with pytest.raises(UserError, match="the plug-in 'broken' of dist-own_broken 1"):
        make_store("broken://here", OPTIONS)


def test_two_plug_ins_of_one_scheme_are_both_refused_and_one_of_ours_is_never_replaced(
    installed: Installed, tmp_path: Path
) -> None:
    add_sink(installed, "sqlite", "own_sqlite")
    add_sink(installed, "twice", "own_first")
    add_sink(installed, "twice", "own_second")
    with pytest.raises(SettingsError, match="2 have this name, expected one: uninstall the others"):
        followed_by("twice://here")
    assert make_follower(str(tmp_path / "a.db"), OPTIONS).file == tmp_path / "a.db"
    assert "own_sqlite" not in sys.modules


def test_a_sink_is_registered_by_a_call(scheme: str) -> None:
    class Mine:
        """A sink that lacks what it must have."""

        def __init__(self, url: str, options: SinkOptions) -> None:
            self.name, self.options = url, options

    register_sink(scheme, Mine)  # type: ignore[arg-type]  # it is no sink, which is the point
    followed_by("mine://here")
    with pytest.raises(
        UserError, match=r"the sink for mine:// is a Mine without file, capabilities, open, write, refuses"
    ):
        make_follower("mine://here", OPTIONS)
    with pytest.raises(UserError, match="registered already"):
        register_sink(scheme, Mine)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="registered already"):
        register_sink("kinesis", Mine)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"found the scheme 'My Own', expected small letters"):
        register_sink("My Own", Mine)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="found int, expected a function"):
        register_sink("other", 5)  # type: ignore[arg-type]


def test_a_factory_that_raises_is_told_in_words(scheme: str) -> None:
    def factory(url: str, _options: SinkOptions) -> Any:
        raise ValueError(url)

    register_sink(scheme, factory, is_store=True)
    followed_by(database="mine://here")
    with pytest.raises(UserError, match=r"the sink for mine:// cannot be made: ValueError\('mine://here'\)"):
        make_store("mine://here", OPTIONS)
