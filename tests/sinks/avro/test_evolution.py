"""Every version of the schemas that was released is read by this one, and this one is readable by it."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import BadRecord
from collector.resources import schemas_path
from collector.sinks.avro import Assembler, Form, records_of
from collector.sinks.avro.schemas import Schema, load_schemas, make_schema, schemas
from collector.sinks.contract import SessionState, WriteSet

FOLDER = schemas_path() / "avro"
NAMES = ("market_data", "part_end")  # what a stream of data holds: heartbeats have one of their own
VERSIONS = sorted(path for name in NAMES for path in FOLDER.glob(f"versions/{name}.*.avsc"))
LONGS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(max_size=10)


def definition(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Return values of any kind that our schemas have."""
    if isinstance(kind, list):
        return st.one_of(*map(values, kind))
    if isinstance(kind, str):
        plain: dict[str, st.SearchStrategy[Any]] = {
            "null": st.none(),
            "long": LONGS,
            "double": st.floats(allow_nan=False),
            "string": TEXTS,
            "bytes": st.binary(max_size=10),
            "boolean": st.booleans(),
        }
        return plain[kind]
    made: dict[str, Callable[[], st.SearchStrategy[Any]]] = {
        "record": lambda: st.fixed_dictionaries({one["name"]: values(one["type"]) for one in kind["fields"]}),
        "enum": lambda: st.sampled_from(kind["symbols"]),
        "array": lambda: st.lists(values(kind["items"]), max_size=2),
        "map": lambda: st.dictionaries(TEXTS, values(kind["values"]), max_size=2),
    }
    return made[kind["type"]]() if kind["type"] in made else values(kind["type"])


def problems(writer: Schema, reader: Schema) -> list[str]:
    """Return why `reader` cannot read all that `writer` writes; resolved on values of every kind."""
    found: list[str] = []

    @given(values(writer.definition))
    @settings(max_examples=8, database=None, derandomize=True)
    def resolve(value: Any) -> None:
        out = BytesIO()
        fastavro.schemaless_writer(out, writer.one, value)
        out.seek(0)
        try:
            read: Any = fastavro.schemaless_reader(out, writer.one, reader.one)
        except (fastavro.read.SchemaResolutionError, ValueError, TypeError) as error:
            found.append(f"{type(error).__name__}: {error}")
            return
        found.extend(differences(writer.definition, reader.definition, value, read))

    resolve()
    return found


def differences(writer: Any, reader: Any, value: Any, read: Any) -> list[str]:
    """Return the fields that both versions have and that did not come over as they were."""
    both = {field["name"] for field in writer["fields"]} & {field["name"] for field in reader["fields"]}
    plain = [name for name in both if not isinstance(value[name], dict | list)]
    return [f"{name} became {read[name]!r}" for name in plain if read[name] != value[name]]


@pytest.mark.parametrize("name", NAMES)
def test_the_current_version_is_among_those_that_are_kept(name: str) -> None:
    """A changed schema needs its file in `versions`; the one before it stays."""
    current = FOLDER / f"{name}.avsc"
    kept = FOLDER / "versions" / f"{name}.{make_schema(name, definition(current)).fingerprint.hex()}.avsc"
    assert kept.read_text(encoding="utf-8") == current.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_a_version_is_kept_under_its_fingerprint(path: Path) -> None:
    name, mark = path.stem.split(".")
    assert make_schema(name, definition(path)).fingerprint.hex() == mark
    assert schemas().by_fingerprint[bytes.fromhex(mark)].name == name


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_every_version_is_read_by_this_one_and_reads_it(path: Path) -> None:
    name = path.name.partition(".")[0]
    version, current = make_schema(name, definition(path)), schemas().current(name)
    assert problems(version, current) == []
    assert problems(current, version) == []


def field_named(fields: list[Any], *names: str) -> Any:
    return next(field for field in fields if field["name"] in names)


def without(fields: list[Any], *names: str) -> None:
    fields[:] = [field for field in fields if field["name"] not in names]


