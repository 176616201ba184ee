"""`doctor` checks each follower as it checks the database: by what the registry makes of its URL."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from line_sink import LineSink
from local_aws import CREDENTIALS, FaultyAws, moto_server, refusal

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


STREAM = "kinesis://eu-central-1/market?endpoint="


def test_a_stream_is_asked_whether_it_is_there_and_takes_records(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with moto_server() as aws, FaultyAws(aws.url) as proxy:
        missing, none_beside = look(STREAM + proxy.url)
        assert (none_beside.name, none_beside.level) == ("heartbeat", "fail")
        assert "Stream ingestor-heartbeat under account" in none_beside.found
        aws.make_stream("ingestor-heartbeat")
        assert missing.level == "fail"
        assert "Stream market under account" in missing.found
        assert "not found.; create the stream, or correct region and name in the URL" in missing.found
        aws.make_stream("market", shards=3)
        good, beats = look(STREAM + proxy.url)
        assert (beats.name, beats.level) == ("heartbeat", "ok")
        assert (good.level, good.found) == (
            "ok",
            f"{STREAM}{proxy.url} is ACTIVE, with 3 shards, and takes records from here",
        )
        proxy.plan(refusal(400, "AccessDeniedException", "not authorized"), action="PutRecord")
        denied, _ = look(STREAM + proxy.url)
        assert (denied.level, "deploy/aws/ has the policies" in denied.found) == ("fail", True)
        assert aws.records("market") == []


def test_without_the_extra_a_stream_says_which_it_needs(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    (found,) = look("kinesis://eu-central-1")
    assert found == CheckResult(
        "follower",
        "fail",
        "kinesis://eu-central-1: this needs boto3: run `pip install -e '.[aws]'` in the source folder",
    )
