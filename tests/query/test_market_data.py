"""Trades, bars and levels, and what is stored at all."""

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector import load_levels, load_ohlcv, load_trades, symbols
from collector.database.market_tables import LEVEL_COLUMNS
from collector.errors import QueryError

sys.path.insert(0, str(Path(__file__).parent))
from stored import (
    FIRST_SEGMENT,
    START_NS,
    STEP_NS,
    SYMBOL,
    Facts,
    Row,
    Stored,
    cover,
    histories,
    insert,
    iso,
    state_at,
)

MINUTE_NS = 60_000_000_000
FEW = settings(
    max_examples=settings().max_examples // 5, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def common(at_ns: list[int], segments: list[int]) -> dict[str, list[Any]]:
    return {
        "timestamp": [iso(one) for one in at_ns],
        "exchange": ["bybit"] * len(at_ns),
        "symbol": [SYMBOL] * len(at_ns),
        "received_at_ns": at_ns,
        "segment_id": segments,
        "data_source": ["simulator"] * len(at_ns),
    }


def write_trades(url: str, history: Stored, kind: str = "trade") -> None:
    rows = history.rows
    columns = {
        "kind": [kind] * len(rows),
        "trade_id": [str(place) for place in range(len(rows))],
        "price": [row.mid for row in rows],
        "size": [1.5] * len(rows),
        "side": ["buy" if row.mid % 2 else "sell" for row in rows],
        "marked": ["ADL" if row.mid % 5 == 0 else None for row in rows],
        "exchange_timestamp": [row.at_ns // 1_000_000 for row in rows],
    }
    insert(url, "trades", {**common([row.at_ns for row in rows], [row.segment for row in rows]), **columns})


@FEW
@given(history=histories(), cut=st.tuples(st.integers(0, 20), st.integers(0, 20)))
def test_trades_equal_the_oracle(
    any_stored: str, emptied: Any, history: Stored, cut: tuple[int, int]
) -> None:
    write_trades(emptied(any_stored), history)
    start, end = START_NS + cut[0] * STEP_NS, START_NS + (cut[0] + cut[1]) * STEP_NS
    frame = load_trades(any_stored, SYMBOL, start=start, end=end)
    places = [place for place, row in enumerate(history.rows) if start <= row.at_ns < end]
    rows = [history.rows[place] for place in places]
    assert frame.index.as_unit("ns").asi8.tolist() == [row.at_ns for row in rows]
    assert frame["trade_id"].tolist() == [str(place) for place in places]
    assert frame["price"].tolist() == [row.mid for row in rows]
    assert frame["side"].tolist() == ["buy" if row.mid % 2 else "sell" for row in rows]
    assert frame["marked"].notna().tolist() == [row.mid % 5 == 0 for row in rows]
    assert frame["segment"].tolist() == [row.segment for row in rows]
    parts = load_trades(any_stored, SYMBOL, start=start, end=end, on_gap="split")
    assert [len(part) for part in parts] == [
        sum(row.segment == one for row in rows) for one in dict.fromkeys(row.segment for row in rows)
    ]


def test_two_series_of_trade_ids_are_not_mixed(stored_file: str) -> None:
    history = Stored([Row(START_NS, FIRST_SEGMENT, 1.0)])
    write_trades(stored_file, history)
    write_trades(stored_file, history, "agg")
    with pytest.raises(QueryError, match="more than one kind: 'agg', 'trade'"):
        load_trades(stored_file, SYMBOL)
    assert len(load_trades(stored_file, SYMBOL, kind="agg")) == 1


def test_any_column_of_trades_can_be_asked_for(stored_file: str) -> None:
    write_trades(stored_file, Stored([Row(START_NS, FIRST_SEGMENT, 1.0)], {FIRST_SEGMENT: START_NS}))
    frame = load_trades(stored_file, SYMBOL, columns=["kind", "received_at_ns", "price"])
    assert list(frame.columns) == ["kind", "received_at_ns", "price", "segment"]
    assert frame.iloc[0].tolist() == ["trade", START_NS, 1.0, FIRST_SEGMENT]


def write_bars(url: str, count: int, interval: str = "1m", *, last_is_open: bool = False) -> None:
    opened = [START_NS + place * MINUTE_NS for place in range(count)]
    columns = {
        "interval": [interval] * count,
        "open_time": [at_ns // 1_000_000 for at_ns in opened],
        **{
            name: [float(place) for place in range(count)]
            for name in ("open", "high", "low", "close", "volume")
        },
        "count": [None] * count,
        "confirmed": [1] * (count - last_is_open) + [0] * last_is_open,
        "exchange_timestamp": [(at_ns + MINUTE_NS) // 1_000_000 for at_ns in opened],
    }
    insert(url, "ohlcv", {**common([at_ns + MINUTE_NS + 7 for at_ns in opened], [1] * count), **columns})


def test_bars_are_known_when_they_were_received(any_stored: str) -> None:
    write_bars(any_stored, 5, last_is_open=True)
    known = load_ohlcv(any_stored, SYMBOL, end=START_NS + 3 * MINUTE_NS)
    assert known["close"].tolist() == [0.0, 1.0]
    assert (known.index >= known["open_time"] + pd.Timedelta(MINUTE_NS, unit="ns")).all()
    assert known["open_time"].tolist() == [
        pd.Timestamp(START_NS // 1_000_000, unit="ms", tz="UTC") + pd.Timedelta(f"{minute}min")
        for minute in range(2)
    ]
    chart = load_ohlcv(
        any_stored, SYMBOL, index="open_time", start=START_NS + MINUTE_NS, end=START_NS + 3 * MINUTE_NS
    )
    assert chart["close"].tolist() == [1.0, 2.0]
    assert chart.index.as_unit("ns").asi8.tolist() == [START_NS + MINUTE_NS, START_NS + 2 * MINUTE_NS]
    everything = load_ohlcv(any_stored, SYMBOL, unconfirmed=True)
    assert everything["confirmed"].tolist() == [1, 1, 1, 1, 0]
    assert everything["count"].isna().all()
    write_bars(any_stored, 2, "5m")
    with pytest.raises(QueryError, match="more than one interval: '1m', '5m'"):
        load_ohlcv(any_stored, SYMBOL)
    assert len(load_ohlcv(any_stored, SYMBOL, interval="5m")) == 2


@FEW
@given(history=histories())
def test_levels_equal_the_oracle(stored_file: str, emptied: Any, history: Stored) -> None:
    rows = history.rows
    columns = {
        "depth": [50] * len(rows),
        "sequence": list(range(len(rows))),
        **{name: [row.mid + place for row in rows] for place, name in enumerate(LEVEL_COLUMNS)},
        "ofi_3": [row.ofi for row in rows],
    }
    insert(
        emptied(stored_file),
        "levels",
        {**common([row.at_ns for row in rows], [row.segment for row in rows]), **columns},
    )
    cover(stored_file, history, "book.50", Facts())
    frame = load_levels(stored_file, SYMBOL)
    assert frame["bid_price_1"].tolist() == [row.mid for row in rows]
    assert frame["ask_size_10"].tolist() == [row.mid + 39 for row in rows]
    states = load_levels(stored_file, SYMBOL, every="1ms", columns=["bid_price_2", "ofi_3"])
    for at_ns, found in zip(states.index.as_unit("ns").asi8.tolist(), states.to_dict("records"), strict=True):
        state = state_at(history, at_ns)
        if state is None or not state.is_covered:
            assert pd.isna(found["bid_price_2"])
        else:
            assert (found["bid_price_2"], found["ofi_3"], found["segment"]) == (
                state.mid + 1,
                state.flow,
                state.segment,
            )


def test_what_is_stored_is_listed(any_stored: str) -> None:
    assert symbols(any_stored).empty
    write_trades(any_stored, Stored([Row(START_NS, 1, 1.0), Row(START_NS + 5 * STEP_NS, 1, 2.0)]))
    (row,) = symbols(any_stored).to_dict("records")
    assert (row["table"], row["exchange"], row["symbol"]) == ("trades", "bybit", SYMBOL)
    assert (row["last"] - row["first"]).value == 5 * STEP_NS


def test_a_database_of_an_older_version_is_told_so(stored_file: str) -> None:
    engine = sa.create_engine(f"sqlite:///{stored_file}")
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE collector_trades")
    engine.dispose()
    with pytest.raises(QueryError, match=r"no table collector_trades.*migrate up"):
        load_trades(stored_file, SYMBOL)


def test_what_is_listed_stands_in_the_order_of_the_tables(stored_file: str) -> None:
    history = Stored([Row(START_NS, 1, 1.0)])
    write_trades(stored_file, history)
    bars = common([START_NS], [1]) | {
        "interval": ["1m"],
        "open_time": [START_NS // MINUTE_NS * 60_000],
        **{name: [1.0] for name in ("open", "high", "low", "close", "volume")},
        "confirmed": [True],
    }
    insert(stored_file, "ohlcv", bars)
    assert list(symbols(stored_file)["table"]) == ["trades", "ohlcv"]
