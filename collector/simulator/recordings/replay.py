"""A recording in the place of a market: its frames, verbatim, at recorded pace, faster, or flat out."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from collector.errors import UserError
from collector.simulator.dialect import Dialect, Meaning, RecordedBook
from collector.simulator.hub import Hub
from collector.simulator.market import SymbolFeed
from collector.simulator.messages import Answer, Outgoing, Request, Topic
from collector.simulator.recordings.recording import Recorded

_BATCH_FRAMES = 200
_DEFAULT_DEPTH = 100


class Replay:
    """One recording, played to the subscribers of a symbol; it begins with the first subscription.

    A later subscriber gets a snapshot of the book at that position. Times in the frames stay as recorded.
    """

    def __init__(
        self,
        feed: SymbolFeed,
        dialect: Dialect,
        frames: Sequence[Recorded],
        speed: float,
        *,
        hub: Hub,
        drained: Callable[[], Awaitable[None]],
    ) -> None:
        self.played = 0
        self._hub = hub
        self._drained = drained
        self._feed = feed
        self._speed = speed
        self._dialect = dialect
        self._frames = frames
        self._books: dict[str, RecordedBook] = {}
        self._ahead: list[Meaning] = []  # changes that came before the fetched snapshot that they follow
        self._first_rest: str | None = None
        self._task: asyncio.Task[None] | None = None
        for number, frame in enumerate(self._frames, 1):
            try:
                meaning = self._dialect.read(frame.text, feed.instrument.name)
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(
                    f"frame {number} of the recording is none of {feed.exchange}'s: {error!r}"
                ) from error
            if meaning is not None and meaning.key == "rest":
                self._first_rest = meaning.message.text
                break

    async def run(self) -> None:
        """Play the recording once."""
        exchange, symbol = self._feed.exchange, self._feed.symbol
        while not self._hub.topics(exchange, symbol):
            await self._hub.change()
        loop = asyncio.get_running_loop()
        started_s, first_ns = loop.time(), self._frames[0].at_ns if self._frames else 0
        for count, frame in enumerate(self._frames, 1):
            if self._speed:
                due_s = started_s + (frame.at_ns - first_ns) / 1e9 / self._speed
                if due_s > loop.time():
                    await asyncio.sleep(due_s - loop.time())
            if count % _BATCH_FRAMES == 0:
                await self._drained()
            meaning = self._dialect.read(frame.text, self._feed.instrument.name)
            if meaning is not None:
                self._play(meaning)

    def begin(self) -> None:
        """Play on the running loop."""
        self._task = asyncio.create_task(self.run())

    def end(self) -> None:
        """Stop playing."""
        if self._task is not None:
            self._task.cancel()

    async def done(self, timeout_s: float) -> int:
        """Wait for the end; returns how many frames were played, or raises what went wrong."""
        if self._task is not None:
            await asyncio.wait_for(asyncio.shield(self._task), timeout_s)
        return self.played

    def snapshot(self, topic: Topic) -> list[Outgoing]:
        """Return the state at this position for a new subscriber, none before the recording's snapshot."""
        book = self._books.get(self._dialect.key(topic))
        text = self._dialect.snapshot(topic, book) if book else None
        return [Outgoing(text, "snapshot", book.number or None)] if text and book else []

    def rest(self, request: Request) -> Answer | None:
        """Answer a request for the book from the recording."""
        if not request.path.endswith("/depth") or request.query.get("symbol") != self._feed.instrument.name:
            return None
        book = self._books.get("rest")
        depth = int(request.query.get("limit", _DEFAULT_DEPTH))
        # Before the recorded snapshot its own book is not known: the snapshot lies ahead, as it may in life.
        text = self._dialect.rest_depth(book, depth) if book else self._first_rest
        return Answer(text) if text else None

    def _play(self, meaning: Meaning) -> None:
        if meaning.is_book:
            self._keep(meaning)
        if meaning.key == "rest":
            return
        self.played += 1
        for topic in list(self._hub.topics(self._feed.exchange, self._feed.symbol)):
            if self._dialect.key(topic) == meaning.key:
                self._hub.publish(topic, [meaning.message])

    def _keep(self, meaning: Meaning) -> None:
        """Keep the book of this position."""
        key = self._dialect.book_key(meaning.key)
        if not meaning.is_snapshot and key not in self._books:
            if key != meaning.key:  # the snapshot is fetched: it may be on its way, and older than this
                self._ahead.append(meaning)
            return
        book = self._books.setdefault(key, RecordedBook())
        number = meaning.message.sequence or 0
        if meaning.is_snapshot:
            book.depth = self._dialect.depth_of(meaning)
        follows = number > book.number or not number or meaning.previous == book.number
        if meaning.is_snapshot or follows:
            book.apply(meaning.bids, meaning.asks, is_snapshot=meaning.is_snapshot)
            book.number, book.last = number, meaning.data
        if meaning.is_snapshot:
            ahead, self._ahead = self._ahead, []
            for each in ahead:
                self._keep(each)


class ReplayHandle:
    """A replay as seen from another thread."""

    def __init__(self, replay: Replay, call: Callable[[Coroutine[Any, Any, int]], int]) -> None:
        self._replay = replay
        self._call = call

    @property
    def played(self) -> int:
        """How many frames were played so far."""
        return self._replay.played

    def wait(self, timeout_s: float = 60.0) -> int:
        """Wait until the recording is at its end; returns how many frames were played."""
        return self._call(self._replay.done(timeout_s))
