"""Count what may be asked of a REST host: what is needed most first, nobody for ever last. Pure.

Three things keep a request waiting. The exchange refused, and wants to be left alone until some moment. A
bucket for each published rate refills with our share of it, so that requests come evenly and something is
left for a book that breaks. And sliding windows of the published spans, in which a request counts until its
span after its answer, are filled by no more than a part, whatever the buckets hold.
"""

from collections.abc import Sequence
from enum import IntEnum

from collector.exchanges import RequestLimits, Told
from collector.network.turn_queue import Waiting
from collector.network.windows import Bucket, Window

WEIGHT_SHARE = 0.5  # of the published limit: others behind the same address have a right to the rest
BURST_SHARE = 0.75  # of it at most in any one span: our share, and what a full bucket holds besides
BUCKET_S = 30.0  # so many seconds' worth a bucket holds
REFUSED_PAUSE_S = 60.0  # after a refusal that does not say for how long
LEAST_SHARE = WEIGHT_SHARE / 8.0  # each refusal halves what is used, down to this
GROWS_AFTER_S = 300.0  # without a refusal: what is used doubles, up to the whole share
PATIENCE_S = (
    30.0  # who is passed over longer goes next, one every so often; past a broken book, half as often
)


class Need(IntEnum):
    """How much a request is needed; the lowest number goes first."""

    BROKEN = 0  # a book was verified, and is in doubt
    FIRST = 1  # one not verified since its subscription
    EDGE = 2  # the price comes near the end of what is known
    QUESTION = 3  # silent: quiet or stalled?
    MARKETS = 4  # what the exchange lists
    WITNESS = 5  # compared from time to time
    BACKFILL = 6  # the past

    @property
    def can_wait(self) -> bool:
        """Return whether the budget must hold as much again for a book that is needed more."""
        return self >= Need.EDGE


# At most so many of a need, and of those needed more, are under way at once: a book that breaks finds room.
MOST_UNDER_WAY = {
    Need.BROKEN: 4,
    Need.FIRST: 3,
    Need.EDGE: 2,
    Need.QUESTION: 1,
    Need.MARKETS: 1,
    Need.WITNESS: 1,
    Need.BACKFILL: 1,
}


class Allowance:
    """What went out, what is left, and who goes next. Its owner holds a lock."""

    def __init__(self, limits: RequestLimits, now_s: float) -> None:
        self.closed_until_s = 0.0
        self._share = WEIGHT_SHARE
        # Each counts weight, or every request as one.
        rates = [(rate, False) for rate in limits.weight] + [(rate, True) for rate in limits.requests]
        self._buckets = [(Bucket(rate, WEIGHT_SHARE, BUCKET_S, now_s), each) for rate, each in rates]
        self._windows = [
            (Window(rate.most * BURST_SHARE, rate.span_s, rate.most), each) for rate, each in rates
        ]
        self._under_way = 0
        self._dearest = 0.0  # of the requests that cannot wait
        self._changed_s = now_s  # when the share last changed, or was refused
        self._owed: Waiting | None = None  # who goes next for having been passed over
        self._owed_s = now_s  # when somebody last did

    def expect(self, weight: float, need: Need) -> None:
        """Note what a request that cannot wait may weigh: so much is left for the next one."""
        if not need.can_wait:
            self._dearest = max(self._dearest, weight)

    def next_of(self, waiting: Sequence[Waiting], now_s: float) -> Waiting | None:
        """Return who is needed most of those that may go beside what is under way, or was passed over."""
        self._owed = None
        may_go = (one for one in waiting if self._under_way < MOST_UNDER_WAY[Need(one.priority)])
        first = min(may_go, key=lambda one: (one.priority, one.number), default=None)
        is_broken = first is not None and first.priority == Need.BROKEN
        patience_s = PATIENCE_S * (2.0 if is_broken else 1.0)
        if now_s - self._owed_s >= patience_s and self._under_way < MOST_UNDER_WAY[Need.BROKEN]:
            passed_over = (one for one in waiting if first is None or one.priority > first.priority)
            oldest = next(passed_over, None)
            if oldest is not None and now_s - oldest.since_s >= PATIENCE_S:
                self._owed = oldest
        return self._owed or first

    def wait_s(self, one: Waiting, now_s: float) -> float:
        """Return how long the next request has to wait still."""
        if one is not self._owed and Need(one.priority).can_wait:
            return self.free_in_s(one.weight + max(one.weight, self._dearest), 2, now_s)
        return self.free_in_s(one.weight, 1, now_s)

    def begin(self, one: Waiting, now_s: float) -> None:
        """Count a request that goes out now."""
        self._under_way += 1
        for bucket, each in self._buckets:
            bucket.take(1.0 if each else one.weight)
        for window, each in self._windows:
            window.begin(1.0 if each else one.weight)
        if one is self._owed:
            self._owed_s = now_s

    def end(self, weight: float, now_s: float) -> None:
        """Count a request that is answered, or was broken off, from now on as one that was."""
        self._under_way -= 1
        for window, each in self._windows:
            window.end(1.0 if each else weight, now_s)

    def told(self, told: Told, now_s: float) -> None:
        """Heed what an answer says of all requests behind our address."""
        for (bucket, each), (window, _) in zip(self._buckets, self._windows, strict=True):
            used = None if each else told.used.get(window.span_s)
            if used is not None:
                window.used(used.weight, used.for_s, now_s)
                bucket.refill(now_s, self._share)
                bucket.lower(max(0.0, window.published - used.weight) * WEIGHT_SHARE)
        self.closed_until_s = max(self.closed_until_s, now_s + told.wait_s)

    def refused(self, retry_after_s: float | None, now_s: float) -> float:
        """Pause for as long as the exchange wants, and use less afterwards; returns for how long.

        Requests that were under way together are refused together: that halves what is used once.
        """
        pause_s = REFUSED_PAUSE_S if retry_after_s is None else max(retry_after_s, 1.0)
        if now_s >= self.closed_until_s:
            self._share = max(LEAST_SHARE, self._share / 2.0)
        self.closed_until_s = max(self.closed_until_s, now_s + pause_s)
        for bucket, _ in self._buckets:
            bucket.refill(now_s, self._share)
            bucket.lower(0.0)
        for window, _ in self._windows:
            window.forget_others(self.closed_until_s)  # the exchange said when to ask again
        self._changed_s = now_s
        return pause_s

    def free_in_s(self, weight: float, requests: int, now_s: float) -> float:
        """Return how long until so much may go out."""
        is_quiet = now_s - max(self._changed_s, self.closed_until_s) > GROWS_AFTER_S
        if self._share < WEIGHT_SHARE and is_quiet:
            self._share, self._changed_s = self._share * 2.0, now_s
        wait_s = max(0.0, self.closed_until_s - now_s)
        for bucket, each in self._buckets:
            bucket.refill(now_s, self._share)
            wait_s = max(wait_s, bucket.wait_s(requests if each else weight, now_s))
        for window, each in self._windows:
            wait_s = max(wait_s, window.free_at_s(requests if each else weight, now_s) - now_s)
        return wait_s

    def used_share(self, now_s: float) -> float:
        """Return how much of what the fullest bucket holds is used; 1 while the exchange refuses us.

        Changes nothing.
        """
        if now_s < self.closed_until_s:
            return 1.0
        return max(bucket.used_share(now_s) for bucket, _ in self._buckets)
