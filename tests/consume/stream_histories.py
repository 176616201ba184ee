"""Write sets as sessions leave them, with their truth: a database that was written directly."""

import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa

from collector.database.engine import make_engine
from collector.database.tables import DEFAULT_TABLE_NAME, make_tables
from collector.database.url import database_url
from collector.events import StreamKey
from collector.events.instants import iso_text
from collector.sinks.contract import AccountingState, Rows, SegmentState, SessionState, Value, WriteSet
from collector.sinks.sql.sink import SqlSink

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables

TABLES = make_tables(DEFAULT_TABLE_NAME)
BEGAN_NS = 1_767_225_600 * 10**9
MARKETS = (("bybit", "BTC/USDT:USDT"), ("bybit", "ETH/USDT:USDT"), ("kraken", "BTC/USD"))
NOT_COMPARED = {"id", "created_at", "updated_ns"}


def history(seed: int, *, name: str = "a", batches: int = 9, is_ended: bool = True) -> list[WriteSet]:
    """Return the write sets of one session."""
    chance = random.Random(seed)
    made = _Maker(f"session-{name}", chance, 1_000_000 * (1 + sum(map(ord, name))))
    found = [made.batch(number) for number in range(batches)]
    if is_ended:
        found.append(made.end(batches))
    return found


