"""Turn what a part says of itself into the record PartEnd, and that into a write set."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from itertools import islice
from typing import Any

import fastavro

from collector.errors import UnfitRow
from collector.events import StreamKey
from collector.sinks.avro.events import rows_of_events
from collector.sinks.avro.layout import LAYOUTS, PLAIN
from collector.sinks.avro.parts import Part
from collector.sinks.avro.schemas import schemas
from collector.sinks.contract import AccountingState, Rows, SegmentState, SessionState, WriteSet
from collector.sinks.given_up import storable

NUL = "\0"
MOST_WANTED_BYTES = 4 << 20  # of the streams that a session asked for, as JSON


@dataclass(frozen=True, slots=True)
class Misfit(Exception):  # noqa: N818  (a reason, told on as BadRecord)
    """What a part says of itself does not fit its events."""

    reason: str


def encoded_end(part: Part, write_set: WriteSet) -> bytes:
    """Return the record that closes the part, single-object encoded. Raises UnfitRow."""
    exchange, symbol = part.market
    end = {
        "part_id": part.part_id,
        "after": part.after,
        "is_last": part.is_last,
        "session": _session_record(write_set.session),
        "by": write_set.by,
        "is_after_loss": write_set.is_after_loss,
        "exchange": exchange,
        "symbol": symbol,
        "records": part.events,
        "tables": [
            {
                "tables": chunk.layout,
                "rows": len(chunk.places),
                "channel": chunk.channel,
                "absent": _absent(chunk.layout, chunk.tables),
            }
            for chunk in part.chunks
        ],
        "segments": [_values(one) for one in part.segments],
        "accounting": [_values(one) for one in part.accounting],
        **{table: part.plain.get(table, []) for table in PLAIN},
    }
    for table, rows in part.plain.items():
        for row in rows:
            if unknown := row.keys() - set(PLAIN[table]):
                raise UnfitRow(table, f"the schema has no place for its column {min(unknown)}")
    schema, out = schemas().part_end, BytesIO(schemas().part_end.prefix)
    out.seek(0, 2)
    try:
        fastavro.schemaless_writer(out, schema.one, end, strict_allow_default=True)
    except (ValueError, TypeError, OverflowError) as error:
        raise UnfitRow("+".join(part.plain) or "segments", str(error)) from error
    return out.getvalue()


def _session_record(session: SessionState) -> dict[str, Any]:
    return {**_values(session), "wanted": _deflated(session.wanted)}


def _values(state: SessionState | SegmentState | AccountingState) -> dict[str, Any]:
    """Return the fields of a state; `asdict` copies deeply, which costs as much as all the rest."""
    return {name: getattr(state, name) for name in type(state).__annotations__}


@lru_cache(maxsize=8)
def _deflated(text: str) -> bytes:
    return zlib.compress(text.encode())


def _absent(layout: str, tables: Sequence[Rows]) -> list[str]:
    fields = LAYOUTS[layout].tables
    return [
        f"{rows.table}.{name}" for rows in tables for name in fields[rows.table] if name not in rows.columns
    ]


def write_set_of(end: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> WriteSet:
    """Return the part as a write set, whose batch id is the part's. Raises Misfit."""
    if end["records"] != len(events) or sum(one["rows"] for one in end["tables"]) != len(events):
        raise Misfit(f"{len(events)} events where its end tells of {end['records']}")
    for place, event in enumerate(events):
        if event["row"] != place or event["batch_id"] != end["part_id"]:
            raise Misfit(f"event {event['row']} of {event['batch_id']} at place {place} of {end['part_id']}")
    market = end["exchange"], end["symbol"]
    left = iter(events)
    rows: list[Rows] = []
    for one in end["tables"]:
        layout = LAYOUTS.get(one["tables"])
        if layout is None:
            raise Misfit(f"no table takes rows of the kind {one['tables']!r}")
        stream = None if one["channel"] is None else StreamKey(*market, one["channel"])
        these = list(islice(left, one["rows"]))
        try:
            found = list(rows_of_events(layout, these, one["absent"]))
        except (KeyError, TypeError, IndexError) as error:
            raise Misfit(f"events that are no rows of {layout.name}: {error!r}") from error
        rows += [Rows(table, columns, stream) for table, columns in found]
    for table, names in PLAIN.items():
        if end[table]:
            rows.append(Rows(table, {name: [row[name] for row in end[table]] for name in names}))
    session = SessionState(**{**end["session"], "wanted": _inflated(end["session"]["wanted"])})
    segments = tuple(
        SegmentState(**{**one, "detail": one["detail"] and storable(one["detail"])})
        for one in end["segments"]
    )
    accounting = tuple(AccountingState(**one) for one in end["accounting"])
    _refuse_nul((session,))
    _refuse_nul(segments)
    _refuse_nul(accounting)
    return WriteSet(
        end["part_id"],
        session,
        tuple(rows),
        segments,
        accounting,
        by=end["by"],
        is_after_loss=end["is_after_loss"],
    )


def _refuse_nul(states: Sequence[SessionState | SegmentState | AccountingState]) -> None:
    """Refuse names with a character that PostgreSQL has no place for: no row that is left out helps there."""
    for state in states:
        for name, value in _values(state).items():
            if isinstance(value, str) and NUL in value:
                raise Misfit(f"a NUL in {name}")


def _inflated(content: bytes) -> str:
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(content, MOST_WANTED_BYTES)
    except zlib.error as error:
        raise Misfit(f"what its session wanted cannot be read: {error}") from error
    if not inflater.eof:
        raise Misfit("what its session wanted is cut off, or too long")
    return text.decode(errors="replace")
