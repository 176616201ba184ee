"""Followers in the configuration: from a file, from variables, with their mistakes and their secrets."""

from pathlib import Path

import pytest

from collector.errors import SettingsError
from collector.settings import Settings, load_settings
from collector.sinks import StreamOptions

POSTGRES = "postgresql://me:hidden-word@host/market"


def load(text: str, tmp_path: Path, **environ: str) -> Settings:
    file = tmp_path / "live.yaml"
    file.write_text(f"exchanges: {{bybit: {{symbols: [BTCUSDT]}}}}\n{text}")
    return load_settings(file, environ=environ, env_file=None)


def test_a_list_of_mappings_or_of_urls(tmp_path: Path) -> None:
    text = "followers:\n  - url: ./two.db\n    spool_max_bytes: 70000\n  - ./three.db\n"
    two, three = load(text, tmp_path).followers
    assert (two.url, two.spool_max_bytes) == ("./two.db", 70_000)
    assert (three.url, three.spool_max_bytes) == ("./three.db", 1_073_741_824)


def test_from_a_variable(tmp_path: Path) -> None:
    settings = load("", tmp_path, COLLECTOR_FOLLOWERS=f"./two.db, {POSTGRES}")
    assert [one.url for one in settings.followers] == ["./two.db", POSTGRES]


def test_a_stream_gets_heartbeats_into_a_second_one_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    text = """
followers:
  - kinesis://eu-central-1/one
  - {url: "kinesis://eu-central-1/two", heartbeat: {every_s: 2}}
  - {url: "kinesis://eu-central-1/three", heartbeat: {stream: signs-of-life}}
  - {url: "kinesis://eu-central-1/four", heartbeat: null}
"""
    found = [
        one.heartbeat and (one.heartbeat.stream, one.heartbeat.every_s)
        for one in load(text, tmp_path).followers
    ]
    assert found == [("ingestor-heartbeat", 10.0), ("ingestor-heartbeat", 2.0), ("signs-of-life", 10.0), None]


def test_a_password_is_shown_nowhere_and_stands_in_no_file(tmp_path: Path) -> None:
    settings = load("", tmp_path, COLLECTOR_FOLLOWERS=POSTGRES)
    assert "hidden-word" not in str(settings.masked()) + repr(settings)
    assert "hidden-word" in settings.secrets()
    for text in (f"followers: ['{POSTGRES}']", f"followers: [{{url: '{POSTGRES}'}}]"):
        with pytest.raises(SettingsError, match="expected the URL in COLLECTOR_FOLLOWERS instead") as caught:
            load(text, tmp_path)
        assert "hidden-word" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("followers: ./two.db", r"followers: found '\./two\.db', expected a list of followers"),
        ("followers: [3]", r"followers\[0\]: found 3, expected a URL, or a mapping with url"),
        ("followers: [{ur: ./two.db}]", r"followers\[0\]\.url: found nothing, expected a URL, or a mapping"),
        (
            "followers: [{url: ./two.db, spool_max_bytes: 1}]",
            r"followers\[0\]\.spool_max_bytes: found 1, expected a URL, or a mapping .* from 65536",
        ),
        (
            "followers: [{url: 'kinesis://eu-central-1/x', heartbeat: {stream: 'a b'}}]",
            r"followers\[0\]\.heartbeat\.stream: found 'a b', expected a URL, or a mapping .*, heartbeat \(",
        ),
        (
            "followers: [{url: ./two.db, heartbeat: {every_s: 5}}]",
            r"followers\[0\]: found a heartbeat, expected one only of a stream like kinesis://",
        ),
        ("followers: ['mysql://x']", r"followers\[0\]\.url: found 'mysql://x', expected a path of an SQLite"),
        ("followers: [a.db, a.db]", r"followers\[1\]\.url: found 'a\.db' a second time"),
        (
            "followers: [a.db]\ndatabase: {url: a.db}",
            r"line \d: followers\[0\]\.url: found 'a\.db', which is database\.url",
        ),
    ],
)
def test_mistakes_are_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(text, tmp_path)


STREAM = "kinesis://eu-central-1/market"


def test_how_a_stream_gets_its_records(tmp_path: Path) -> None:
    text = (
        f"followers:\n  - url: {STREAM}\n    records: single\n    coverage: false\n"
        "    dead_letters: ./dead.jsonl\n  - kinesis://eu-central-1\n"
    )
    told, plain = load(text, tmp_path).followers
    assert told.stream == StreamOptions("single", coverage=False, dead_letters="./dead.jsonl")
    assert plain.stream == StreamOptions("batch", coverage=True, dead_letters=None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"followers: [{{url: '{STREAM}', records: many}}]",
            r"followers\[0\]\.records: found 'many', expected",
        ),
        (
            "followers: [{url: a.db, coverage: false}]",
            r"followers\[0\]: found records, coverage or dead_letters",
        ),
        ("followers: ['kinesis://Frankfurt/x']", r"followers\[0\]\.url: .*found the region 'Frankfurt'"),
        (
            "followers: ['kinesis://eu-central-1/x?aws_session_token=hidden-word']",
            r"followers\[0\]\.url: .*found 'aws_session_token' in the URL of a stream",
        ),
    ],
)
def test_mistakes_in_a_stream_are_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        load(text, tmp_path)
    assert "hidden-word" not in str(caught.value)
