"""What one address may ask of an exchange over REST, and what happens to those who ask for more."""

from dataclasses import dataclass
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
