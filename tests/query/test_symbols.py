"""What is stored is listed as a loader is asked for it, exactly, and without reading big tables."""

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from collector import load_features, load_levels, load_ohlcv, load_trades, symbols
from collector.query.stored_groups import Groups

sys.path.insert(0, str(Path(__file__).parent))
from stored import START_NS, STEP_NS, Facts, Row, Stored, cover, insert, iso, write

LOADERS: dict[str, Any] = {
    "features": load_features,
    "levels": load_levels,
    "trades": load_trades,
    "ohlcv": load_ohlcv,
}
NAMES = {"features": "depth", "levels": "depth", "trades": "kind", "ohlcv": "interval"}


def history(rows: int, segment: int, begin_ns: int = START_NS) -> Stored:
    found = [Row(begin_ns + place * STEP_NS, segment, 1.0 + place) for place in range(rows)]
    return Stored(found, {segment: found[-1].at_ns})


def common(stored: Stored, facts: Facts) -> dict[str, list[Any]]:
    return {
        "timestamp": [iso(row.at_ns) for row in stored.rows],
        "received_at_ns": [row.at_ns for row in stored.rows],
        "segment_id": [row.segment for row in stored.rows],
        **{name: [value] * len(stored.rows) for name, value in (("symbol", facts.symbol),)},
        "exchange": [facts.exchange] * len(stored.rows),
        "data_source": [facts.source] * len(stored.rows),
    }


def put_trades(url: str, stored: Stored, facts: Facts, kind: str = "trade") -> None:
    places = range(len(stored.rows))
    more: dict[str, list[Any]] = {
        "kind": [kind for _ in places],
        "trade_id": [f"{stored.rows[place].segment} {place}" for place in places],
        "price": [1.0 for _ in places],
        "size": [1.0 for _ in places],
    }
    insert(url, "trades", common(stored, facts) | more)
    cover(url, stored, "trade", facts)


def put_bars(url: str, stored: Stored, facts: Facts, interval: str) -> None:
    places = range(len(stored.rows))
    more: dict[str, list[Any]] = {
        "interval": [interval for _ in places],
        "open_time": [START_NS // 10**6 + place for place in places],
        **{name: [1.0 for _ in places] for name in ("open", "high", "low", "close", "volume")},
        "confirmed": [1 for _ in places],
    }
    insert(url, "ohlcv", common(stored, facts) | more)
    cover(url, stored, f"ohlcv.{interval}", facts)


def fill_many(any_stored: str) -> str:
    """Write three books of two markets, with a hole in one, two kinds of trades, two intervals."""
    write(any_stored, history(7, 1))
    write(any_stored, history(5, 2, START_NS + 20 * STEP_NS))
    write(any_stored, history(3, 3), Facts(depth=200))
    write(any_stored, history(4, 4), Facts(depth=1, exchange="binance", symbol="BTC/USDT"))
    deep = history(7, 1)
    insert(any_stored, "levels", common(deep, Facts()) | {"depth": [50] * 7, "bid_price_1": [1.0] * 7})
    put_trades(any_stored, history(6, 5), Facts())
    put_trades(any_stored, history(2, 6), Facts(exchange="binance", symbol="BTC/USDT"), "agg")
    put_trades(any_stored, history(3, 7), Facts(exchange="binance", symbol="BTC/USDT"))
    put_bars(any_stored, history(2, 8), Facts(), "1m")
    put_bars(any_stored, history(1, 9), Facts(), "5m")
    return any_stored


@pytest.fixture
def many(stored_file: str) -> str:
    return fill_many(stored_file)


def test_each_thing_that_can_be_loaded_is_a_row(any_stored: str) -> None:
    found = symbols(fill_many(any_stored))
    told = [
        tuple(row[name] for name in ("table", "exchange", NAMES[row["table"]], "channel", "rows"))
        for row in found.to_dict("records")
    ]
    assert told == [
        ("features", "binance", 1, "book.1", 4),
        ("features", "bybit", 50, "book.50", 12),
        ("features", "bybit", 200, "book.200", 3),
        ("levels", "bybit", 50, "book.50", 7),
        ("trades", "binance", "agg", "trade", 2),
        ("trades", "binance", "trade", "trade", 3),
        ("trades", "bybit", "trade", "trade", 6),
        ("ohlcv", "bybit", "1m", "ohlcv.1m", 2),
        ("ohlcv", "bybit", "5m", "ohlcv.5m", 1),
    ]
    assert set(found["data_source"]) == {"simulator"}
    assert [str(found[name].dtype) for name in ("depth", "rows", "first", "covered")] == [
        *("Int64", "int64", "datetime64[ns, UTC]", "float64"),
    ]
    assert [value for value in found["kind"] if value is None] == [None] * 6


def test_a_row_says_what_a_loader_is_asked_for(many: str) -> None:
    for row in symbols(many).to_dict("records"):
        name = NAMES[row["table"]]
        asked = {key: row[key] for key in ("symbol", "exchange", "data_source", name)}
        frame = LOADERS[row["table"]](many, **asked)
        assert len(frame) == row["rows"]
        assert (frame.index[0], frame.index[-1]) == (row["first"], row["last"])


def test_the_share_that_is_covered_is_told(many: str) -> None:
    found = symbols(many).set_index(["table", "depth"])["covered"].to_dict()
    assert found["features", 200] == 1.0
    assert found["features", 50] == pytest.approx((6 + 4) / 24)


def test_rows_are_counted_by_indexes_where_coverage_tells_of_all(
    stored_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("every row was read")

    monkeypatch.setattr(Groups, "_by_reading", refuse)
    write(stored_file, history(7, 1))
    write(stored_file, history(3, 3), Facts(depth=200))
    put_trades(stored_file, history(6, 5), Facts())
    assert symbols(stored_file)["rows"].tolist() == [7, 3, 6]


def test_rows_that_coverage_does_not_tell_of_are_counted(stored_file: str) -> None:
    write(stored_file, history(7, 1))
    write(stored_file, Stored([Row(START_NS + place, None, 1.0) for place in range(5)]), Facts(source="bot"))
    found = symbols(stored_file)
    assert found[["data_source", "rows"]].to_numpy().tolist() == [["bot", 5], ["simulator", 7]]
    assert found["first"].tolist() == [pd.Timestamp(START_NS, tz="UTC")] * 2
