"""Put the records of one write set after the other into a stream, until it has taken all of them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from collector.aws import AwsError, Calls, Failure, StreamAddress, kind_of_code, without_credentials
from collector.loggers import get_logger
from collector.retry import Backoff
from collector.sinks.avro import Record
from collector.sinks.kinesis.dead_letters import DeadLetter, DeadLetters
from collector.sinks.kinesis.requests import MOST_RECORDS, Pending, weight
from collector.sinks.put_counts import PutCounts

MOST_IN_VAIN = 8  # requests in a row of which the stream takes nothing, before the breaker has its say
# A record that is refused while others are taken is to blame itself. Where nothing was taken since the last
# one, the stream or what we ask of it may be: the record is given up only when it was refused so often.
MOST_REFUSALS = 20

log = get_logger(__name__)


@dataclass(slots=True)
class Work:
    """The records of one write set, and those that are still to be put."""

    records: Sequence[Record]
    pending: Pending
    most: int = MOST_RECORDS  # in a request; fewer while a refused one is looked for


@dataclass(slots=True)
class Putting:
    """Puts records, one request at a time, and counts. For one thread; the counts are for any."""

    address: StreamAddress
    calls: Calls
    dead_letters: DeadLetters
    told_instead: Callable[[Work, Record, str], int]  # puts into pending what tells of the hole
    backoff: Backoff
    budget_s: float  # then what is left has to wait for the next attempt
    now_s: Callable[[], float] = time.monotonic
    counts: PutCounts = field(default_factory=PutCounts)
    _refusals: int = 0  # of one record, while nothing was taken
    _has_taken: bool = False  # since a record was given up

    def put_all(self, client: Any, work: Work) -> None:
        """Put everything that is pending. Raises AwsError; what is still pending may be tried again."""
        until_s, in_vain = self.now_s() + self.budget_s, 0
        while len(work.pending):
            trouble, has_taken = self._put_next(client, work)
            if trouble is None:
                in_vain = 0
                continue
            in_vain = 0 if has_taken else in_vain + 1
            if in_vain >= MOST_IN_VAIN or self.now_s() >= until_s:
                raise AwsError(trouble.kind, f"{len(work.pending)} records wait: {trouble.text}")
            self.calls.wait(self.backoff.wait_s(max(0, in_vain - 1)))

    def _put_next(self, client: Any, work: Work) -> tuple[AwsError | None, bool]:
        """Make one request. Return what is a reason to wait, and whether a record was taken."""
        request = work.pending.take(work.most)
        try:
            failed, trouble = self._put(client, request)
        except AwsError as error:
            if error.kind is Failure.REFUSED:
                self._refused(work, request, error)
                return None, False
            work.pending.put_back(request)
            if error.kind is not Failure.THROTTLED:
                raise
            return error, False
        work.pending.put_back([request[place] for place in failed])
        work.most = min(MOST_RECORDS, work.most * 2)
        return trouble, len(failed) < len(request)

    def _put(self, client: Any, request: Sequence[Record]) -> tuple[list[int], AwsError | None]:
        """Return the places of what was not taken, and why; raise AwsError if that is all of it."""
        entries = [{"Data": one.data, "PartitionKey": one.partition_key} for one in request]
        began_s = self.now_s()
        try:
            answer = self.calls.make(
                lambda: client.put_records(StreamName=self.address.stream, Records=entries)
            )
        except AwsError as error:
            is_throttled = error.kind is Failure.THROTTLED
            self._count(request, began_s, throttles=is_throttled, errors=not is_throttled)
            raise
        results = answer["Records"]
        if len(results) != len(request):
            self._count(request, began_s, errors=1)
            raise AwsError(Failure.AWAY, f"{len(results)} results for {len(request)} records")
        failed = [place for place, one in enumerate(results) if one.get("ErrorCode")]
        taken = [one for one, result in zip(request, results, strict=True) if not result.get("ErrorCode")]
        kinds = {kind_of_code(str(results[place]["ErrorCode"])) for place in failed}
        self._count(
            request,
            began_s,
            records=len(taken),
            rows=sum(one.rows for one in taken),
            bytes=sum(map(weight, taken)),
            partial_failures=bool(failed),
            failed_records=len(failed),
            throttles=Failure.THROTTLED in kinds,
        )
        if taken:
            self._has_taken, self._refusals = True, 0
        return failed, _trouble(results[failed[0]]) if failed else None

    def _refused(self, work: Work, request: Sequence[Record], error: AwsError) -> None:
        """Look for the record that is to blame, in half as many; give it up when it is alone."""
        if len(request) > 1:
            work.pending.put_back(request)
            work.most = len(request) // 2
            return
        (record,) = request
        self._refusals += 1
        if not self._has_taken and self._refusals < MOST_REFUSALS:
            work.pending.put_back(request)
            raise AwsError(Failure.UNUSABLE, f"it refuses every record: {error.text}")
        try:
            self._give_up(work, record, error)
        except BaseException:
            work.pending.put_back(request)
            raise
        work.most = MOST_RECORDS
        self._has_taken, self._refusals = False, 0

    def _give_up(self, work: Work, record: Record, error: AwsError) -> None:
        name = self.dead_letters.name
        letter = DeadLetter(
            error.text,
            record.data,
            record.partition_key,
            time.time_ns(),
            str(self.address),
            {"rows": record.rows},
        )
        self.dead_letters.put(letter, self.calls)
        rows = self.told_instead(work, record, error.text)
        self.counts = replace(
            self.counts, dead_letters=self.counts.dead_letters + 1, dead_rows=self.counts.dead_rows + rows
        )
        log.error("record.refused", sink=str(self.address), rows=rows, error=error.text, dead_letters=name)

    def _count(self, request: Sequence[Record], began_s: float, **added: int) -> None:
        counts = self.counts
        self.counts = replace(
            counts,
            batch_sizes=counts.batch_sizes.plus(len(request)),
            put_times_s=counts.put_times_s.plus(self.now_s() - began_s),
            **{name: getattr(counts, name) + int(value) for name, value in added.items()},
        )


def _trouble(result: dict[str, Any]) -> AwsError:
    code = str(result["ErrorCode"])
    return AwsError(kind_of_code(code), f"{code}: {without_credentials(str(result.get('ErrorMessage', '')))}")
