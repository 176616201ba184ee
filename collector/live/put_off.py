"""Ask again later for what an exchange refused for now, and tell it where that does not help."""

from collections.abc import Sequence
from dataclasses import dataclass

from collector.events import RequestRefused
from collector.live.context import ConnectionContext
from collector.live.refusals import Meaning
from collector.retry import Backoff
from collector.streams import Stream

MOST_UNKNOWN_TRIES = 5  # at the pace of a backoff, after words that nobody knows


@dataclass(slots=True)
class _Topic:
    tries: int = 0  # refused in a row
    due_s: float | None = None  # None: it was asked for, and the answer is awaited


class PutOff:
    """The topics of one connection that were refused and are asked for again later."""

    def __init__(self, backoff: Backoff, slow_wait_s: float, alarm_after: int) -> None:
        self._backoff = backoff
        self._slow_wait_s = slow_wait_s
        self._alarm_after = alarm_after
        self._topics: dict[str, _Topic] = {}

    def put_off(self, topics: Sequence[str], meaning: Meaning, now_s: float) -> tuple[float, bool]:
        """Schedule topics refused together to be asked for together; returns the wait and whether to tell."""
        refused = [self._topics.setdefault(name, _Topic()) for name in topics]
        before = max(one.tries for one in refused)
        is_slow = meaning is Meaning.UNKNOWN and before >= MOST_UNKNOWN_TRIES
        wait_s = self._slow_wait_s if is_slow else self._backoff.wait_s(before)
        for one in refused:
            one.tries = before + 1
            one.due_s = now_s + wait_s
        return wait_s, is_slow or before + 1 >= self._alarm_after

    def waits(self, topic: str) -> bool:
        """Return whether a topic waits to be asked for again."""
        waiting = self._topics.get(topic)
        return waiting is not None and waiting.due_s is not None

    def take_due(self, now_s: float) -> list[str]:
        """Return the topics to ask for now; their answers are awaited from here on."""
        due = [name for name, one in self._topics.items() if one.due_s is not None and now_s >= one.due_s]
        for name in due:
            self._topics[name].due_s = None
        return due

    def forget(self, topic: str) -> None:
        """Forget a topic that was accepted, given up or removed."""
        self._topics.pop(topic, None)


class PutOffStreams:
    """The streams of one connection that were refused for now. Lives in the websocket thread's loop."""

    def __init__(self, context: ConnectionContext, schedule: PutOff) -> None:
        self.schedule = schedule
        self.unsubscribes_refused = 0
        self._context = context

    def put_off(self, streams: Sequence[Stream], meaning: Meaning, words: str) -> None:
        """Ask again later, for all of a request at once; tell it when that does not help."""
        topics = [stream.topic.name for stream in streams]
        wait_s, is_lasting = self.schedule.put_off(topics, meaning, self._context.monotonic_s())
        self._publish(topics, words, wait_s)
        for stream in streams:
            stream.lose("refused", words, alive_until_ns=None)
        if not is_lasting:
            return
        told = [one for one in streams if self._context.refused.tell(one, f"{words}; tries go on")]
        if told:
            names = ", ".join(one.topic.name for one in told)
            symbol = told[0].key.symbol if len(told) == 1 else None
            self._context.halt("subscription_refused", f"{names}: {words}; tries go on", symbol)

    def unsubscribe_refused(self, topic: str, words: str) -> None:
        """Count and publish that a topic could not be left: what it still sends is counted, not stored."""
        self.unsubscribes_refused += 1
        self._publish([topic], words, None)

    def _publish(self, topics: Sequence[str], words: str, again_in_s: float | None) -> None:
        address, now_ns = self._context.address, self._context.clock.now_ns()
        self._context.events.publish(
            RequestRefused(address.exchange, address.name, now_ns, tuple(topics), words, again_in_s)
        )
