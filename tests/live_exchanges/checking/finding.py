"""What a check finds: by name, at a place, in words."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference between an exchange and what is known of it; a note is no reason for alarm."""

    name: str  # such as `unknown field`
    detail: str
    is_note: bool = False

    def __str__(self) -> str:
        return f"{'note: ' if self.is_note else ''}{self.name}: {self.detail}"


def counted(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Put equal findings together, with how often they were made."""
    for finding, times in Counter(findings).items():
        more = f" ({times} times)" if times > 1 else ""
        yield Finding(finding.name, f"{finding.detail}{more}", finding.is_note)
