"""A name is taken as it is meant, where one thing can be meant, and else the choices are told."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog

from collector import coverage, gaps, iter_features, load_features, load_levels, load_ohlcv, load_trades
from collector.errors import DatabaseAway, QueryError
from collector.query import Tail, chosen
from collector.query import Wanted as Looked
from collector.query.names import in_order, market_named, symbol_named, value_named

sys.path.insert(0, str(Path(__file__).parent))
from stored import START_NS, STEP_NS, SYMBOL, Facts, Row, Stored, cover, insert, iso, write

MARKETS = {
    ("bybit", "BTC/USDT:USDT"),
    ("bybit", "BTC/USDT"),
    ("binance", "BTC/USDT"),
    ("kraken", "BTC/USD"),
    ("okx", "ETH/USDT:USDT"),
}


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """Return what is written to the log."""
    chosen.tell_once.cache_clear()
    with structlog.testing.capture_logs() as found:
        yield found


@pytest.mark.parametrize(
    ("symbol", "exchange", "meant"),
    [
        ("btc/usdt:usdt", None, ("bybit", "BTC/USDT:USDT")),
        ("BTCUSD", None, ("kraken", "BTC/USD")),
        ("xbt/usd", None, ("kraken", "BTC/USD")),
        ("BTCUSDT", "binance", ("binance", "BTC/USDT")),
        ("BTC/USDT", "Binance", ("binance", "BTC/USDT")),
        ("ETH-USDT-SWAP", None, ("okx", "ETH/USDT:USDT")),
        (" ETHUSDT ", None, ("okx", "ETH/USDT:USDT")),
    ],
)
def test_a_market_is_found_as_it_is_meant(symbol: str, exchange: str | None, meant: tuple[str, str]) -> None:
    assert market_named(MARKETS, symbol, exchange, "here") == meant


@pytest.mark.parametrize(
    ("symbol", "exchange", "words"),
    [
        (
            "BTC/UDS",
            None,
            "nothing is stored for 'BTC/UDS' in here; did you mean BTC/USD?; symbols here: BTC/USD,",
        ),
        ("BTCUSDT", None, "'BTCUSDT' may mean BTC/USDT or BTC/USDT:USDT; say which"),
        ("BTC/USD", "krakn", "'BTC/USD' of 'krakn'; did you mean kraken?; its exchanges here: kraken"),
        ("BTC/USDT", None, "more than one exchange: binance, bybit; say which: exchange=..."),
        (
            ["BTC/USD"],
            None,
            r"symbol is ['BTC/USD']; expected one name, such as BTC/USDT:USDT; load several one",
        ),
        (None, None, "symbol is None; expected one name"),
        ("BTC/USD", 5, "exchange is 5; expected one name, such as bybit"),
    ],
)
def test_what_may_not_be_meant_is_told_with_what_may(symbol: Any, exchange: Any, words: str) -> None:
    with pytest.raises(QueryError) as caught:
        market_named(MARKETS, symbol, exchange, "here")
    assert words in str(caught.value)


def test_values_are_told_in_the_order_of_their_size() -> None:
    assert in_order([200, None, 1, 50]) == [1, 50, 200, None]
    with pytest.raises(QueryError, match="for it with depth 10; here: 1, 50, 200"):
        value_named("depth", 10, [1, 50, 200], "it")
    assert value_named("kind", "AGG", ["agg", "trade"], "it") == "agg"
    for wrong in (50.0, True, "50"):
        with pytest.raises(QueryError, match="nothing is stored"):
            value_named("depth", wrong, [1, 50], "it")
    with pytest.raises(QueryError, match="symbols here: none"):
        symbol_named([], "BTC/USD", "here")


def fill(url: str) -> str:
    """Write three books of one market, the deepest of them later, and some trades and bars."""
    for segment, (depth, begin) in enumerate(((1, 0), (50, 0), (200, 10)), start=1):
        rows = [
            Row(START_NS + (begin + place) * STEP_NS, segment, float(depth)) for place in range(depth % 7 + 3)
        ]
        write(url, Stored(rows, {segment: rows[-1].at_ns}), Facts(depth=depth))
    at_ns = [START_NS + place for place in range(3)]
    shared: dict[str, list[Any]] = {
        "timestamp": [iso(one) for one in at_ns],
        "received_at_ns": list(at_ns),
        "segment_id": [9] * 3,
        "symbol": [SYMBOL] * 3,
        "exchange": ["bybit"] * 3,
        "data_source": ["simulator"] * 3,
    }
    prices = {name: [1.0] * 3 for name in ("open", "high", "low", "close", "volume")}
    bars = {"interval": ["1m"] * 3, "open_time": [1, 2, 3], "confirmed": [1] * 3, **prices}
    insert(url, "ohlcv", shared | bars)
    trades = {"kind": ["trade"] * 3, "trade_id": ["1", "2", "3"], "price": [1.0] * 3, "size": [1.0] * 3}
    insert(url, "trades", shared | trades)
    insert(url, "levels", shared | {"depth": [50] * 3, "segment_id": [2] * 3, "bid_price_1": [1.0] * 3})
    kept = Stored([Row(one, 9, 1.0) for one in at_ns], {9: at_ns[-1]})
    cover(url, kept, "trade", Facts())
    return url


@pytest.fixture
def books(stored_file: str) -> str:
    return fill(stored_file)


def test_the_deepest_book_is_taken_and_said(any_stored: str, lines: list[dict[str, Any]]) -> None:
    books = fill(any_stored)
    for _ in range(2):
        frame = load_features(books, "btcusdt")
        assert set(frame["mid_price"]) == {200.0}
    assert frame.attrs["depth"] == 200
    assert frame.attrs["symbol"] == SYMBOL
    (line,) = lines
    assert line["event"] == "read.deepest_book"
    assert (line["depth"], line["others"], line["symbol"]) == (200, "1, 50", SYMBOL)
    assert load_features(books, SYMBOL, depth=50).attrs["depth"] == 50
    assert load_features(books, SYMBOL, every="1ms").attrs["depth"] == 200
    assert next(iter_features(books, SYMBOL)).attrs["depth"] == 200
    assert len(lines) == 1


def test_the_deepest_book_is_that_of_the_span(books: str, lines: list[dict[str, Any]]) -> None:
    early = load_features(books, SYMBOL, end=START_NS + 5 * STEP_NS)
    assert early.attrs["depth"] == 50
    assert [(line["depth"], line["others"]) for line in lines] == [(50, "1")]


def test_levels_are_of_the_deepest_book_that_has_them(books: str) -> None:
    assert load_levels(books, SYMBOL).attrs["depth"] == 50


@pytest.mark.parametrize(
    ("load", "asked", "words"),
    [
        (load_features, {"depth": 10}, "with depth 10; here: 1, 50, 200"),
        (load_features, {"depth": [50, 77]}, "with depth 77"),
        (load_features, {"depth": "50"}, "with depth '50'; did you mean 50?"),
        (load_features, {"depth": []}, "depth is empty"),
        (
            load_features,
            {"data_source": "simulater"},
            "'simulater'; did you mean simulator?; here: simulator",
        ),
        (load_levels, {"depth": 200}, "with depth 200; here: 50"),
        (load_trades, {"kind": "trades"}, "with kind 'trades'; did you mean trade?; here: trade"),
        (load_trades, {"data_source": ["demo"]}, "with data_source 'demo'; here: simulator"),
        (load_ohlcv, {"interval": "5m"}, "with interval '5m'; here: 1m"),
        (load_ohlcv, {"interval": "1min"}, "with interval '1min'; did you mean 1m?"),
    ],
)
def test_a_filter_that_nothing_matches_is_refused_with_what_is_there(
    books: str, load: Any, asked: dict[str, Any], words: str
) -> None:
    with pytest.raises(QueryError) as caught:
        load(books, SYMBOL, **asked)
    assert f"nothing is stored for '{SYMBOL}' of 'bybit' " in f"{caught.value} " or "empty" in words
    assert words in str(caught.value)


def test_holes_and_coverage_are_asked_for_by_the_names_of_the_loaders(books: str) -> None:
    later = Stored([Row(START_NS + 10**10, 11, 1.0)], {11: START_NS + 10**10})
    cover(books, later, "book.50", Facts())
    asked: dict[str, Any]
    for asked in ({}, {"exchange": "BYBIT"}, {"channel": "Book.50"}):
        assert len(gaps(books, "btcusdt", **asked)) == 1
    assert set(coverage(books, "BTCUSDT", channel="trade")["channel"]) == {"trade"}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"symbol": "BTC/UDST"}, "nothing is stored for 'BTC/UDST' in collector_coverage; did you mean"),
        ({"symbol": SYMBOL, "exchange": "bybt"}, "did you mean bybit?; its exchanges here: bybit"),
        ({"exchange": "bybt"}, "nothing is stored of 'bybt' in collector_coverage; did you mean bybit?"),
        (
            {"symbol": SYMBOL, "channel": "book.51"},
            "here: book.1, book.50, book.200, trade",
        ),
        ({"symbol": [SYMBOL]}, "expected one name"),
    ]
    for given, words in wrong:
        for ask in (gaps, coverage):
            with pytest.raises(QueryError) as caught:
                ask(books, **given)
            assert words in str(caught.value)


def test_the_newest_rows_are_asked_for_by_the_same_names(books: str) -> None:
    for table, count in (("book", 4 + 4 + 7), ("trades", 3), ("events", 0)):
        reader = Tail(books, Looked(table, "ByBit", "BTCUSDT"), last=100)
        assert len(list(reader.more())) == count
        assert list(reader.more()) == []
        reader.close()
        unknown = Tail(books, Looked(table, None, "BTC/USD"))
        with pytest.raises(QueryError, match=f"nothing is stored for 'BTC/USD' in .*; did you mean {SYMBOL}"):
            list(unknown.more())
        unknown.close()
    with pytest.raises(QueryError, match="last is 1000000; expected at most 100,000"):
        Tail(books, Looked("book"), last=10**6)


def test_one_column_may_stand_by_itself(books: str) -> None:
    frame = load_features(books, SYMBOL, columns="mid_price")
    assert list(frame.columns) == ["mid_price", "segment"]


@pytest.mark.parametrize(
    ("load", "columns", "words"),
    [
        (load_features, "midprice", "no column midprice; did you mean mid_price?; it has id, timestamp"),
        (load_features, ["mid_price", "ofi_2"], "no column ofi_2; load_levels has it; it has"),
        (load_levels, ["mid_price"], "no column mid_price; load_features has it"),
        (load_trades, ["prize"], "did you mean price?"),
        (load_ohlcv, ["opne"], "did you mean open?"),
    ],
)
def test_a_column_that_is_not_there_is_told_with_the_one_that_was_meant(
    books: str, load: Any, columns: Any, words: str
) -> None:
    with pytest.raises(QueryError) as caught:
        load(books, SYMBOL, columns=columns)
    assert words in str(caught.value)


def test_what_is_no_database_and_no_name_is_refused_in_words(books: str) -> None:
    wrong: Any
    with closing(sqlite3.connect(books)) as connection:
        for wrong in (connection, None, 5, ["live.db"]):
            with pytest.raises(QueryError, match=r"db is .*; expected the path of an SQLite file, a URL"):
                load_features(wrong, SYMBOL)
    for wrong in (None, ["BTC/USDT:USDT", "ETH/USDT:USDT"], 5):
        for load in (load_features, load_levels, load_trades, load_ohlcv):
            with pytest.raises(QueryError, match=r"symbol is .*; expected one name, such as BTC/USDT:USDT"):
                load(books, wrong)


def test_where_no_levels_are_stored_it_is_said_how_they_would_be(stored_file: str) -> None:
    write(stored_file, Stored([Row(START_NS, 1 << 62, 1.0)], {1 << 62: START_NS}))
    with pytest.raises(QueryError, match=r"here: none \(levels are stored with storage.features: deep"):
        load_levels(stored_file, SYMBOL)


def test_a_server_that_is_not_there_is_told_in_words() -> None:
    with pytest.raises(DatabaseAway, match=r"me:\*\*\*@127.0.0.1:1/live cannot be read now: con") as told:
        load_features("postgresql://me:secret@127.0.0.1:1/live", SYMBOL)
    assert "refused" in str(told.value)
    assert "secret" not in str(told.value)


def test_numbers_and_words_are_taken_as_they_are_meant(books: str) -> None:
    assert len(load_features(books, SYMBOL, depth=np.int64(50))) == 4
    assert len(load_features(books, SYMBOL, depth=(1, 50))) == 8
    assert len(load_features(books, SYMBOL, depth="*")) == 8 + 7
    assert len(load_trades(books, SYMBOL, exchange="ByBit", kind="TRADE")) == 3
    assert len(load_ohlcv(books, SYMBOL, interval="1M".lower())) == 3


def test_a_question_without_an_answer_is_told_what_there_is(books: str, lines: list[dict[str, Any]]) -> None:
    later = {"start": START_NS + 10**12, "end": START_NS + 2 * 10**12}
    assert load_features(books, SYMBOL, depth=50, **later).empty
    assert load_features(books, SYMBOL, depth=50, every="1s", **later).empty  # the same line
    assert load_trades(books, SYMBOL, on_gap="split", **later) == []
    assert load_ohlcv(books, SYMBOL, **later).empty
    assert list(iter_features(books, SYMBOL, **later, depth=1)) == []
    assert [line["event"] for line in lines] == ["read.no_rows"] * 4
    assert lines[0]["asked"] == "depth=50, start=2023-11-14T22:30:00+00:00, end=2023-11-14T22:46:40+00:00"
    assert lines[0]["stored"].startswith(
        "book.1 from 2023-11-14T22:13:20+00:00 to 2023-11-14T22:13:20.003000+"
    )
    assert "; book.50 from" in lines[0]["stored"]
