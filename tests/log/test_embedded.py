"""Within another program, log lines go where that program reads them, and its own logging stays as it is."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from collector import create_data_ingestor
from collector.errors import SettingsError
from collector.log.embedded import log_as_embedded
from collector.log.options import LogOptions
from collector.log.output import set_up_logging
from collector.loggers import get_logger
from collector.simulator import Simulator

log = get_logger("collector.writer.thread")


@pytest.fixture(autouse=True)
def as_nobody_configured_it() -> Iterator[None]:
    before = structlog.get_config() if structlog.is_configured() else None
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
    if before is not None:
        structlog.configure(**before)


class Seen(logging.Handler):
    """A bot's own handler."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def seen() -> Iterator[Seen]:
    """Yield a handler of the root logger, as `logging.basicConfig(level=INFO)` would set one."""
    handler, root = Seen(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


def test_by_default_the_handlers_of_the_standard_library_see_each_line(seen: Seen) -> None:
    log_as_embedded(LogOptions(), secrets=["hunter2222"])
    log.debug("stream.verified")
    log.info("coverage.begun", streams=3, of="BTC book.50")
    log.bind(sink="x").warning("database.refused", error="hunter2222 is wrong", api_key="abc")
    told = [(one.name, one.levelname, one.getMessage()) for one in seen.records]
    assert told == [
        ("collector.writer.thread", "INFO", "coverage.begun streams=3 of='BTC book.50'"),
        (
            "collector.writer.thread",
            "WARNING",
            "database.refused sink=x error='**** is wrong' api_key=****",
        ),
    ]
    assert seen.records[0].collector == {  # type: ignore[attr-defined]
        "event": "coverage.begun",
        "streams": 3,
        "of": "BTC book.50",
    }
    assert not structlog.is_configured()


def test_what_the_bot_silences_is_silent(seen: Seen) -> None:
    ours = logging.getLogger("collector")
    ours.setLevel(logging.WARNING)
    try:
        log_as_embedded(LogOptions())
        log.info("coverage.begun")
        log.warning("connection.lost")
    finally:
        ours.setLevel(logging.NOTSET)
    assert [one.getMessage() for one in seen.records] == ["connection.lost"]


def test_a_traceback_comes_along_and_is_masked(seen: Seen) -> None:
    log_as_embedded(LogOptions(), secrets=["4711-4711"])
    try:
        int("4711-4711 is no number")
    except ValueError as error:
        log.exception("writer.failed")
        raised = error
    log.error("thread.died", exc_info=raised)
    for record in seen.records:
        text = record.getMessage()
        assert "Traceback (most recent call last)" in text
        assert "test_embedded.py" in text
        assert "4711" not in text


def test_a_logger_of_the_standard_library_that_is_handed_in_gets_all_lines(seen: Seen) -> None:
    log_as_embedded(LogOptions(level="warning"), logging.getLogger("bot.market"))
    log.info("coverage.begun")
    log.warning("connection.lost", attempt=1)
    (record,) = seen.records
    assert (record.name, record.levelname) == ("bot.market", "WARNING")
    assert record.getMessage() == "connection.lost attempt=1 logger=collector.writer.thread"


def test_a_logger_of_structlog_that_is_handed_in_gets_all_lines() -> None:
    lines: list[dict[str, Any]] = []

    def keep(_logger: object, method: str, event: dict[str, Any]) -> dict[str, Any]:
        lines.append({**event, "level": method})
        raise structlog.DropEvent

    bots = structlog.wrap_logger(None, processors=[keep]).bind(bot="mine")
    log_as_embedded(LogOptions(), bots, secrets=["hunter2222"])
    log.debug("stream.verified")
    log.warning("database.refused", error="hunter2222")
    expected = {"event": "database.refused", "error": "****", "bot": "mine", "level": "warning"}
    assert lines == [{**expected, "logger": "collector.writer.thread"}]


def test_what_is_no_logger_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"logger: expected a logging.Logger .*, found int"):
        log_as_embedded(LogOptions(), 3)


def test_a_bot_that_configured_structlog_is_left_alone() -> None:
    with structlog.testing.capture_logs() as lines:  # that is such a configuration
        log_as_embedded(LogOptions())
        log.info("coverage.begun", streams=3)
    assert lines == [{"event": "coverage.begun", "streams": 3, "log_level": "info"}]


def test_a_file_that_is_configured_is_written_and_structlog_left_alone(tmp_path: Path, seen: Seen) -> None:
    path = tmp_path / "bot.log"
    log_as_embedded(LogOptions(file=str(path)), secrets=["hunter2222"])
    log.warning("database.refused", error="hunter2222")
    line = json.loads(path.read_text())
    assert (line["event"], line["error"], line["level"]) == ("database.refused", "****", "warning")
    assert line["logger"] == "collector.writer.thread"
    assert not structlog.is_configured()
    assert not seen.records


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_program_of_our_own_says_the_module_of_each_line(form: str) -> None:
    out = io.StringIO()
    set_up_logging(LogOptions(format=form), out)  # type: ignore[arg-type]
    log.info("coverage.begun")
    assert "collector.writer.thread" in out.getvalue()


def test_a_bot_sees_the_lines_of_its_ingestor_by_logging_alone(
    tmp_path: Path, seen: Seen, capfd: pytest.CaptureFixture[str]
) -> None:
    with Simulator(updates_per_s=100.0) as simulator:
        config = {"exchange": "bybit", "symbol": "BTC/USDT:USDT", "db_path": str(tmp_path / "x.db")}
        with create_data_ingestor(config | {"endpoints": simulator.endpoints("bybit")}):
            pass
    told = [f"{one.levelname} {one.name} {one.getMessage()}" for one in seen.records]
    assert any(one.startswith("INFO collector.app.collector collector.started session=") for one in told), (
        told
    )
    closed = "INFO collector.app.connection_log connection.closed connection=bybit.linear.0"
    assert any(one.startswith(closed) for one in told), told
    assert capfd.readouterr().err == ""


@pytest.mark.proof
def test_a_program_sees_the_lines_of_its_ingestor_by_logging_alone(tmp_path: Path) -> None:
    program = f"""
import logging, sys
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s", stream=sys.stdout)
from collector import create_data_ingestor
from collector.simulator import Simulator
with Simulator(updates_per_s=100.0) as simulator:
    config = dict(exchange="bybit", symbol="BTC/USDT:USDT", db_path={str(tmp_path / "x.db")!r})
    with create_data_ingestor(config | dict(endpoints=simulator.endpoints("bybit"))):
        pass
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "INFO collector.app.collector collector.started session=" in done.stdout
    assert "INFO collector.app.connection_log connection.closed connection=bybit.linear.0" in done.stdout
    assert done.stderr == ""
