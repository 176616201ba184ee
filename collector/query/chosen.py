"""Choose among the streams of a market: check the values that a caller named, and take the deepest book."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import sqlalchemy as sa

from collector.database import Tables
from collector.errors import QueryError
from collector.events import Channel
from collector.loggers import get_logger
from collector.query.database import distinct_values, needed, reading
from collector.query.instants import Span, shown
from collector.query.names import Market, in_order, value_named
from collector.query.request import Lookup
from collector.query.rows import ALL, Archive, Wanted, stored_market
from collector.query.stored_groups import SOURCE, Groups, Segment, segments_by_market

log = get_logger(__name__)


@lru_cache(maxsize=1000)
def tell_once(event: str, **facts: str | int) -> None:
    """Write a line of the log, unless the same was written before."""
    log.info(event, **facts)


@dataclass(frozen=True, slots=True)
class Streams:
    """What is stored of one market in one table."""

    connection: sa.Connection
    table: sa.Table
    market: Market
    name: str  # of the column that tells the streams apart
    groups: Groups

    @classmethod
    def of(
        cls,
        connection: sa.Connection,
        tables: Tables,
        rows: Lookup,
        table: sa.Table,
        market: Market,
        archive: Archive,
    ) -> "Streams":
        """Return the streams of a market; nothing is read yet but its segments."""
        name = next(one for one in rows.alike if one != SOURCE)
        segments = segments_by_market(connection, tables, rows.table.holds, market)
        return cls(
            connection, table, market, name, Groups(connection, tables, table, name, segments, archive)
        )

    @property
    def title(self) -> str:
        """Return the market for a person."""
        return f"{self.market[1]!r} of {self.market[0]!r}"

    def checked(self, wanted: Mapping[str, Wanted]) -> dict[str, Wanted]:
        """Return the values wanted as they are stored; raise QueryError for one that is not."""
        return {name: self._checked(name, value) for name, value in wanted.items()}

    def with_deepest(self, wanted: Mapping[str, Wanted], span: Span) -> dict[str, Wanted]:
        """Return what is wanted with the deepest book of the span, and say so, where several are stored."""
        if self.name != "depth" or wanted["depth"] is not None:
            return dict(wanted)
        newest: dict[int, Segment] = {}
        for one in self.segments:
            if _meets(one, span):
                newest[Channel.of(one["channel"]).depth] = one
        if len(newest) < 2:  # noqa: PLR2004  (nothing to choose)
            return dict(wanted)
        deepest = next(
            (one for one in sorted(newest, reverse=True) if self.groups.has_rows(newest[one])), None
        )
        if deepest is None:
            return dict(wanted)
        others = ", ".join(str(depth) for depth in sorted(newest) if depth != deepest)
        exchange, symbol = self.market
        tell_once(
            "read.deepest_book",
            exchange=exchange,
            symbol=symbol,
            depth=deepest,
            others=others,
            choose="depth=",
        )
        return {**wanted, "depth": deepest}

    @property
    def segments(self) -> "list[Segment]":
        """Return the segments that have rows, in the order of their beginning."""
        return list(self.groups.segments.get(self.market, ()))

    def _checked(self, name: str, value: Any) -> Wanted:
        if value is None:
            return None
        if isinstance(value, str) and value == ALL:
            return ALL
        if isinstance(value, list | tuple | set | frozenset | range | np.ndarray):
            if not len(value):
                raise QueryError(f"{name} is empty; expected a value, several, or None for any")
            return [self._one(name, one) for one in value]
        found: str | int = self._one(name, value)
        return found

    def _one(self, name: str, value: Any) -> Any:
        plain = int(value) if isinstance(value, np.integer) else value
        quickly: set[Any] = set()
        for one in self._likely(name):
            if one == plain and not isinstance(plain, bool):
                return plain
            quickly.add(one)
        groups = self.groups.of(self.market)
        known = {one.source if name == SOURCE else one.value for one in groups} | quickly
        return value_named(name, plain, in_order(known), self.title)

    def _likely(self, name: str) -> Iterator[Any]:
        """Yield values that are stored, found without reading rows; there may be more."""
        exchange, symbol = self.market
        c = self.table.c
        if name == SOURCE:
            yield from self.groups.sources_of(self.market)
        elif name == "depth":
            yield from {Channel.of(one["channel"]).depth for one in self.segments}
        else:
            yield from distinct_values(self.connection, c[name], c.exchange == exchange, c.symbol == symbol)


def tell_of_nothing(rows: Lookup) -> None:
    """Say what there is, to one whose question found no row; raise QueryError for a depth without levels."""
    with reading(rows.database, rows.table_name) as (connection, tables):
        table = needed(connection, rows.table.choose(tables))
        archive = Archive.read(connection, tables, table)
        market = stored_market(connection, table, rows.symbol, rows.exchange, archive)
        streams = Streams.of(connection, tables, rows, table, market, archive)
        wanted = streams.checked(rows.alike)
        of = [one for one in streams.segments if _is_among(Channel.of(one["channel"]), wanted.get("depth"))]
        if table.name == tables.levels.name and not any(streams.groups.has_rows(one) for one in of[-1:]):
            found = {one.value for one in streams.groups.of(market)}
            value_named("depth", wanted.get("depth"), in_order(found), streams.title)
    asked = [f"{name}={value!r}" for name, value in rows.alike.items() if value is not None]
    ends = (("start", rows.span.start_ns), ("end", rows.span.end_ns))
    asked += [f"{name}={shown(at_ns)}" for name, at_ns in ends if at_ns is not None]
    tell_once(
        "read.no_rows",
        exchange=market[0],
        symbol=market[1],
        asked=", ".join(asked) or "all",
        stored="; ".join(_spans(streams.segments)) or "rows without coverage",
    )


def _is_among(channel: Channel, depth: Any) -> bool:
    if depth is None or depth == ALL:
        return True
    return channel.is_book and channel.depth in (depth if isinstance(depth, list) else [depth])


def _spans(segments: Sequence[Segment]) -> Iterator[str]:
    """Yield from when to when each channel has rows."""
    ends: dict[str, tuple[int, int]] = {}
    for one in segments:
        first_ns, last_ns = ends.get(one["channel"], (one["start_ns"], 0))
        ends[one["channel"]] = first_ns, max(last_ns, one["end_ns"])
    for channel in in_order(ends):
        yield f"{channel} from {shown(ends[channel][0])} to {shown(ends[channel][1])}"


def _meets(segment: Segment, span: Span) -> bool:
    starts_later = span.end_ns is not None and segment["start_ns"] >= span.end_ns
    return not (starts_later or (span.start_ns is not None and segment["alive_until_ns"] < span.start_ns))
