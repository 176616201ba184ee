"""Read a book of Kraken's REST. https://docs.kraken.com/api/docs/rest-api/get-order-book."""

import msgspec

from collector.errors import FrameError
from collector.events.messages import Snapshot


class _Level(msgspec.Struct, gc=False, array_like=True):
    price: float
    size: float  # after it comes the time of its last change, in seconds


class _Book(msgspec.Struct, gc=False):
    bids: list[_Level]
    asks: list[_Level]


class _Answer(msgspec.Struct, gc=False):
    result: dict[str, _Book]  # by REST's name of the market


_decoder = msgspec.json.Decoder(_Answer, strict=False)


def read_depth(text: str, topic: str) -> Snapshot:
    """Map the book of the one market that was asked for. Raises FrameError."""
    try:
        books = list(_decoder.decode(text).result.values())
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise FrameError("malformed", str(error)) from error
    if len(books) != 1:
        raise FrameError("malformed", f"{len(books)} books, 1 expected")
    bids = [(level.price, level.size) for level in books[0].bids]
    asks = [(level.price, level.size) for level in books[0].asks]
    return Snapshot(topic, None, None, bids, asks)