CHANGES: dict[str, Callable[[list[Any]], object]] = {
    "a field with a default": lambda fields: fields.append(
        {"name": "venue", "type": ["null", "string"], "default": None}
    ),
    "a field with a default goes": lambda fields: without(fields, "levels", "rejected"),
    "another order": lambda fields: fields.reverse(),
    "another doc": lambda fields: fields[0].update(doc="in other words"),
    "a field without a default": lambda fields: fields.append({"name": "venue", "type": "string"}),
    "a field without a default goes": lambda fields: without(fields, "symbol", "part_id"),
    "another name": lambda fields: fields[0].update(name="renamed"),
    "another type": lambda fields: field_named(fields, "row", "records").update(type="string"),
    "a further symbol": lambda fields: field_named(fields, "event_type")["type"]["symbols"].append("funding"),
}


def changed(name: str, change: str) -> Any:
    """Return the current schema with one planted change."""
    new = definition(FOLDER / f"{name}.avsc")
    CHANGES[change](new["fields"])
    return new


@pytest.mark.parametrize(
    ("name", "change", "backward", "forward"),
    [
        *((name, change, True, True) for name in NAMES for change in list(CHANGES)[:4]),
        ("market_data", "a field without a default", False, True),
        ("part_end", "a field without a default goes", True, False),
        ("market_data", "another name", False, False),
        ("part_end", "another type", False, False),
        ("market_data", "a further symbol", True, False),
    ],
)
def test_a_planted_change_is_caught_where_it_breaks_readers(
    name: str, change: str, backward: bool, forward: bool
) -> None:
    old, new = schemas().current(name), make_schema(name, changed(name, change))
    assert (problems(old, new) == []) is backward, "the new version reads what the old one wrote"
    assert (problems(new, old) == []) is forward, "the old version reads what the new one writes"


@pytest.mark.parametrize("form", Form)
def test_a_program_of_a_later_version_reads_what_this_one_wrote(form: Form, tmp_path: Path) -> None:
    """Its schemas have a field more and one less; those of today are kept."""
    (tmp_path / "versions").mkdir()
    for path in VERSIONS:
        (tmp_path / "versions" / path.name).write_bytes(path.read_bytes())
    for name in NAMES:
        new = changed(name, "a field with a default")
        for file in (f"{name}.avsc", f"versions/{name}.{make_schema(name, new).fingerprint.hex()}.avsc"):
            (tmp_path / file).write_text(json.dumps(new), encoding="utf-8")
    later = load_schemas(tmp_path)
    assert later.market_data.fingerprint != schemas().market_data.fingerprint
    write_set = WriteSet("b", SessionState("s", 1, "0", "h", 1, "{}"))
    (record,) = records_of(write_set, form)
    assert Assembler(later).take(record.data, "0") == Assembler().take(record.data, "0")


def test_a_record_of_a_later_version_is_refused_here_until_its_schema_is_known(tmp_path: Path) -> None:
    (record,) = records_of(WriteSet("b", SessionState("s", 1, "0", "h", 1, "{}")), Form.BATCH)
    new = make_schema("part_end", changed("part_end", "a field with a default"))
    told: Any = fastavro.schemaless_reader(BytesIO(record.data[10:]), schemas().part_end.one, None)
    out = BytesIO()
    fastavro.schemaless_writer(out, new.one, {**told, "venue": "x"})
    later = new.prefix + out.getvalue()
    with pytest.raises(BadRecord, match=f"{new.fingerprint.hex()} is of no schema known here"):
        Assembler().take(later, "0")
    (tmp_path / "versions").mkdir()
    for path in (*VERSIONS, *FOLDER.glob("*.avsc")):
        (tmp_path / path.relative_to(FOLDER)).write_bytes(path.read_bytes())
    (tmp_path / "versions" / "part_end.new.avsc").write_text(
        json.dumps(changed("part_end", "a field with a default"))
    )
    assert Assembler(load_schemas(tmp_path)).take(later, "0") == Assembler().take(record.data, "0")
