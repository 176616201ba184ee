"""Turn the rows of tables into records MarketData, and such records into rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from collector.database import STORED_LEVELS
from collector.errors import UnfitRow
from collector.events import OHLCV, REST, TRADE, iso_texts
from collector.sinks.avro.columnar import Coded, Column, Encoder, Same, Unfit
from collector.sinks.avro.layout import LAYOUTS, ORIGIN, Layout
from collector.sinks.avro.markets import Chunk
from collector.sinks.avro.parts import Part
from collector.sinks.avro.schemas import schemas
from collector.sinks.contract import SegmentState, Value

_FROM_REST = "rest"  # as the schema has it
_MS_NS = 1_000_000


@dataclass(slots=True)
class _Table:
    """The chunks of all parts with rows of one kind, which are encoded in one go."""

    columns: dict[str, list[Value]]
    channels: list[str]
    batch_ids: list[int]  # the part of each event
    numbers: list[int]  # its place there
    whose: list[tuple[int, int]] = field(default_factory=list)  # part and chunk, in order


def encoded_events(
    parts: Sequence[Part], segments: Iterable[SegmentState], *, single: bool
) -> list[list[list[bytes]]]:
    """Return for each part, for each of its chunks the records: each by itself, or all in one piece.

    Raises UnfitRow.
    """
    channels = {one.segment_id: one.channel for one in segments}
    tables: dict[tuple[str, tuple[tuple[str, ...], ...]], _Table] = {}
    found: list[list[list[bytes]]] = [[[] for _ in part.chunks] for part in parts]
    for number, part in enumerate(parts):
        row = 0
        for place, chunk in enumerate(part.chunks):
            kind = chunk.layout, tuple(tuple(rows.columns) for rows in chunk.tables)
            _add(tables.setdefault(kind, _Table({}, [], [], [])), chunk, channels)
            table = tables[kind]
            table.batch_ids += [number] * len(chunk.places)
            table.numbers += range(row, row + len(chunk.places))
            table.whose.append((number, place))
            row += len(chunk.places)
    part_ids = [part.part_id for part in parts]
    for (layout, _), table in tables.items():
        content, ends = _encode(LAYOUTS[layout], table, part_ids, single=single)
        first = 0
        for number, place in table.whose:
            count = len(parts[number].chunks[place].places)
            cuts = [ends[first - 1] if first else 0, *ends[first : first + count]]
            pieces = pairwise(cuts) if single else [(cuts[0], cuts[-1])]
            found[number][place] = [content[begin:end] for begin, end in pieces]
            first += count
    return found


def _add(table: _Table, chunk: Chunk, channels: Mapping[int, str]) -> None:
    """Append the events of a chunk to what is encoded together."""
    layout = LAYOUTS[chunk.layout]
    for rows in chunk.tables:
        fields = layout.tables[rows.table]
        for name, column in rows.columns.items():
            path = fields.get(name)
            if path is None:
                raise UnfitRow(rows.table, f"the schema has no place for its column {name}")
            if rows is chunk.tables[0] or path not in layout.tables[chunk.tables[0].table].values():
                table.columns.setdefault(path, []).extend(_taken(column, chunk.places))
    table.channels += _channels(chunk, channels)


def _taken(column: Sequence[Value], places: Sequence[int]) -> Sequence[Value]:
    if isinstance(places, range):
        return column[places.start : places.stop]
    return [column[place] for place in places]


def _channels(chunk: Chunk, channels: Mapping[int, str]) -> list[str]:
    """Return the channel of each event: that of its segment, or what its row tells."""
    if chunk.channel is not None:
        return [chunk.channel] * len(chunk.places)
    columns = chunk.tables[0].columns
    nothing = [None] * len(chunk.places)
    numbers = _taken(columns["segment_id"], chunk.places) if "segment_id" in columns else nothing
    told_by = {"trades": TRADE, "ohlcv": f"{OHLCV}.{{}}"}.get(chunk.layout, "book.{}")
    detail = "interval" if chunk.layout == "ohlcv" else "depth"
    details = _taken(columns[detail], chunk.places) if detail in columns else nothing
    return [
        channels.get(number) or told_by.format(one)  # type: ignore[arg-type]
        for number, one in zip(numbers, details, strict=True)
    ]


def _encode(layout: Layout, table: _Table, part_ids: Sequence[str], *, single: bool) -> Any:
    rows = len(table.numbers)
    columns: dict[str, Column] = {
        **table.columns,
        "received_at": _received_at(table.columns),
        "timestamp": _timestamps(table.columns, rows),
        "symbol": _mapped(table.columns.get("market_symbol"), _symbol),
        ORIGIN: _mapped(table.columns.get(ORIGIN, [None] * rows), _source),
        "event_type": Same(layout.event_type),
        "channel": table.channels,
        "batch_id": Coded(part_ids, np.array(table.batch_ids)),
        "row": table.numbers,
    }
    try:
        return _encoder(single=single).encode(rows, columns, layout.details)
    except Unfit as unfit:
        raise UnfitRow(layout.name, str(unfit)) from None


@cache
def _encoder(*, single: bool) -> Encoder:
    schema = schemas().market_data
    return Encoder(schema.definition, STORED_LEVELS, schema.prefix if single else b"")


def _received_at(columns: Mapping[str, Sequence[Value]]) -> Column:
    """Return the times of receipt as text, unless all of them follow from the nanoseconds."""
    texts, at_ns = columns.get("received_at"), columns.get("received_at_ns")
    if texts is None:
        return Same(None)
    if None in texts:
        raise UnfitRow("", "timestamp is missing")
    try:
        numbers = np.array([at or 0 for at in at_ns or ()], dtype=np.int64)
    except (OverflowError, ValueError, TypeError):  # it is refused where it is encoded itself
        return list(texts)
    return Same(None) if iso_texts(numbers) == texts else list(texts)


def _timestamps(columns: Mapping[str, Sequence[Value]], rows: int) -> Sequence[Value]:
    nothing: Sequence[Value] = [None] * rows
    told = columns.get("exchange_timestamp", nothing)
    received = columns.get("received_at_ns", nothing)
    return [
        ms if ms is not None else ns // _MS_NS if isinstance(ns, int) else 0
        for ms, ns in zip(told, received, strict=True)
    ]


def _mapped(column: Sequence[Value] | None, change: Any) -> Column:
    if column is None:
        return Same(None)
    changed = {value: change(value) for value in set(column)}
    return [changed[value] for value in column]


def _symbol(market_symbol: Value) -> Value:
    """Return base and quote in one, as most exchanges write a spot market."""
    if not isinstance(market_symbol, str):
        return market_symbol
    return market_symbol.partition(":")[0].replace("/", "")


def _source(origin: Value) -> str:
    return _FROM_REST if origin == REST else "websocket"


def rows_of_events(
    layout: Layout, events: Sequence[Mapping[str, Any]], absent: Iterable[str]
) -> Iterable[tuple[str, dict[str, list[Value]]]]:
    """Yield the rows of each table that the events stand in. Raises KeyError, TypeError or IndexError."""
    left_out = set(absent)
    for table, fields in layout.tables.items():
        columns = {
            name: _column(events, path) for name, path in fields.items() if f"{table}.{name}" not in left_out
        }
        if "origin" in columns:
            columns["origin"] = [REST if one == _FROM_REST else None for one in columns["origin"]]
        if "timestamp" in columns:
            columns["timestamp"] = _receipt_texts(events)
        yield table, columns


def _column(events: Sequence[Mapping[str, Any]], path: str) -> list[Value]:
    match path.split("."):
        case [name]:
            return [event[name] for event in events]
        case [record, name]:
            return [event[record][name] for event in events]
        case [record, name, place]:
            number = int(place)
            return [event[record][name][number] for event in events]
    raise AssertionError(path)


def _receipt_texts(events: Sequence[Mapping[str, Any]]) -> list[Value]:
    told = [event["received_at"] for event in events]
    if None not in told:
        return told
    numbers = [event["received_at_ns"] or 0 for event in events]
    derived = iso_texts(np.array(numbers, dtype=np.int64))
    return [text if text is not None else one for text, one in zip(told, derived, strict=True)]
