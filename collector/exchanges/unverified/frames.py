"""Leave every frame to ccxt."""

from collections.abc import Sequence

from collector.events.messages import Message, Other


def read_frame(text: str) -> Sequence[Message]:
    """Say that a frame is not ours to read."""
    del text
    return (Other(),)
