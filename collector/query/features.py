"""Load the hot table into pandas without ever pretending that a hole was seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

from collector.errors import QueryError
from collector.query.coverage import Selection, segments
from collector.query.database import Database, reading
from collector.sinks.schema import DEFAULT_TABLE_NAME, HOT_COLUMNS, Tables

OnGap = Literal["mask", "split", "raise", "ignore"]
Instant = str | pd.Timestamp | int | None
Integers = npt.NDArray[np.int64]

NOT_LOADED = ("id", "timestamp", "symbol", "exchange", "created_at", "received_at_ns", "segment_id", "depth")
DEFAULT_COLUMNS = tuple(name for name in HOT_COLUMNS if name not in NOT_LOADED)
TEXT_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, slots=True)
class _Span:
    start_ns: int | None
    end_ns: int | None


def load_features(
    database: Database,
    symbol: str,
    *,
    exchange: str | None = None,
    depth: int | None = None,
    start: Instant = None,
    end: Instant = None,
    columns: Sequence[str] | None = None,
    every: str | None = None,
    on_gap: OnGap = "mask",
    data_source: str | None = None,
    table_name: str = DEFAULT_TABLE_NAME,
) -> "pd.DataFrame | list[pd.DataFrame]":
    """Return a symbol's rows received in [start, end), indexed by receipt in UTC, with their `segment`.

    `every` ("100ms", "1s") asks for the last verified state at each such instant instead, `ofi` summed, a
    state being carried on only while its segment is alive. `on_gap` says what becomes of an instant that
    is not covered: "mask" leaves it empty, "split" returns one frame for each unbroken stretch, "raise"
    refuses, and "ignore" carries the last state across. Without `every`, rows are what they are: "split"
    and "raise" act on segments.

    >>> load_features("live.db", "BTC/USDT:USDT", every="1s")  # doctest: +SKIP
    """
    if on_gap not in {"mask", "split", "raise", "ignore"}:
        raise QueryError(f"on_gap is {on_gap!r}; expected mask, split, raise or ignore")
    wanted = tuple(columns) if columns is not None else DEFAULT_COLUMNS
    unknown = sorted(set(wanted) - set(HOT_COLUMNS))
    if unknown:
        raise QueryError(f"the table has no column {', '.join(unknown)}; it has {', '.join(HOT_COLUMNS)}")
    span = _Span(_ns("start", start), _ns("end", end))
    step_ns = None if every is None else _step_ns(every)
    with reading(database, table_name) as (connection, tables):
        where = _stream(connection, tables, symbol, exchange, depth, data_source)
        frame = _rows(connection, tables, where, span, wanted, step_ns)
        known = segments(connection, tables, Selection(symbol, exchange))
    received = frame.pop("received_at_ns").to_numpy(dtype=np.int64)
    frame = frame.drop(columns=["depth", "timestamp"]).rename(columns={"segment_id": "segment"})
    if step_ns is None:
        frame.index = _index(received)
        return _shape(frame, on_gap)
    return _resampled(frame, received, known, span, step_ns, on_gap)


def _stream(
    connection: sa.Connection,
    tables: Tables,
    symbol: str,
    exchange: str | None,
    depth: int | None,
    data_source: str | None,
) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that name one stream, or raise QueryError asking for what is left open."""
    hot = tables.hot
    where = [hot.c.symbol == symbol]
    for name, value, ask in (
        ("exchange", exchange, "exchange"),
        ("depth", depth, "depth"),
        ("data_source", data_source, "data_source"),
    ):
        column = hot.c[name]
        if value is not None:
            where.append(column == value)
            continue
        found = connection.execute(sa.select(column).where(*where).distinct().limit(3)).scalars().all()
        if len(found) > 1:
            choices = ", ".join(sorted(repr(one) for one in found))
            raise QueryError(f"{symbol} is stored with more than one {name}: {choices}; say which: {ask}=...")
    if not connection.execute(sa.select(hot.c.id).where(*where).limit(1)).first():
        stored = connection.execute(sa.select(hot.c.symbol).distinct().order_by(hot.c.symbol)).scalars().all()
        raise QueryError(
            f"nothing is stored for {symbol!r} as asked; symbols here: {', '.join(stored) or 'none'}"
        )
    return where


def _rows(
    connection: sa.Connection,
    tables: Tables,
    where: list[sa.ColumnElement[bool]],
    span: _Span,
    wanted: Sequence[str],
    step_ns: int | None,
) -> pd.DataFrame:
    """Read the rows of the span; for instants, the step before it too, and the last one before that."""
    hot = tables.hot
    names = list(dict.fromkeys([*wanted, "received_at_ns", "timestamp", "segment_id", "depth"]))
    columns = [hot.c[name] for name in names]
    within = []
    first_ns = None if span.start_ns is None else span.start_ns - (step_ns or 0)
    if first_ns is not None:
        within.append(hot.c.timestamp >= _text(first_ns))
    if span.end_ns is not None:
        within.append(hot.c.timestamp <= _text(span.end_ns))
    question = sa.select(*columns).where(*where, *within).order_by(hot.c.timestamp, hot.c.id)
    rows = [tuple(row) for row in connection.execute(question)]
    if first_ns is not None and step_ns is not None:
        before = hot.c.timestamp < _text(first_ns)
        newest_first = (hot.c.timestamp.desc(), hot.c.id.desc())
        last = sa.select(*columns).where(*where, before).order_by(*newest_first).limit(1)
        rows = [*(tuple(row) for row in connection.execute(last)), *rows]
    frame = pd.DataFrame(rows, columns=names)
    if frame.empty:
        return frame
    told = frame["received_at_ns"].isna()
    if told.any():  # written by something else: the text is all there is
        texts = pd.to_datetime(frame.loc[told, "timestamp"], utc=True, format="ISO8601")
        frame.loc[told, "received_at_ns"] = texts.dt.as_unit("ns").astype("int64")
    frame["received_at_ns"] = frame["received_at_ns"].astype("int64")
    frame["segment_id"] = frame["segment_id"].astype("Int64")
    received = frame["received_at_ns"]
    keep = pd.Series(data=True, index=frame.index)
    if span.start_ns is not None and step_ns is None:
        keep &= received >= span.start_ns
    if span.end_ns is not None:
        keep &= received < span.end_ns
    return frame[keep].reset_index(drop=True)


