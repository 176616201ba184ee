"""Read a stream that followers filled back into a database, exactly once, coverage included."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.consume.committer import Counts
    from collector.consume.consumer import Consumer, Progress
    from collector.consume.dead_letters import DeadLetters
    from collector.consume.limits import ConsumeLimits
    from collector.consume.shards import OLDEST, beginning
    from collector.consume.stream import KinesisStream, Stream
else:
    __getattr__, __dir__ = face(__name__, __file__)
