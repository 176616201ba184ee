"""What the recorded frames of Kraken mean."""

import json
from collections.abc import Mapping
from typing import ClassVar

from collector.simulator.dialect import Dialect, Meaning, RecordedBook
from collector.simulator.market import Kind
from collector.simulator.messages import Outgoing, Topic


class KrakenDialect(Dialect):
    """Kraken: numbers stay in the texts in which they came, for the checksum."""

    _kinds: ClassVar[Mapping[str, Kind]] = {"trade": "trade", "ohlc": "bar", "ticker": "ticker"}

    def key(self, topic: Topic) -> str:
        """Return channel and symbol: a frame does not show its depth."""
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
        """Read the depth off the snapshot's length."""
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
