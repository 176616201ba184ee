"""Read what a collector stored, by plain SQL: none of the collector's own reading has a part in it."""

from collections import defaultdict
from dataclasses import dataclass, field

import sqlalchemy as sa
from send_truth import Key, Stream

BOOKS = """
SELECT exchange, symbol, depth, sequence, exchange_timestamp, received_at_ns, segment_id
FROM l2_training_data_practical ORDER BY id
"""
TRADES = "SELECT exchange, symbol, trade_id, received_at_ns, segment_id FROM collector_trades"
BARS = 'SELECT exchange, symbol, "interval", open_time, received_at_ns, segment_id FROM collector_ohlcv'
SEGMENTS = """
SELECT segment_id, exchange, symbol, channel, start_ns, end_ns, alive_until_ns, verification, end_cause,
    detail
FROM collector_coverage ORDER BY start_ns, segment_id
"""
ACCOUNTS = """
SELECT exchange, symbol, channel, received + carried_in
    - written - merged - sampled_out - rejected - dropped - pending AS difference, rejected_reasons
FROM collector_accounting
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One stored update."""

    key: Key
    received_at_ns: int
    segment_id: int | None


@dataclass(slots=True)
class Segment:
    """One stretch that the collector says it saw whole."""

    segment_id: int
    start_ns: int
    end_ns: int
    alive_until_ns: int
    verification: str
    end_cause: str | None
    detail: str = ""


@dataclass
class Stored:
    """Rows and segments of each stream, and by how much each account is off."""

    rows: dict[Stream, list[Row]] = field(default_factory=lambda: defaultdict(list))
    segments: dict[Stream, list[Segment]] = field(default_factory=lambda: defaultdict(list))
    differences: dict[Stream, int] = field(default_factory=dict)


def read_stored(url: str) -> Stored:
    """Read a whole database."""
    stored = Stored()
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        for row in connection.execute(sa.text(BOOKS)).mappings():
            channel = "bbo" if row["depth"] == 1 else f"book.{row['depth']}"
            key = row["exchange_timestamp"] if row["sequence"] is None else row["sequence"]
            found = Row(key, row["received_at_ns"], row["segment_id"])
            stored.rows[row["exchange"], row["symbol"], channel].append(found)
        for row in connection.execute(sa.text(TRADES)).mappings():
            found = Row(row["trade_id"], row["received_at_ns"], row["segment_id"])
            stored.rows[row["exchange"], row["symbol"], "trade"].append(found)
        for row in connection.execute(sa.text(BARS)).mappings():
            found = Row(row["open_time"], row["received_at_ns"], row["segment_id"])
            stored.rows[row["exchange"], row["symbol"], f"ohlcv.{row['interval']}"].append(found)
        for row in connection.execute(sa.text(SEGMENTS)).mappings():
            fields = dict(row)
            stream = tuple(fields.pop(name) for name in ("exchange", "symbol", "channel"))
            if fields["verification"] != "rest" and fields["end_cause"] != "filled":
                fields["alive_until_ns"] = fields["alive_until_ns"] or fields["end_ns"]
                fields["detail"] = fields["detail"] or ""
                stored.segments[stream].append(Segment(**fields))
        for row in connection.execute(sa.text(ACCOUNTS)).mappings():
            stored.differences[row["exchange"], row["symbol"], row["channel"]] = row["difference"]
    return stored
