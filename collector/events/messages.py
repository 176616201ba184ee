"""Define what an exchange can send, in one vocabulary for all of them.

A mapper makes these from a frame; they live for as long as it takes to apply them. `topic` is the
exchange's own name of a channel of one market: what was subscribed, and what the frame is routed by.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

Levels = Sequence[tuple[float, float]]  # (price, size), sizes absolute, 0 removes the level
Texts = Sequence[tuple[str, str]]  # the same as the exchange wrote them, where a checksum needs it


# Changed levels as nearly all frames have them, made and taken apart for each: the topic, the number that
# they follow, their own, the exchange's time, the number across channels, bids, asks.
NextLevels = tuple[str, int, int, int, int | None, Levels, Levels]

# Reads those, and nothing else: None, or an error of any kind, where a frame is not of this form.
ReadNext = Callable[[str], NextLevels | None]


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """A whole book, to begin with or to begin again."""

    topic: str
    sequence: int | None
    exchange_ms: int | None
    bids: Levels
    asks: Levels
    checksum: int | None = None
    bid_texts: Texts = ()
    ask_texts: Texts = ()
    cross_sequence: int | None = None  # one that the market's channels share, where there is one


class Delta(msgspec.Struct, frozen=True, gc=False):
    """Changed levels of a book."""

    topic: str
    sequence: int | None
    exchange_ms: int | None
    bids: Levels
    asks: Levels
    first_sequence: int | None = None  # of the updates put together here, where the exchange tells it
    previous_sequence: int | None = None  # the `sequence` of the message before, where the exchange tells it
    checksum: int | None = None
    bid_texts: Texts = ()
    ask_texts: Texts = ()
    cross_sequence: int | None = None


class TopOfBook(msgspec.Struct, frozen=True, gc=False):
    """The best bid and ask, from a channel that sends nothing else."""

    topic: str
    sequence: int | None
    exchange_ms: int | None
    bid_price: float
    bid_size: float
    ask_price: float
    ask_size: float


class Side(StrEnum):
    """Whose order took the liquidity."""

    BUY = "buy"
    SELL = "sell"


class TradeMessage(msgspec.Struct, frozen=True, gc=False):
    """A trade as the exchange sent it; its numbers are checked where it is taken.

    `kind` tells id spaces apart (`trade`, `agg`), `marked` names one that is no market trade, `number` is its
    id where ids follow each other without a hole, `past` says that it was sent at a subscription.
    `is_placeholder`: the exchange says itself that this id stands for no trade. `singles`: of an aggregate,
    the ids of the first and the last single trade in it, which follow each other without a hole.
    """

    topic: str
    trade_id: str
    exchange_ms: int
    price: float
    size: float
    side: Side
    kind: str = "trade"
    marked: str | None = None
    number: int | None = None
    past: bool = False
    is_placeholder: bool = False
    singles: tuple[int, int] | None = None


class CandleMessage(msgspec.Struct, frozen=True, gc=False):
    """A bar as the exchange sent it, or the state of one that is not over; `past`: sent at a subscription."""

    topic: str
    interval: str
    open_ms: int
    exchange_ms: int | None
    open: float
    high: float
    low: float
    close: float
    volume: float
    confirmed: bool
    vwap: float | None = None
    count: int | None = None
    past: bool = False


class Status(msgspec.Struct, frozen=True, gc=False):
    """What the exchange says of itself: online, maintenance, cancel_only ..."""

    state: str
    text: str = ""


class Ack(msgspec.Struct, frozen=True, gc=False):
    """The answer to a subscription: accepted, or refused with the exchange's words.

    Where an exchange answers topic by topic to one request, `topic` says for which.
    """

    request_id: str | None
    accepted: bool
    text: str = ""
    topic: str | None = None


class Heartbeat(msgspec.Struct, frozen=True, gc=False):
    """A sign of life that carries no data: a pong, a heartbeat."""

    answers: bool = False  # a ping of ours, where the exchange beats by itself as well


class Other(msgspec.Struct, frozen=True, gc=False):
    """A well-formed frame that is not ours to read: ccxt gets it.

    `what` says what is known of it where nobody asked for such a frame; it is counted then.
    """

    reason: str = ""  # the word under which it is counted; none: it is not counted
    what: str = ""


MarketData = (
    Snapshot | Delta | TopOfBook | TradeMessage | CandleMessage
)  # what a stream takes: it has a topic
Message = Snapshot | Delta | TopOfBook | TradeMessage | CandleMessage | Status | Ack | Heartbeat | Other
