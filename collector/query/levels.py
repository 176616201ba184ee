"""Load the best ten levels of a book, and shape them for models that look at the whole of it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from collector.errors import QueryError
from collector.query.database import Database
from collector.query.frames import Frame, Output
from collector.query.holes import OnGap
from collector.query.instants import Instant
from collector.query.loading import Index, asked, load
from collector.query.streams import Wanted
from collector.query.windows import windows
from collector.sinks.market_tables import LEVEL_COLUMNS, STORED_LEVELS
from collector.sinks.schema import DEFAULT_TABLE_NAME, tables

LEVELS_COLUMNS = tuple(column.name for column in tables(DEFAULT_TABLE_NAME).levels.columns)
# DeepLOB's order (Zhang, Zohren, Roberts 2019): ask price, ask size, bid price, bid size, level by level.
TENSOR_COLUMNS = tuple(
    f"{side}_{what}_{level}"
    for level in range(1, STORED_LEVELS + 1)
    for side in ("ask", "bid")
    for what in ("price", "size")
)


def load_levels(
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
    data_source: Wanted = None,
    index: Index = "received_at",
    output: Output = "pandas",
    table_name: str = DEFAULT_TABLE_NAME,
) -> Frame:
    """Return the best ten levels a side, stored where `storage.features` is `deep`; as load_features.

    `columns` are the 40 prices and sizes unless others are named.

    >>> load_levels("live.db", "BTC/USDT:USDT", every="1s")  # doctest: +SKIP
    """
    chosen = LEVEL_COLUMNS if columns is None else tuple(columns)
    wanted = {"depth": depth, "data_source": data_source}
    ask = asked(
        symbol,
        exchange,
        wanted,
        start,
        end,
        chosen,
        LEVELS_COLUMNS,
        every,
        on_gap,
        None,
        output,
        index,
    )
    return load(db, table_name, ask, lambda known: known.levels)


def book_tensor(levels: pd.DataFrame, length: int, step: int = 1) -> npt.NDArray[np.float64]:
    """Return (samples, length, 40): windows of ten levels in DeepLOB's order; none crosses a hole.

    A window in which a level is missing is left out like one with a hole. Numbers are as stored: normalise
    with the past only.
    """
    missing = sorted(set(TENSOR_COLUMNS) - set(levels.columns))
    if missing:
        raise QueryError(f"the frame has no column {missing[0]}; expected one that load_levels made")
    return windows(levels, length, step, columns=TENSOR_COLUMNS).samples
