"""Make the streams of one exchange: of a market and a channel, one that knows its topic, rule and book."""

from collections.abc import Callable
from typing import Any, cast

from collector.book.bridged import BridgedBook, BridgingRule
from collector.book.verified import VerifiedBook
from collector.buffer.buffer import Buffer
from collector.events.batch import StreamKey
from collector.events.bus import EventBus
from collector.exchanges.protocol import EXCHANGES, depth_of
from collector.exchanges.venues import Kind
from collector.stream.book_stream import BookStream, Place


class StreamMaker:
    """What all streams of one exchange have in common."""

    def __init__(
        self,
        exchange: str,
        buffer: Buffer,
        *,
        levels_per_row: int,
        levels_shown: int,
        new_segment_id: Callable[[], int],
        events: EventBus,
    ) -> None:
        self._exchange = exchange
        self._buffer = buffer
        self._levels_per_row = levels_per_row
        self._levels_shown = levels_shown
        self._new_segment_id = new_segment_id
        self._events = events

    def make(self, kind: Kind, market: Any, channel: str, *, standby: bool = False) -> BookStream:
        """Make a stream; one on standby follows beside another of the same kind and stores nothing yet."""
        protocol = EXCHANGES[self._exchange]
        topic = protocol.topic(market["id"], market["symbol"], channel)
        depth = depth_of(channel)
        rule = protocol.rule(kind, channel, market)
        book: VerifiedBook
        if protocol.rest is not None and channel.startswith("book."):
            rest_depth = protocol.rest.depth(kind, depth)
            book = BridgedBook(cast("BridgingRule", rule), rest_depth)
        else:
            book = VerifiedBook(rule, depth)
        return BookStream(
            StreamKey(self._exchange, market["symbol"], channel),
            Place(topic, protocol.route(topic), market["id"], kind, depth),
            book,
            self._buffer,
            levels_per_row=self._levels_per_row,
            levels_shown=self._levels_shown,
            new_segment_id=self._new_segment_id,
            events=self._events,
            standby=standby,
        )
