"""Load the Avro schemas, the current ones and every version of them that was released.

The files are in `schemas/avro`: `NAME.avsc` is the current version, `versions/NAME.FINGERPRINT.avsc` are all,
the current one among them. What may change from version to version is told in docs/kinesis.md.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from collector.resources import schemas_path

MARKET_DATA, PART_END = "market_data", "part_end"
SINGLE_OBJECT = b"\xc3\x01"  # begins an encoding that names its schema by fingerprint


@dataclass(frozen=True, slots=True)
class Schema:
    """One version of one of the two schemas."""

    name: str
    fingerprint: bytes  # CRC-64-AVRO of its canonical form, as it stands in a single-object encoding
    text: str  # JSON without docs and defaults, for the header of a container
    definition: Any  # of one, without logical types: a time stays a number
    one: Any  # `definition` as fastavro takes it
    many: Any  # an array of it

    @property
    def prefix(self) -> bytes:
        """Return what a single-object encoding begins with."""
        return SINGLE_OBJECT + self.fingerprint


def make_schema(name: str, definition: Any) -> Schema:
    """Make a version of a schema from its definition."""
    plain = _without(definition, {"doc", "logicalType"})
    return Schema(
        name,
        fingerprint_of(definition),
        json.dumps(_without(definition, {"doc", "default"}), separators=(",", ":")),
        plain,
        fastavro.parse_schema(plain),
        fastavro.parse_schema({"type": "array", "items": plain}),
    )


def fingerprint_of(definition: Any) -> bytes:
    """Return the CRC-64-AVRO fingerprint of a schema, least significant byte first."""
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(definition), "CRC-64-AVRO"))


@dataclass(frozen=True, slots=True)
class Schemas:
    """The current schemas, and how to find the one with which something was written."""

    market_data: Schema
    part_end: Schema
    by_fingerprint: Mapping[bytes, Schema]

    def current(self, name: str) -> Schema:
        """Return the current version of a schema."""
        return self.market_data if name == MARKET_DATA else self.part_end


def load_schemas(folder: Path) -> Schemas:
    """Load all versions from a folder."""
    found = [
        make_schema(path.name.partition(".")[0], json.loads(path.read_text(encoding="utf-8")))
        for path in sorted(folder.glob("*.avsc")) + sorted(folder.glob("versions/*.avsc"))
        if path.name.partition(".")[0] in (MARKET_DATA, PART_END)  # heartbeats are in another stream
    ]
    current = {one.name: one for one in reversed(found)}  # the first of each name stays
    return Schemas(current[MARKET_DATA], current[PART_END], {one.fingerprint: one for one in reversed(found)})


@cache
def schemas() -> Schemas:
    """Return the schemas that travel with the program."""
    return load_schemas(schemas_path() / "avro")


def _without(definition: Any, names: set[str]) -> Any:
    """Return the definition without these attributes of schemas and fields."""
    if isinstance(definition, dict):
        return {key: _without(value, names) for key, value in definition.items() if key not in names}
    if isinstance(definition, list):
        return [_without(one, names) for one in definition]
    return definition
