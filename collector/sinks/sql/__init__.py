"""Write batches to SQLite or PostgreSQL."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.sinks.sql.job_runs import forget_job_runs, keep_job_runs, prune_job_runs
    from collector.sinks.sql.sink import SqlSink
    from collector.sinks.sql.stream_progress import Loss, ShardPosition
    from collector.sinks.sql.stream_store import StreamStore
    from collector.sinks.sql.upkeep import (
        Chore,
        Slice,
        empty_log,
        keep_quality,
        prune_batches,
        prune_events,
        prune_rejected,
        tidy_sqlite,
    )
else:
    __getattr__, __dir__ = face(__name__, __file__)
