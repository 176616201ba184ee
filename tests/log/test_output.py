"""What the program says: to people, to machines, to a file that rotates; never a secret."""

import io
import json
import os
import pty
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from collector.errors import UserError
from collector.log.log_file import LogFile, Quiet
from collector.log.options import LogOptions
from collector.log.output import set_up_logging
from collector.settings import load_settings


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    target = getattr(structlog.get_config()["logger_factory"], "target", None)
    if isinstance(target, LogFile):
        target.close()
    structlog.reset_defaults()


def test_a_line_of_json_for_machines() -> None:
    out = io.StringIO()
    set_up_logging(LogOptions(), out)
    structlog.get_logger().info("stream.changed", state="connected")
    line = json.loads(out.getvalue())
    assert (line["event"], line["state"], line["level"]) == ("stream.changed", "connected", "info")
    assert line["timestamp"].endswith("Z")


def test_a_line_for_people_without_colours_where_no_terminal_is() -> None:
    out = io.StringIO()
    set_up_logging(LogOptions(format="console"), out)
    structlog.get_logger().warning("database.refused", error="locked")
    assert "database.refused" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_the_level_is_obeyed() -> None:
    out = io.StringIO()
    set_up_logging(LogOptions(level="warning"), out)
    structlog.get_logger().info("nothing")
    assert out.getvalue() == ""


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_secret_by_name_by_value_in_a_url_or_in_a_traceback(form: str) -> None:
    out = io.StringIO()
    settings = load_settings(
        overrides={"symbols": "BTCUSDT", "database.url": "postgresql://me:hunter2222@host/db"},
        environ={"BYBIT_API_KEY": "key-of-mine-1", "BYBIT_API_SECRET": "secret-of-mine"},
        env_file=None,
    )
    set_up_logging(LogOptions(format=form), out, secrets=settings.secrets())  # type: ignore[arg-type]
    log = structlog.get_logger()
    log.info("asked", api_key="anything", url="wss://u:pass-word@host/x", list=["a secret-of-mine b"])
    log.info("told key-of-mine-1", detail="at postgresql://me:hunter2222@host/db")
    hidden = settings.secrets()[1]
    try:
        int(f"wrong: {hidden}")
    except ValueError:
        log.exception("failed")
    text = out.getvalue()
    for secret in ("key-of-mine-1", "secret-of-mine", "hunter2222", "pass-word", "anything"):
        assert secret not in text
    assert "Traceback" in text
    assert text.count("****") >= 6


def test_a_log_file_is_set_aside_when_it_has_grown_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "collector.log"
    set_up_logging(LogOptions(file=str(path), max_bytes=10_000, keep_files=2))
    log = structlog.get_logger()
    for number in range(400):
        log.info("line", number=number)
    names = sorted(one.name for one in tmp_path.iterdir())
    assert names == ["collector.log", "collector.log.1", "collector.log.2"]
    numbers = []
    for name in ("collector.log.2", "collector.log.1", "collector.log"):
        lines = (tmp_path / name).read_text().splitlines()
        assert (tmp_path / name).stat().st_size <= 10_000
        numbers += [json.loads(line)["number"] for line in lines]
    assert numbers == list(range(numbers[0], 400))  # whole lines, in order, none lost but the oldest
    assert numbers[0] > 0


def test_a_log_file_goes_on_where_it_was(tmp_path: Path) -> None:
    for text in ("one\n", "two\n"):
        file = LogFile(tmp_path / "x.log", 10_000, 1)
        file.write(text)
        file.close()
    assert (tmp_path / "x.log").read_text() == "one\ntwo\n"


def test_a_log_file_that_cannot_be_set_aside_does_no_harm(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "x.log", 10, 1)
    file.write("12345678\n")
    (tmp_path / "x.log.1").mkdir()
    (tmp_path / "x.log.1" / "full").touch()
    for _ in range(3):
        file.write("12345678\n")
    assert file.failures == 3
    file.close()


def test_a_full_disk_or_a_closed_pipe_harms_nobody() -> None:
    with Path("/dev/full").open("w", buffering=1) as full:
        quiet = Quiet(full)
        set_up_logging(LogOptions(), full)
        structlog.get_logger().info("said into the void")
        quiet.write("text\n")
        assert quiet.failures == 1
        with pytest.raises(OSError, match="No space"):
            full.flush()
        full.buffer.raw.close()  # type: ignore[attr-defined]


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        set_up_logging(LogOptions(file=str(tmp_path / "no" / "x.log")))


def test_lines_follow_standard_error_wherever_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    set_up_logging(LogOptions(format="json"))
    elsewhere = io.StringIO()
    monkeypatch.setattr(sys, "stderr", elsewhere)
    structlog.get_logger().info("here")
    assert "here" in elsewhere.getvalue()


def test_secrets_are_masked_in_dicts_and_exceptions_too() -> None:
    out = io.StringIO()
    set_up_logging(LogOptions(format="json"), out, secrets=["abcdefghij"])
    error = ValueError("refused: abcdefghij at postgresql://me:hunter2@db/x")
    nested = {"apiKey": "short", "deep": [{"why": "abcdefghij"}], "abcdefghij": 1}
    structlog.get_logger().warning("told", error=error, answer=nested, of={"abcdefghij"}, count=3, none=None)
    text = out.getvalue()
    for secret in ("abcdefghij", "hunter2", "short"):
        assert secret not in text
    line = json.loads(text)
    assert line["answer"]["deep"] == [{"why": "****"}]
    assert "ValueError" in line["error"]
    assert (line["count"], line["none"]) == (3, None)


@pytest.mark.parametrize("form", ["json", "console"])
def test_the_journal_is_told_the_priority_of_each_line(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "journal").open("w+") as journal:
        found = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        set_up_logging(LogOptions(format=form, level="debug"), journal)  # type: ignore[arg-type]
        log = structlog.get_logger()
        for tell in (log.debug, log.info, log.warning, log.error):
            tell("said")
        try:
            int("no number")
        except ValueError:
            log.exception("failed")
        journal.seek(0)
        lines = journal.read().splitlines()
    assert [line[:3] for line in lines[:4]] == ["<7>", "<6>", "<4>", "<3>"]
    assert {line[:3] for line in lines[4:]} == {"<3>"}  # of a traceback as well
    assert all(line[3:4] == "{" for line in lines) == (form == "json")


def test_elsewhere_there_are_no_priorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:12345")  # inherited, and our stream goes elsewhere
    with (tmp_path / "log").open("w+") as elsewhere:
        set_up_logging(LogOptions(), elsewhere)
        structlog.get_logger().warning("said")
        elsewhere.seek(0)
        assert elsewhere.read().startswith("{")
    found = (tmp_path / "log").stat()
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    set_up_logging(LogOptions(file=str(tmp_path / "log")))  # a file of ours is read by no journal
    structlog.get_logger().warning("said again")
    assert "\n{" in (tmp_path / "log").read_text()


def test_at_a_terminal_an_error_is_one_line_and_its_traceback_with_debug(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        for level, told in (("info", 1), ("debug", 5)):
            set_up_logging(LogOptions(level=level), terminal)  # type: ignore[arg-type]
            try:
                int("no number")
            except ValueError:
                structlog.get_logger().exception("failed", part="writer")
            terminal.flush()
            text = os.read(ours, 100_000).decode()
            assert text.count("\n") >= told
            assert ("Traceback" in text) == (level == "debug")
            assert "no number" in text
            assert "test_output.py" in text
    os.close(ours)
