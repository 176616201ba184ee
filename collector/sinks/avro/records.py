"""Turn a write set into records of a stream."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain

from collector.errors import UnfitRow
from collector.sinks.avro.container import container
from collector.sinks.avro.events import encoded_events
from collector.sinks.avro.markets import NO_MARKET
from collector.sinks.avro.part_end import encoded_end
from collector.sinks.avro.parts import MOST_BYTES, Part, parts_of
from collector.sinks.contract import Rows, SessionState, WriteSet


class Form(StrEnum):
    """How events stand in records."""

    BATCH = "batch"  # all events of a part in one record, an Avro object container file
    SINGLE = "single"  # each event in a record of its own, single-object encoded


@dataclass(frozen=True, slots=True)
class Record:
    """What is put into a stream."""

    partition_key: str
    data: bytes
    rows: int  # of tables


def records_of(
    write_set: WriteSet, form: Form, *, coverage: bool = True, after_loss: Callable[[str], bool] | None = None
) -> list[Record]:
    """Return the records of a write set, those of one key in order. The same ones each time.

    Without `coverage` there are events alone: who reads them can neither rebuild coverage and counts nor
    tell which parts are complete. `after_loss` says by its key whether a part comes after a loss, where that
    is not as the write set says. Raises UnfitRow for what a record cannot hold.
    """
    parts = parts_of(write_set)
    events = encoded_events(parts, write_set.segments, single=form is Form.SINGLE)
    records: list[Record] = []
    for part, chunks in zip(parts, events, strict=True):
        told = write_set if after_loss is None else replace(write_set, is_after_loss=after_loss(part.key))
        end = encoded_end(part, told) if coverage else None
        records += _of_part(part, chunks, end, form)
    return records


def _of_part(part: Part, chunks: list[list[bytes]], end: bytes | None, form: Form) -> Iterator[Record]:
    if form is Form.BATCH and part.events:
        content = b"".join(chain.from_iterable(chunks))
        rows = part.rows if end is not None else part.rows - part.plain_rows
        yield _checked(part, container(content, part.events, end), rows)
        return
    for chunk, encoded in zip(part.chunks, chunks, strict=True):
        for one in encoded:
            yield _checked(part, one, len(chunk.tables))
    if end is not None:
        yield _checked(part, end, part.plain_rows)


def _checked(part: Part, data: bytes, rows: int) -> Record:
    if len(data) + len(part.key.encode()) > MOST_BYTES:
        tables = "+".join(part.plain) or "segments"
        raise UnfitRow(tables, f"a record of {len(data):,} bytes; at most {MOST_BYTES:,} fit")
    return Record(part.key, data, rows)


def record_without_rows(part: WriteSet, key: str, after: str, *, is_last: bool) -> Record:
    """Return what closes a part, by its id, of which no event is to be read, whether it came or not."""
    keys = [one.key for one in part.segments] + [one.key for one in part.accounting]
    market = keys[0][:2] if keys else NO_MARKET
    made = Part(part.batch_id, key, market, after, is_last)
    made.segments, made.accounting = part.segments, part.accounting
    return _checked(made, encoded_end(made, part), 0)


def why_unfit(rows: Rows) -> str | None:
    """Return why records cannot hold these rows, or None if they can."""
    session = SessionState("", 0, "", "", 0, "")
    try:
        records_of(WriteSet("", session, (rows,)), Form.BATCH)
    except UnfitRow as unfit:
        return str(unfit)
    return None
