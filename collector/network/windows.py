"""Count what goes out: in sliding windows, which are never exceeded, and in buckets, which refill steadily.

Pure, and without a lock: whoever counts in several threads holds one.
"""

from collections import deque

from collector.exchanges import Rate

ROUNDING = 1e-9  # of the most: sums of fractions are not exact


class Window:
    """At most so much in any span of time.

    What has begun counts until its span after it ended: the other side counts it somewhere between. `most`
    is ours; `published` is for everybody behind our address.
    """

    def __init__(self, most: float, span_s: float, published: float | None = None) -> None:
        self.most = most
        self.span_s = span_s
        self.published = most if published is None else published
        self._under_way = 0.0
        self._ended: deque[tuple[float, float]] = deque()  # when, and how much
        self._sum = 0.0  # of these
        self._others = 0.0  # used by others behind the same address, as far as the other side told
        self._others_until_s = 0.0

    def begin(self, weight: float) -> None:
        """Count something from now on."""
        self._under_way += weight

    def end(self, weight: float, now_s: float) -> None:
        """Count what began until its span from now."""
        self._under_way -= weight
        self._ended.append((now_s, weight))
        self._sum += weight

    def used(self, weight: float, for_s: float, now_s: float) -> None:
        """Note how much everybody used, as the other side counts, and for how long that counts still."""
        self._others = max(0.0, weight - self.total(now_s))
        self._others_until_s = now_s + for_s

    def forget_others(self, at_s: float) -> None:
        """Count what others used no longer than until then."""
        self._others_until_s = min(self._others_until_s, at_s)

    def total(self, now_s: float) -> float:
        """Return how much of ours counts now."""
        while self._ended and self._ended[0][0] + self.span_s <= now_s:
            self._sum -= self._ended.popleft()[1]
        if not self._ended:
            self._sum = 0.0  # exactly
        return self._under_way + self._sum

    def free_at_s(self, weight: float, now_s: float) -> float:
        """Return when so much more fits in; what fits into no window fits into an empty one."""
        ours, others = self.total(now_s), self._others if now_s < self._others_until_s else 0.0
        at_s = self._at_s(ours + weight - max(self.most, weight), now_s)
        if others > 0.0:
            too_much = ours + others + weight - max(self.published, weight)
            at_s = max(at_s, min(self._at_s(too_much, now_s), self._others_until_s))
        return at_s

    def _at_s(self, too_much: float, now_s: float) -> float:
        """Return when so much will no longer count."""
        allowed = ROUNDING * self.most
        if too_much <= allowed:
            return now_s
        for at_s, weight in self._ended:
            too_much -= weight
            if too_much <= allowed:
                return at_s + self.span_s
        return now_s + self.span_s  # what is under way counts as long at least


class Bucket:
    """Weight that refills steadily, in a share of a rate; it holds so many seconds' worth."""

    def __init__(self, rate: Rate, share: float, holds_s: float, now_s: float) -> None:
        self._rate = rate
        self._holds_s = holds_s
        self._share = share
        self.left = self.most
        self._counted_s = now_s

    @property
    def most(self) -> float:
        """Return how much it holds."""
        return self._refill_a_second * self._holds_s

    def take(self, weight: float) -> None:
        """Use so much, more than there is if need be."""
        self.left -= weight

    def refill(self, now_s: float, share: float) -> None:
        """Add what came since the last time, in the share that held until now; then hold this one."""
        self.left = self._left_at(now_s)
        self._counted_s, self._share = now_s, share
        self.left = min(self.left, self.most)

    def wait_s(self, weight: float, now_s: float) -> float:
        """Return how long until so much is there; of what it can never hold, until it is full."""
        missing = min(weight, self.most) - self._left_at(now_s)
        return max(0.0, missing / self._refill_a_second)

    def lower(self, left: float) -> None:
        """Hold so much at most for now."""
        self.left = min(self.left, left)

    def used_share(self, now_s: float) -> float:
        """Return how much of what it holds is used. Changes nothing."""
        return 1.0 - max(self._left_at(now_s), 0.0) / self.most

    @property
    def _refill_a_second(self) -> float:
        return self._rate.most * self._share / self._rate.span_s

    def _left_at(self, now_s: float) -> float:
        return min(self.most, self.left + (now_s - self._counted_s) * self._refill_a_second)
