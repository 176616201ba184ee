"""Read one shard from its position on, no more often than is allowed; wait where it fails."""

from collections.abc import Callable

from collector.aws import AwsError, Failure
from collector.consume.limits import ConsumeLimits
from collector.consume.shards import AFTER_SEQUENCE_NUMBER, TRIM_HORIZON, after
from collector.consume.stream import Fetched, IteratorExpired, Stream
from collector.loggers import get_logger

log = get_logger(__name__)


class ShardReader:
    """The reading of one shard. `fetch` makes at most one call that gives records."""

    def __init__(
        self,
        stream: Stream,
        shard: str,
        position: str,
        limits: ConsumeLimits,
        now_s: Callable[[], float],
        *,
        is_forgotten: Callable[[str], bool] = lambda _shard: False,
    ) -> None:
        self.shard = shard
        self.began_at = position
        self.due_s = now_s()  # when it may be asked next
        self.is_at_tip = False  # there was no newer record when it was asked last
        self.behind_s: float | None = None  # None: nothing is known yet
        self.error = ""  # of the last call
        self.was_trimmed = False  # its position was not in the stream any more
        self._stream = stream
        self._position = position
        self._limits = limits
        self._now_s = now_s
        self._is_forgotten = is_forgotten
        self._iterator: str | None = None
        self._failures = 0

    def fetch(self) -> Fetched | None:
        """Return what comes next; None: it has to be tried again, later. Raises AwsError when it is gone."""
        try:
            if self._iterator is None:
                if self._is_forgotten(self.shard):
                    self._begin_anew()
                self._iterator = self._stream.iterator(self.shard, self._position)
            self.due_s = self._now_s() + self._limits.call_every_s
            fetched = self._stream.fetch(self._iterator, self._limits.records_a_call)
        except IteratorExpired:
            self._iterator = None  # the next one begins where this one stood
            self.is_at_tip = False  # minutes have passed
            return None
        except AwsError as error:
            self._failed(error)
            return None
        self._succeeded()
        self._iterator = fetched.iterator
        self.behind_s = fetched.behind_s
        self.is_at_tip = not fetched.behind_s
        if fetched.records:
            self._position = after(fetched.records[-1].sequence_number)
        elif self.is_at_tip:
            self.due_s += self._limits.poll_every_s - self._limits.call_every_s
        return fetched

    def _failed(self, error: AwsError) -> None:
        if error.kind is Failure.MISSING:
            raise error
        is_of_position = error.kind is Failure.REFUSED and self._iterator is None
        if is_of_position and self._position.startswith(AFTER_SEQUENCE_NUMBER):  # a time is waited for
            self._begin_anew()
            return
        self.is_at_tip = False  # nobody knows what has come meanwhile
        wait_s = self._limits.retry.wait_s(self._failures)
        self._failures += 1
        self._iterator = None if error.kind is Failure.REFUSED else self._iterator
        self.due_s = self._now_s() + max(wait_s, self._limits.call_every_s)
        if not self.error:  # a line when it begins, and one when it ends
            log.warning("consume.shard_refused", shard=self.shard, kind=str(error.kind), error=error.text)
        self.error = error.text

    def _begin_anew(self) -> None:
        self.was_trimmed = True
        self._position = TRIM_HORIZON

    def _succeeded(self) -> None:
        if self.error:
            log.info("consume.shard_answers", shard=self.shard, refusals=self._failures)
        self.error = ""
        self._failures = 0
