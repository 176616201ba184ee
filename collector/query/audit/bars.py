"""Check the bars: each by itself, and against the trades where these are covered without a hole."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.selectable import NamedFromClause

from collector.database import Tables
from collector.events import OHLCV
from collector.query.audit.bars_of_trades import CompleteTrades, fixed_length_ms, stream_of
from collector.query.audit.chunks import Chunk, chunks, floats, integers, of
from collector.query.audit.finding import Finding, Ledger
from collector.query.audit.segments import Segments
from collector.query.database import has_table

KEY = ("exchange", "symbol", "interval", "open_time")
COLUMNS = (
    *("id", "exchange", "symbol", "interval", "open_time", "open", "high", "low", "close", "volume"),
    *("vwap", "count", "confirmed", "received_at_ns", "segment_id"),
)


def findings(
    connection: sa.Connection, tables: Tables, segments: Segments, done: Callable[[int], None]
) -> Iterator[Finding]:
    """Yield the findings in the bars and in their corrections."""
    trades = CompleteTrades(connection, tables, segments)
    bar_tables = _tables(connection, tables)
    offs_ns = {number: one.off_ns for number, one in segments.by_id.items() if one.off_ns}
    for table in bar_tables:
        ledger = Ledger(table.name)
        for chunk in chunks(connection, _query(table, bar_tables, offs_ns)):
            _in_themselves(chunk, segments, ledger)
            for bar in _rows(chunk):
                if table is not bar_tables[0] and not (bar["confirmed"] and bar["was_confirmed"]):
                    ledger.add("corrections", "of no confirmed bar", [bar["id"]])
                # A bar that was corrected is not compared with the trades, but its correction is.
                if bar["confirmed"] and not bar["is_corrected"]:
                    for text in trades.against(bar):
                        ledger.add("bars against trades", text, [bar["id"]])
            done(len(chunk["id"]))
        yield from ledger.findings()
    yield from _missing(connection, bar_tables, segments)


def _tables(connection: sa.Connection, tables: Tables) -> tuple[sa.Table, ...]:
    if has_table(connection, tables.ohlcv_corrections):
        return tables.ohlcv, tables.ohlcv_corrections
    return (tables.ohlcv,)  # a database of an earlier version


def _query(table: sa.Table, bar_tables: tuple[sa.Table, ...], offs_ns: Mapping[int, int]) -> sa.Select[Any]:
    """Select all rows, each with whether another row holds a later confirmation of its bar.

    `offs_ns`: what is to be added to the stamps of a segment, for its clock was stepped since.
    """
    first, *others = (one.alias() for one in bar_tables)
    own_place, own_ns = bar_tables.index(table), _at_ns(table, offs_ns)
    is_later = [
        _is_later(table, own_ns, other, _at_ns(other, offs_ns), own_place - place)
        for place, other in enumerate((first, *others))
    ]
    was_confirmed = sa.exists().where(*_same_bar(table, first), first.c.confirmed == 1)
    return sa.select(
        *(table.c[name] for name in COLUMNS),
        sa.or_(*is_later).label("is_corrected"),
        was_confirmed.label("was_confirmed"),
    ).order_by(table.c.id)


def _at_ns(table: NamedFromClause, offs_ns: Mapping[int, int]) -> sa.ColumnElement[int]:
    """Return when a row was received by the clock that was right."""
    received_ns = sa.func.coalesce(table.c.received_at_ns, 0)
    if not offs_ns:
        return received_ns
    off_ns = {number: sa.literal(off, sa.BIGINT) for number, off in offs_ns.items()}
    return received_ns + sa.case(off_ns, value=table.c.segment_id, else_=0)


def _is_later(
    table: sa.Table,
    at_ns: sa.ColumnElement[int],
    other: NamedFromClause,
    other_ns: sa.ColumnElement[int],
    places_before: int,
) -> sa.ColumnElement[bool]:
    id_is_later = other.c.id > table.c.id if not places_before else sa.literal(places_before < 0)
    is_later = sa.or_(other_ns > at_ns, sa.and_(other_ns == at_ns, id_is_later))
    return sa.exists().where(*_same_bar(table, other), is_later)


def _same_bar(table: sa.Table, other: NamedFromClause) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == other.c[name] for name in KEY]


def _in_themselves(chunk: Chunk, segments: Segments, ledger: Ledger) -> None:
    ids = integers(chunk["id"])
    opened, high, low, close, volume, vwap = (
        floats(chunk[name]) for name in ("open", "high", "low", "close", "volume", "vwap")
    )
    around = (low > 0) & (low <= opened) & (low <= close) & (opened <= high) & (close <= high)
    ledger.add("values", "whose open and close do not lie between low and high", of(ids, ~around))
    ledger.add("values", "with a volume below 0", of(ids, ~(volume >= 0)))
    # A bar without a trade has a vwap of 0 on some exchanges.
    outside = (volume > 0) & ((vwap < low * (1 - 1e-9)) | (vwap > high * (1 + 1e-9)))
    ledger.add("values", "whose vwap does not lie between low and high", of(ids, outside))
    strays, off_grid = [], []
    for row in _rows(chunk):
        length_ms = fixed_length_ms(row["interval"])
        if length_ms is not None and row["open_time"] % length_ms:
            off_grid.append(row["id"])
        if row["segment_id"] is not None:
            segment = segments.by_id.get(row["segment_id"])
            stream = (row["exchange"], row["symbol"], f"ohlcv.{row['interval']}")
            if segment is None or stream_of(segment) != stream:
                strays.append(row["id"])
    ledger.add("values", "that begin at no multiple of their interval", off_grid)
    ledger.add("stray rows", "in no coverage segment of their stream", strays)


def _missing(
    connection: sa.Connection, bar_tables: tuple[sa.Table, ...], segments: Segments
) -> Iterator[Finding]:
    """Yield streams with fewer bars than their segments say; bars from elsewhere may add to them."""
    there: Counter[tuple[str, str, str]] = Counter()
    for table in bar_tables:
        key = (table.c.exchange, table.c.symbol, table.c.interval)
        for row in connection.execute(sa.select(*key, sa.func.count()).group_by(*key)):
            there[row[0], row[1], f"ohlcv.{row[2]}"] += row[3]
    expected: dict[tuple[str, str, str], int] = {}
    for segment in segments.by_id.values():
        if segment.channel.family == OHLCV:
            expected[stream_of(segment)] = expected.get(stream_of(segment), 0) + segment.coverage["rows"]
    for stream, rows in expected.items():
        if there[stream] < rows:
            text = f"{' '.join(stream)}: its segments say {rows} rows, there are {there[stream]}"
            yield Finding("segment rows", text)


def _rows(chunk: Chunk) -> Iterator[dict[str, Any]]:
    names = tuple(chunk)
    for values in zip(*chunk.values(), strict=True):
        yield dict(zip(names, values, strict=True))
