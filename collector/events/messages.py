"""What an exchange said, in one vocabulary for all of them.

A mapper makes these from a frame; they live for as long as it takes to apply them. `topic` is the
exchange's own name of a channel of one market: what was subscribed, and what the frame is routed by.
"""

from collections.abc import Sequence

import msgspec

Levels = Sequence[tuple[float, float]]  # (price, size), sizes absolute, 0 removes the level


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """A whole book, to begin with or to begin again."""

    topic: str
    sequence: int | None
    exchange_ms: int | None
    bids: Levels
    asks: Levels


class Delta(msgspec.Struct, frozen=True, gc=False):
    """Changed levels of a book."""

    topic: str
    sequence: int | None
    exchange_ms: int | None
    bids: Levels
    asks: Levels


class Ack(msgspec.Struct, frozen=True, gc=False):
    """The answer to a subscription: accepted, or refused with the exchange's words."""

    request_id: str | None
    accepted: bool
    text: str = ""


class Heartbeat(msgspec.Struct, frozen=True, gc=False):
    """A sign of life that carries no data: a pong, a heartbeat."""


class Other(msgspec.Struct, frozen=True, gc=False):
    """A well-formed frame that is not ours to read: ccxt gets it."""


Message = Snapshot | Delta | Ack | Heartbeat | Other
