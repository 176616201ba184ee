"""Callbacks that try to end the program, never return, or are too slow: told, bounded, and alone in it."""

import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from collector import EventBus, IngestorError, L2Update, create_data_ingestor
from collector.bot import health
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from bot_rig import config, threads, wait_until


def test_a_callback_that_exits_is_told_everywhere_and_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[IngestorError] = []
    with Simulator(updates_per_s=60.0) as simulator:
        ingestor = create_data_ingestor(config(simulator, tmp_path))
        ingestor.add_update_callback(lambda _: sys.exit(3), name="bot")
        ingestor.add_error_callback(errors.append)
        with ingestor:
            wait_until(lambda: len(errors) > 20, "it goes on, and each is told")
            assert "the callback bot raised SystemExit" in str(ingestor.is_healthy())
            bot = ingestor.get_stats()["callbacks"][0]
            assert (bot["handled"], bot["dropped"]) == (0, 0)
            assert bot["failed"] > 20
    assert str(errors[0]) == (
        "callback_failed: bot raised SystemExit(3): a callback cannot end the program, call stop() and "
        "return from main"
    )
    assert "subscriber.failed" in caplog.text


def test_a_callback_that_never_returns_is_told_and_holds_up_no_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(health, "STUCK_AFTER_S", 0.05)
    errors: list[IngestorError] = []
    go = threading.Event()

    def never(_update: L2Update) -> None:
        go.wait(120.0)

    with Simulator(updates_per_s=60.0) as simulator:
        ingestor = create_data_ingestor(config(simulator, tmp_path), events=EventBus(late_after_s=0.05))
        ingestor.add_update_callback(never, name="bot")
        ingestor.add_error_callback(errors.append)
        assert ingestor.start()
        wait_until(lambda: errors, "it is told")
        wait_until(lambda: not ingestor.is_healthy(), "health says it")
        assert "the callback bot has not returned for" in str(ingestor.is_healthy())
        began_s = time.monotonic()
        assert ingestor.stop()
        assert time.monotonic() - began_s < 20.0
        assert threads() == ["events bot"]
        go.set()
        wait_until(lambda: threads() == [], "its thread ends once it returns")
        seen: list[Any] = []
        ingestor.add_update_callback(seen.append)
        with ingestor:  # and it starts again
            wait_until(lambda: len(seen) > 10, "updates")
    assert errors[0].code == "callback_stuck"
    assert "bot has not returned for" in str(errors[0])
    assert "what=stuck" in caplog.text


def test_a_callback_that_loses_events_is_told(tmp_path: Path) -> None:
    errors: list[IngestorError] = []
    with Simulator(updates_per_s=60.0) as simulator:
        ingestor = create_data_ingestor(config(simulator, tmp_path), events=EventBus(late_after_s=60.0))
        ingestor.add_update_callback(lambda _: time.sleep(0.05), name="bot", most_waiting=1)
        ingestor.add_error_callback(errors.append)
        with ingestor:
            wait_until(lambda: errors, "it is told")
    assert errors[0].code == "callback_slow"
    assert "bot is too slow for what comes: " in str(errors[0])
