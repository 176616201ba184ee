"""Recognize trades that come again after their day, or their hour, was moved to files.

The unique index knows the table only, and an exchange may send its last trades at every subscription,
however old they are. Those of an earlier day, or an hour ago, are looked for in the files of their market;
trades of now, nearly all there are, cost a comparison of two numbers.
"""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from collector.database import DAY_DIGITS, Tables
from collector.errors import SinkError
from collector.loggers import get_logger
from collector.sinks.contract import Value

Columns = Mapping[str, Sequence[Value]]
Market = tuple[Value, Value]  # exchange, symbol
TradeName = tuple[Value, Value]  # kind, id

_DAY_MS, _HOUR_MS = 86_400_000, 3_600_000
_CLOCKS_MS = 300_000  # by which an exchange may be ahead of us: its day is not that of our receipt

log = get_logger(__name__)


class ArchivedTrades:
    """Finds the archived ones among trades to be written, in the transaction that writes the others."""

    def __init__(self, connection: sa.Connection, tables: Tables, columns: Columns) -> None:
        self._connection = connection
        self._tables = tables
        self._columns = columns
        self._old = _old_by_market(columns, time.time_ns() // 1_000_000)
        self._paths = {market: self._listed(market) for market in self._old}

    def others(self) -> Columns:
        """Return the trades that no file holds, as columns."""
        places: set[int] = set()
        for market, paths in self._paths.items():
            if paths:
                old = self._old[market]
                held = _held(paths, {self._name(place) for place in old})
                places.update(place for place in old if self._name(place) in held)
        if not places:
            return self._columns
        return {
            name: [value for place, value in enumerate(values) if place not in places]
            for name, values in self._columns.items()
        }

    def check_again(self) -> None:
        """Raise a transient SinkError if a file was listed since: the table may have lost a trade to it."""
        if any(self._listed(market) != paths for market, paths in self._paths.items()):
            raise SinkError("trades were archived while older ones were written; tried again", transient=True)

    def _name(self, place: int) -> TradeName:
        return self._columns["kind"][place], self._columns["trade_id"][place]

    def _listed(self, market: Market) -> list[str]:
        """Return the files that can hold the market's old trades."""
        archive, times = self._tables.archive, self._columns["exchange_timestamp"]
        first_ms = min(max(int(times[place] or 0) - _CLOCKS_MS, 0) for place in self._old[market])
        first = f"{datetime.fromtimestamp(first_ms / 1000, UTC):%Y-%m-%dT%H}"
        is_later = sa.or_(archive.c.date >= first, archive.c.date == first[:DAY_DIGITS])
        own = (archive.c.exchange == market[0], archive.c.symbol == market[1], is_later)
        query = sa.select(archive.c.path).where(
            archive.c.table_name == self._tables.trades.name, archive.c.kind == "trades", *own
        )
        return sorted(self._connection.execute(query).scalars())


def _old_by_market(columns: Columns, now_ms: int) -> dict[Market, list[int]]:
    """Return the places of the trades that may be in a file by their time, by market."""
    times: Sequence[Any] = columns.get("exchange_timestamp", ())
    # Of today no hour is moved that has not been over for an hour.
    recent_ms = max(now_ms // _DAY_MS * _DAY_MS, now_ms - _HOUR_MS) + _CLOCKS_MS
    found: dict[Market, list[int]] = defaultdict(list)
    for place, at_ms in enumerate(times):
        if at_ms is not None and at_ms < recent_ms:
            found[columns["exchange"][place], columns["symbol"][place]].append(place)
    return found


def _held(paths: Sequence[str], wanted: set[TradeName]) -> set[TradeName]:
    """Return those trades that the files hold. A file that cannot be read is told of, and passed over."""
    found: set[TradeName] = set()
    for path in paths:
        try:
            found |= _read(path, wanted)
        except (OSError, ImportError, ValueError) as error:  # ValueError: pyarrow's, of a damaged file
            log.warning("archive.trades_not_compared", path=path, error=f"{type(error).__name__}: {error}")
    return found


def _read(path: str, wanted: set[TradeName]) -> set[TradeName]:
    import pyarrow as pa  # noqa: PLC0415  (an extra: who has archived has it)
    import pyarrow.compute  # noqa: PLC0415
    import pyarrow.parquet  # noqa: PLC0415

    ids = pa.array(sorted({str(trade_id) for _, trade_id in wanted}), type=pa.string())
    rows = pa.parquet.read_table(path, columns=["kind", "trade_id"], partitioning=None)
    rows = rows.filter(pa.compute.is_in(rows["trade_id"].cast(pa.string()), value_set=ids))
    return wanted & set(zip(rows["kind"].to_pylist(), rows["trade_id"].to_pylist(), strict=True))
