"""Who holds a lock, in words, as far as it is known."""

from typing import Any

import pytest

from collector.events.batch import StreamKey
from collector.sinks.contract import SessionState
from collector.sinks.sql.stream_locks import Holder, described, holder_of, introduce

SESSION = SessionState("s-1", 1, "0", "host", 42, "{}")
STREAM = StreamKey("bybit", "BTC/USDT", "book.50")


class FakeConnection:
    """Answers each question by a word in it; notes what was asked."""

    def __init__(self, **answers: tuple[object, ...]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, object]] = []

    def execute(self, question: str, values: object = ()) -> "FakeConnection":
        self.asked.append((question, values))
        self._row = next((row for word, row in self.answers.items() if f" {word} " in question), None)
        return self

    def fetchone(self) -> tuple[object, ...] | None:
        return self._row


def test_a_holder_knows_its_session_by_its_name() -> None:
    ours = Holder(7, "collector s-1 42@host")
    assert ours.session_id == "s-1"
    assert ours.is_of(SESSION)
    assert not Holder(7, "collector s-12 42@host").is_of(SESSION)
    assert [Holder(7, name).session_id for name in ("psql", "collector", "", "other s-1")] == [None] * 4


def test_a_connection_is_named_within_what_a_server_keeps() -> None:
    connection = FakeConnection()
    introduce(connection, SESSION)  # type: ignore[arg-type]
    introduce(connection, SessionState("s" * 100, 1, "0", "host", 42, "{}"))  # type: ignore[arg-type]
    names = [values[0] for _, values in connection.asked]  # type: ignore[index]
    assert names[0] == "collector s-1 42@host"
    assert len(names[1]) == 63


def test_nobody_holds_what_no_row_tells_of() -> None:
    assert holder_of(FakeConnection(), 5) is None  # type: ignore[arg-type]
    found = holder_of(FakeConnection(pg_locks=(7, "collector s-1 42@host")), 5)  # type: ignore[arg-type]
    assert found == Holder(7, "collector s-1 42@host")


SESSIONS = {"collector_sessions": ("host", 42, "s-1")}
COVERAGE = {"collector_coverage": ("far", 43, "s-2")}


@pytest.mark.parametrize(
    ("answers", "holder", "stream", "words"),
    [
        (SESSIONS, Holder(7, "collector s-1 42@host"), STREAM, "process 42 on host (session s-1)"),
        (COVERAGE, Holder(7, ""), STREAM, "process 43 on far (session s-2)"),
        (COVERAGE, None, STREAM, "process 43 on far (session s-2)"),
        (COVERAGE, Holder(7, "psql"), None, "psql (backend 7)"),
        ({}, Holder(7, "psql"), STREAM, "psql (backend 7)"),
        ({}, Holder(7, ""), STREAM, "a connection (backend 7)"),
        ({}, Holder(7, "collector s-1 42@host"), None, "collector s-1 42@host (backend 7)"),
        ({}, None, None, "one that just left"),
    ],
)
def test_it_is_said_who_it_is_as_far_as_the_database_knows(
    answers: dict[str, Any], holder: Holder | None, stream: StreamKey | None, words: str
) -> None:
    assert described(FakeConnection(**answers), holder, stream) == words  # type: ignore[arg-type]
