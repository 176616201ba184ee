"""Check what a caller asks of a loader, before a database is opened."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import sqlalchemy as sa

from collector.database import Tables
from collector.errors import QueryError
from collector.events import Channel
from collector.nearest import did_you_mean
from collector.query.database import Database
from collector.query.fast import Engine, checked_engine
from collector.query.frames import Output, checked_output
from collector.query.instants import Duration, Span, duration_ns
from collector.query.on_gap import OnGap, checked_on_gap
from collector.query.rows import ALL, Origin, Wanted

PLACE, RECEIVED_AT = "place", "received_at"


@dataclass(frozen=True, slots=True)
class LoadedTable:
    """A table that a loader reads, and what may be chosen of it."""

    choose: Callable[[Tables], sa.Table]
    columns: tuple[str, ...]
    default_columns: tuple[str, ...]
    holds: Callable[[Channel], bool]  # the rows of which channels
    indexes: tuple[str, ...] = (RECEIVED_AT, "exchange_timestamp")  # the first is the default
    elsewhere: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # columns of other loaders


@dataclass(frozen=True, slots=True)
class Lookup:
    """Which rows to read: of which table and stream, received in which span."""

    table: LoadedTable
    database: Database
    table_name: str
    symbol: str
    exchange: str | None
    span: Span
    alike: Mapping[str, Wanted]  # the columns in which all rows must be alike, and the values wanted of each
    origin: Origin | None = None  # how they came; None: in either way

    @property
    def mixed(self) -> list[str]:
        """Return the columns in which rows may differ on purpose: in the frame they tell which is which."""
        one = (str, int, np.integer)
        wanted = ((name, value) for name, value in self.alike.items() if value is not None)
        return [name for name, value in wanted if not isinstance(value, one) or value == ALL]


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller wants: which rows, and in what form; `checked_request` makes it."""

    rows: Lookup
    columns: tuple[str, ...]
    step_ns: int | None
    on_gap: OnGap
    min_quality: float | None
    index: str
    output: Output
    engine: Engine = "auto"

    def within(self, span: Span) -> "Request":
        """Return the same request for another span."""
        return replace(self, rows=replace(self.rows, span=span))

    @property
    def order(self) -> tuple[str, ...]:
        """Return the columns of the frame."""
        return tuple(dict.fromkeys([*self.columns, "segment"]))

    @property
    def read_span(self) -> Span:
        """Return the span to read; states begin a step earlier, for the flow of the first one."""
        span = self.rows.span
        if span.start_ns is None or self.step_ns is None:
            return span
        return Span(span.start_ns - self.step_ns, span.end_ns)


def checked_request(
    rows: Lookup,
    columns: Sequence[str] | str | None = None,
    *,
    every: Duration = None,
    on_gap: OnGap = "mask",
    min_quality: float | None = None,
    index: str = RECEIVED_AT,
    output: Output = "pandas",
    engine: Engine = "auto",
) -> Request:
    """Return the request, or raise QueryError for the first argument that is wrong."""
    checked_on_gap(on_gap)
    checked_output(output)
    checked_engine(engine)
    table = rows.table
    chosen = table.default_columns if columns is None else _named_columns(table, columns)
    if index not in table.indexes:
        *others, last = table.indexes
        expected = f"{', '.join(others)} or {last}" if others else last
        raise QueryError(f"index is {index!r}; expected {expected}")
    if rows.origin not in {None, "live", "rest"}:
        raise QueryError(f"origin is {rows.origin!r}; expected live or rest, or None for both")
    if every is not None and index != RECEIVED_AT:
        raise QueryError("every= takes states at instants of receipt: what was known then; leave out index=")
    if min_quality is not None and not (
        isinstance(min_quality, int | float | np.number) and 0.0 <= min_quality <= 1.0
    ):
        raise QueryError(f"min_quality is {min_quality!r}; expected a number from 0 to 1")
    chosen = tuple(dict.fromkeys([*chosen, *rows.mixed]))
    step_ns = None if every is None else duration_ns("every", every)
    return Request(rows, chosen, step_ns, on_gap, min_quality, index, output, engine)


def _named_columns(table: LoadedTable, columns: Sequence[str] | str) -> tuple[str, ...]:
    """Return the columns, of which one may stand by itself; raise QueryError for one that is not there."""
    chosen = (columns,) if isinstance(columns, str) else tuple(columns)
    unknown = [str(one) for one in chosen if one not in table.columns]
    if not unknown:
        return chosen
    loaders = [name for name, others in table.elsewhere.items() if set(unknown) <= set(others)]
    hint = f"; {loaders[0]} has it" if loaders else did_you_mean(unknown[0], table.columns)
    raise QueryError(f"the table has no column {', '.join(unknown)}{hint}; it has {', '.join(table.columns)}")
