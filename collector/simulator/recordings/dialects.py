"""What recorded frames mean: enough to keep a book, and to give a late subscriber a snapshot that fits."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from collector.simulator.exchanges.exchange import Outgoing, Topic
from collector.simulator.market.truth import Kind

Levels = list[tuple[str, str]]


@dataclass(slots=True)
class RecordedBook:
    """A book in the texts of its prices and sizes; `last` is the data of the last frame about it."""

    bids: dict[str, str] = field(default_factory=dict)
    asks: dict[str, str] = field(default_factory=dict)
    depth: int | None = None
    number: int = 0
    last: dict[str, Any] = field(default_factory=dict)

    def apply(self, bids: Levels, asks: Levels, *, is_snapshot: bool) -> None:
        """Set levels; a size of 0 removes."""
        if is_snapshot:
            self.bids.clear()
            self.asks.clear()
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, size in levels:
                if float(size):
                    side[price] = size
                else:
                    side.pop(price, None)
        if self.depth is not None:
            self.bids, self.asks = dict(self.top_bids(self.depth)), dict(self.top_asks(self.depth))

    def top_bids(self, depth: int | None = None) -> Levels:
        """List the bids, best first."""
        return sorted(self.bids.items(), key=lambda level: -float(level[0]))[:depth]

    def top_asks(self, depth: int | None = None) -> Levels:
        """List the asks, best first."""
        return sorted(self.asks.items(), key=lambda level: float(level[0]))[:depth]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a recorded frame is: which topics it goes to, as which message."""

    key: str
    message: Outgoing
    is_book: bool = False
    is_snapshot: bool = False
    bids: Levels = field(default_factory=list)
    asks: Levels = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)


class Dialect(ABC):
    """How one exchange's recorded frames are read."""

    @abstractmethod
    def key(self, topic: Topic) -> str:
        """Name what a topic's frames have in common."""

    @abstractmethod
    def read(self, text: str, name: str) -> Meaning | None:
        """Tell what a frame means for a symbol; None if nothing."""

    @abstractmethod
    def snapshot(self, topic: Topic, book: RecordedBook) -> str | None:
        """Write the snapshot that fits the position."""

    def book_key(self, key: str) -> str:
        """Name the book that a frame belongs to."""
        return key

    def depth_of(self, snapshot: Meaning) -> int | None:
        """Tell to how many levels the client cuts its book; None if the exchange removes each by itself."""
        del snapshot
        return None

    def rest_depth(self, book: RecordedBook, depth: int) -> str | None:
        """Write the REST answer that fits the position."""
        del book, depth
        return None


class BybitDialect(Dialect):
    """Bybit: every frame names its topic."""

    _kinds: ClassVar[Mapping[str, Kind]] = {"publicTrade": "trade", "kline": "bar"}

    def key(self, topic: Topic) -> str:
        """Name the topic itself."""
        return topic.wire

    def read(self, text: str, name: str) -> Meaning | None:
        """Read a frame with a topic of the symbol."""
        message = json.loads(text)
        wire, data = message.get("topic", ""), message.get("data")
        if not wire.endswith(f".{name}"):
            return None
        head = wire.partition(".")[0]
        if head != "orderbook":
            kind = self._kinds.get(head)
            return Meaning(wire, Outgoing(text, kind, None)) if kind else None
        is_snapshot = message["type"] == "snapshot"
        outgoing = Outgoing(text, "snapshot" if is_snapshot else "delta", data["u"])
        bids, asks = ([(price, size) for price, size in data[side]] for side in ("b", "a"))
        return Meaning(
            wire, outgoing, is_book=True, is_snapshot=is_snapshot, bids=bids, asks=asks, data=message
        )

    def snapshot(self, topic: Topic, book: RecordedBook) -> str | None:
        """Write a book snapshot with the numbers of the last frame."""
        if topic.kind not in {"book", "bbo"} or not book.last:
            return None
        data = book.last["data"] | {"b": book.top_bids(), "a": book.top_asks()}
        return json.dumps(book.last | {"type": "snapshot", "data": data}, separators=(",", ":"))


