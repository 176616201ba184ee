"""Define how much the buffer holds."""

from dataclasses import dataclass

from collector.bounds import Bytes, Rows


@dataclass(frozen=True, slots=True)
class BufferLimits:
    """What is held between the websocket thread and the writer."""

    max_rows: Rows = 200_000
    max_bytes: Bytes = 268_435_456
