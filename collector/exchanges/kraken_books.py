"""Read books of Kraken's websocket v2. https://docs.kraken.com/api/docs/websocket-v2/book.

These raise FrameError, or what msgspec raises.
"""

import re
from typing import Literal

import msgspec

from collector.errors import FrameError
from collector.events.messages import Delta, Message, Snapshot
from collector.exchanges.kraken_topics import name
from collector.exchanges.kraken_values import Market, optional_milliseconds

CRC32_MAX = 2**32 - 1


class _Level(msgspec.Struct, gc=False):
    price: float
    qty: float


class _LevelText(msgspec.Struct, gc=False):
    price: msgspec.Raw
    qty: msgspec.Raw


class _Book(msgspec.Struct, gc=False):
    symbol: Market
    bids: msgspec.Raw
    asks: msgspec.Raw
    checksum: int
    timestamp: str | None = None  # not sent with snapshots before 2025


class _Books(msgspec.Struct, gc=False):
    type: Literal["snapshot", "update"]
    data: list[_Book]


_books_decoder = msgspec.json.Decoder(_Books)
_levels_decoder = msgspec.json.Decoder(list[_Level])
_level_texts_decoder = msgspec.json.Decoder(list[_LevelText])

# Twice as fast as decoding each number into an object that keeps its text.
_LEVEL_AS_SENT = re.compile(r'\{"price":([0-9.eE+-]+),"qty":([0-9.eE+-]+)\}')


def read_books(text: str) -> list[Message]:
    """Read whole books or changed levels, with the digits as they were written: the checksum's input."""
    frame = _books_decoder.decode(text)
    kind = Snapshot if frame.type == "snapshot" else Delta
    messages: list[Message] = []
    for book in frame.data:
        if not 0 <= book.checksum <= CRC32_MAX:
            raise FrameError("out_of_range", f"checksum {book.checksum}: 32 bits expected")
        bids, bid_texts = _levels(book.bids)
        asks, ask_texts = _levels(book.asks)
        messages.append(
            kind(
                name("book", book.symbol),
                None,
                optional_milliseconds(book.timestamp),
                bids,
                asks,
                checksum=book.checksum,
                bid_texts=bid_texts,
                ask_texts=ask_texts,
            )
        )
    return messages


def _levels(side: msgspec.Raw) -> tuple[list[tuple[float, float]], list[tuple[str, str]]]:
    as_sent = str(side, "utf-8")
    if as_sent == "[]":
        return [], []
    levels = [(level.price, level.qty) for level in _levels_decoder.decode(as_sent)]
    texts: list[tuple[str, str]] = _LEVEL_AS_SENT.findall(as_sent)
    if len(texts) != len(levels):  # written in another way: spaces, more keys, another order
        as_written = _level_texts_decoder.decode(as_sent)
        texts = [(str(level.price, "ascii"), str(level.qty, "ascii")) for level in as_written]
    return levels, texts
