"""Define what the API reads from: a running collector, or a database that nobody writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from collector.app import JobState
from collector.events import BookNow, StreamKey, StreamNow
from collector.query import ShortReads
from collector.serve.api import shapes


@dataclass(frozen=True, slots=True)
class Now:
    """What all streams show of themselves at one moment."""

    at_ns: int
    streams: tuple[StreamNow, ...]
    states: Mapping[StreamKey, str]  # verified, syncing, down, missing, left


class Source(Protocol):
    """Where answers come from. For the server's loop; what takes longer is awaited there."""

    @property
    def is_live(self) -> bool:
        """Return whether a collector runs behind it."""

    @property
    def session_id(self) -> str | None:
        """Return the session that runs."""

    @property
    def reads(self) -> ShortReads:
        """Return what reads the database."""

    def masked(self, text: str) -> str:
        """Return a text that came from elsewhere, such as a driver's error, without any secret in it."""

    async def now(self) -> Now:
        """Return the state of all streams, some tenths of a second old at most."""

    async def books(self, levels: Mapping[StreamKey, int]) -> list[BookNow]:
        """Copy so many levels of some books."""

    async def overview(self) -> dict[str, Any]:
        """Return everything at a glance, about a second old at most."""

    async def stats(self) -> shapes.Stats:
        """Return what became of every event."""

    async def jobs(self) -> tuple[JobState, ...]:
        """Return what is known of each job, with its last run before the start."""

    async def begin_job(self, name: str) -> JobState:
        """Have a job run as soon as its turn comes. Raises UserError if it cannot be."""

    async def change(self, exchange: str | None, name: str, *, collect: bool) -> shapes.Changed:
        """Collect one more market, or one fewer, until the next start. Raises UserError if it cannot be."""
