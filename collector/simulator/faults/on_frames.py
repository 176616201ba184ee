"""Faults of single frames: damaged, far too large, lost, sent twice, out of order."""

import zlib

from collector.simulator.faults.applied import AppliedFaults
from collector.simulator.faults.tampers import Drop, Duplicate, Reorder
from collector.simulator.wire import frame


class FrameFaults(AppliedFaults):
    """What can be made to go wrong with frames."""

    def raw_frame(self, exchange: str, data: str | bytes, symbol: str | None = None) -> int:
        """Send any text or bytes as one frame; returns on how many connections."""
        return self._send("raw_frame", exchange, symbol, data, repr(data[:80]))

    def malformed_frame(self, exchange: str, symbol: str | None = None) -> int:
        """Send a frame that breaks off in the middle of its JSON."""
        return self._send("malformed_frame", exchange, symbol, '{"topic":"orderbook.50.BTCUSDT","type":"del')

    def stray_frame(self, exchange: str, number: int = 0, symbol: str | None = None) -> int:
        """Send one of the exchange's frames about a stream that nobody asked for."""
        frames = self._world.exchange(exchange).stray_frames
        return self._send("stray_frame", exchange, symbol, frames[number % len(frames)], str(number))

    def huge_frame(self, exchange: str, size_bytes: int = 50_000_000, symbol: str | None = None) -> int:
        """Send one frame of valid JSON that is far too large."""
        text = '{"pad":"' + "x" * max(0, size_bytes - 10) + '"}'
        return self._send("huge_frame", exchange, symbol, text, str(size_bytes))

    def deep_frame(self, exchange: str, depth: int = 100_000, symbol: str | None = None) -> int:
        """Send JSON nested so deeply that a parser may give up."""
        return self._send("deep_frame", exchange, symbol, "[" * depth + "]" * depth, str(depth))

    def bomb(self, exchange: str, size_bytes: int = 200_000_000, symbol: str | None = None) -> int:
        """Send a small compressed frame that inflates to this size; only where compression was agreed."""
        squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
        parts = [squeeze.compress(b"[" * 1_000_000) for _ in range(size_bytes // 1_000_000)]
        payload = (b"".join(parts) + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]
        data = frame(payload, compressed=True)
        return self._on_sessions(
            "bomb",
            exchange,
            symbol,
            lambda session: session.write(data),
            str(size_bytes),
            needs_compression=True,
        )

    def drop_frame(self, exchange: str, symbol: str, channel: str = "book.50", count: int = 1) -> None:
        """Lose the next messages of a channel."""
        self._arm("drop_frame", exchange, symbol, channel, Drop(count))

    def duplicate_frame(self, exchange: str, symbol: str, channel: str = "book.50") -> None:
        """Send the next message of a channel twice."""
        self._arm("duplicate_frame", exchange, symbol, channel, Duplicate())

    def reorder(self, exchange: str, symbol: str, channel: str = "book.50") -> None:
        """Send the next message of a channel after the one that follows it."""
        self._arm("reorder", exchange, symbol, channel, Reorder())
