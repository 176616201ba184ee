"""Put write sets into a Kinesis stream, at least once and in order; what reads them makes it exactly once."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from collector.aws import KINESIS, AwsError, Calls, Failure, StreamAddress, make_client
from collector.errors import SinkError, UnfitRow
from collector.retry import Backoff
from collector.sinks.avro import Form, Record, records_of, why_unfit
from collector.sinks.contract import Capabilities, Receipt, Rows, WriteSet
from collector.sinks.kinesis.dead_letters import dead_letters_at
from collector.sinks.kinesis.putting import Putting, Work
from collector.sinks.kinesis.refused import instead_of
from collector.sinks.kinesis.requests import Pending
from collector.sinks.options import AS_A_RULE, StreamOptions
from collector.sinks.put_counts import PutCounts

LINGER_S = 1.0
MOST_ROWS = 10_000  # in one write: its records are held in memory, and are put within the time for a call
BACKOFF = Backoff(0.1, 5.0)
SHARE_OF_A_WRITE = 0.4  # of the time for one, in which it goes on when the stream slows it down
MOST_SESSIONS = 100  # whose losses are remembered
NO_HASH_KEY = "9" * 39  # beyond the last: the record is refused, after the right to put it was asked for


@dataclass(frozen=True, slots=True)
class _Outline:
    """What tells a write set that is tried again from another, without a look at each value."""

    head: WriteSet
    rows: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, write_set: WriteSet) -> "_Outline":
        return cls(replace(write_set, rows=()), tuple((one.table, len(one)) for one in write_set.rows))


class _Losses:
    """The keys that were told that something before them was lost, by session.

    Of which markets it was is not known, and each market has a reader of its own: each is told with the next
    part that it gets, be it much later.
    """

    def __init__(self) -> None:
        self._told: dict[str, set[str]] = {}

    def marks(self, write_set: WriteSet) -> Callable[[str], bool] | None:
        """Return what says of a key whether it is to be told; None where nothing was lost."""
        session = write_set.session.session_id
        if write_set.is_after_loss:
            self._told[session] = set()
            while len(self._told) > MOST_SESSIONS:
                self._told.pop(next(iter(self._told)))
        told = self._told.get(session)
        return None if told is None else lambda key: key not in told

    def put(self, write_set: WriteSet, records: Sequence[Record]) -> None:
        """Note the keys that the records of a write set have told."""
        told = self._told.get(write_set.session.session_id)
        if told is not None:
            told.update(one.partition_key for one in records)


class KinesisSink:
    """A follower that puts records into a stream. Used by one thread, but for `abort` and the counts."""

    file = None

    def __init__(
        self,
        url: str,
        options: StreamOptions = AS_A_RULE,
        *,
        call_timeout_s: float = 30.0,
        backoff: Backoff = BACKOFF,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = StreamAddress.parse(url)
        self._form = Form(options.records)
        self._coverage = options.coverage
        self._call_timeout_s = call_timeout_s
        self.name = str(self._address)
        self.capabilities = Capabilities(
            transactions=False, idempotent=False, shared=True, most_rows=MOST_ROWS, linger_s=LINGER_S
        )
        self._calls = Calls(f"{self.name} calls")
        where = options.dead_letters or f"{self._address.stream}-dead-letters.jsonl"
        self._dead_letters = dead_letters_at(where, call_timeout_s=call_timeout_s)
        self._putting = Putting(
            self._address,
            self._calls,
            self._dead_letters,
            self._tell_instead,
            backoff,
            call_timeout_s * SHARE_OF_A_WRITE,
            now_s,
        )
        self._client: Any = None
        self._losses = _Losses()
        self._begun: tuple[_Outline, Work] | None = None  # a write set of which records are still to be put

    def open(self) -> None:
        """Make the client; nothing is asked of AWS yet but credentials. Idempotent."""
        if self._client is None:
            self._calls.begin()
            self._client = self._calls.make(
                lambda: make_client(
                    KINESIS, self._address.region, self._address.endpoint, call_timeout_s=self._call_timeout_s
                )
            )

    def write(self, write_set: WriteSet) -> Receipt:
        """Put all records of the write set; one that is tried again goes on where it was."""
        self._calls.begin()
        try:
            self.open()
            work = self._work_of(write_set)
            self._putting.put_all(self._client, work)
        except UnfitRow as unfit:
            raise SinkError(str(unfit), transient=False) from unfit
        except AwsError as error:
            self._forget_credentials(error)
            raise SinkError(f"{self.name}: {error.text}", transient=True) from error
        self._losses.put(write_set, work.records)
        self._begun = None
        return Receipt()

    def refuses(self, rows: Rows) -> str | None:
        """Return why no record can hold the rows, or None."""
        return why_unfit(rows)

    def examine(self) -> str:
        """Ask for the stream's state, and whether records may be put: with one that no stream takes."""
        self._calls.begin()
        try:
            self.open()
            state = self._state()
            self._try_to_put()
            self._dead_letters.examine()
        except AwsError as error:
            self._forget_credentials(error)
            raise SinkError(f"{self.name}: {error.text}", transient=True) from error
        return f"{self.name} {state}, and takes records from here"

    def abort(self) -> None:
        """Break off the call in progress. For any thread."""
        self._calls.break_off()

    def close(self) -> None:
        """Close the connections, once a call that was broken off is over. Idempotent."""
        client, self._client = self._client, None

        def close() -> None:
            if client is not None:
                client.close()
            self._dead_letters.close()

        self._calls.close(close)

    @property
    def put_counts(self) -> PutCounts:
        """Return what became of all so far. For any thread."""
        return self._putting.counts

    def _work_of(self, write_set: WriteSet) -> Work:
        outline = _Outline.of(write_set)
        if self._begun is None or self._begun[0] != outline:
            after_loss = self._losses.marks(write_set)
            records = records_of(write_set, self._form, coverage=self._coverage, after_loss=after_loss)
            pending = Pending(records, one_of_a_key=self._form is Form.BATCH)
            self._begun = outline, Work(records, pending)
        return self._begun[1]

    def _tell_instead(self, work: Work, refused: Record, why: str) -> int:
        """Put what tells of the hole in the place of a refused record; return how many rows are missing."""
        gone, instead = instead_of(work.records, refused, why)
        left = work.pending.replace(gone, instead)
        return refused.rows + sum(one.rows for one in left)

    def _state(self) -> str:
        try:
            answer = self._calls.make(
                lambda: self._client.describe_stream_summary(StreamName=self._address.stream)
            )
        except AwsError as error:
            if error.kind is Failure.DENIED:  # for those who put records it need not be allowed
                return "may not be asked for its state"
            raise
        found = answer["StreamDescriptionSummary"]
        status, shards = found["StreamStatus"], found["OpenShardCount"]
        if status not in ("ACTIVE", "UPDATING"):
            raise AwsError(Failure.UNUSABLE, f"the stream is {status}, expected ACTIVE")
        return f"is {status}, with {shards} shard{'s'[: shards != 1]}"

    def _try_to_put(self) -> None:
        try:
            self._calls.make(
                lambda: self._client.put_record(
                    StreamName=self._address.stream,
                    Data=b"",
                    PartitionKey="-",
                    ExplicitHashKey=NO_HASH_KEY,
                )
            )
        except AwsError as error:
            if error.kind is not Failure.REFUSED:
                raise

    def _forget_credentials(self, error: AwsError) -> None:
        """Look for credentials anew at the next attempt: somebody may have renewed them."""
        if error.kind is Failure.CREDENTIALS and self._client is not None:
            client, self._client = self._client, None
            client.close()
