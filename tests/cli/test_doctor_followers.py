"""`doctor` checks each follower as it checks the database: by what the registry makes of its URL."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from line_sink import LineSink

from collector.cli.commands.doctor import storage
from collector.cli.commands.doctor.check_result import CheckResult
from collector.settings import load_settings
from collector.sinks import registry
from collector.sinks.sql.sink import SqlSink

Look = Callable[..., list[CheckResult]]


@pytest.fixture
def look(tmp_path: Path) -> Iterator[Look]:
    registry.register_follower("lines", lambda url, *_: LineSink(tmp_path / url.partition("//")[2]))

    def look_at(*urls: str) -> list[CheckResult]:
        settings = load_settings(overrides={"followers": list(urls)}, environ={}, env_file=None)
        return list(storage.followers(settings))

    yield look_at
    registry.unregister("lines")


def test_none_is_nothing_to_look_at(look: Look) -> None:
    assert look() == []


def test_a_database_is_looked_at_and_not_made(look: Look, tmp_path: Path) -> None:
    path = tmp_path / "second.db"
    assert look(str(path)) == [CheckResult("follower", "ok", f"{path} will be made at the start")]
    assert not path.exists()
    sink = SqlSink(str(path))
    sink.open()
    (found,) = look(str(path))
    sink.close()
    assert (found.level, "in use by another collector" in found.found) == ("warn", True)


def test_any_other_sink_is_opened_and_closed(look: Look, tmp_path: Path) -> None:
    good, bad = look("lines://here", "lines://nowhere/lines")
    assert good == CheckResult("follower", "ok", f"lines://{tmp_path}/here can be opened")
    assert (bad.name, bad.level) == ("follower", "fail")
    assert "does not exist" in bad.found


def test_what_cannot_be_made_is_told(look: Look, tmp_path: Path) -> None:
    (found,) = look(str(tmp_path / "nowhere" / "second.db"))
    assert (found.level, "does not exist" in found.found) == ("fail", True)
