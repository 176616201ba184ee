"""What the recorded frames of Bybit mean."""

import json
from collections.abc import Mapping
from typing import ClassVar

from collector.simulator.dialect import Dialect, Meaning, RecordedBook
from collector.simulator.market import Kind
from collector.simulator.messages import Outgoing, Topic, compact_json


class BybitDialect(Dialect):
    """Bybit: every frame names its topic."""

    _kinds: ClassVar[Mapping[str, Kind]] = {"publicTrade": "trade", "kline": "bar"}

    def key(self, topic: Topic) -> str:
        """Return the topic itself."""
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
        return compact_json(book.last | {"type": "snapshot", "data": data})
