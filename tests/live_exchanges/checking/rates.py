"""Hold how many messages came on each channel against how many the facts of the exchange expect. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from checking.finding import Finding
from checking.places import Place
from checking.recording import Line
from collector.errors import FrameError
from collector.events.channel import Channel
from collector.events.messages import Ack, Message

PUSHED_MOST = 1.3  # times what is documented: pushes that were held up come together
BUSY_MOST = 10.0  # times what is expected of a busy market
NOTED = 3.0
FEW = 10.0  # times fewer than expected of a regular push
SLACK = 10  # messages that may come together after a pause
LONG_S = 5.0  # without a message of the largest market: silent


def rates(
    place: Place, lines: Sequence[Line], steady_ns: tuple[int, int], market: Mapping[str, object]
) -> Iterator[Finding]:
    """Compare the messages a second of each channel of one market, while nothing was done to it."""
    begin_ns, end_ns = steady_ns
    seconds = (end_ns - begin_ns) / 1e9
    if seconds <= 0:
        return
    counts = _counts(place, lines, steady_ns, market)
    ever = counts if seconds >= LONG_S else _counts(place, lines, (0, end_ns * 2), market)
    for channel in place.channels:
        expected = place.facts.limits.expected_a_second(channel, place.kind)
        found = counts[channel] / seconds
        text = f"{place.symbols[0]} {channel}: {found:.1f} messages a second, {expected:g} expected"
        is_pushed = Channel.of(channel).family in place.facts.limits.pushed_at_intervals
        if not ever[channel]:
            silent = f"{place.symbols[0]} {channel}: nothing came for {seconds:.1f} s"
            yield Finding("silent topic", silent, is_note=not place.is_real)
        elif counts[channel] > expected * seconds * (PUSHED_MOST if is_pushed else BUSY_MOST) + SLACK:
            yield Finding("more messages than expected", text)
        elif found > expected * NOTED or (is_pushed and found * FEW < expected):
            yield Finding("update rate", text, is_note=True)


def _counts(
    place: Place, lines: Sequence[Line], steady_ns: tuple[int, int], market: Mapping[str, object]
) -> Counter[str]:
    wire = place.facts.topics
    topics = {
        channel: wire.topic(str(market["id"]), str(market["symbol"]), channel) for channel in place.channels
    }
    by_route: dict[str, list[str]] = {}
    for channel, topic in topics.items():
        by_route.setdefault(wire.route(topic), []).append(channel)
    confirmed: set[tuple[str, str]] = set()  # connection and topic
    counts: Counter[str] = Counter()
    for line in lines:
        for message in _messages(place, line):
            if isinstance(message, Ack):
                confirmed.add((line.connection, message.topic or ""))
                continue
            channels = by_route.get(getattr(message, "topic", ""), [])
            if len(channels) > 1:  # books of several depths, each on a connection of its own
                channels = [one for one in channels if (line.connection, topics[one]) in confirmed]
            if channels and steady_ns[0] <= line.at_ns <= steady_ns[1]:
                counts[channels[0]] += 1
                break  # the messages of a frame are of one topic
    return counts


def _messages(place: Place, line: Line) -> Sequence[Message]:
    try:
        return place.facts.read_frame(line.text)
    except FrameError:
        return ()
