"""Books that ccxt keeps: whose sockets are heard, and what REST is asked about a silent market."""

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from collector.errors import StreamError
from collector.events.messages import Snapshot
from collector.exchanges.exchange import Rate
from collector.live.unverified import rest_checks
from collector.live.unverified.rest_checks import RestChecks
from collector.live.unverified.socket import UnverifiedSocket
from collector.network.failure_table import FailureClass
from collector.network.failures import Failure
from collector.network.pacing import Pacer

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "streams"))
from connection_rig import SubscriptionsRig

RESET = Failure(FailureClass.TRANSIENT, "reset")


class Reader:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def on_text(self, text: str) -> bool:
        self.heard.append(text)
        return False

    def on_unread(self, text: str, error: Exception) -> None:
        self.heard.append((text, repr(error)))

    def on_sign_of_life(self) -> None:
        self.heard.append("alive")

    def on_gone(self, failure: Failure) -> None:
        self.heard.append(failure)

    def on_book(self, book: Any, *, in_frame: bool) -> None:
        self.heard.append((book, in_frame))


def socket(reader: Reader) -> tuple[UnverifiedSocket, Any, Any]:
    """Return a socket that stands, a client of its own and one of a dial that was given up."""
    one = UnverifiedSocket(None, None, 0.01, Pacer([Rate(1000, 1.0)]))  # type: ignore[arg-type]
    one.on_book = reader.on_book
    one._reader = reader
    one._ccxt = SimpleNamespace(clients={})
    return one, SimpleNamespace(exchange=one._ccxt), SimpleNamespace(exchange=SimpleNamespace())


def test_only_the_sockets_of_the_dial_that_stands_are_heard() -> None:
    reader = Reader()
    one, ours, other = socket(reader)
    one.on_up(other)
    one.on_heartbeat(other)
    one.on_down(other, RESET)
    one.on_applied(other, "book", "hash")
    assert one.reader_of(other)("text")
    assert reader.heard == []
    one.on_up(ours)
    one.on_heartbeat(ours)
    assert not one.reader_of(ours)("text")
    one.on_down(ours, RESET)
    assert reader.heard == ["alive", "alive", "text", RESET]
    assert one.failure is RESET


def test_one_message_that_is_resolved_under_several_names_is_one() -> None:
    reader = Reader()
    one, ours, _ = socket(reader)
    first, second = object(), object()
    one.begin_frame()
    for book, name in ((first, "a"), (first, "b"), (first, "a"), (second, "b")):
        one.on_applied(ours, book, name)
    one.end_frame()
    one.on_applied(ours, first, "b")  # of REST
    assert reader.heard == [(first, True), (first, True), (second, True), (first, False)]


def test_what_ccxt_doubts_is_not_a_book_until_the_next_frame() -> None:
    reader = Reader()
    one, ours, _ = socket(reader)
    one.begin_frame()
    one.on_doubted("a")
    one.on_applied(ours, "book", "a")
    assert reader.heard == []
    one.begin_frame()
    one.on_applied(ours, "book", "a")
    assert reader.heard == [("book", True)]


def test_a_dial_that_comes_to_nothing_is_given_up() -> None:
    reader = Reader()
    one, ours, _ = socket(reader)

    async def scene() -> None:
        with pytest.raises(StreamError, match=r"no connection within 0\.01 s"):
            await one.until_up()
        assert [str(failure) for failure in reader.heard] == ["timeout: no connection within 0.01 s"]
        one.failure = None
        one.on_up(ours)
        await one.until_up()

    asyncio.run(scene())


class Rest:
    """What `fetch_order_book` answers, and what happens while it does."""

    def __init__(self, answer: Any, meanwhile: Any = lambda: None) -> None:
        self.asked: list[str] = []
        self._answer = answer
        self._meanwhile = meanwhile

    async def fetch_order_book(self, symbol: str) -> Any:
        self.asked.append(symbol)
        self._meanwhile()
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


LEVELS = [(99.0, 1.0)], [(101.0, 2.0)]
SAME = {"bids": [[99.0, 1.0, 7]], "asks": [["101", "2"]]}
OTHER = {"bids": [[99.5, 1.0]], "asks": [[101.0, 2.0]]}


@pytest.mark.parametrize(
    ("answer", "happens", "stale"),
    [
        (SAME, "", False),
        (OTHER, "", True),
        (OTHER, "news", False),
        (OTHER, "lost", False),
        ({**OTHER, "bids": []}, "", False),
        ({**OTHER, "asks": []}, "", False),
        (ValueError("no answer"), "", False),
    ],
)
def test_a_silent_book_is_stale_only_if_rest_has_another_and_nothing_came_meanwhile(
    monkeypatch: pytest.MonkeyPatch, answer: Any, happens: str, stale: bool
) -> None:
    monkeypatch.setattr(rest_checks, "GRACE_S", 0.0)
    rig = SubscriptionsRig()
    book = rig.unnumbered("BTC/USD")
    rig.outlet.take(book, Snapshot(book.topic.name, None, 1, *LEVELS))

    def meanwhile() -> None:
        if happens == "news":
            rig.outlet.take(book, Snapshot(book.topic.name, None, 1, [(98.0, 1.0)], LEVELS[1]))
        if happens == "lost":
            book.lose("disconnect", "", None)

    async def scene() -> list[tuple[str, str]]:
        told: list[tuple[str, str]] = []
        rest = Rest(answer, meanwhile)
        RestChecks(lambda: rig.now_s).start(book, rest, lambda symbol, detail: told.append((symbol, detail)))
        await rig.settled()
        assert rest.asked == ["BTC/USD"]
        return told

    expected = [("BTC/USD", "silent, and REST has (99.5, 1.0, 101.0, 2.0)")] if stale else []
    assert asyncio.run(scene()) == expected


def test_a_frame_that_ccxt_cannot_read_ends_the_dial_as_it_may_be_of_a_book_that_ccxt_keeps() -> None:
    reader = Reader()
    one, ours, other = socket(reader)
    one.on_unread(other, "{}", KeyError("old"))
    assert reader.heard == []
    one.on_unread(ours, "{}", KeyError("new"))
    assert reader.heard[0] == ("{}", "KeyError('new')")
    assert "ccxt could not read a frame" in str(one.failure)
