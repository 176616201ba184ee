"""Define which log lines are written, and where."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from collector.bounds import Expected, FilePath


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What is logged, and where."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"
    file: FilePath = None
    max_bytes: Annotated[int, Ge(10_000), Le(10**12), Expected("a whole number of bytes, at least 10000")] = (
        50_000_000
    )
    keep_files: Annotated[int, Ge(1), Le(1000), Expected("a whole number from 1 to 1000")] = 5
