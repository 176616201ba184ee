"""Tell the other side of a record that the stream refuses for good: its part comes without rows."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from collector.database import POISON
from collector.errors import BadRecord
from collector.sinks.avro import Assembler, Record, record_without_rows
from collector.sinks.contract import WriteSet
from collector.sinks.given_up import without_rows


class _Made(NamedTuple):
    """A part, the records that it is made of, and the id of the one before it of the same key."""

    part: WriteSet
    records: list[Record]
    after: str


def instead_of(records: Sequence[Record], refused: Record, why: str) -> tuple[list[Record], list[Record]]:
    """Return the records of the part that the refused one is of, and what is to be put in their place.

    `records` are all of the write set. With the rows left out, the part's segments end before them and
    accounting counts them as rejected. Nothing is to be put where coverage is off, which nobody could tell.
    """
    made = list(_made([one for one in records if one.partition_key == refused.partition_key]))
    for place, one in enumerate(made):
        if any(each is refused for each in one.records):
            stripped = without_rows(one.part, POISON, why)
            is_last = place == len(made) - 1
            return one.records, [
                record_without_rows(stripped, refused.partition_key, one.after, is_last=is_last)
            ]
    return [refused], []


def _made(records: Sequence[Record]) -> Iterator[_Made]:
    assembler, after, parts = Assembler(), "", list[Record]()
    for record in records:
        parts.append(record)
        try:
            part = assembler.take(record.data, "")
        except BadRecord:  # without coverage, a container is no part
            parts = []
            continue
        if part is not None:
            yield _Made(part, parts, after)
            after, parts = part.batch_id, []
