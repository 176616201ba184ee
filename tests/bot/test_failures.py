"""Why a start came to nothing, and what goes wrong later, in the words of whoever was to blame."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from collector import DataIngestor, IngestorError, PotentialHalt, State, SystemState
from collector.bot.awaited import Awaited
from collector.bot.config import DataIngestorConfig


def ingestor() -> DataIngestor:
    return DataIngestor(DataIngestorConfig())


def why(found: Any, timeout_s: float, last_trouble: str = "") -> IngestorError:
    awaited = Awaited(DataIngestorConfig().to_settings(), "first", threading.Event())
    return awaited.failure(found, timeout_s, last_trouble)


def collector(
    *,
    refused: tuple[str, ...] = (),
    stream: Any = None,
    writer: Any = None,
    alive: tuple[bool, bool] = (True, True),
) -> Any:
    """A collector that did not get a book in time."""
    return SimpleNamespace(
        refused=refused,
        expected=(),
        stream=SimpleNamespace(alive=alive[0], failure=stream),
        writer=SimpleNamespace(alive=alive[1], failure=writer),
    )


ERROR, OTHER = ValueError("ours"), KeyError("other")


@pytest.mark.parametrize(
    ("found", "code", "text", "cause"),
    [
        (collector(refused=("no market", "no channel")), "refused", "no market; no channel", None),
        (
            collector(alive=(False, True), stream=ERROR),
            "thread_ended",
            "a thread ended: ValueError('ours')",
            ERROR,
        ),
        (
            collector(alive=(True, False), writer=ERROR),
            "thread_ended",
            "a thread ended: ValueError('ours')",
            ERROR,
        ),
        (
            collector(alive=(False, False), stream=ERROR, writer=OTHER),
            "thread_ended",
            "a thread ended: ValueError('ours')",
            ERROR,
        ),
        (collector(), "no_book", "no verified book within 2.5 s", None),
    ],
)
def test_a_start_that_came_to_nothing_is_explained(
    found: Any, code: str, text: str, cause: Exception | None
) -> None:
    failure = why(found, 2.5)
    assert (failure.code, str(failure), failure.cause) == (code, f"{code}: {text}", cause)


def test_the_last_trouble_is_named_where_nothing_else_is_known() -> None:
    one = ingestor()
    one._told.on_state(SystemState("bybit", "bybit.0", State.CONNECTED, 1))
    assert "trouble" not in str(why(collector(), 1.0, one._told.last_trouble))
    one._told.on_state(SystemState("bybit", "bybit.0", State.DISCONNECTED, 1, "refused"))
    assert str(why(collector(), 1.0, one._told.last_trouble)).endswith(
        "within 1 s; the last trouble was bybit.0 disconnected: refused"
    )
    one._told.on_halt(PotentialHalt("bybit", "unreachable", "10 attempts", 1, "BTC/USDT"))
    assert str(why(collector(), 1.0, one._told.last_trouble)).endswith(
        "the last trouble was unreachable: 10 attempts"
    )


def told(one: DataIngestor) -> list[tuple[str, str, object]]:
    errors: list[IngestorError] = []
    one.events.attach(IngestorError, errors.append)
    one._on_thread_end()
    return [(error.code, str(error), error.cause) for error in errors]


@pytest.mark.parametrize(
    ("found", "text", "cause"),
    [
        (collector(stream=ERROR, writer=OTHER), "ours", ERROR),
        (collector(writer=OTHER), "'other'", OTHER),
        (collector(), "nothing is left to collect", "nothing is left to collect"),
    ],
)
def test_a_thread_that_ends_while_it_runs_is_told(found: Any, text: str, cause: object) -> None:
    one = ingestor()
    one._collector = found
    assert told(one) == []  # it is being stopped
    one._phase = "running"
    assert told(one) == [("thread_ended", f"thread_ended: a thread ended by itself: {text}", cause)]


def test_an_alarm_is_told_with_where_it_is_from() -> None:
    one = ingestor()
    errors: list[IngestorError] = []
    one.events.attach(IngestorError, errors.append)
    halts = [PotentialHalt("bybit", "c", "why", 1, "BTC/USDT"), PotentialHalt("bybit", "c", "why", 1)]
    for halt in halts:
        one._told.on_halt(halt)
    assert [str(error) for error in errors] == ["c: bybit BTC/USDT: why", "c: bybit: why"]
    assert [error.cause for error in errors] == halts


def test_what_is_not_running_says_so() -> None:
    one = ingestor()
    assert not one.is_healthy()
    assert str(one.is_healthy()) == "not running: stopped"
    one.start_failure = IngestorError("no_book", "nothing came")
    assert str(one.is_healthy()) == "not running: stopped (no_book: nothing came)"
    assert one.stop()  # nothing was lost
    assert one.database_url == "./trading_bot_live.db"
    assert one.get_stats()["state"] == "stopped"


def test_a_start_that_came_to_nothing_is_in_the_log_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[tuple[str, dict[str, Any]]] = []
    log = SimpleNamespace(warning=lambda event, **fields: logged.append((event, fields)))
    monkeypatch.setattr("collector.bot.lifecycle.log", log)
    one = DataIngestor(DataIngestorConfig(db_path="no/such/folder/live.db"))
    errors: list[IngestorError] = []
    one.events.attach(IngestorError, errors.append)
    assert not one.start()
    assert one.start_failure is not None
    assert logged == [("ingestor.not_started", {"reason": str(one.start_failure)})]
    assert errors == [one.start_failure]
    assert one.phase == "stopped"
