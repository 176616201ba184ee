"""Read which faults are none: the list of plants that change nothing anybody could observe, with reasons."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from planting.plants import Plant

LIST = Path(__file__).resolve().parents[1] / "equivalent.toml"
KEYS = ("module", "scope", "operator", "before", "after")


@dataclass(slots=True)
class Judged:
    """The reasons, by what tells a plant from all others: its place in the text, not its line."""

    reasons: dict[tuple[str, ...], str] = field(default_factory=dict)

    def reason(self, plant: Plant) -> str | None:
        """Return why a plant changes nothing; None where it does, or nobody judged it."""
        return self.reasons.get(plant.key)

    def unmatched(self, plants: Sequence[Plant]) -> list[str]:
        """Name entries whose place is no longer in the program: they are to be judged again or dropped."""
        known = {one.key for one in plants}
        return [f"{key[0]}: {key[3]}" for key in self.reasons if key not in known]


def read(path: Path = LIST) -> Judged:
    """Read the list. Raises ValueError for an entry without a reason, or with one key too few."""
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("equivalent", [])
    judged = Judged()
    for entry in entries:
        if set(entry) != {*KEYS, "reason"} or not entry["reason"].strip():
            raise ValueError(f"{path.name}: expected {', '.join(KEYS)} and a reason, found {entry}")
        judged.reasons[tuple(entry[key] for key in KEYS)] = entry["reason"]
    return judged
