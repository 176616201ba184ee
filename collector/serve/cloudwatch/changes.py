"""Turn metrics as Prometheus knows them into data of CloudWatch. Pure: what was sent comes in and goes out.

A counter there is what was added since it was last sent, and a histogram the values that have come since;
a gauge is what it is. So sums and averages over any period are right, whoever adds up several collectors.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise

from collector.errors import UserError
from collector.histogram import Histogram
from collector.masking import without
from collector.serve.exposition import Sample
from collector.serve.metric_names import METRICS

UNITS = {"seconds": "Seconds", "bytes": "Bytes", "0 or 1": "None", "0 to 1": "None", "0, 1 or 2": "None"}
MOST_VALUE = 2.0**360
OWN_MEMBERS = ("_aws", "event", "level", "timestamp")  # of every line in the log
LONGEST_VALUE = 1024  # of a dimension, in letters
# They count from before the collector began: what is seen first is where its own share begins.
OF_THE_MACHINE = frozenset(
    (
        "process_cpu_seconds_total",
        "collector_network_receive_bytes_total",
        "collector_network_transmit_bytes_total",
    )
)

Key = tuple[str, tuple[str, ...]]
Dimensions = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Datum:
    """One metric with its dimensions: its values, and how often each came."""

    name: str
    dimensions: Dimensions
    unit: str
    values: tuple[float, ...]
    counts: tuple[int, ...]
    total: float  # the sum of all values
    sample: Sample


def dimensions_of(texts: Sequence[str], host: str) -> Mapping[str, str]:
    """Return the dimensions that tell collectors apart, of texts like `team=data`.

    Raises UserError for a name that something else in a line of the log has, or that comes twice.
    """
    named = [text.split("=", 1) for text in texts]
    dimensions = {"instance": host, **dict(named)}
    labels = {label for one in METRICS for label in one.labels}
    taken = {*labels, *(one.name for one in METRICS), *OWN_MEMBERS}
    for number, (name, _) in enumerate(named):
        if name in [before for before, _ in named[:number]]:
            raise UserError(f"metrics.cloudwatch.dimensions: found {name} twice, expected it once")
        if name in taken:
            raise UserError(
                f"metrics.cloudwatch.dimensions: found {name}, which metrics have already, "
                f"expected none of {', '.join(sorted({*labels, *OWN_MEMBERS}))}, and no metric's name"
            )
    return dimensions


class Changes:
    """Remembers what was sent of each counter and histogram. For one thread."""

    def __init__(
        self,
        dimensions: Mapping[str, str],  # beside the metric's own labels
        only: Sequence[str] = (),  # names to be sent, with `*` for anything; none: all
        secrets: Sequence[str] = (),  # that no value of a dimension may hold
    ) -> None:
        self._dimensions = dimensions
        self._only = only
        self._secrets = secrets
        self._sent: dict[Key, float | Histogram] = {}
        self._left_out: set[Key] = set()

    def since(self, samples: Iterable[Sample]) -> Iterator[Datum]:
        """Yield what there is to be sent."""
        for one in samples:
            name = one.metric.name
            if _key(one) in self._left_out:
                continue
            if self._only and not any(fnmatchcase(name, pattern) for pattern in self._only):
                continue
            if name in OF_THE_MACHINE and _key(one) not in self._sent:
                self.sent(one)
                continue
            values, counts, total = self._new(one)
            if values and all(math.isfinite(value) and abs(value) <= MOST_VALUE for value in values):
                unit = UNITS.get(one.metric.unit, "Count")
                yield Datum(name, self._all_dimensions(one), unit, values, counts, total, one)

    def sent(self, sample: Sample) -> None:
        """Remember that a sample has arrived: from now on only what comes after it is new."""
        if sample.metric.kind != "gauge":
            self._sent[_key(sample)] = sample.value

    def leave_out(self, sample: Sample) -> None:
        """Send no more of a metric with these labels: it is refused, and would hold up the others."""
        self._left_out.add(_key(sample))

    def _new(self, one: Sample) -> tuple[tuple[float, ...], tuple[int, ...], float]:
        before = self._sent.get(_key(one))
        if isinstance(one.value, Histogram):
            had = before if isinstance(before, Histogram) else Histogram.of(one.value.edges)
            return spread(one.value.minus(had))
        value = float(one.value)
        if isinstance(before, float | int) and value >= before:  # or it counts anew
            value -= before
        return (value,), (1,), value

    def _all_dimensions(self, one: Sample) -> Dimensions:
        known = {**self._dimensions, **dict(zip(one.metric.labels, one.labels, strict=True))}
        plain = ((name, _plain(without(value, self._secrets))) for name, value in known.items())
        return tuple((name, value) for name, value in plain if value)


def spread(histogram: Histogram) -> tuple[tuple[float, ...], tuple[int, ...], float]:
    """Return a value for each bucket that holds some, how many it holds, and their sum.

    Every value lies in its bucket, all at the same share of its width, so chosen that the sum is right.
    """
    lows = (0.0, *histogram.edges)
    widths = [high - low for low, high in pairwise(lows)]
    *within, above = histogram.counts
    least = sum(count * low for count, low in zip(histogram.counts, lows, strict=True))
    room = sum(count * width for count, width in zip(within, widths, strict=True))
    rest = max(0.0, histogram.total - least)
    share = min(1.0, rest / room) if room else 0.0
    if above:  # its bucket has no upper edge: the others are taken to be half full
        share = min(0.5, share)
    values = [low + share * width for low, width in zip(lows, widths, strict=False)]
    if above:
        values.append(lows[-1] + max(0.0, rest - share * room) / above)
    counts = [*within, *([above] if above else [])]
    filled = [(value, count) for value, count in zip(values, counts, strict=True) if count]
    return tuple(value for value, _ in filled), tuple(count for _, count in filled), histogram.total


def _key(sample: Sample) -> Key:
    return sample.metric.name, sample.labels


def _plain(value: str) -> str:
    """Return the value of a dimension as it may be: ASCII that can be seen, and not too long."""
    text = value.encode("ascii", "backslashreplace").decode("ascii")
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:LONGEST_VALUE]
