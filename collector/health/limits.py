"""Define how often a collector is checked, and from when on a part of it counts as degraded."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

from collector.bounds import Bytes, Expected, Seconds

Interval = Annotated[float, Ge(0.1), Le(3600), Expected("seconds, from 0.1 to 3600")]
Patience = Annotated[float, Ge(2), Le(3600), Expected("seconds, from 2 to 3600: the loop turns every second")]
Cores = Annotated[float, Gt(0), Le(1024), Expected("processor cores, above 0 and at most 1024; 0.5 is half")]


@dataclass(frozen=True, slots=True)
class HealthLimits:
    """When a part is degraded; a part that is ends the wait of nobody, and one alarm tells of it."""

    every_s: Interval = 1.0
    wedged_after_s: Patience = 30.0
    lag_s: Seconds = 5.0
    silent_after_s: Seconds = 300.0
    commit_after_s: Seconds = 30.0
    clock_off_s: Seconds = 1.0
    memory_bytes: Bytes = 2_147_483_648
    cpu_cores: Cores = 0.9
    disk_free_bytes: Bytes = 1_000_000_000
