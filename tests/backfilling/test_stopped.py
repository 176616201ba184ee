"""A stop breaks off what brings in the past at once, whatever it waits for; the next run goes on there."""

import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from backfill_rig import bars_in, brought_in, configured, simulated, small_pages, true_bars, whole_past

from collector.backfilling import fetch, storing
from collector.backfilling import plan as planning
from collector.errors import CollectorError, SinkError
from collector.query.audit.run_checks import run_audit
from collector.settings.model import Settings
from collector.simulator import Simulator
from collector.sinks.contract import Receipt, WriteSet
from collector.sinks.sql.sink import SqlSink

FOR_LONG_S = 3600.0  # a wait that no test outlasts
ENDS_WITHIN_S = 30.0
SYMBOL = "BTC/USDT:USDT"
PAGES_BEFORE = 2


class Waits:
    """A backoff that waits for long, and tells when it is asked."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def wait_s(self, _attempt: int) -> float:
        self.asked.set()
        return FOR_LONG_S


def stopped_when(happened: threading.Event, settings: Settings, past: tuple[int, int]) -> None:
    """Bring in the past, and stop once something has happened; fail if that does not end it."""
    stopping, failed = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            brought_in(settings, *past, is_stopping=stopping.is_set)
        except CollectorError as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert happened.wait(ENDS_WITHIN_S)
    stopping.set()
    thread.join(ENDS_WITHIN_S)
    assert not thread.is_alive(), "it waits on"


def check_the_rest_comes(simulator: Simulator, path: Path, settings: Settings, past: tuple[int, int]) -> None:
    assert len(bars_in(path, "okx", SYMBOL)) < len(true_bars(simulator, "okx", SYMBOL, *past))
    _, progress = brought_in(settings, *past)
    assert progress is not None
    assert progress.problems == []
    assert bars_in(path, "okx", SYMBOL) == true_bars(simulator, "okx", SYMBOL, *past)
    assert list(run_audit(path).findings) == []


def test_a_stop_waits_for_no_database_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_past_of", planning._past_of)
    waits = Waits()
    monkeypatch.setattr(storing, "RETRY", waits)
    small_pages(10)
    write = SqlSink.write
    written = [0]

    def away_after_some(sink: SqlSink, write_set: WriteSet) -> Receipt:
        if written[0] == PAGES_BEFORE:
            raise SinkError("the database is away", transient=True)
        written[0] += 1
        return write(sink, write_set)

    past = whole_past()
    with simulated({"okx": [SYMBOL]}) as simulator:
        settings = configured(simulator, tmp_path, ["ohlcv.1m"])
        with monkeypatch.context() as patched:
            patched.setattr(SqlSink, "write", away_after_some)
            stopped_when(waits.asked, settings, past)
        check_the_rest_comes(simulator, tmp_path / "past.db", settings, past)


def test_a_stop_waits_for_no_exchange_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_past_of", planning._past_of)
    waits = Waits()
    monkeypatch.setattr(fetch, "RETRY", waits)
    small_pages(10)
    past = whole_past()
    with simulated({"okx": [SYMBOL]}) as simulator:
        settings = configured(simulator, tmp_path, ["ohlcv.1m"])
        simulator.faults.rest_status("okx", 500, path="history-candles", after=PAGES_BEFORE)
        stopped_when(waits.asked, settings, past)
        check_the_rest_comes(simulator, tmp_path / "past.db", settings, past)
