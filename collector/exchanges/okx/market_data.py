"""Read books, trades and bars of OKX v5.

https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel, and the sections beside
it. Sizes of swaps stay contracts: no frame tells what one is worth. These raise FrameError or msgspec's own.
"""

from collections.abc import Sequence
from typing import Annotated, Generic, Literal, TypeVar

import msgspec
from msgspec import field

from collector.errors import FrameError
from collector.events.messages import Candle, Delta, Message, Side, Snapshot, Trade
from collector.events.numbers import check_whole
from collector.exchanges.okx.topics import CANDLE, INTERVALS

Entry = TypeVar("Entry")


class Argument(msgspec.Struct, gc=False):
    """What a frame is about."""

    channel: str
    instrument: str = field(name="instId", default="")

    @property
    def topic(self) -> str:
        """Return the topic under which it was subscribed."""
        return f"{self.channel}:{self.instrument}"


class _Frame(msgspec.Struct, Generic[Entry], gc=False):
    arg: Argument
    data: list[Entry]
    action: Literal["snapshot", "update"] = "snapshot"  # the short books come whole and do not say so


class _Level(msgspec.Struct, gc=False, array_like=True):
    price: float
    size: float  # after it come a 0 and the number of orders


class _Book(msgspec.Struct, gc=False):
    asks: list[_Level]
    bids: list[_Level]
    ts: int
    sequence: int = field(name="seqId")
    previous: int | None = field(name="prevSeqId", default=None)


class _Trade(msgspec.Struct, gc=False):
    trade_id: Annotated[str, msgspec.Meta(min_length=1)] = field(name="tradeId")
    price: float = field(name="px")
    size: float = field(name="sz")
    side: Side  # the taker's
    ts: int


# Open time, open, high, low, close, volume (contracts or base), in currency, in quote, 1 when it is over.
_Bar = tuple[int, float, float, float, float, float, str, str, Literal["0", "1"]]

# Numbers come as text: read without a Python object for each (strict=False).
_books_decoder = msgspec.json.Decoder(_Frame[_Book], strict=False)
_trades_decoder = msgspec.json.Decoder(_Frame[_Trade], strict=False)
_bars_decoder = msgspec.json.Decoder(_Frame[_Bar], strict=False)


def read_books(text: str) -> Sequence[Message]:
    """Read whole books or changed levels."""
    frame = _books_decoder.decode(text)
    return [_book(frame.arg.topic, frame.action, each) for each in frame.data]


def _book(topic: str, action: str, book: _Book) -> Snapshot | Delta:
    check_whole("seqId", book.sequence)
    check_whole("ts", book.ts)
    bids = [(level.price, level.size) for level in book.bids]
    asks = [(level.price, level.size) for level in book.asks]
    if action == "snapshot":
        return Snapshot(topic, book.sequence, book.ts, bids, asks)
    return Delta(topic, book.sequence, book.ts, bids, asks, previous_sequence=book.previous)


def read_trades(text: str) -> Sequence[Message]:
    """Read trades: those of one order at one price are put together under the last one's id."""
    frame = _trades_decoder.decode(text)
    for each in frame.data:
        check_whole("ts", each.ts)
    topic = frame.arg.topic
    return [Trade(topic, one.trade_id, one.ts, one.price, one.size, one.side, "agg") for one in frame.data]


def read_bars(text: str) -> Sequence[Message]:
    """Read bars as they stand. The channel has the interval: `candle1m`."""
    frame = _bars_decoder.decode(text)
    interval = INTERVALS.get(frame.arg.channel.removeprefix(CANDLE))
    if interval is None:
        raise FrameError("malformed", f"channel {frame.arg.channel!r}: candle<interval> expected")
    for each in frame.data:
        check_whole("open time", each[0])
    return [
        Candle(frame.arg.topic, interval, bar[0], None, *bar[1:6], confirmed=bar[8] == "1")
        for bar in frame.data
    ]
