"""Read a book of Bybit's REST. https://bybit-exchange.github.io/docs/v5/market/orderbook."""

import msgspec

from collector.errors import FrameError
from collector.events.messages import Snapshot


class _Book(msgspec.Struct, gc=False):
    b: list[tuple[float, float]]
    a: list[tuple[float, float]]
    ts: int


class _Answer(msgspec.Struct, gc=False):
    result: _Book


_decoder = msgspec.json.Decoder(_Answer, strict=False)


def read_rest_book(text: str, topic: str) -> Snapshot:
    """Map a book of REST, which names no channel. Raises FrameError.

    Its `u` counts the updates of the deepest book, not those of the stream that it is compared with.
    """
    try:
        book = _decoder.decode(text).result
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise FrameError("malformed", str(error)) from error
    return Snapshot(topic, None, book.ts, book.b, book.a)
