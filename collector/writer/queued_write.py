"""Follow one write set on its way: in the writer's hands, in the spool, in the database."""

from collections import Counter
from dataclasses import dataclass

from collector.events.batch import StreamKey
from collector.sinks.contract import AccountingState, WriteSet


@dataclass(slots=True)
class QueuedWrite:
    """A write set with its place in the order of all."""

    number: int
    write_set: WriteSet
    spooled: bool = False  # durable in the spool
    settled: bool = False  # nothing is left to do for it
    sifted: bool = False  # rows that the database refuses have been taken out
    damage: str = ""  # its rows could not be read back


def key_of(state: AccountingState) -> StreamKey:
    """Name the stream of an increment."""
    return StreamKey(state.exchange, state.symbol, state.channel)


def written(write_set: WriteSet) -> Counter[StreamKey]:
    """Count the rows of each stream."""
    return Counter({key_of(one): one.written for one in write_set.accounting if one.written})


def sampled_out(write_set: WriteSet) -> Counter[StreamKey]:
    """Count the events of each stream that give no row because they were sampled away."""
    return Counter({key_of(one): one.sampled_out for one in write_set.accounting if one.sampled_out})
