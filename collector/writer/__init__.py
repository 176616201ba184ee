"""Turn batches into write sets and deliver them: coverage, accounting, retry, spool, followers."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.writer.balance import Balance
    from collector.writer.breaker import Breaker, BreakerState
    from collector.writer.event_log import KINDS, EventLog, event_row
    from collector.writer.follower import Follower, FollowerState
    from collector.writer.limits import BreakerLimits, Limits, SpoolLimits, WriterLimits
    from collector.writer.poison import sift
    from collector.writer.prepare import Preparation
    from collector.writer.sources import BufferSource
    from collector.writer.tasks import Task
    from collector.writer.thread import WriterThread
    from collector.writer.turns import Turns
    from collector.writer.watchdog import Watchdog
else:
    __getattr__, __dir__ = face(__name__, __file__)
