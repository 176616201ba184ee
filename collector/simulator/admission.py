"""What an exchange admits: weight and connections a window, and the faults armed for those who come next."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal, NamedTuple

Treatment = Literal["silence", "reject", "ignore"]


class Rule(NamedTuple):
    """An allowance: so much weight a window; after so many refused requests in a row comes a ban.

    Each further ban lasts twice as long as the one before, up to the longest.
    """

    bucket: str
    capacity: int
    window_ms: int
    refused_until_ban: int = 1_000_000
    ban_ms: int = 120_000
    longest_ban_ms: int = 120_000


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
    bans: int = 0

    def spend(self, rule: Rule, weight: int, now_ms: int) -> Verdict:
        """Subtract a request's weight, or return how long to wait."""
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
            ban_ms = min(rule.ban_ms << min(self.bans, 20), rule.longest_ban_ms)
            self.bans += 1
            self.banned_until_ms = now_ms + ban_ms
            return Verdict(self.used, ban_ms, is_ban=True)
        return Verdict(self.used, (window + 1) * rule.window_ms - now_ms)


class Allowances:
    """What each exchange still allows one address; `capacities` and `connection_capacities` are faults."""

    def __init__(self) -> None:
        self.capacities: dict[str, int] = {}
        self.connection_capacities: dict[str, int] = {}
        # By exchange and bucket; an empty bucket stands for all of the exchange.
        self.bans_until_ms: dict[tuple[str, str], int] = {}
        self._used: dict[tuple[str, str], Allowance] = {}

    def spend(self, exchange: str, rule: Rule, weight: int, now_ms: int) -> Verdict:
        """Subtract a REST request from the exchange's allowance."""
        ends_ms = max(self.bans_until_ms.get((exchange, bucket), 0) for bucket in ("", rule.bucket))
        if now_ms < ends_ms:
            return Verdict(rule.capacity, ends_ms - now_ms, is_ban=True)
        return self._spend(exchange, rule, self.capacities, weight, now_ms)

    def forget(self) -> None:
        """Allow what is usual, and end every ban."""
        self.capacities.clear()
        self.connection_capacities.clear()
        self.bans_until_ms.clear()
        self._used.clear()

    def admits(self, exchange: str, rule: Rule, now_ms: int) -> bool:
        """Return whether one more connection is within the exchange's allowance."""
        return not self._spend(exchange, rule, self.connection_capacities, 1, now_ms).wait_ms

    def _spend(
        self, exchange: str, rule: Rule, capacities: dict[str, int], weight: int, now_ms: int
    ) -> Verdict:
        rule = rule._replace(capacity=capacities.get(exchange, rule.capacity))
        allowance = self._used.setdefault((exchange, rule.bucket), Allowance())
        return allowance.spend(rule, weight, now_ms)


@dataclass(slots=True)
class ArmedWords:
    """What the next requests to subscribe are refused with; `name` chooses those that name a market."""

    words: str
    count: int
    name: str | None


class Admission:
    """The faults armed for the next connections and requests to subscribe of one exchange."""

    def __init__(self) -> None:
        self._refusals: list[int] = []
        self._words: list[ArmedWords] = []
        self._armed: Counter[Treatment] = Counter()

    def refuse(self, status: int, count: int) -> None:
        """Refuse the next connections with an HTTP status."""
        self._refusals.extend([status] * count)

    def take_refusal(self) -> int | None:
        """Use up one refusal, if there is one."""
        return self._refusals.pop(0) if self._refusals else None

    def refuse_for_now(self, words: str, count: int, name: str | None) -> None:
        """Answer the next requests to subscribe with these words; with a name only those that contain it."""
        self._words.append(ArmedWords(words, count, name))

    def take_words(self, text: str) -> str | None:
        """Use up one refusal in words that applies to a request, if there is one."""
        for armed in self._words:
            if armed.name is None or armed.name.lower() in text.lower():
                armed.count -= 1
                if armed.count <= 0:
                    self._words.remove(armed)
                return armed.words
        return None

    def arm(self, treatment: Treatment, count: int) -> None:
        """Treat the next connections (silence) or requests to subscribe (reject, ignore) so."""
        self._armed[treatment] += count

    def take(self, treatment: Treatment) -> bool:
        """Use up one such treatment, if there is one."""
        if not self._armed[treatment]:
            return False
        self._armed[treatment] -= 1
        return True

    def forget(self) -> None:
        """Treat who comes next as usual."""
        self._refusals.clear()
        self._words.clear()
        self._armed.clear()
