"""Decide what becomes of a refused subscription: asked for again, and when, or given up. No I/O, no clock."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from collector.events.batch import StreamKey
from collector.exchanges.exchange import RefusalWords
from collector.retry import Backoff
from collector.streams.stream import Stream

MOST_UNKNOWN_TRIES = 5  # at the pace of a backoff, after words that nobody knows
SLOW_RETRY_S = 600.0

# What exchanges say that name no code. An exchange's own words come first.
ALREADY = ("already subscribed",)
PASSING = (
    *("busy", "try again", "retry", "overload", "unavailable", "maintenance", "timeout", "timed out"),
    *("too many requests", "too frequent", "rate limit", "msg rate", "message rate"),
    *("internal error", "internal server", "internal system", "system error", "server error"),
)
PERMANENT = (
    *("not supported", "unsupported", "not found", "does not exist", "doesn't exist", "delisted"),
    *("invalid symbol", "unknown symbol", "malformed"),
)


class Meaning(Enum):
    """What a negative answer to a subscription means."""

    ALREADY = auto()  # it is subscribed
    PASSING = auto()  # not now
    PERMANENT = auto()  # what was asked for is not there
    UNKNOWN = auto()


def meaning_of(words: str, own: RefusalWords) -> Meaning:
    """Return what a refusal in these words means; `own` are those that only this exchange uses."""
    text = words.casefold()
    code = text.partition(" ")[0].rstrip(":,")
    for meaning, known in (
        (Meaning.PERMANENT, own.permanent),
        (Meaning.ALREADY, own.already),
        (Meaning.PASSING, own.passing),
        (Meaning.ALREADY, ALREADY),
        (Meaning.PASSING, PASSING),
        (Meaning.PERMANENT, PERMANENT),
    ):
        if any(code == one if _is_code(one) else one in text for one in known):
            return meaning
    return Meaning.UNKNOWN


def _is_code(one: str) -> bool:
    return one.removeprefix("-").isdigit()


@dataclass(slots=True)
class _Topic:
    tries: int = 0  # refused in a row
    due_s: float | None = None  # None: it was asked for, and the answer is awaited


class PutOff:
    """The topics of one connection that were refused and are asked for again later."""

    def __init__(self, backoff: Backoff, alarm_after: int) -> None:
        self._backoff = backoff
        self._alarm_after = alarm_after
        self._topics: dict[str, _Topic] = {}

    def put_off(self, topics: Sequence[str], meaning: Meaning, now_s: float) -> tuple[float, bool]:
        """Schedule topics refused together to be asked for together; returns the wait and whether to tell."""
        refused = [self._topics.setdefault(name, _Topic()) for name in topics]
        before = max(one.tries for one in refused)
        is_slow = meaning is Meaning.UNKNOWN and before >= MOST_UNKNOWN_TRIES
        wait_s = SLOW_RETRY_S if is_slow else self._backoff.wait_s(before)
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

    def all_asked(self) -> None:
        """Record that every topic was asked for, on a new socket; how often each was refused is kept."""
        for one in self._topics.values():
            one.due_s = None

    def forget(self, topic: str) -> None:
        """Forget a topic that was accepted, given up or removed."""
        self._topics.pop(topic, None)


class RefusedStreams:
    """What one exchange refuses, in words, and the streams given up until its markets are looked at again."""

    def __init__(self) -> None:
        self._words: dict[StreamKey, str] = {}
        self._given_up: dict[StreamKey, Stream] = {}

    @property
    def words(self) -> list[str]:
        """Return what is refused, each with its reason."""
        return list(self._words.values())

    def tell(self, stream: Stream, words: str) -> bool:
        """Record why a stream is not collected; False when that it is not was told before."""
        key = stream.key
        is_new = key not in self._words
        self._words[key] = f"{key.exchange}: {key.symbol} {key.channel} refused: {words}"
        return is_new

    def give_up(self, stream: Stream) -> None:
        """Keep a stream that is not asked for any more, to be asked for when its market may be there."""
        self._given_up[stream.key] = stream

    def accepted(self, key: StreamKey) -> None:
        """Forget a stream: it is collected, or asked for anew."""
        self._words.pop(key, None)
        self._given_up.pop(key, None)

    def forget(self, symbols: Container[str | None]) -> None:
        """Forget all streams of these markets: nobody wants them any more."""
        for key in [key for key in self._words if key.symbol in symbols]:
            self.accepted(key)

    def take_given_up(self, collected: Iterable[StreamKey]) -> list[Stream]:
        """Return the streams to ask for once more; what was told of them stands until they are accepted."""
        present = set(collected)
        streams = [stream for key, stream in self._given_up.items() if key not in present]
        self._given_up.clear()
        return streams
