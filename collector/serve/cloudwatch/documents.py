"""Write metrics into the log in the embedded metric format: whoever ships the log need make no call.

The form is that of docs.aws.amazon.com, "Specification: Embedded metric format". A document has one value
of each name, so there is one for each set of dimensions, or several. A value may be an array of numbers, but
has no counts: of a histogram with more values than fit, some are drawn evenly; its count and sum are beside.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import accumulate, chain, repeat

from collector.app import Moment
from collector.histogram import Histogram
from collector.log import write_line
from collector.serve.cloudwatch.changes import Changes, Datum, Dimensions
from collector.serve.exposition import metrics_of

MOST_METRICS = 100  # of a document; a third of them can be arrays, so that it is far below 256 KB
MOST_VALUES = 100  # of an array

Entry = tuple[str, str, float | list[float]]  # name, unit, value


class MetricsInLog:
    """Writes all that is new at each report."""

    def __init__(self, namespace: str, changes: Changes, write: Callable[[str], None] = write_line) -> None:
        self._namespace = namespace
        self._changes = changes
        self._write = write

    def __call__(self, moment: Moment) -> None:
        """Write the documents of a moment."""
        data = list(self._changes.since(metrics_of(moment.checked).samples))
        for text in documents(data, self._namespace, moment.checked.at_ns):
            self._write(text)
        for one in data:
            self._changes.sent(one.sample)


def documents(data: Iterable[Datum], namespace: str, at_ns: int) -> Iterator[str]:
    """Yield the documents of these data, each a line of JSON."""
    by_dimensions: dict[Dimensions, list[Entry]] = {}
    for one in data:
        by_dimensions.setdefault(one.dimensions, []).extend(_entries(one))
    for dimensions, entries in by_dimensions.items():
        for start in range(0, len(entries), MOST_METRICS):
            yield _document(entries[start : start + MOST_METRICS], dimensions, namespace, at_ns)


def _document(entries: Sequence[Entry], dimensions: Dimensions, namespace: str, at_ns: int) -> str:
    directive = {
        "Namespace": namespace,
        "Dimensions": [[name for name, _ in dimensions]],
        "Metrics": [{"Name": name, "Unit": unit} for name, unit, _ in entries],
    }
    at = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps(
        {
            "_aws": {"Timestamp": at_ns // 1_000_000, "CloudWatchMetrics": [directive]},
            "event": "metrics",  # this and the next two as in all lines of a log
            "level": "info",
            "timestamp": at,
            **dict(dimensions),
            **{name: value for name, _, value in entries},
        },
        separators=(",", ":"),
        allow_nan=False,
    )


def _entries(one: Datum) -> Iterator[Entry]:
    if not isinstance(one.sample.value, Histogram):
        yield one.name, one.unit, one.values[0]
        return
    yield one.name, one.unit, drawn(one.values, one.counts)
    yield f"{one.name}_count", "Count", float(sum(one.counts))
    yield f"{one.name}_sum", one.unit, one.total


def drawn(values: Sequence[float], counts: Sequence[int]) -> list[float]:
    """Return every value as often as it came; if those are too many, some of them, evenly over all."""
    count = sum(counts)
    if count <= MOST_VALUES:
        return list(chain.from_iterable(map(repeat, values, counts)))
    ends = list(accumulate(counts))
    found, place = [], 0
    for number in range(MOST_VALUES):
        while ends[place] <= (number + 0.5) * count / MOST_VALUES:
            place += 1
        found.append(values[place])
    return found
