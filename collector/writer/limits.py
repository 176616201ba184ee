"""Define how large and how frequent writes are, and what happens while the database takes none."""

from dataclasses import dataclass

from collector.bounds import Bytes, Count, FilePath, Seconds
from collector.retry import Backoff


@dataclass(frozen=True, slots=True)
class WriterLimits:
    """How rows are taken to the database."""

    batch_rows: Count = 1000
    interval_s: Seconds = 0.5  # a write starts at least so often
    retry_base_s: Seconds = 0.1
    retry_max_s: Seconds = 30.0

    @property
    def retry(self) -> Backoff:
        """Return the waits before the same batch is tried again."""
        return Backoff(self.retry_base_s, self.retry_max_s)


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """Where batches wait while the database takes none."""

    path: FilePath = None
    max_bytes: Bytes = 2_147_483_648
    after_s: Seconds = 1.0  # while a write takes longer, the spool takes what comes


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When the database is left alone, and for how long."""

    failures: Count = 3
    wait_base_s: Seconds = 0.5
    wait_max_s: Seconds = 30.0

    @property
    def wait(self) -> Backoff:
        """Return the waits before the database is tried again."""
        return Backoff(self.wait_base_s, self.wait_max_s)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a writer waits, and for what."""

    writer: WriterLimits
    spool: SpoolLimits
    call_timeout_s: float  # a call of the sink that takes longer is interrupted
