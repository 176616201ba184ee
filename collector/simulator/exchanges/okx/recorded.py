"""What the recorded frames of OKX mean."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from collector.simulator.dialect import Dialect, Levels, Meaning, RecordedBook
from collector.simulator.market import Kind
from collector.simulator.messages import Outgoing, Topic, compact_json

_BOOKS = {"books", "books5", "bbo-tbt"}


class OkxDialect(Dialect):
    """OKX: every frame names its channel and instrument; a frame may hold several updates."""

    _kinds: ClassVar[Mapping[str, Kind]] = {"trades": "trade", "trades-all": "trade"}

    def key(self, topic: Topic) -> str:
        """Return the channel and the instrument."""
        return topic.wire

    def read(self, text: str, name: str) -> Meaning | None:
        """Read a frame of a channel of the symbol."""
        if text in {"ping", "pong"}:
            return None
        message = json.loads(text)
        argument, rows = message.get("arg", {}), message.get("data")
        if argument.get("instId") != name or not rows:
            return None
        channel = argument["channel"]
        key = f"{channel}:{name}"
        if channel not in _BOOKS:
            kind: Kind | None = "bar" if channel.startswith("candle") else self._kinds.get(channel)
            return Meaning(key, Outgoing(text, kind, None)) if kind else None
        is_snapshot = message.get("action") != "update"
        outgoing = Outgoing(text, "snapshot" if is_snapshot else "delta", rows[-1]["seqId"])
        bids, asks = (
            [(level[0], level[1]) for row in rows for level in row[side]] for side in ("bids", "asks")
        )
        return Meaning(
            key,
            outgoing,
            is_book=True,
            is_snapshot=is_snapshot,
            previous=rows[0].get("prevSeqId"),
            bids=bids,
            asks=asks,
            data=message,
        )

    def snapshot(self, topic: Topic, book: RecordedBook) -> str | None:
        """Write the book under the number of the last frame."""
        if topic.kind not in {"book", "bbo"} or not book.last:
            return None
        sides = {"asks": _rows(book.top_asks()), "bids": _rows(book.top_bids())}
        row: dict[str, Any] = book.last["data"][-1] | sides
        if "prevSeqId" not in row:
            return compact_json(book.last | {"data": [row]})
        return compact_json(book.last | {"action": "snapshot", "data": [row | {"prevSeqId": -1}]})


def _rows(levels: Levels) -> list[list[str]]:
    return [[price, size, "0", "1"] for price, size in levels]
