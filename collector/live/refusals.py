"""Read what a refused subscription means, and keep what an exchange refuses. No I/O, no clock."""

from collections.abc import Container, Iterable
from enum import Enum, auto

from collector.events import StreamKey
from collector.exchanges import RefusalWords
from collector.streams import Stream

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
