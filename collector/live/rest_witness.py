"""Compare books with REST now and then, when nothing else needs the request budget."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from random import random
from weakref import WeakKeyDictionary

from collector.book.bridged import WITNESS
from collector.book.verified import Did
from collector.errors import StreamError
from collector.events.messages import Snapshot
from collector.network.snapshots import Snapshots
from collector.streams.book_stream import BookStream

PATIENCE_S = 5.0  # for the stream to reach the update at which REST was


class RestWitness:
    """One book of an exchange after the other, each about every so often."""

    def __init__(self, snapshots: Snapshots, every_s: float, monotonic_s: Callable[[], float]) -> None:
        self._snapshots = snapshots
        self._every_s = every_s
        self._monotonic_s = monotonic_s
        self._next_s: WeakKeyDictionary[BookStream, float] = WeakKeyDictionary()
        self._asking: asyncio.Task[Snapshot] | None = None
        self._asked: BookStream | None = None
        self._until_s = 0.0

    def look(self, books: Iterable[BookStream]) -> None:
        """Go on with the comparison under way, or begin the next that is due."""
        if self._asked is not None:
            self._go_on(self._asked)
            return
        now_s = self._monotonic_s()
        for book in books:
            due_s = self._next_s.setdefault(book, now_s + self._every_s * random())  # noqa: S311
            place = book.place
            if now_s >= due_s and book.by_rest and book.verified:
                self._next_s[book] = now_s + self._every_s
                if self._snapshots.has_time_for(place.market_id, place.kind, place.depth):
                    self._ask(book)
                    return

    def stop(self) -> None:
        """Give up the comparison under way."""
        if self._asking is not None:
            self._asking.cancel()

    def _ask(self, book: BookStream) -> None:
        place = book.place
        fetch = self._snapshots.fetch(place.market_id, place.kind, place.depth, place.topic)
        book.expect_snapshot(True)
        self._asked, self._asking = book, asyncio.ensure_future(fetch)
        self._until_s = 0.0

    def _go_on(self, book: BookStream) -> None:
        asking = self._asking
        if asking is None or not asking.done():
            return
        now_s = self._monotonic_s()
        self._until_s = self._until_s or now_s + PATIENCE_S
        over = True
        with suppress(StreamError, asyncio.CancelledError):  # no answer: the next one will do
            over = self._settled(book, asking.result()) or now_s > self._until_s
        if over:
            book.expect_snapshot(False)
            self._asked = self._asking = None

    def _settled(self, book: BookStream, snapshot: Snapshot) -> bool:
        difference = book.compare(snapshot)
        if difference is None:
            return not book.verified
        book.count_witnessed(1, int(bool(difference)))
        if difference:
            outcome = book.doubt(WITNESS, difference)
            if outcome.did is Did.BROKE:
                book.on_doubt(book, outcome)
        return True
