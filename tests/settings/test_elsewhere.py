"""Names of other programs lead to ours; the page for who comes from them is the same table."""

import re
import sys
from pathlib import Path

import pytest

import collector
from collector.bot.config import DataIngestorConfig
from collector.cli.program import app
from collector.errors import SettingsError
from collector.settings.elsewhere import Elsewhere, found_elsewhere, tables
from collector.settings.keys import ANY_EXCHANGE, KEYS, SECTIONS, dotted
from collector.settings.sources import PREFIX

sys.path.insert(0, str(Path(__file__).parent))
from conftest import Problems

PAGE = (Path(__file__).parents[2] / "docs" / "coming-from.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \| ?(.*?) ?\|$", re.MULTILINE)
OURS = {dotted(path).replace(ANY_EXCHANGE, "<exchange>") for path in (*KEYS, *SECTIONS) if path}
COMMANDS = {one.callback.__name__ for one in app.registered_commands if one.callback is not None}
ALL = [one for of_kind in tables().values() for one in of_kind]


def test_the_page_is_the_table() -> None:
    parts = re.split(r"^### (.+)$", PAGE, flags=re.MULTILINE)[1:]
    told = {
        name: [Elsewhere(*row) for row in ROW.findall(text)]
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    }
    assert told == tables()


def is_there(ours: str) -> bool:
    if ours.startswith("python run.py "):
        return ours.split()[2] in COMMANDS
    if ours.startswith(PREFIX):
        return ours in {"COLLECTOR_SERVE__TOKEN", "COLLECTOR_DATABASE__URL"}
    return ours in OURS or ours in collector.__all__


def test_what_each_is_called_here_is_there() -> None:
    assert [one for one in ALL if not is_there(one.ours)] == []
    assert not is_there("stream.max_retries")


def test_no_name_stands_in_it_twice_or_is_one_of_ours() -> None:
    names = [one.theirs for one in ALL]
    assert len(names) == len(set(names))
    assert set(names) & OURS == set()


def test_each_is_found_as_it_stands_there_and_written_in_other_ways() -> None:
    assert [one for one in ALL if found_elsewhere(one.theirs.split(".")) != one] == []
    shouted = [(one, ["my_bot", *one.theirs.upper().replace("_", "-").split(".")]) for one in ALL]
    assert [one for one, path in shouted if found_elsewhere(path) != one] == []


def test_a_last_name_that_means_several_things_is_not_guessed_at() -> None:
    assert found_elsewhere(["gizmo", "port"]) is not None  # everywhere serve.port
    assert found_elsewhere(["gizmo", "max_retries"]) is None
    here = found_elsewhere(["stream", "max_retries"])
    assert here is not None
    assert here.ours == "stream.max_reconnect_attempts"


NONE = "found a key that the configuration does not have"
FILE = """
data_ingestor: {book_depth: 5}
websocket: {max_retries: 3}
trading: {pairs: [BTC/USDT]}
kinesis: {stream_name: market, gizmo: 1}
health: {port: 80}
database: {password: hunter22}
"""
TOLD = [
    f"2: data_ingestor.book_depth: {NONE}; did you mean storage.levels?",
    f"3: websocket.max_retries: {NONE}; did you mean stream.max_reconnect_attempts?",
    f"4: trading.pairs: {NONE}; did you mean exchanges.<exchange>.symbols?",
    f"5: kinesis.stream_name: {NONE}; did you mean followers?",
    f"5: kinesis.gizmo: {NONE}, expected one of exchanges, database,",
    "6: health.port: found a key that health does not have; did you mean serve.port?",
    "7: database.password: found a secret (not shown), expected none here: set it by the environment",
]


def test_a_file_of_another_program_is_answered_key_by_key(problems: Problems) -> None:
    found = problems(FILE)
    assert len(found) == len(TOLD)
    begins = [f"live.yaml line {text}" for text in TOLD]
    assert [text for text, begin in zip(found, begins, strict=True) if not text.startswith(begin)] == []


def test_a_variable_of_another_program_is_answered_with_ours(problems: Problems) -> None:
    (told,) = problems("", environ={"COLLECTOR_WEBSOCKET__PING_INTERVAL": "20"})
    assert told.endswith("found a variable that sets no key; did you mean COLLECTOR_STREAM__HEARTBEAT_S?")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("pairs", "symbol"),
        ("book_depth", "orderbook_depth"),
        ("testnet", "environment"),
        ("max_retries", "max_reconnect_attempts"),
        ("db_url", "db_path"),
        ("ping_interval", "settings={'stream.heartbeat_s': ...}"),
        ("dry_run", "python run.py demo"),
    ],
)
def test_an_ingestor_answers_with_its_short_keys(name: str, meant: str) -> None:
    with pytest.raises(SettingsError) as refused:
        DataIngestorConfig.from_dict({name: 1})
    assert f"did you mean {meant}?" in str(refused.value)
