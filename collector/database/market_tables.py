"""Define the tables of trades, bars and deep levels."""

import sqlalchemy as sa

# The names that SQLite shows in its schema; PostgreSQL's REAL and INTEGER would be too narrow. They are not
# of PostgreSQL's own types: to import those takes 2 MB.
TEXT = sa.TEXT()
REAL: sa.types.TypeEngine[float] = sa.REAL().with_variant(sa.DOUBLE_PRECISION(), "postgresql")
INTEGER = sa.INTEGER().with_variant(sa.BIGINT(), "postgresql")
MOMENT = sa.DATETIME().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")


STORED_LEVELS = 10  # a side, in the table of levels
LEVEL_COLUMNS = tuple(  # bid_price_1 .. bid_price_10, bid_size_1 .. , ask_price_1 .. , ask_size_1 ..
    f"{side}_{what}_{level}"
    for side in ("bid", "ask")
    for what in ("price", "size")
    for level in range(1, STORED_LEVELS + 1)
)
BAR = ("exchange", "symbol", "interval", "open_time")  # what tells one bar from another
BAR_NUMBERS = ("open", "high", "low", "close", "volume", "vwap", "count")  # what is said of it


def trades(metadata: sa.MetaData) -> sa.Table:
    """Define the table of trades."""
    return sa.Table(
        "collector_trades",
        metadata,
        sa.Column("id", INTEGER, sa.Identity(), primary_key=True),
        sa.Column("timestamp", TEXT, nullable=False),
        sa.Column("exchange", TEXT, nullable=False),
        sa.Column("symbol", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("trade_id", TEXT, nullable=False),
        sa.Column("price", REAL, nullable=False),
        sa.Column("size", REAL, nullable=False),
        sa.Column("side", TEXT),
        sa.Column("marked", TEXT),
        sa.Column("exchange_timestamp", INTEGER),
        sa.Column("received_at_ns", INTEGER),
        sa.Column("segment_id", INTEGER),
        sa.Column("data_source", TEXT),
        sa.Column("created_at", MOMENT, server_default=sa.func.current_timestamp()),
        sa.Column("origin", TEXT),
        sa.Column("first_trade_id", INTEGER),  # of the single trades in an aggregate
        sa.Column("last_trade_id", INTEGER),
        sa.Index("ux_collector_trades", "exchange", "symbol", "kind", "trade_id", unique=True),
        sa.Index("ix_collector_trades_symbol_exchange_timestamp", "symbol", "exchange", "timestamp"),
        sqlite_autoincrement=True,
    )


def ohlcv(metadata: sa.MetaData) -> sa.Table:
    """Define the table of bars."""
    return sa.Table(
        "collector_ohlcv",
        metadata,
        *_bar_columns(),
        sa.Index("ux_collector_ohlcv", *BAR, unique=True),
        sa.Index("ix_collector_ohlcv_symbol", "symbol", "exchange", "interval", "open_time"),
        sqlite_autoincrement=True,
    )


def ohlcv_corrections(metadata: sa.MetaData) -> sa.Table:
    """Define the table of confirmed bars that differ from an earlier confirmation."""
    return sa.Table(
        "collector_ohlcv_corrections",
        metadata,
        *_bar_columns(),
        # One receipt and one set of values: the same correction told again is no other.
        sa.Index("ux_collector_ohlcv_corrections", *BAR, "received_at_ns", *BAR_NUMBERS, unique=True),
        sa.Index("ix_collector_ohlcv_corrections_symbol", "symbol", "exchange", "interval", "open_time"),
        sqlite_autoincrement=True,
    )


def _bar_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("id", INTEGER, sa.Identity(), primary_key=True),
        sa.Column("timestamp", TEXT, nullable=False),
        sa.Column("exchange", TEXT, nullable=False),
        sa.Column("symbol", TEXT, nullable=False),
        sa.Column("interval", TEXT, nullable=False),
        sa.Column("open_time", INTEGER, nullable=False),
        sa.Column("open", REAL, nullable=False),
        sa.Column("high", REAL, nullable=False),
        sa.Column("low", REAL, nullable=False),
        sa.Column("close", REAL, nullable=False),
        sa.Column("volume", REAL, nullable=False),
        sa.Column("vwap", REAL),
        sa.Column("count", INTEGER),
        sa.Column("confirmed", INTEGER, nullable=False),
        sa.Column("exchange_timestamp", INTEGER),
        sa.Column("received_at_ns", INTEGER),
        sa.Column("segment_id", INTEGER),
        sa.Column("data_source", TEXT),
        sa.Column("created_at", MOMENT, server_default=sa.func.current_timestamp()),
        sa.Column("origin", TEXT),
    ]


def levels(metadata: sa.MetaData) -> sa.Table:
    """Define the table of the best levels and the features computed from them."""
    return sa.Table(
        "collector_l2_levels",
        metadata,
        sa.Column("id", INTEGER, sa.Identity(), primary_key=True),
        sa.Column("timestamp", TEXT, nullable=False),
        sa.Column("exchange", TEXT, nullable=False),
        sa.Column("symbol", TEXT, nullable=False),
        sa.Column("depth", INTEGER),
        sa.Column("sequence", INTEGER),
        sa.Column("received_at_ns", INTEGER),
        sa.Column("segment_id", INTEGER),
        sa.Column("data_source", TEXT),
        sa.Column("created_at", MOMENT, server_default=sa.func.current_timestamp()),
        *(sa.Column(name, REAL) for name in LEVEL_COLUMNS),
        sa.Column("imbalance_5", REAL),
        sa.Column("imbalance_10", REAL),
        *(sa.Column(f"ofi_{level}", REAL) for level in range(1, STORED_LEVELS + 1)),
        sa.Index("ix_collector_l2_levels_symbol_exchange_timestamp", "symbol", "exchange", "timestamp"),
        sqlite_autoincrement=True,
    )
