"""Count the rows of a market that one question to a loader can ask for, without reading big tables.

Indexes count rows, and coverage says of which depth they are; that is believed where its sum is the number
of rows. A source is that of a session: one row tells it. Otherwise all rows of the market are read.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa

from collector.database import Tables
from collector.events import Channel
from collector.query.database import distinct_values
from collector.query.instants import Span, text_of
from collector.query.names import Market
from collector.query.rows import Archive, Part, beside, markets_in

Segment = Mapping[str, Any]
Holds = Callable[[Channel], bool]  # whether a table has the rows of a channel
SOURCE = "data_source"
_SEGMENT = (
    *("exchange", "symbol", "channel", "session_id", "segment_id"),
    *("start_ns", "end_ns", "alive_until_ns", "rows"),
)


class Group(NamedTuple):
    """Rows that are alike: their depth, kind or interval, their source, how many, the first and the last."""

    value: Any
    source: str | None
    rows: int
    first: str | None
    last: str | None


def segments_by_market(
    connection: sa.Connection, tables: Tables, holds: Holds, market: Market | None = None
) -> dict[Market, list[Segment]]:
    """Return the segments of some channels that have rows, by market, in the order of their beginning."""
    table = tables.coverage
    query = sa.select(*(table.c[name] for name in _SEGMENT)).where(table.c.rows > 0)
    if market is not None:
        query = query.where(table.c.exchange == market[0], table.c.symbol == market[1])
    found: dict[Market, list[Segment]] = {}
    for row in connection.execute(query.order_by(table.c.start_ns)).mappings():
        if holds(Channel.of(row["channel"])):
            found.setdefault((row["exchange"], row["symbol"]), []).append(dict(row))
    return found


@dataclass(slots=True)
class Groups:
    """Counts the rows of one table of books or trades, market by market."""

    connection: sa.Connection
    tables: Tables
    table: sa.Table
    name: str  # of the column that tells its streams apart
    segments: Mapping[Market, Sequence[Segment]]  # with such rows, in the order of their beginning
    archive: Archive
    sources: dict[tuple[str, str], str | None] = field(default_factory=dict)  # of session and exchange

    def of_each(self) -> Iterator[tuple[Market, list[Group]]]:
        """Yield the groups of each market."""
        for market in sorted(markets_in(self.connection, self.table, self.archive)):
            yield market, self.of(market)

    def of(self, market: Market) -> list[Group]:
        """Return the groups of one market."""
        exchange, symbol = market
        parts = self.archive.of(symbol, exchange)
        where = (
            self.table.c.symbol == symbol,
            self.table.c.exchange == exchange,
            *beside(self.table, parts),
        )
        found = {"kind": self._of_trades, "depth": self._of_books}.get(self.name)
        known = [] if found is None else found(where, parts, self.segments.get(market, ()))
        return known or self._by_reading(where, parts)

    def sources_of(self, market: Market) -> Iterator[str]:
        """Yield the sources of a market's sessions, that of the newest one first."""
        parts = self.archive.of(market[1], market[0])
        for one in reversed(self.segments.get(market, ())):
            if (source := self._source(one, parts)) is not None:
                yield source

    def has_rows(self, segment: Segment) -> bool:
        """Return whether rows of a segment are in this table or its files."""
        return self._look(segment, self.archive.of(segment["symbol"], segment["exchange"])) is not None

    def _of_books(
        self, where: Sequence[sa.ColumnElement[bool]], parts: Sequence[Part], segments: Sequence[Segment]
    ) -> list[Group]:
        """Return the groups as coverage tells them; none where it does not tell of all rows."""
        total = self._count(where) + sum(part.rows for part in parts)
        found: dict[tuple[int, str | None], list[Segment]] = {}
        for one in segments:
            source = self._source(one, parts)
            if source is None:
                return []
            found.setdefault((Channel.of(one["channel"]).depth, source), []).append(one)
        if sum(one["rows"] for one in segments) != total:
            # Levels are ours alone, and may have been switched on later; other programs write the hot table.
            is_ours = self.table.name == self.tables.levels.name and len(found) == 1
            return [Group(*key, total, *self._ends(where, parts)) for key in found] if is_ours else []
        return [
            Group(
                *key,
                sum(one["rows"] for one in own),
                text_of(own[0]["start_ns"]),
                text_of(max(one["end_ns"] for one in own)),
            )
            for key, own in found.items()
        ]

    def _of_trades(
        self, where: Sequence[sa.ColumnElement[bool]], parts: Sequence[Part], segments: Sequence[Segment]
    ) -> list[Group]:
        """Return the groups as an index tells them; none where there are several sources."""
        sources = {self._source(one, parts) for one in segments}
        if len(sources) != 1 or None in sources:
            return []
        of_files: dict[str, list[Part]] = {}
        counts: Counter[str] = Counter()
        for part in parts:
            for (kind,), rows in part.counts(["kind"]).items():
                counts[kind] += rows
                of_files.setdefault(kind, []).append(part)
        source, kind_of = next(iter(sources)), self.table.c.kind
        return [
            Group(
                kind,
                source,
                self._count((*where, kind_of == kind)) + counts[kind],
                *self._ends((*where, kind_of == kind), of_files.get(kind, ())),
            )
            for kind in sorted({*distinct_values(self.connection, kind_of, *where[:2]), *of_files})
        ]

    def _by_reading(self, where: Sequence[sa.ColumnElement[bool]], parts: Sequence[Part]) -> list[Group]:
        """Return the groups after a look at every row."""
        at, columns = self.table.c.timestamp, [self.table.c[name] for name in (self.name, SOURCE)]
        query = sa.select(*columns, sa.func.count(), sa.func.min(at), sa.func.max(at))
        read = self.connection.execute(query.where(*where).group_by(*columns))
        found = [Group._make(row) for row in read]
        for part in parts:
            for (value, source), rows in part.counts([self.name, SOURCE]).items():
                found.append(Group(value, source, rows, *part.ends()))
        groups: dict[tuple[Any, ...], Group] = {}
        for one in found:
            known = groups.get(one[:2], one._replace(rows=0))
            first, last = min(str(known.first), str(one.first)), max(str(known.last), str(one.last))
            groups[one[:2]] = one._replace(rows=known.rows + one.rows, first=first, last=last)
        return sorted(groups.values(), key=str)

    def _count(self, where: Sequence[sa.ColumnElement[bool]]) -> int:
        query = sa.select(sa.func.count()).select_from(self.table).where(*where)
        return int(self.connection.execute(query).scalar_one())

    def _ends(
        self, where: Sequence[sa.ColumnElement[bool]], parts: Sequence[Part]
    ) -> tuple[str | None, str | None]:
        at = self.table.c.timestamp
        ends = [
            self.connection.execute(sa.select(at).where(*where).order_by(order).limit(1)).scalar()
            for order in (at.asc(), at.desc())
        ]
        if parts:
            ends += [part.ends()[0] for part in parts if part.day == parts[0].day]
            ends += [part.ends()[1] for part in parts if part.day == parts[-1].day]
        known = [one for one in ends if one is not None]
        return min(known, default=None), max(known, default=None)

    def _source(self, segment: Segment, parts: Sequence[Part]) -> str | None:
        """Return the source of a segment's rows, which is that of its session; None if it cannot be told."""
        key = segment["session_id"], segment["exchange"]
        if self.sources.get(key) is None:
            self.sources[key] = self._look(segment, parts)
        return self.sources[key]

    def _look(self, segment: Segment, parts: Sequence[Part]) -> str | None:
        c, span = self.table.c, Span(segment["start_ns"], segment["alive_until_ns"] + 1)
        query = sa.select(c[SOURCE]).where(
            c.symbol == segment["symbol"],
            c.exchange == segment["exchange"],
            c.timestamp.between(text_of(segment["start_ns"]), text_of(segment["alive_until_ns"])),
            c.segment_id == segment["segment_id"],
        )
        found: str | None = self.connection.execute(query.limit(1)).scalar()
        for part in parts:
            if found is None and part.may_hold(span):
                told = part.counts([SOURCE])
                found = next(iter(told))[0] if len(told) == 1 else None
        return found
