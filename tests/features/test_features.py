"""Features equal a slow scalar implementation, bit for bit."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.database.tables import ROW_COLUMNS, make_tables
from collector.events.batch import StreamKey
from collector.events.settled import Columns
from collector.features.practical import Book, quality
from collector.features.rows import BookRows
from collector.features.stream_facts import StreamFacts

sys.path.insert(0, str(Path(__file__).parent))
from books import BOOKS, LEVELS_A_ROW, Case, batch, opened, top
from oracle import Levels, Update, deep, features, same

KEYS = [StreamKey("bybit", symbol, "book.50") for symbol in ("BTC/USDT", "ETH/USDT")]
SECOND_NS = 1_000_000_000
LEVEL_COLUMNS = {column.name for column in make_tables("hot").levels.columns} - {"id", "created_at"}


def rows() -> BookRows:
    return BookRows(lambda number: StreamFacts(KEYS[number], 50, "simulator"), LEVELS_A_ROW, "deep")


def settled(cases: list[Case]) -> tuple[Columns, Columns]:
    """Settle one update of each book, each in a segment of its own."""
    updates = [Update(place + 1, 0, place, *case, sequence=place) for place, case in enumerate(cases)]
    found = rows().settle(batch(updates))
    (table, levels), *_ = found.beside
    assert (found.table, table) == ("book", "levels")
    return found.columns, levels


@given(st.lists(BOOKS, min_size=1, max_size=8))
def test_features_equal_the_oracle(cases: list[Case]) -> None:
    book, levels = settled(cases)
    for row, case in enumerate(cases):
        for columns, expected in ((book, features(*case)), (levels, deep(*case))):
            for name, value in expected.items():
                assert same(columns[name][row], value), (name, row)


def test_each_set_has_the_columns_of_its_table() -> None:
    book, levels = settled([([(99.0, 1.0)], [(101.0, 1.0)], 10)])
    assert set(book) == set(ROW_COLUMNS)
    assert set(levels) == LEVEL_COLUMNS
    assert {len(column) for column in (*book.values(), *levels.values())} == {1}


def test_practical_rows_are_the_same_with_and_without_deep_features() -> None:
    update = Update(1, 0, 1, [(99.0, 1.0), (98.0, 2.0)], [(101.0, 1.0)], 10, 7)
    practical = BookRows(lambda number: StreamFacts(KEYS[number], 50, "simulator"), LEVELS_A_ROW)
    alone = practical.settle(batch([update]))
    assert alone.beside == ()
    assert alone.columns == rows().settle(batch([update])).columns


def test_what_names_a_row_stands_in_both_tables() -> None:
    updates = [Update(SECOND_NS, 1, 7, [(99.0, 1.0)], [(101.0, 1.0)], 10, 5)]
    found = rows().settle(batch(updates))
    assert [table for table, _ in found.tables] == ["book", "levels"]
    for _, columns in found.tables:
        assert (columns["symbol"], columns["exchange"]) == (["ETH/USDT"], ["bybit"])
        assert columns["timestamp"] == ["1970-01-01T00:00:01.000000Z"]
        assert (columns["segment_id"], columns["received_at_ns"], columns["sequence"]) == (
            [7],
            [SECOND_NS],
            [5],
        )
        assert (columns["depth"], columns["data_source"]) == ([50], ["simulator"])


TEN: Levels = [(float(price), 1.0) for price in range(10, 0, -1)]
ASKS: Levels = [(price + 100.0, 1.0) for price in range(10)]
FRESH_MS = 99_999.0

SCORES = {
    "a fresh update of a verified book": (TEN, ASKS, 10, FRESH_MS, True, 1.0),
    "nothing verifies the book": (TEN, ASKS, 10, FRESH_MS, False, 0.5),
    "exactly a second late": (TEN, ASKS, 10, 99_000.0, True, 1.0),
    "more than a second late": (TEN, ASKS, 10, 98_999.0, True, 0.8),
    "exactly a second early": (TEN, ASKS, 10, 101_000.0, True, 1.0),
    "more than a second early": (TEN, ASKS, 10, 101_001.0, True, 0.9),
    "no exchange time": (TEN, ASKS, 10, float("nan"), True, 0.95),
    "a thin bid": (TEN[:9], ASKS, 10, FRESH_MS, True, 0.9),
    "a thin ask": (TEN, ASKS[:9], 10, FRESH_MS, True, 0.9),
    "a thin book of which ten levels are not subscribed": (TEN[:1], ASKS[:1], 1, FRESH_MS, True, 1.0),
    "all of it": (TEN[:1], ASKS[:1], 10, 1.0, False, 0.2),
}


@pytest.mark.parametrize("case", SCORES.values(), ids=SCORES)
def test_quality_follows_the_documented_rule(case: tuple[Levels, Levels, int, float, bool, float]) -> None:
    bids, asks, known, exchange_ms, verified, score = case
    book = Book.of(np.array(top(bids, asks)).reshape(1, 4, -1))
    found = quality(
        book,
        np.array([known >= 10]),
        np.array([100 * SECOND_NS]),
        np.array([exchange_ms]),
        np.array([verified]),
    )
    assert found.tolist() == [score]


def test_a_row_knows_what_verifies_its_segment_until_the_segment_ends() -> None:
    book_rows = rows()

    def score(segment: int) -> list[object]:
        return list(
            book_rows.settle(batch([Update(1, 0, segment, TEN, ASKS, 10, 1)])).columns["data_quality_score"]
        )

    book_rows.settle(batch([], opened=[opened(1, 0, "none"), opened(2, 0)]))
    assert (score(1), score(2)) == ([0.45], [0.95])  # no exchange time here
    book_rows.settle(batch([], closed=[1]))
    assert score(1) == [0.95]
