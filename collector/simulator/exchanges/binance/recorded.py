"""What the recorded frames of Binance mean."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from collector.simulator.dialect import Dialect, Meaning, RecordedBook
from collector.simulator.market import Kind
from collector.simulator.messages import Outgoing, Topic, compact_json


class BinanceDialect(Dialect):
    """Binance: streams, combined or each frame by itself, and REST snapshots between them."""

    _kinds: ClassVar[Mapping[str, Kind]] = {"trade": "trade", "aggTrade": "trade", "bookTicker": "snapshot"}

    def key(self, topic: Topic) -> str:
        """Return the stream without its speed."""
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
        stream = message.get("stream") or _stream_of(message)
        symbol_name, _, channel = stream.partition("@")
        if symbol_name != name.lower():
            return None
        channel, data, payload = channel.partition("@")[0], message, text
        if "stream" in message:  # cut, not made again: the payload stays as it was, to the byte
            payload, data = text[text.index('"data":') + len('"data":') : text.rindex("}")], message["data"]
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
        """Return one book for snapshots and diffs."""
        del key
        return "rest"

    def rest_depth(self, book: RecordedBook, depth: int) -> str | None:
        """Write the book as it stands."""
        answer = {"lastUpdateId": book.number, "bids": book.top_bids(depth), "asks": book.top_asks(depth)}
        return compact_json(answer)


def _stream_of(message: Mapping[str, Any]) -> str:
    """Return the stream of a frame that does not name it: of a socket without combined streams."""
    channel = {"depthUpdate": "depth", None: "bookTicker"}.get(message.get("e"), message.get("e"))
    if channel == "kline":
        channel = f"kline_{message['k']['i']}"
    return f"{message.get('s', '').lower()}@{channel}"
