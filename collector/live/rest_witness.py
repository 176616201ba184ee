"""Compare books with REST from time to time, when nothing else needs the request budget."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from random import random
from weakref import WeakKeyDictionary

from collector.book import WITNESS, Did
from collector.errors import StreamError
from collector.events import Snapshot
from collector.live.resync import PATIENCE_S
from collector.network import Need, Snapshots, Turn
from collector.streams import BookStream


class RestWitness:
    """Compares the books of one exchange one after the other, each every `every_s` or so."""

    def __init__(self, snapshots: Snapshots, every_s: float, monotonic_s: Callable[[], float]) -> None:
        self._snapshots = snapshots
        self._every_s = every_s
        self._monotonic_s = monotonic_s
        self._next_s: WeakKeyDictionary[BookStream, float] = WeakKeyDictionary()
        self._fetch: asyncio.Task[Snapshot] | None = None
        self._book: BookStream | None = None
        self._until_s = 0.0

    def look(self, books: Iterable[BookStream]) -> None:
        """Continue the comparison under way, or begin the next that is due."""
        if self._book is not None:
            self._go_on(self._book)
            return
        now_s = self._monotonic_s()
        for book in books:
            due_s = self._next_s.setdefault(book, now_s + self._every_s * random())  # noqa: S311
            topic = book.topic
            if now_s >= due_s and book.by_rest and book.verified:
                self._next_s[book] = now_s + self._every_s
                is_free = not self._snapshots.holds(book, topic.kind)
                if is_free and self._snapshots.has_time_for(topic.market_id, topic.kind, topic.depth):
                    self._begin(book)
                    return

    def stop(self) -> None:
        """Cancel the comparison under way."""
        if self._fetch is not None:
            self._fetch.cancel()

    def _begin(self, book: BookStream) -> None:
        topic = book.topic
        turn = Turn(book, Need.WITNESS)
        fetch = self._snapshots.fetch(topic.market_id, topic.kind, topic.depth, topic.name, turn)
        book.expect_snapshot(True)
        self._book, self._fetch = book, asyncio.ensure_future(fetch)
        self._until_s = 0.0

    def _go_on(self, book: BookStream) -> None:
        fetch = self._fetch
        if fetch is None:
            return
        if not book.verified:
            fetch.cancel()  # it broke: a request that is needed waits for this one's turn
        elif not fetch.done():
            return
        now_s = self._monotonic_s()
        self._until_s = self._until_s or now_s + PATIENCE_S
        is_over = True
        try:
            with suppress(StreamError, asyncio.CancelledError):  # no answer: the next one will do
                is_over = self._compared(book, fetch.result()) or now_s > self._until_s
        finally:  # also after a fault of ours: the comparison must not be in the way of all others
            if is_over:
                book.expect_snapshot(False)
                self._book = self._fetch = None

    def _compared(self, book: BookStream, snapshot: Snapshot) -> bool:
        difference = book.compare(snapshot)
        if difference is None:
            return not book.verified
        book.count_witnessed(1, int(bool(difference)))
        if difference:
            outcome = book.doubt(WITNESS, difference)
            if outcome.did is Did.BROKE:
                book.on_doubt(book, outcome)
        return True
