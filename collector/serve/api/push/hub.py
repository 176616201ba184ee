"""Hand what happens to the clients that want it, some times a second.

The threads that collect only append to a queue, and only while somebody listens. Books are copied in their
loop once a turn, however many clients there are. When the server's thread takes more than its share of a
core, turns become rarer: states are left out, and collecting is not slowed.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from collector.errors import CollectorError
from collector.events import Candle, Channel, EventBus, SegmentChanged, StreamKey, SystemState, Trade
from collector.loggers import get_logger
from collector.serve.api.push.events import LEVELS_SHOWN, Published, addressed, book_messages
from collector.serve.api.push.outbox import Message, Outbox
from collector.serve.api.push.wants import Want, covering
from collector.serve.api.source import Source

TURN_S, LONGEST_TURN_S = 0.1, 2.0
SHARE = 0.25  # of a core, for all that this thread does
MOST_WAITING = 20_000  # events between two turns
OF_CHANNEL: dict[str, tuple[type[Any], ...]] = {
    "ticks": (Trade,),
    "bars": (Candle,),
    "states": (SegmentChanged, SystemState),
}
BOOKS = ("books", "features")

log = get_logger(__name__)


class Hub:
    """The clients of one server. For its loop, where nothing else is said."""

    def __init__(self, source: Source, bus: EventBus | None) -> None:
        self._source = source
        self._bus = bus  # None: nothing happens
        self._wanted: dict[Want, set[Outbox]] = {}
        self._clients: dict[Outbox, set[Want]] = {}
        self._happened: deque[Published] = deque()  # threads that collect append
        self._left_out = 0  # altogether; threads that collect count
        self._told_left_out = 0
        self._attached: dict[str, list[Callable[[], None]]] = {}
        # Of each book that somebody wants: the state that was pushed last, and its messages.
        self._shown: dict[StreamKey, tuple[int, int | None]] = {}
        self._messages: dict[StreamKey, tuple[Message, ...]] = {}
        self._overview: Message | None = None
        self._document: object = None
        self._running: asyncio.Task[None] | None = None
        self.turn_s = TURN_S

    @property
    def clients(self) -> int:
        """Return how many there are."""
        return len(self._clients)

    def join(self, outbox: Outbox) -> None:
        """Take a client, who wants nothing yet."""
        self._clients[outbox] = set()
        if self._running is None:
            self._running = asyncio.create_task(self._run())

    def leave(self, outbox: Outbox) -> None:
        """Let a client go. Idempotent."""
        self.unwant(outbox, self._clients.pop(outbox, set()))
        if not self._clients and self._running is not None:
            self._running.cancel()
            self._running = None

    def wants(self, outbox: Outbox) -> set[Want]:
        """Return what a client wants."""
        return self._clients.get(outbox, set())

    def want(self, outbox: Outbox, wants: Iterable[Want]) -> None:
        """Give a client what it wants from now on, and what stands now."""
        for one in wants:
            self._clients[outbox].add(one)
            self._wanted.setdefault(one, set()).add(outbox)
            if one.channel == "overview" and self._overview is not None:
                outbox.put(self._overview)
            for key, messages in self._messages.items() if one.channel in BOOKS else ():
                if one in covering(one.channel, key.exchange, key.symbol):
                    outbox.put(messages[BOOKS.index(one.channel)])
        self._listen()

    def unwant(self, outbox: Outbox, wants: Iterable[Want]) -> None:
        """Give a client these no more."""
        for one in list(wants):
            self._clients.get(outbox, set()).discard(one)
            others = self._wanted.get(one, set())
            others.discard(outbox)
            if not others:
                self._wanted.pop(one, None)
        self._listen()

    def _listen(self) -> None:
        """Listen to what somebody wants, and to nothing else."""
        channels = {one.channel for one in self._wanted}
        for channel, kinds in OF_CHANNEL.items():
            if self._bus is not None and channel in channels and channel not in self._attached:
                self._attached[channel] = [self._bus.attach(kind, self._note) for kind in kinds]
            elif channel not in channels:
                for detach in self._attached.pop(channel, ()):
                    detach()
        self._forget_unwanted()

    def _forget_unwanted(self) -> None:
        """Forget what nobody wants now: it grows old, and who wants it later must not get it."""
        channels = {one.channel for one in self._wanted}
        if "overview" not in channels:
            self._overview = self._document = None
        if not channels.intersection(BOOKS):
            self._shown, self._messages = {}, {}
        if not self._attached:
            self._happened.clear()
            self._told_left_out = self._left_out

    def _note(self, event: Published) -> None:
        """Queue an event. Called by threads that collect: it must be quick."""
        if len(self._happened) < MOST_WAITING:
            self._happened.append(event)
        else:
            self._left_out += 1

    async def _run(self) -> None:
        is_failing = False
        spent_s, at_s = time.thread_time(), time.monotonic()
        while True:
            await asyncio.sleep(self.turn_s)
            try:
                await self._turn()
                is_failing = False
            except CollectorError:
                pass  # the loop that collects does not answer now: health says so
            except Exception:
                if not is_failing:  # one line, however long it lasts
                    log.exception("serve.push_failed")
                is_failing = True
                self.turn_s = LONGEST_TURN_S
            now_spent_s, now_s = time.thread_time(), time.monotonic()
            is_much = now_spent_s - spent_s > SHARE * (now_s - at_s)
            rarer_s, oftener_s = min(self.turn_s * 1.5, LONGEST_TURN_S), max(self.turn_s / 1.2, TURN_S)
            self.turn_s = rarer_s if is_much else oftener_s
            spent_s, at_s = now_spent_s, now_s

    async def _turn(self) -> None:
        self._forget_unwanted()  # also what came while its last client went
        happened: list[Published] = []
        left_out = self._left_out
        if left_out > self._told_left_out:
            lost = Message.of("lost", {"count": left_out - self._told_left_out})
            self._told_left_out = left_out
            self._send([one for one in self._wanted if one.channel in OF_CHANNEL], lost)
        with suppress(IndexError):
            while True:
                happened.append(self._happened.popleft())
        for one in addressed(happened, self._source.masked):
            self._send(one.wants, one.message)
        await self._push_overview()
        await self._push_books()

    async def _push_overview(self) -> None:
        if Want("overview") not in self._wanted:
            return
        document = await self._source.overview()
        if document is not self._document:
            self._document = document
            self._overview = Message.of("overview", document)
            self._send((Want("overview"),), self._overview)

    async def _push_books(self) -> None:
        """Push the books that somebody wants and that have changed."""
        if not any(one.channel in BOOKS for one in self._wanted):
            return
        now = await self._source.now()
        wanted = [one.key for one in now.streams if self._is_wanted(one.key)]
        self._shown = {key: self._shown[key] for key in wanted if key in self._shown}
        self._messages = {key: self._messages[key] for key in wanted if key in self._messages}
        if not wanted:
            return
        for one in await self._source.books(dict.fromkeys(wanted, LEVELS_SHOWN)):
            state = None if one.book is None else (one.book.received_at_ns, one.book.sequence)
            if one.book is None or state is None or self._shown.get(one.key) == state:
                continue
            self._shown[one.key] = state
            both = book_messages(one.book)
            self._messages[one.key] = tuple(each.message for each in both)
            for each in both:
                self._send(each.wants, each.message)

    def _is_wanted(self, key: StreamKey) -> bool:
        if not Channel.of(key.channel).is_book:
            return False
        return any(
            want in self._wanted for name in BOOKS for want in covering(name, key.exchange, key.symbol)
        )

    def _send(self, wants: Iterable[Want], message: Message) -> None:
        """Queue a message once for each client that wants it, however often it does."""
        found = [clients for want in wants if (clients := self._wanted.get(want))]
        for outbox in found[0] if len(found) == 1 else set().union(*found):
            outbox.put(message)
