"""What a check comes to."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One thing that was looked at: how it is, and what to do about it."""

    name: str
    level: Level
    found: str
    advice: str = ""
