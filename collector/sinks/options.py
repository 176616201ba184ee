"""Define what can be chosen for sinks of every kind, and for the upkeep of a store."""

from dataclasses import dataclass
from typing import Literal

from collector.bounds import Days, Flag, LedgerDays, Rows, Seconds, Text


@dataclass(frozen=True)
class SinkOptions:
    """How sinks store rows, and how long they wait."""

    table_name: Text = "l2_training_data_practical"
    auto_migrate: Flag = False
    synchronous: Literal["full", "normal"] = "full"
    busy_timeout_s: Seconds = 5.0
    call_timeout_s: Seconds = 30.0


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How a follower that is a stream gets its records."""

    records: Literal["batch", "single"] = "batch"
    coverage: Flag = True
    dead_letters: str | None = None  # a file or a stream's URL


AS_A_RULE = StreamOptions()


@dataclass(frozen=True, slots=True)
class UpkeepOptions:
    """How often the bookkeeping is pruned, and what of it is kept."""

    every_s: Seconds = 3600.0
    slice_rows: Rows = 2_000
    batches_days: LedgerDays = 7.0
    events_days: Days = 90.0
    rejected_days: Days = 30.0
