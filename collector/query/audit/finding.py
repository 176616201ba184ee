"""Collect findings, and the rows that they are about."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """A check that failed, and the rows or names that it is about; or a note of what is no fault."""

    check: str
    text: str
    is_note: bool = False


@dataclass(slots=True)
class Wrong:
    """Rows that failed a check: how many, and the first few."""

    count: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, ids: Iterable[int]) -> None:
        """Add rows that failed."""
        for one in ids:
            self.count += 1
            if len(self.first) < EXAMPLES:
                self.first.append(one)

    def __str__(self) -> str:
        """Return them as text: `7 rows (id 1, 2, 3, 4, 5 and 2 more)`."""
        shown = ", ".join(str(one) for one in self.first)
        more = f" and {self.count - EXAMPLES} more" if self.count > EXAMPLES else ""
        return f"{self.count} row{'s'[: self.count != 1]} (id {shown}{more})"


@dataclass(slots=True)
class Ledger:
    """Rows of one table that failed, by check."""

    table: str
    _wrong: dict[tuple[str, str], Wrong] = field(default_factory=dict)

    def add(self, check: str, text: str, ids: Iterable[int]) -> None:
        """Add rows that failed a check; `text` continues "7 rows (id 1, 2 ...)"."""
        self._wrong.setdefault((check, text), Wrong()).add(ids)

    def findings(self) -> Iterator[Finding]:
        """Yield a finding for each check that found rows."""
        for (check, text), wrong in self._wrong.items():
            if wrong.count:
                yield Finding(check, f"{self.table}: {wrong} {text}")
