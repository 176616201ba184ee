"""Load the table of book rows without ever pretending that a hole was seen."""

from collections.abc import Iterator, Sequence
from typing import Any

from collector.query.database import Database
from collector.query.frames import Frame, Output
from collector.query.holes import OnGap
from collector.query.instants import Instant
from collector.query.loading import Ask, Index, asked, iterate, load
from collector.query.streams import Wanted
from collector.sinks.schema import DEFAULT_TABLE_NAME, HOT_COLUMNS

NOT_LOADED = ("id", "timestamp", "symbol", "exchange", "created_at", "received_at_ns", "segment_id", "depth")
DEFAULT_COLUMNS = tuple(name for name in HOT_COLUMNS if name not in NOT_LOADED)


def load_features(
    db: Database,
    symbol: str,
    *,
    exchange: str | None = None,
    depth: int | None = None,
    start: Instant = None,
    end: Instant = None,
    columns: Sequence[str] | None = None,
    every: str | None = None,
    on_gap: OnGap = "mask",
    min_quality: float | None = None,
    data_source: Wanted = None,
    index: Index = "received_at",
    output: Output = "pandas",
    table_name: str = DEFAULT_TABLE_NAME,
) -> Frame:
    """Return a symbol's rows received in [start, end), indexed by receipt in UTC, with their `segment`.

    `every` ("100ms", "1s") asks for the last verified state at each such instant instead, order flow
    (`ofi`) summed, a state being carried on only while its segment is alive. `on_gap` says what becomes of
    an instant that is not covered: "mask" leaves it empty, "split" returns a list with one frame for each
    unbroken stretch, "raise" refuses, and "ignore" carries the last state across. Without `every`, rows are
    what they are: "split" and "raise" act on segments. Rows below `min_quality` count as not covered.

    >>> load_features("live.db", "BTC/USDT:USDT", every="1s")  # doctest: +SKIP
    """
    wanted = {"depth": depth, "data_source": data_source}
    ask = _asked(symbol, exchange, wanted, start, end, columns, every, on_gap, min_quality, output, index)
    return load(db, table_name, ask, lambda tables: tables.hot)


def iter_features(
    db: Database,
    symbol: str,
    *,
    exchange: str | None = None,
    depth: int | None = None,
    start: Instant = None,
    end: Instant = None,
    columns: Sequence[str] | None = None,
    every: str | None = None,
    on_gap: OnGap = "mask",
    min_quality: float | None = None,
    data_source: Wanted = None,
    index: Index = "received_at",
    output: Output = "pandas",
    table_name: str = DEFAULT_TABLE_NAME,
) -> Iterator[Frame]:
    """Yield what `load_features` would return as one, in consecutive frames: for more than memory holds.

    Nothing is held open between two frames. With on_gap="split" each frame is unbroken; a long stretch
    comes in several, of one `segment`.
    """
    wanted = {"depth": depth, "data_source": data_source}
    ask = _asked(symbol, exchange, wanted, start, end, columns, every, on_gap, min_quality, output, index)
    return iterate(db, table_name, ask, lambda tables: tables.hot)


def _asked(
    symbol: str,
    exchange: str | None,
    wanted: dict[str, Wanted],
    start: Instant,
    end: Instant,
    columns: Sequence[str] | None,
    *rest: Any,
) -> Ask:
    chosen = DEFAULT_COLUMNS if columns is None else tuple(columns)
    return asked(symbol, exchange, wanted, start, end, chosen, HOT_COLUMNS, *rest)
