"""What a stream says of itself when somebody looks."""

from dataclasses import dataclass

from collector.events.batch import StreamKey


@dataclass(frozen=True, slots=True)
class StreamNow:
    """One stream at one moment. Prices are None where there are none."""

    key: StreamKey
    verified: bool
    bid: float | None = None
    ask: float | None = None
    received_at_ns: int = 0  # receipt of the last message that said something new; 0: none yet
    exchange_ms: int | None = None  # that message's time by the exchange

    @property
    def lag_ms(self) -> float | None:
        """Tell how long the last message was on its way; None where the exchange sends no time."""
        if self.exchange_ms is None or not self.received_at_ns:
            return None
        return self.received_at_ns / 1e6 - self.exchange_ms
