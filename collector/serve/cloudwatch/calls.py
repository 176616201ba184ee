"""Send metrics to CloudWatch by PutMetricData, as few calls as its limits allow."""

import json
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from collector.app import Moment
from collector.aws import AwsError, Failure, failure_of, make_client, region_named
from collector.clock import NS_A_SECOND
from collector.loggers import get_logger
from collector.serve.cloudwatch.changes import Changes, Datum
from collector.serve.exposition import metrics_of

MOST_METRICS = 1000  # of a call
MOST_BYTES = 950_000  # of 1 MB; names and credentials take the rest
CALL_TIMEOUT_S = 10.0
MOST_REFUSALS = 40  # of calls in one report, while what is refused is looked for by halves
BYTES_A_FIELD = 50  # at most, of a field's name, where a client writes forms instead of JSON


log = get_logger(__name__)


class MetricsByCalls:
    """Sends all that is new at each report. What did not arrive is in the next one, counted once.

    What is refused for its content is left out from then on, and the rest goes on.
    """

    def __init__(self, namespace: str, changes: Changes, region: str | None) -> None:
        self._namespace = namespace
        self._changes = changes
        self._region = region_named(region, "metrics.cloudwatch.region")
        self._client: Any = None
        self.refused = 0  # metrics that are left out

    def __call__(self, moment: Moment) -> None:
        """Send the metrics of a moment, or raise what prevents it."""
        if self._client is None:  # made in the thread that reports, for it takes long
            self._client = make_client("cloudwatch", self._region, None, call_timeout_s=CALL_TIMEOUT_S)
        data = self._changes.since(metrics_of(moment.checked).samples)
        self._deliver(deque(calls(data, moment.checked.at_ns)))

    def close(self) -> None:
        """Close the connections. Idempotent."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _deliver(self, waiting: "deque[Call]") -> None:
        """Make the calls; one that is refused is made by halves, until what is refused stands alone."""
        alone: list[tuple[Datum, AwsError]] = []
        refusals, some_arrived = 0, False
        try:
            while waiting:
                call = waiting.popleft()
                try:
                    self._put([metric_datum for _, metric_datum in call])
                except AwsError as error:
                    refusals += 1
                    if error.kind is not Failure.REFUSED or refusals >= MOST_REFUSALS:
                        raise
                    if len(call) == 1:
                        alone.append((call[0][0], error))
                    else:
                        middle = len(call) // 2
                        waiting.extendleft((call[middle:], call[:middle]))
                else:
                    some_arrived = True
                    for datum, _ in call:
                        self._changes.sent(datum.sample)
            if alone and not some_arrived:  # then it is not for what one of them is
                raise alone[0][1]
        finally:
            for datum, why in alone if some_arrived else ():
                self._leave_out(datum, why)

    def _leave_out(self, datum: Datum, failure: AwsError) -> None:
        self._changes.leave_out(datum.sample)
        self.refused += 1
        log.warning(
            "report.metric_refused",
            report="cloudwatch",
            metric=datum.name,
            dimensions=dict(datum.dimensions),
            error=str(failure),
            what_next="it is left out until the next start",
        )

    def _put(self, metric_data: list[dict[str, Any]]) -> None:
        try:
            self._client.put_metric_data(Namespace=self._namespace, MetricData=metric_data)
        except Exception as error:
            failure = failure_of(error)
            if failure.kind is Failure.CREDENTIALS:
                self.close()  # another client looks for them anew
            raise failure from error


Call = list[tuple[Datum, dict[str, Any]]]


def calls(data: Iterable[Datum], at_ns: int) -> Iterator[Call]:
    """Yield what goes into each call: data, each in the form of the interface."""
    call: Call = []
    size = 0
    for one in data:
        metric_datum = _metric_datum(one, at_ns)
        more = _size_at_most(metric_datum)
        if call and (len(call) == MOST_METRICS or size + more > MOST_BYTES):
            yield call
            call, size = [], 0
        call.append((one, metric_datum))
        size += more
    if call:
        yield call


def _metric_datum(one: Datum, at_ns: int) -> dict[str, Any]:
    is_one_value = one.counts == (1,)
    return {
        "MetricName": one.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in one.dimensions],
        "Timestamp": at_ns / NS_A_SECOND,
        "Unit": one.unit,
        **({"Value": one.values[0]} if is_one_value else {}),
        **({} if is_one_value else {"Values": list(one.values), "Counts": list(map(float, one.counts))}),
    }


def _size_at_most(metric_datum: dict[str, Any]) -> int:
    """Return how many bytes it takes at most, be it as JSON or as a form, where `/` is `%2F`."""
    fields = 3 + 2 * len(metric_datum["Dimensions"]) + 2 * len(metric_datum.get("Values", "1"))
    return len(json.dumps(metric_datum)) + BYTES_A_FIELD * fields
