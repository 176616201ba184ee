"""Define how fast a stream is read, and how long is waited for what."""

from dataclasses import dataclass, field

from collector.retry import Backoff


@dataclass(frozen=True, slots=True)
class ConsumeLimits:
    """How fast a stream is read. The service allows five calls a second and shard, for all who read it."""

    call_every_s: float = 0.21  # of a shard of which more is there
    poll_every_s: float = 1.0  # of a shard that is read up to its newest record
    records_a_call: int = 2_000
    rows_a_commit: int = 5_000  # a longer transaction would hold the database, and a retry, for too long
    list_every_s: float = 60.0  # the shards: somebody may split or merge them
    silent_after_s: float = 600.0  # time of the stream; then a session of which nothing comes has crashed
    note_tip_every_s: float = 300.0  # that nothing is unread, also where nothing comes
    call_timeout_s: float = 30.0
    prune_every_s: float = 3600.0
    prune_rows: int = 2_000  # in one transaction
    batches_kept_s: float = 7 * 86_400.0  # ids of what is stored, to know what comes again
    retry: Backoff = field(default=Backoff(0.5, 30.0))
