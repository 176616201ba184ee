"""Define how an exchange names its streams: in requests, and in frames."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Payload = Mapping[str, object] | str  # text is sent as it stands


@dataclass(frozen=True, slots=True)
class Heads:
    """A piece of text that tells whose book a frame changes, before anything of the frame is read.

    It is the same in all frames of changed levels of one market, and in none of another kind. A frame that is
    written in another way has no such piece, and is read as a whole to learn what it is.
    """

    begin: str  # the piece begins with the first of these in a frame
    end: str  # and ends before the first of these
    of: Callable[[str], str]  # the piece by the route of a topic


@dataclass(frozen=True, slots=True)
class Topics:
    """How streams are named, asked for and left."""

    topic: Callable[[str, str, str], str]  # market id, symbol, channel: what is subscribed
    requests: Callable[[Sequence[str]], Sequence[Sequence[str]]]  # topics, put together request by request
    subscribe: Callable[[Sequence[str], str], Payload]  # topics, request id
    unsubscribe: Callable[[Sequence[str], str], Payload]
    route: Callable[[str], str] = lambda topic: topic  # what the frames of a topic are known by
    # Of the topics that have the same name here, one connection takes one only.
    one_a_connection: Callable[[str], str] = lambda topic: topic
    ping: Callable[[str], Payload] | None = None  # None: the websocket's own ping frame
    answers_each: bool = False  # one answer for each topic of a request, not one for all
    heads: Heads | None = None  # of changed levels; None: all frames are read to be told apart


def requests_of(most: int) -> Callable[[Sequence[str]], Sequence[Sequence[str]]]:
    """Return a function that divides topics among requests of at most `most` each."""
    return lambda topics: [topics[first : first + most] for first in range(0, len(topics), most)]
