"""How an exchange treats the next who come: refused, let in and left in silence, rejected, ignored."""

from dataclasses import dataclass, field
from typing import NamedTuple

_BAN_MS = 120_000


class Rule(NamedTuple):
    """An allowance: so much weight a window; after so many refused requests in a row comes a ban."""

    bucket: str
    capacity: int
    window_ms: int
    refused_until_ban: int = 1_000_000


class Verdict(NamedTuple):
    """What became of a request: the weight used so far, and how long to wait if it was refused."""

    used: int
    wait_ms: int = 0
    is_ban: bool = False

    @property
    def wait_s(self) -> int:
        """The wait in whole seconds, as Retry-After has it."""
        return -(-self.wait_ms // 1000)


@dataclass(slots=True)
class Allowance:
    """How much of a rule is used up."""

    window: int = -1
    used: int = 0
    refused: int = 0
    banned_until_ms: int = 0

    def spend(self, rule: Rule, weight: int, now_ms: int) -> Verdict:
        """Take a request's weight off, or tell how long to wait."""
        if now_ms < self.banned_until_ms:
            return Verdict(self.used, self.banned_until_ms - now_ms, is_ban=True)
        window = now_ms // rule.window_ms
        if window != self.window:
            self.window, self.used, self.refused = window, 0, 0
        self.used += weight
        if self.used <= rule.capacity:
            return Verdict(self.used)
        self.refused += 1
        if self.refused > rule.refused_until_ban:
            self.banned_until_ms = now_ms + _BAN_MS
            return Verdict(self.used, _BAN_MS, is_ban=True)
        return Verdict(self.used, (window + 1) * rule.window_ms - now_ms)


@dataclass(slots=True)
class Door:
    """The faults armed for new connections and new subscriptions of one exchange."""

    refusals: list[int] = field(default_factory=list)
    silent_count: int = 0
    rejections: int = 0
    ignored: int = 0

    def refuse(self, status: int, count: int) -> None:
        """Refuse the next connections."""
        self.refusals.extend([status] * count)

    def silent(self, count: int) -> None:
        """Say nothing on the next connections."""
        self.silent_count += count

    def reject(self, count: int) -> None:
        """Reject the next requests to subscribe."""
        self.rejections += count

    def ignore(self, count: int) -> None:
        """Ignore the next requests to subscribe."""
        self.ignored += count

    def take_refusal(self) -> int | None:
        """Use up one refusal, if there is one."""
        return self.refusals.pop(0) if self.refusals else None

    def take_silence(self) -> bool:
        """Use up one silence, if there is one."""
        self.silent_count, was = max(0, self.silent_count - 1), self.silent_count
        return was > 0

    def take_rejection(self) -> bool:
        """Use up one rejection, if there is one."""
        self.rejections, was = max(0, self.rejections - 1), self.rejections
        return was > 0

    def take_ignored(self) -> bool:
        """Use up one unanswered request, if there is one."""
        self.ignored, was = max(0, self.ignored - 1), self.ignored
        return was > 0