class BinanceDialect(Dialect):
    """Binance: combined streams, and REST snapshots between them."""

    _kinds: ClassVar[Mapping[str, Kind]] = {"trade": "trade", "aggTrade": "trade", "bookTicker": "snapshot"}

    def key(self, topic: Topic) -> str:
        """Name the stream without its speed."""
        return "@".join(topic.wire.split("@")[:2])

    def read(self, text: str, name: str) -> Meaning | None:
        """Read a frame of a stream of the symbol, or a snapshot."""
        message = json.loads(text)
        if "lastUpdateId" in message:
            bids, asks = ([(row[0], row[1]) for row in message[side]] for side in ("bids", "asks"))
            number = {"u": message["lastUpdateId"], "rest": text}
            outgoing = Outgoing(text, "snapshot", number["u"])
            return Meaning(
                "rest", outgoing, is_book=True, is_snapshot=True, bids=bids, asks=asks, data=number
            )
        stream = message.get("stream", "")
        symbol_name, _, channel = stream.partition("@")
        if symbol_name != name.lower():
            return None
        # Cut, not made again: the payload stays as it was, to the byte.
        payload = text[text.index('"data":') + len('"data":') : text.rindex("}")]
        channel, data = channel.partition("@")[0], message["data"]
        key = f"{symbol_name}@{channel}"
        if channel == "depth":
            bids, asks = ([(price, size) for price, size in data[side]] for side in ("b", "a"))
            return Meaning(
                key, Outgoing(payload, "delta", data["u"]), is_book=True, bids=bids, asks=asks, data=data
            )
        kind: Kind | None = "bar" if channel.startswith("kline") else self._kinds.get(channel)
        return Meaning(key, Outgoing(payload, kind, data.get("u"))) if kind else None

    def snapshot(self, topic: Topic, book: RecordedBook) -> str | None:
        """Write nothing: snapshots are fetched."""
        del topic, book
        return None

    def book_key(self, key: str) -> str:
        """Tell that snapshots and diffs are of one book."""
        del key
        return "rest"

    def rest_depth(self, book: RecordedBook, depth: int) -> str | None:
        """Write the book as it stands."""
        answer = {"lastUpdateId": book.number, "bids": book.top_bids(depth), "asks": book.top_asks(depth)}
        return json.dumps(answer, separators=(",", ":"))


class KrakenDialect(Dialect):
    """Kraken: numbers stay in the texts in which they came, for the checksum."""

    _kinds: ClassVar[Mapping[str, Kind]] = {"trade": "trade", "ohlc": "bar", "ticker": "ticker"}

    def key(self, topic: Topic) -> str:
        """Name channel and symbol: a frame does not tell its depth."""
        return f"{topic.wire.partition('-')[0].partition(':')[0]}:{topic.symbol}"

    def read(self, text: str, name: str) -> Meaning | None:
        """Read a frame of a channel of the symbol."""
        message = json.loads(text, parse_float=str, parse_int=str)
        rows, channel = message.get("data"), message.get("channel")
        if not isinstance(rows, list) or not rows or rows[0].get("symbol") != name:
            return None
        key, row = f"{channel}:{name}", rows[0]
        if channel != "book":
            kind = self._kinds.get(channel)
            return Meaning(key, Outgoing(text, kind, None)) if kind else None
        is_snapshot = message["type"] == "snapshot"
        outgoing = Outgoing(text, "snapshot" if is_snapshot else "delta", None)
        bids, asks = ([(level["price"], level["qty"]) for level in row[side]] for side in ("bids", "asks"))
        return Meaning(key, outgoing, is_book=True, is_snapshot=is_snapshot, bids=bids, asks=asks, data=row)

    def depth_of(self, snapshot: Meaning) -> int | None:
        """Take the depth from the snapshot's length."""
        return max(len(snapshot.bids), len(snapshot.asks))

    def snapshot(self, topic: Topic, book: RecordedBook) -> str | None:
        """Write a book snapshot under the last checksum, as the exchange does."""
        if topic.kind != "book" or not book.last:
            return None
        sides = [
            ",".join(f'{{"price":{price},"qty":{size}}}' for price, size in levels)
            for levels in (book.top_bids(), book.top_asks())
        ]
        return (
            f'{{"channel":"book","type":"snapshot","data":[{{"symbol":"{topic.symbol}"'
            f',"bids":[{sides[0]}],"asks":[{sides[1]}]'
            f',"checksum":{book.last["checksum"]},"timestamp":"{book.last.get("timestamp", "")}"}}]}}'
        )


DIALECTS: Mapping[str, Dialect] = {
    "bybit": BybitDialect(),
    "binance": BinanceDialect(),
    "kraken": KrakenDialect(),
}
