"""Define what a check of `doctor` returns."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check: what was found, and what to do about it."""

    name: str
    level: Level
    found: str
    advice: str = ""
