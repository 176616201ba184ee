"""Define the times and bounds that collecting from an exchange keeps to, and what is asked of one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from collector.bounds import Count, Currency, Flag, Nap, PerSecond, Places, Seconds, Share
from collector.retry import Backoff, Rest

if TYPE_CHECKING:  # it brings ccxt, which nobody needs for reading the configuration
    from collector.network import Source

REFUSED_WAITS = 10.0  # times the longest wait of the backoff: ten minutes by default


@dataclass(frozen=True, slots=True)
class Pace:
    """How connections are made, watched and made again."""

    connect_timeout_s: Seconds = 10.0
    subscribe_timeout_s: Seconds = 30.0
    markets_timeout_s: Seconds = 30.0
    heartbeat_s: Seconds = 10.0
    stale_after_s: Seconds = 10.0
    backoff_base_s: Seconds = 0.2
    backoff_max_s: Seconds = 60.0
    markets_every_s: Seconds = 3600.0  # the list of markets is looked at again
    max_reconnect_attempts: Count = 10  # in a row, before an alarm
    rest_after_attempts: Count | None = None  # in a row; None: never
    rest_s: Seconds | None = 600.0  # None: for good
    connects_a_second: PerSecond = 5.0
    requests_a_second: PerSecond = 20.0
    messages_a_connection: PerSecond = 2000.0  # as expected of busy markets
    coalesce_ms: Nap = 5.0  # where frames come fast, many are read in one turn of the loop

    kernel: Literal["auto", "off", "required"] = "auto"  # compiled code keeps the books where it can

    @property
    def backoff(self) -> Backoff:
        """Return the waits between attempts."""
        return Backoff(self.backoff_base_s, self.backoff_max_s)

    @property
    def rest(self) -> Rest:
        """Return what follows many failures in a row."""
        return Rest(self.rest_after_attempts, self.rest_s)

    @property
    def refused_wait_s(self) -> float:
        """Return the wait between attempts while the exchange refuses."""
        return REFUSED_WAITS * self.backoff_max_s


@dataclass(frozen=True, slots=True)
class Integrity:
    """What is believed, and when doubts become an alarm."""

    max_mismatches: Count = 3
    mismatch_window_s: Seconds = 60.0
    max_time_off_s: Seconds = 3600.0  # between the times of trades and bars and our clock
    max_jump: Share = 0.2  # of the middle of a book between two messages, as a share of it
    witness_every_s: Seconds = 900.0  # each book beside REST
    max_critical_errors: Count = 10  # of one exchange within `critical_window_s`, before an alarm
    critical_window_s: Seconds = 60.0
    alarm_on_status: Flag = True  # when an exchange says that it is under maintenance, cancel_only ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What a feed keeps to."""

    pace: Pace
    integrity: Integrity
    levels_per_row: int
    levels_shown: int  # to subscribers


@dataclass(frozen=True)
class Universe:
    """Which markets are collected beside those that are named: the ones traded most."""

    top: Places | None = None  # so many; None: none
    by: Literal["volume"] = "volume"  # of the last 24 hours, in the quote currency
    quote: Currency = "USDT"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of one exchange."""

    source: "Source"
    symbols: tuple[str, ...]
    channels: tuple[str, ...]
    universe: Universe = Universe()
    looks_by_itself: bool = True  # at the list of markets, every `markets_every_s`; else only when asked to