class _Maker:
    """Makes the batches of a session in turn."""

    def __init__(self, session_id: str, chance: random.Random, first_id: int) -> None:
        self.session = SessionState(session_id, BEGAN_NS, "0.1.0", "host", 42, '{"bybit": {}}')
        self._chance = chance
        self._ns = BEGAN_NS
        self._id = first_id
        self._segments: dict[StreamKey, SegmentState] = {}
        self._begun: set[int] = set()  # segments that have a row

    def batch(self, number: int) -> WriteSet:
        rows: list[Rows] = []
        states: dict[int, SegmentState] = {}
        counts: dict[StreamKey, AccountingState] = {}
        for market in MARKETS:
            if self._chance.random() < 0.3:
                continue
            for channel in ("book.50", "trade"):
                key = StreamKey(*market, channel)
                count = self._chance.choice([0, 1, 3, 15])
                segment = self._segment(key)
                made = self._rows(key, count, segment)
                rows += made
                is_over = self._chance.random() < 0.1
                states[segment.segment_id] = self._segments[key] = self._after(segment, made, is_over)
                if is_over:
                    del self._segments[key]
                rejected = {"too_old": 1} if self._chance.random() < 0.2 else {}
                more = self._chance.choice([0, 0, 2])
                counts[key] = AccountingState(
                    self.session.session_id,
                    *key,
                    received=count + more + len(rejected),
                    written=count,
                    sampled_out=more,
                    rejected=rejected,
                )
        rows += self._events(number)
        return WriteSet(
            f"{self.session.session_id}-{number:04}",
            self.session,
            tuple(rows),
            tuple(states.values()),
            tuple(counts.values()),
        )

    def end(self, number: int) -> WriteSet:
        ended = replace(self.session, ended_ns=self._ns + 5, end_cause="stop")
        states = [replace(one, rows=0, end_cause="stop") for one in self._segments.values()]
        return WriteSet(f"{self.session.session_id}-{number:04}", ended, (), tuple(states))

    def _segment(self, key: StreamKey) -> SegmentState:
        if key not in self._segments:
            self._id += 1
            self._ns += 1
            times = (self._ns, self._ns, self._ns)
            self._segments[key] = SegmentState(
                self._id, self.session.session_id, *key, *times, None, None, 0, "sequence"
            )
        return self._segments[key]

    def _after(self, segment: SegmentState, made: Sequence[Rows], is_over: bool) -> SegmentState:
        times = [one for rows in made for one in rows.columns["received_at_ns"]]
        sequences = [one for rows in made if rows.table == "book" for one in rows.columns["sequence"]]
        self._ns += 1
        return replace(
            segment,
            start_ns=times[0] if times and segment.rows else segment.start_ns,
            end_ns=times[-1] if times else segment.end_ns,
            alive_until_ns=self._ns,
            first_sequence=sequences[0] if sequences else segment.first_sequence,
            last_sequence=sequences[-1] if sequences else segment.last_sequence,
            rows=sum(len(rows) for rows in made if rows.table != "levels"),
            end_cause="disconnect" if is_over else None,
            detail="it was cut" if is_over else None,
        )

    def _rows(self, key: StreamKey, count: int, segment: SegmentState) -> list[Rows]:
        if not count:
            return []
        if key.channel == "trade":
            return [self._table("trades", key, count, segment)]
        book = self._table("book", key, count, segment)
        levels = self._table("levels", key, count, segment, like=book)
        if segment.segment_id not in self._begun:
            self._begun.add(segment.segment_id)
            for rows in (book, levels):  # nothing precedes the first
                for name, column in rows.columns.items():
                    if name.startswith("ofi"):
                        cast("list[Value]", column)[0] = None
        if count > 1 and self._chance.random() < 0.5:  # as where two write sets went out as one
            return [*_cut(book, levels, slice(0, 2)), *_cut(book, levels, slice(2, None))]
        return [book, levels]

    def _table(
        self, name: str, key: StreamKey, count: int, segment: SegmentState, like: Rows | None = None
    ) -> Rows:
        table = {"book": TABLES.hot, "levels": TABLES.levels, "trades": TABLES.trades}[name]
        columns: dict[str, list[Value]] = {}
        for column in table.columns:
            if column.name in ("id", "created_at"):
                continue
            if like is not None and column.name in like.columns:
                columns[column.name] = list(like.columns[column.name])
            elif isinstance(column.type, sa.REAL):
                columns[column.name] = [self._number(column.nullable) for _ in range(count)]
        ns = [self._next_ns() for _ in range(count)] if like is None else list(like.columns["received_at_ns"])
        told: dict[str, list[Value]] = {
            "received_at_ns": list(ns),
            "timestamp": [iso_text(one) for one in ns],  # type: ignore[arg-type]
            "exchange": [key.exchange] * count,
            "symbol": [key.symbol] * count,
            "segment_id": [segment.segment_id] * count,
            "data_source": ["simulator"] * count,
            "depth": [50] * count,
            "sequence": [int(one) - BEGAN_NS for one in ns],  # type: ignore[arg-type]
            "exchange_timestamp": [int(one) // 1_000_000 for one in ns],  # type: ignore[arg-type]
            "kind": ["linear"] * count,
            "trade_id": [f"{key.symbol}-{one}" for one in ns],
            "side": [self._chance.choice(["buy", "sell", None]) for _ in range(count)],
            "marked": [None] * count,
        }
        for one in table.columns:
            if one.name in told and one.name not in columns:
                columns[one.name] = told[one.name]
        return Rows(name, columns, key if name == "trades" else None)

    def _next_ns(self) -> int:
        self._ns += self._chance.choice([1, 1_000, 1_000_003])
        return self._ns

    def _number(self, nullable: bool) -> float | None:
        return None if nullable and self._chance.random() < 0.1 else self._chance.uniform(0.0, 70_000.0)

    def _events(self, number: int) -> Iterator[Rows]:
        if self._chance.random() < 0.5:
            columns: dict[str, list[Value]] = {
                "session_id": [self.session.session_id],
                "at_ns": [self._ns],
                "kind": ["connection"],
                "exchange": ["bybit"],
                "symbol": [None],
                "code": ["up"],
                "detail": [f"number {number}"],
            }
            yield Rows("events", columns)


def _cut(book: Rows, levels: Rows, part: slice) -> list[Rows]:
    return [
        replace(rows, columns={name: values[part] for name, values in rows.columns.items()})
        for rows in (book, levels)
    ]


def write_directly(url: str, write_sets: Sequence[WriteSet]) -> None:
    sink = SqlSink(lay_tables(url), synchronous="OFF")
    sink.open()
    for write_set in write_sets:
        sink.write(write_set)
    sink.close()


def stored_in(url: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every table in the order of their market; ids and times of storing left out."""
    engine = make_engine(database_url(url), read_only=True)
    found: dict[str, list[dict[str, Any]]] = {}
    with engine.connect() as connection:
        for table in (
            *(TABLES.hot, TABLES.levels, TABLES.trades, TABLES.ohlcv, TABLES.ohlcv_corrections),
            *(TABLES.sessions, TABLES.coverage, TABLES.accounting, TABLES.events, TABLES.rejected),
        ):
            order = [table.c[one] for one in ("exchange", "symbol") if one in table.columns]
            query = sa.select(table).order_by(*order, *table.primary_key.columns)
            found[table.name] = [
                {name: value for name, value in row.items() if name not in NOT_COMPARED}
                for row in connection.execute(query).mappings()
                if '"consume"' not in str(row.get("wanted"))
            ]
    engine.dispose()
    return found


def cell(url: str, query: str) -> Any:
    engine = make_engine(database_url(url), read_only=True)
    with engine.connect() as connection:
        found = connection.exec_driver_sql(query).scalar()
    engine.dispose()
    return found
