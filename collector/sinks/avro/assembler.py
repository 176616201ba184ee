"""Put the parts of write sets together again from the records of a stream."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import fastavro

from collector.errors import BadRecord
from collector.sinks.avro.columnar import varint
from collector.sinks.avro.container import MAGIC, read_container
from collector.sinks.avro.part_end import NUL, Misfit, write_set_of
from collector.sinks.avro.parts import MOST_ROWS
from collector.sinks.avro.schemas import MARKET_DATA, PART_END, SINGLE_OBJECT, Schema, Schemas, schemas
from collector.sinks.contract import WriteSet

MOST_BYTES = 16 << 20  # of a part when it is decompressed
MOST_OPEN_RECORDS = 200_000  # of parts that are not complete, over all of them
_REMEMBERED = 10_000  # ids of parts that are complete: what comes of them again is left out

_FINGERPRINT_BYTES = 8
_ARRAY_END = b"\0"
_UNREADABLE = (
    EOFError,
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    MemoryError,
    fastavro.read.SchemaResolutionError,
)


@dataclass(slots=True)
class OpenPart:
    """A part in single form of which records are missing."""

    part_id: str
    position: str  # of its first record
    events: dict[int, Mapping[str, Any]] = field(default_factory=dict)  # by row
    end: Mapping[str, Any] | None = None

    @property
    def missing(self) -> int | None:
        """Return how many events have not come; None as long as its end has not."""
        return None if self.end is None else int(self.end["records"]) - len(self.told)

    @property
    def told(self) -> list[Mapping[str, Any]]:
        """Return the events that its end tells of, in order; it tells of none that the stream refused."""
        records = 0 if self.end is None else self.end["records"]
        return [self.events[row] for row in sorted(self.events) if row < records]


class Assembler:
    """Puts together the parts of one shard, record by record."""

    def __init__(
        self,
        known: Schemas | None = None,
        *,
        most_bytes: int = MOST_BYTES,
        most_rows: int = MOST_ROWS,
        most_open_records: int = MOST_OPEN_RECORDS,
    ) -> None:
        self._known = known or schemas()
        self._by_text = {one.text.encode(): one for one in self._known.by_fingerprint.values()}
        self._most_bytes = most_bytes
        self._most_rows = most_rows
        self._most_open_records = most_open_records
        self._open: OrderedDict[str, OpenPart] = OrderedDict()
        self._open_records = 0
        self._complete: OrderedDict[str, None] = OrderedDict()

    @property
    def open_parts(self) -> tuple[OpenPart, ...]:
        """Return the parts of which records are missing, the one that began first at the front."""
        return tuple(self._open.values())

    @property
    def earliest_open(self) -> str | None:
        """Return the position of the first record of the part that began first of those that are open."""
        return next((part.position for part in self._open.values()), None)

    def forget(self, part_id: str) -> None:
        """Give up a part that is open; what comes of it from now on is left out."""
        self._close(part_id)

    def take(self, data: bytes, position: str) -> WriteSet | None:
        """Take a record; return the part that is complete with it, or None. Raises BadRecord."""
        if data.startswith(MAGIC):
            return self._container(data)
        if not data.startswith(SINGLE_OBJECT):
            raise BadRecord(
                f"neither a container nor a single object: it begins with {data[:4].hex() or 'nothing'}"
            )
        name, value = self._object(data)
        if name == PART_END:
            return self._end(value, position)
        return self._event(value, position)

    def _container(self, data: bytes) -> WriteSet:
        schema, count, content, end = read_container(data, self._by_text, self._most_bytes, self._most_rows)
        if schema.name != MARKET_DATA:
            raise BadRecord(f"a container of {schema.name}; expected {MARKET_DATA}")
        if end is None:
            raise BadRecord("no coverage: who wrote it has it off (coverage: false)")
        name, told = self._object(end)
        if name != PART_END:
            raise BadRecord(f"a container whose part is told by a record {name}; expected {PART_END}")
        if NUL in told["part_id"]:
            raise BadRecord("a NUL in the id of its part")
        events = self._decoded(schema, varint(count) + content + _ARRAY_END, many=True) if count else []
        return _write_set(told, events)

    def _object(self, data: bytes) -> tuple[str, Any]:
        """Return the name and the value of a single-object encoding."""
        begin = len(SINGLE_OBJECT) + _FINGERPRINT_BYTES
        mark = data[len(SINGLE_OBJECT) : begin]
        schema = self._known.by_fingerprint.get(mark) if data.startswith(SINGLE_OBJECT) else None
        if schema is None:
            raise BadRecord(
                f"the fingerprint {mark.hex()} is of no schema known here: a newer version wrote it?"
            )
        return schema.name, self._decoded(schema, data[begin:])

    def _decoded(self, schema: Schema, content: bytes, *, many: bool = False) -> Any:
        reader = self._known.current(schema.name)
        source = BytesIO(content)
        wanted = None if reader is schema else (reader.many if many else reader.one)
        try:
            value = fastavro.schemaless_reader(source, schema.many if many else schema.one, wanted)
        except _UNREADABLE as error:
            raise BadRecord(f"a {schema.name} that cannot be read: {error!r}") from error
        if source.tell() != len(content):
            raise BadRecord(f"a {schema.name} with {len(content) - source.tell()} bytes too many")
        return value

    def _event(self, event: Mapping[str, Any], position: str) -> WriteSet | None:
        part_id, row = event["batch_id"], event["row"]
        if part_id in self._complete:
            return None
        if not 0 <= row < self._most_rows:
            raise BadRecord(f"event {row:,} of a part; at most {self._most_rows:,} are read")
        known = self._open.get(part_id)
        if known is not None and row in known.events:
            return None
        part = self._part(part_id, position)
        part.events[row] = event
        return self._completed(part)

    def _end(self, end: Mapping[str, Any], position: str) -> WriteSet | None:
        part_id = end["part_id"]
        if part_id in self._complete:
            return None
        if not 0 <= end["records"] <= self._most_rows:
            raise BadRecord(f"a part of {end['records']:,} events; at most {self._most_rows:,} are read")
        known = self._open.get(part_id)
        if known is not None and known.end is not None:
            return None
        part = self._part(part_id, position)
        part.end = end
        return self._completed(part)

    def _part(self, part_id: str, position: str) -> OpenPart:
        """Return the part that a further record is of."""
        if NUL in part_id:
            raise BadRecord("a NUL in the id of its part")
        if self._open_records >= self._most_open_records:
            raise BadRecord("too many parts are open: who wrote them has coverage off (coverage: false)?")
        self._open_records += 1
        return self._open.setdefault(part_id, OpenPart(part_id, position))

    def _completed(self, part: OpenPart) -> WriteSet | None:
        if part.end is None or part.missing:
            return None
        self._close(part.part_id)
        return _write_set(part.end, part.told)

    def _close(self, part_id: str) -> None:
        part = self._open.pop(part_id, None)
        if part is not None:
            self._open_records -= len(part.events) + (part.end is not None)
        self._complete[part_id] = None
        while len(self._complete) > _REMEMBERED:
            self._complete.popitem(last=False)


def _write_set(end: Mapping[str, Any], events: list[Mapping[str, Any]]) -> WriteSet:
    try:
        return write_set_of(end, events)
    except Misfit as misfit:
        raise BadRecord(misfit.reason) from misfit
