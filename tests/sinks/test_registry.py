"""A URL's scheme says which sink is meant."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from line_sink import LineSink

from collector.errors import SettingsError, UserError
from collector.settings import load_settings
from collector.sinks import registry
from collector.sinks.options import SinkOptions
from collector.sinks.sql.sink import SqlSink

OPTIONS = SinkOptions("books")


@pytest.fixture
def registered(tmp_path: Path) -> Iterator[str]:
    registry.register_follower("lines", lambda *_: LineSink(tmp_path / "lines"))
    yield "lines"
    registry.unregister("lines")


@pytest.mark.parametrize(
    ("url", "scheme"),
    [
        ("./live.db", "sqlite"),
        ("sqlite:///live.db", "sqlite"),
        ("postgresql+psycopg://me@host/market", "postgresql"),
        ("KINESIS://stream", "kinesis"),
    ],
)
def test_the_scheme_of_a_url(url: str, scheme: str) -> None:
    assert registry.scheme_of(url) == scheme


def test_the_stores_are_sql(tmp_path: Path) -> None:
    for url in (str(tmp_path / "a.db"), f"sqlite:///{tmp_path}/a.db", "postgresql://me@host/market"):
        assert registry.is_store(url)
        assert isinstance(registry.make_store(url, OPTIONS), SqlSink)
        assert isinstance(registry.make_follower(url, OPTIONS), SqlSink)


def test_the_options_reach_the_sink(tmp_path: Path) -> None:
    store = registry.make_store(str(tmp_path / "a.db"), SinkOptions("my_books"))
    store.open()
    store.close()
    assert b"my_books" in (tmp_path / "a.db").read_bytes()


@pytest.mark.usefixtures("registered")
def test_an_unknown_scheme_is_told_with_those_that_are_known() -> None:
    with pytest.raises(
        UserError, match=r"^mysql:// is no kind of database; expected .*sqlite:// or postgresql://$"
    ):
        registry.make_store("mysql://host/x", OPTIONS)
    with pytest.raises(UserError, match=r"^mysql:// is no kind of follower; expected .* or lines://$"):
        registry.make_follower("mysql://host/x", OPTIONS)
    with pytest.raises(UserError, match=r"^lines:// is no kind of database"):
        registry.make_store("lines://x", OPTIONS)


def test_the_configuration_asks_the_registry(registered: str) -> None:
    def load(**overrides: object) -> object:
        named = {name.replace("__", "."): value for name, value in overrides.items()}
        return load_settings(overrides={"symbols": "BTCUSDT", **named}, environ={}, env_file=None)

    load(followers=["lines://here"])
    with pytest.raises(SettingsError, match=r"database\.url: found 'lines://here', expected a path"):
        load(database__url="lines://here")
    registry.unregister(registered)
    with pytest.raises(SettingsError, match=r"followers\[0\]\.url: found 'lines://here', expected a path"):
        load(followers=["lines://here"])
    registry.register_store(registered, lambda _url, options: registry.make_store("x.db", options))
    load(database__url="lines://here")


def test_to_know_the_kinds_costs_no_library() -> None:
    program = (
        "import sys; from collector.sinks import registry; registry.is_follower('x'); "
        "print([name for name in ('sqlalchemy', 'numpy', 'ccxt') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
