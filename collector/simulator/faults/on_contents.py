"""Faults in what messages say: sequence numbers, prices and sizes, checksums, the system's status."""

from typing import Literal

from collector.simulator.faults.applied import AppliedFaults
from collector.simulator.faults.tampers import (
    Edit,
    Instead,
    change_checksum,
    change_sizes,
    empty_levels,
    set_number,
)


class ContentFaults(AppliedFaults):
    """What can be made to go wrong in the contents of messages."""

    def gap(self, exchange: str, symbol: str, channel: str = "book.50", count: int = 1) -> None:
        """Skip sequence numbers: the next message has the number after the one expected."""
        each, feed = self._world.exchange(exchange), self._feed(exchange, symbol)
        self._do(
            "gap", exchange, lambda: each.skip_numbers(feed, channel, count), symbol, channel, str(count)
        )

    def restart(self, exchange: str, symbol: str, channel: str = "book.50") -> None:
        """Restart the numbers as after the exchange's maintenance.

        Bybit sends a snapshot numbered 1, OKX an update whose `seqId` is below its `prevSeqId`.
        """
        each, feed = self._world.exchange(exchange), self._feed(exchange, symbol)
        stream = self._stream(exchange, symbol, channel)

        def apply() -> None:
            if each.restart_numbers(feed, channel):
                snapshot = Instead(lambda topic: each.snapshot(topic, feed, self._world.clock_ns(exchange)))
                self._world.hub.arm(stream, snapshot)

        self._do("restart", exchange, apply, symbol, channel)

    def bad_number(
        self,
        exchange: str,
        symbol: str,
        channel: str = "book.50",
        value: str = "NaN",
        part: Literal["price", "size"] = "price",
    ) -> None:
        """Write NaN, Infinity, 1e400, -1, 0 or anything else where the next level has its price or size."""
        edit = set_number(self._world.exchange(exchange).level_pattern, part, value)
        self._arm("bad_number", exchange, symbol, channel, Edit(edit), f"{part} {value}")

    def corrupt_level(self, exchange: str, symbol: str, channel: str = "book.50") -> None:
        """Send wrong sizes of levels that stay, under right numbers and a right checksum."""
        edit = change_sizes(self._world.exchange(exchange).level_pattern)
        self._arm("corrupt_level", exchange, symbol, channel, Edit(edit))

    def corrupt_checksum(self, exchange: str, symbol: str, channel: str = "book.10") -> None:
        """Send a wrong checksum under the right levels."""
        self._arm("corrupt_checksum", exchange, symbol, channel, Edit(change_checksum))

    def checksum_without_data(self, exchange: str, symbol: str, channel: str = "book.10") -> None:
        """Send the next message without its levels, so that the checksum changes and the book does not."""
        self._arm("checksum_without_data", exchange, symbol, channel, Edit(empty_levels))

    def status(self, exchange: str, system: str = "maintenance") -> int:
        """Announce a status: online, cancel_only, post_only, limit_only, maintenance, or a word nobody knows.

        Connections that come later are greeted with it, and REST tells it, until the next one.
        """
        each = self._world.exchange(exchange)
        text = each.status_text(system)
        self._do("set_status", exchange, lambda: setattr(each, "system", system), detail=system)
        return self._send("status", exchange, None, text, system)

    def unchanged_update(self, exchange: str, symbol: str, channel: str = "book.10") -> None:
        """Send an update that changes nothing, its checksum right (Kraken), its numbers too (OKX)."""
        each, feed = self._world.exchange(exchange), self._feed(exchange, symbol)
        wanted, publisher = each.stream_channel(channel), self._world.publisher
        self._do(
            "unchanged_update",
            exchange,
            lambda: publisher.send_unchanged(feed, each, wanted),
            symbol,
            channel,
        )

    def two_in_one_frame(self, exchange: str, symbol: str, channel: str = "book.10") -> None:
        """Take two steps of the market and send what they changed in one frame (Kraken)."""
        each, feed = self._world.exchange(exchange), self._feed(exchange, symbol)
        if not each.joins_updates:
            raise ValueError(f"{exchange} sends one update a frame")
        wanted, publisher = each.stream_channel(channel), self._world.publisher
        self._do(
            "two_in_one_frame",
            exchange,
            lambda: publisher.step_in_one_frame(feed, each, wanted),
            symbol,
            channel,
        )

    def placeholder_trade(self, exchange: str, symbol: str) -> None:
        """Send a trade that is none, which takes up an id: `"p":"0","q":"0","X":"NA"` (Binance USD-M)."""
        each, feed = self._world.exchange(exchange), self._feed(exchange, symbol)
        if not each.has_placeholders(feed):
            raise ValueError(f"{exchange} sends no trades of {symbol} that are none")
        publisher = self._world.publisher
        self._do("placeholder_trade", exchange, lambda: publisher.send_placeholder(feed, each), symbol)
