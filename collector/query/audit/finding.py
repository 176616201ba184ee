"""What does not hold, and which rows say so."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not hold, and which rows say so."""

    check: str
    text: str


@dataclass(slots=True)
class Wrong:
    """Rows of which something does not hold: how many, and the first few."""

    count: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, ids: Iterable[int]) -> None:
        """Note rows."""
        for one in ids:
            self.count += 1
            if len(self.first) < EXAMPLES:
                self.first.append(one)

    def __str__(self) -> str:
        """Name them: `7 rows (id 1, 2, 3, 4, 5 and 2 more)`."""
        shown = ", ".join(str(one) for one in self.first)
        more = f" and {self.count - EXAMPLES} more" if self.count > EXAMPLES else ""
        return f"{self.count} row{'s'[: self.count != 1]} (id {shown}{more})"


@dataclass(slots=True)
class Ledger:
    """Wrong rows of one table, check by check."""

    table: str
    _wrong: dict[tuple[str, str], Wrong] = field(default_factory=dict)

    def add(self, check: str, text: str, ids: Iterable[int]) -> None:
        """Note rows; `text` goes on from their names."""
        self._wrong.setdefault((check, text), Wrong()).add(ids)

    def findings(self) -> Iterator[Finding]:
        """Yield a finding for each check that found rows."""
        for (check, text), wrong in self._wrong.items():
            if wrong.count:
                yield Finding(check, f"{self.table}: {wrong} {text}")
