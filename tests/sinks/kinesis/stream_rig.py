"""Write sets of several markets, a sink before a stream on this machine, and what came out of the stream."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from collector.retry import Backoff
from collector.sinks.avro import Assembler
from collector.sinks.contract import AccountingState, Rows, SegmentState, SessionState, WriteSet
from collector.sinks.kinesis.sink import KinesisSink
from collector.sinks.options import StreamOptions

MARKETS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")
REGION = "eu-central-1"


def of_markets(
    number: int,
    rows: int = 4,
    *,
    markets: Sequence[str] = MARKETS,
    session: str = "session-1",
    columns: dict[str, Any] | None = None,
) -> WriteSet:
    """Return the write set of a number: of each market so many trades, which go on counting."""
    tables, segments, accounting = [], [], []
    for place, symbol in enumerate(markets):
        sequences = list(range(number * rows, number * rows + rows))
        values: dict[str, list[Any]] = {
            "exchange": ["bybit"] * rows,
            "symbol": [symbol] * rows,
            "data_source": ["simulator"] * rows,
            "trade_id": [f"{symbol}-{one}" for one in sequences],
            "kind": ["linear"] * rows,
            "timestamp": [f"2026-01-01T00:00:00.{one:06}Z" for one in sequences],
            "exchange_timestamp": [1_767_225_600_000 + one for one in sequences],
            "received_at_ns": [1_000 + one for one in sequences],
            "segment_id": [7 + place] * rows,
            "side": ["buy"] * rows,
            "price": [100.0 + one / 7 for one in sequences],
            "size": [0.1 * (1 + one) for one in sequences],
            **(columns or {}),
        }
        tables.append(Rows("trades", values, stream_of(symbol)))
        first, last = 1_000 + sequences[0], 1_000 + sequences[-1]
        segments.append(
            SegmentState(
                7 + place, session, *stream_of(symbol), first, last, last, None, None, rows, "trade_ids"
            )
        )
        accounting.append(AccountingState(session, *stream_of(symbol), received=rows, written=rows))
    state = SessionState(session, 1_000, "0", "host", 1, "{}")
    return WriteSet(f"batch-{number:04}", state, tuple(tables), tuple(segments), tuple(accounting))


def stream_of(symbol: str) -> Any:
    from collector.events import StreamKey  # noqa: PLC0415

    return StreamKey("bybit", symbol, "trade")


def sink_at(endpoint: str, stream: str, *, call_timeout_s: float = 30.0, **options: Any) -> KinesisSink:
    """Return a sink that waits hardly at all between two tries."""
    return KinesisSink(
        f"kinesis://{REGION}/{stream}?endpoint={endpoint}",
        StreamOptions(**options),
        call_timeout_s=call_timeout_s,
        backoff=Backoff(0.001, 0.002),
    )


def parts_of_stream(records: Iterable[Any]) -> dict[str, list[WriteSet]]:
    """Return the complete parts in the order in which a reader has them, by partition key; each once."""
    assemblers: dict[str, Assembler] = defaultdict(Assembler)
    found: dict[str, dict[str, WriteSet]] = defaultdict(dict)
    for record in records:
        part = assemblers[record.shard].take(record.data, record.sequence)
        if part is not None:
            found[record.key].setdefault(part.batch_id, part)
    return {key: list(parts.values()) for key, parts in found.items()}


def trade_ids(parts: dict[str, list[WriteSet]], symbol: str) -> list[str]:
    """Return the trades of a market in the order in which they are read."""
    tables = [rows for part in parts[f"bybit:{symbol}"] for rows in part.rows if rows.table == "trades"]
    return [str(one) for rows in tables for one in rows.columns["trade_id"]]


def expected_ids(symbol: str, numbers: Iterable[int], rows: int = 4) -> list[str]:
    """Return the trades of a market that the write sets of these numbers have."""
    return [f"{symbol}-{one}" for number in numbers for one in range(number * rows, number * rows + rows)]
