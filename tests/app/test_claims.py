"""Which streams are claimed of a database that several collectors share, and which need no asking."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from collector.app.claims import Claims
from collector.errors import UserError
from collector.events.batch import StreamKey
from collector.sinks.contract import Capabilities

BTC, NAMED = "BTC/USDT", "ETHUSDT"
OURS = [StreamKey("bybit", BTC, channel) for channel in ("book.50", "trade")]
NEW = StreamKey("bybit", "SOL/USDT", "trade")


class Rig:
    def __init__(self, url: str) -> None:
        self.claimed: list[list[StreamKey]] = []
        self.submitted: list[Any] = []
        self.answer: Future[int] = Future()
        self.hurried = 0
        self.capabilities = Capabilities(transactions=True, idempotent=True, shared=url == SHARED)
        self.claims = Claims(OURS, "session", self, self._submit, self._hurry)  # type: ignore[arg-type]

    def claim(self, session: str, streams: Any) -> int:
        assert session == "session"
        self.claimed.append(list(streams))
        return 0

    def _submit(self, task: Callable[[], int]) -> Future[int]:
        self.submitted.append(task)
        return self.answer

    def _hurry(self) -> None:
        self.hurried += 1


SHARED = "postgresql://host/name"


def test_what_is_configured_by_its_full_name_is_claimed_before_the_start() -> None:
    rig = Rig(SHARED)
    rig.claims.begin()
    assert (rig.claimed, rig.submitted) == ([OURS], [])
    assert rig.claims.ask(OURS).result(0) == 0
    assert rig.submitted == []


def test_what_is_new_is_asked_for_by_the_writer_at_once() -> None:
    rig = Rig(SHARED)
    rig.claims.begin()
    assert rig.claims.ask([*OURS, NEW]) is rig.answer
    (claim,) = rig.submitted
    assert claim() == 0
    assert (rig.claimed[1], rig.hurried) == ([NEW], 1)
    rig.answer.set_result(0)
    rig.claims.take([NEW])


def test_a_file_is_ours_as_a_whole() -> None:
    rig = Rig("live.db")
    rig.claims.begin()
    assert rig.claims.ask([NEW]).result(0) == 0
    assert (rig.submitted, rig.hurried) == ([], 0)


def test_a_refusal_is_told_and_so_is_a_database_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.app.claims.TIMEOUT_S", 0.01)
    rig = Rig(SHARED)
    with pytest.raises(UserError, match="the database does not answer"):
        rig.claims.take([NEW])
    rig.answer.set_exception(UserError("another collector has it"))
    with pytest.raises(UserError, match="another collector has it"):
        rig.claims.take([NEW])