def _shape(frame: pd.DataFrame, on_gap: OnGap) -> "pd.DataFrame | list[pd.DataFrame]":
    """Act on the holes between the segments of rows as they are."""
    segment = frame["segment"]
    breaks = (segment != segment.shift()).fillna(value=True)
    if on_gap == "split":
        return [part for _, part in frame.groupby(breaks.cumsum().to_numpy())]
    if on_gap == "raise" and breaks.sum() > 1:
        second = frame.index[np.flatnonzero(breaks.to_numpy())[1]]
        raise QueryError(
            f"there is a hole before {second.isoformat()}; see on_gap, and gaps() for all of them"
        )
    return frame


def _resampled(
    frame: pd.DataFrame, received: Integers, known: pd.DataFrame, span: _Span, step_ns: int, on_gap: OnGap
) -> "pd.DataFrame | list[pd.DataFrame]":
    if not len(received):
        frame.index = _index(received)
        return [] if on_gap == "split" else frame
    edges = _edges(received, span, step_ns)
    last = np.searchsorted(received, edges, side="right") - 1
    segment = frame["segment"].fillna(-1).to_numpy(dtype=np.int64)
    alive_until = dict(zip(known["segment_id"].tolist(), known["alive_until_ns"].tolist(), strict=True))
    row_alive = np.array([alive_until.get(one, -1) for one in segment.tolist()], dtype=np.int64)
    here = np.maximum(last, 0)
    covered = (last >= 0) & (edges <= row_alive[here])
    result = frame.iloc[here].copy()
    result.index = _index(edges)
    if "ofi" in result:
        flow = frame["ofi"].to_numpy(dtype=np.float64)
        result["ofi"] = _summed_flow(flow, received, segment, edges, step_ns, segment[here])
    if on_gap == "ignore":
        return result[last >= 0]
    if on_gap == "raise" and not covered.all():
        first = _index(edges)[int(np.flatnonzero(~covered)[0])]
        raise QueryError(f"{first.isoformat()} is not covered; see on_gap, and gaps() for all holes")
    if on_gap == "split":
        stretch = np.cumsum(~covered | np.r_[True, segment[here][1:] != segment[here][:-1]])
        return [part for _, part in result[covered].groupby(stretch[covered])]
    result.loc[~covered, :] = pd.NA
    return result


def _edges(received: Integers, span: _Span, step_ns: int) -> Integers:
    """Return the instants asked for: multiples of the step in [start, end), or those that the rows reach."""
    first_ns = int(received[0]) if span.start_ns is None else span.start_ns
    end_ns = int(received[-1]) + step_ns if span.end_ns is None else span.end_ns
    first_ns = -(-first_ns // step_ns) * step_ns
    return np.arange(first_ns, end_ns, step_ns, dtype=np.int64)


def _summed_flow(
    flow: npt.NDArray[np.float64],
    received: Integers,
    segment: Integers,
    edges: Integers,
    step_ns: int,
    edge_segment: Integers,
) -> npt.NDArray[np.float64]:
    """Sum each interval's order flow over the rows of the segment that its edge stands in."""
    interval = np.searchsorted(edges, received, side="left")  # a row belongs to the first edge at or after it
    inside = interval < len(edges)
    inside &= received > edges[0] - step_ns
    inside[inside] &= segment[inside] == edge_segment[interval[inside]]
    inside &= ~np.isnan(flow)
    return np.bincount(interval[inside], weights=flow[inside], minlength=len(edges)).astype(np.float64)


def _index(at_ns: Integers) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(at_ns.astype("datetime64[ns]"), tz="UTC", name="received_at")


def _ns(name: str, instant: Instant) -> int | None:
    if instant is None or isinstance(instant, int):
        return instant
    try:
        moment = pd.Timestamp(instant)
    except ValueError:
        raise QueryError(f"{name} is {instant!r}; expected an instant such as 2026-01-31T12:00Z") from None
    moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
    return int(moment.as_unit("ns").value)


def _text(at_ns: int) -> str:
    return pd.Timestamp(at_ns // 1000 * 1000, tz="UTC").strftime(TEXT_FORMAT)


def _step_ns(every: str) -> int:
    try:
        step_ns = int(pd.Timedelta(every).as_unit("ns").value)
    except ValueError:
        step_ns = 0
    if step_ns <= 0:
        raise QueryError(f'every is {every!r}; expected a duration such as "100ms" or "1s"')
    return step_ns
