"""Define what the rules of health look at: plain values of one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class StreamFact:
    """One stream that is asked for."""

    name: str
    exchange: str
    state: str  # verified, syncing, down or missing
    cause: str = ""  # why it was last not verified
    age_s: float | None = None  # since the last message that said something new; None: there was none
    lag_s: float | None = None  # how long that message was on its way; None: the exchange sends no time


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What the process takes and what is left. None where this machine does not tell."""

    memory_bytes: int | None = None
    cpu_cores: float | None = None  # over the last minute
    cpu_s: float = 0.0  # since the process began
    disk_free_bytes: int | None = None  # of the fullest disk that is written
    network_received_bytes: int | None = None  # by all interfaces of the machine
    network_sent_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """A collector at one moment."""

    exchanges: tuple[str, ...]  # that are configured
    streams: tuple[StreamFact, ...]  # that are asked for
    loop_silent_s: float = 0.0  # since the loop that collects last turned
    loop_ended: bool = False
    writer_alive: bool = True
    unreached: tuple[str, ...] = ()  # exchanges that nothing has come from, and why
    refused: tuple[str, ...] = ()  # what is asked for and cannot be collected, and why
    statuses: tuple[str, ...] = ()  # exchanges that say they are not online
    pending: int = 0
    dropped: int = 0
    difference: int = 0
    commit_age_s: float | None = None  # None: nothing is committed yet
    uptime_s: float = 0.0
    database_error: str | None = None
    breaker: str = "closed"
    buffer_rows: int = 0
    buffer_max_rows: int = 1
    spooled_rows: int = 0
    spilling: bool = False
    spool_bytes: int = 0
    spool_max_bytes: int = 1
    chores: Mapping[str, str] = field(default_factory=lambda: NOTHING)  # that fail, and why
    followers: Mapping[str, str] = field(default_factory=lambda: NOTHING)  # that refuse, and why
    reports: Mapping[str, str] = field(default_factory=lambda: NOTHING)  # that do not arrive, and why
    clock_step_age_s: float | None = None  # since the wall clock was last stepped; None: never
    machine: MachineFacts = MachineFacts()
