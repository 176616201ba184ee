"""Encode heartbeats as Avro records that name their schema, and read them back."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from io import BytesIO
from typing import Any

import fastavro

from collector.errors import BadRecord
from collector.resources import schemas_path
from collector.sinks.avro.schemas import Schema, make_schema

Figure = float | int | str | None


@dataclass(frozen=True, slots=True)
class HealthPart:
    """The state of one part."""

    name: str
    status: str
    reason: str
    figures: Mapping[str, Figure]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A sign of life; what each field means is told in the schema."""

    session_id: str
    host: str
    pid: int
    version: str
    number: int
    timestamp: int  # in ms
    every_s: float
    phase: str
    status: str
    reasons: tuple[str, ...]
    since_s: float
    checked_ago_s: float
    uptime_s: float
    streams_asked_for: int
    streams_verified: int
    received: int
    written: int
    pending: int
    dropped: int
    parts: tuple[HealthPart, ...]


def encoded_heartbeat(heartbeat: Heartbeat) -> bytes:
    """Return the record, single-object encoded."""
    current = heartbeat_schemas()[0]
    out = BytesIO(current.prefix)
    out.seek(0, 2)
    fastavro.schemaless_writer(out, current.one, asdict(heartbeat))
    return out.getvalue()


def read_heartbeat(data: bytes) -> dict[str, Any]:
    """Return the fields of a record, by their names; of an older one with what was added since by default.

    Raises BadRecord for anything else.
    """
    current = heartbeat_schemas()[0]
    for schema in heartbeat_schemas():
        if data.startswith(schema.prefix):
            body = BytesIO(data[len(schema.prefix) :])
            try:
                found = fastavro.schemaless_reader(body, schema.one, current.one)
            except Exception as error:  # fastavro raises what its C code meets
                raise BadRecord(f"a heartbeat that cannot be read: {error!r}") from error
            if isinstance(found, dict):
                return found
    raise BadRecord("no heartbeat of a version that is known")


@cache
def heartbeat_schemas() -> tuple[Schema, ...]:
    """Return all versions of the schema, the current one first."""
    folder = schemas_path() / "avro"
    paths = [folder / "heartbeat.avsc", *sorted(folder.glob("versions/heartbeat.*.avsc"))]
    return tuple(make_schema("heartbeat", json.loads(path.read_text(encoding="utf-8"))) for path in paths)
