"""A heartbeat names its schema, comes back as it was, and every version of it that was released stays."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from collector.errors import BadRecord
from collector.sinks.avro.heartbeat import (
    HealthPart,
    Heartbeat,
    encoded_heartbeat,
    heartbeat_schemas,
    read_heartbeat,
)
from collector.sinks.avro.schemas import fingerprint_of, schemas

FOLDER = Path(__file__).parents[3] / "schemas" / "avro"
PART = HealthPart(
    "disk", "degraded", "little room", {"free_bytes": 1 << 50, "share": 0.5, "at": None, "x": "y"}
)
BEAT = Heartbeat(
    *(
        "session-1",
        "host-1",
        7,
        "1.0",
        3,
        1_790_000_000_123,
        10.0,
        "running",
        "degraded",
        ("disk: little room",),
    ),
    *(1.5, 0.2, 99.5, 4, 3, 1_000_000, 999_000, 1_000, 0, (PART,)),
)


def test_it_comes_back_as_it_was() -> None:
    data = encoded_heartbeat(BEAT)
    told = json.loads(json.dumps(asdict(BEAT)))
    assert read_heartbeat(data) == told
    assert len(data) < 500


def test_it_begins_with_the_mark_and_the_fingerprint_of_its_schema() -> None:
    current = json.loads((FOLDER / "heartbeat.avsc").read_text())
    assert encoded_heartbeat(BEAT).startswith(b"\xc3\x01" + fingerprint_of(current))


def test_the_current_version_is_kept_among_all_versions_under_its_fingerprint() -> None:
    current = json.loads((FOLDER / "heartbeat.avsc").read_text())
    kept = {path.name: json.loads(path.read_text()) for path in FOLDER.glob("versions/heartbeat.*.avsc")}
    assert kept[f"heartbeat.{fingerprint_of(current).hex()}.avsc"] == current
    for name, definition in kept.items():
        assert name == f"heartbeat.{fingerprint_of(definition).hex()}.avsc"


def test_every_field_is_told_what_it_is() -> None:
    current = json.loads((FOLDER / "heartbeat.avsc").read_text())
    assert [one["name"] for one in current["fields"]] == list(asdict(BEAT))
    assert all(one["doc"] for one in current["fields"])


@pytest.mark.parametrize("schema", heartbeat_schemas(), ids=lambda schema: schema.fingerprint.hex())
def test_every_version_can_be_read(schema: object) -> None:
    data = encoded_heartbeat(replace(BEAT, number=1))
    assert read_heartbeat(data)["number"] == 1
    assert schema in heartbeat_schemas()


@pytest.mark.parametrize("data", [b"", b"\xc3\x01", encoded_heartbeat(BEAT)[:40], b"\xc3\x01" + bytes(80)])
def test_what_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(BadRecord, match="heartbeat"):
        read_heartbeat(data)


def test_it_is_none_of_the_records_of_markets() -> None:
    assert not {one.fingerprint for one in heartbeat_schemas()} & schemas().by_fingerprint.keys()
