"""Decide whether one more stream fits on a connection: by the exchange's limits, and by what it brings."""

from collections.abc import Iterable

from collector.events.batch import StreamKey
from collector.exchanges.limits import WebsocketLimits

Topics = Iterable[tuple[str, StreamKey]]  # what is subscribed, and the stream that it is for


def fits(present: Topics, topic: str, key: StreamKey, limits: WebsocketLimits, most_a_second: float) -> bool:
    """Say whether a topic has room beside those present; the only one always has."""
    count, characters, a_second = 0, 0, 0.0
    for name, one in present:
        count += 1
        characters += len(name)
        a_second += limits.expected_a_second(one.channel)
    if count == 0:
        return True
    within_count = count < limits.topics
    within_characters = limits.characters is None or characters + len(topic) <= limits.characters
    return (
        within_count
        and within_characters
        and a_second + limits.expected_a_second(key.channel) <= most_a_second
    )
