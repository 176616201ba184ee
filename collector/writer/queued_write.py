"""Keep the state of one write set on its way to the sink, through the spool or not."""

from collections import Counter
from dataclasses import dataclass

from collector.events import StreamKey
from collector.sinks import WriteSet


@dataclass(slots=True, weakref_slot=True)
class QueuedWrite:
    """A write set with its number in the order of all."""

    number: int
    write_set: WriteSet
    original: WriteSet | None = None  # as the earlier session left it in the spool
    spooled: bool = False  # durable in the spool
    settled: bool = False  # nothing is left to do for it
    sifted: bool = False  # the rows that the sink refuses have been taken out
    damage: str = ""  # its rows could not be read back
    may_follow_loss: bool = False  # the one before it is missing in the spool, which was repaired


def written(write_set: WriteSet) -> Counter[StreamKey]:
    """Return the number of rows of each stream."""
    return Counter({one.key: one.written for one in write_set.accounting if one.written})


def sampled_out(write_set: WriteSet) -> Counter[StreamKey]:
    """Return the number of events of each stream that give no row because they were sampled away."""
    return Counter({one.key: one.sampled_out for one in write_set.accounting if one.sampled_out})
