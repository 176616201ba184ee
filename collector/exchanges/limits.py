"""Define what kinds of market there are, and how often an exchange may be asked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from collector.events import Channel

MarketKind = Literal["spot", "linear"]
KINDS: tuple[MarketKind, ...] = ("spot", "linear")


class Rate(NamedTuple):
    """At most so many in any span of so many seconds."""

    most: int
    span_s: float


@dataclass(frozen=True, slots=True)
class WebsocketLimits:
    """What one address of ours may ask of an exchange's websockets, and how much comes from them."""

    connects: Rate  # new connections of one address
    requests: Mapping[MarketKind, Rate]  # messages sent on one connection
    topics: int  # subscribed on one connection
    # That a busy market sends, by channel or family of channels.
    messages_a_second: Mapping[MarketKind, Mapping[str, float]]
    characters: int | None = None  # of all topics of one connection together
    pushed_at_intervals: frozenset[str] = frozenset()  # families of which no more than that can come
    counts_pings: bool = True  # among the requests

    def expected_a_second(self, channel: str, kind: str | None = None) -> float:
        """Return how many messages a second to expect of a channel of a busy market.

        Where the kind of market is not known, the busiest counts.
        """
        tables = self.messages_a_second
        known = [table for one, table in tables.items() if one == kind] or list(tables.values())
        family = Channel.of(channel).family
        return max(table.get(channel, table[family]) for table in known)


def requests_of(most: int) -> Callable[[Sequence[str]], Sequence[Sequence[str]]]:
    """Return a function that divides topics among requests of at most `most` each."""
    return lambda topics: [topics[first : first + most] for first in range(0, len(topics), most)]
