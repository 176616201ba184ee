"""A sound database has no findings; each damage to it has its own words, and the rows are named."""

import sys
from pathlib import Path

import pytest

from collector.query.audit import run_audit

sys.path.insert(0, str(Path(__file__).parent))
from audited import BARS, HOT, LEVELS, TRADES, damage, found


def test_nothing_is_found_in_a_sound_database(sound: Path) -> None:
    told: list[tuple[int, int]] = []
    result = run_audit(sound, on_progress=lambda done, total: told.append((done, total)))
    assert (result.findings, result.passed) == ((), True)
    assert (result.rows, result.segments, result.streams) == (13, 3, 3)
    assert told == [(4, 13), (8, 13), (12, 13), (13, 13)]


@pytest.mark.parametrize(
    ("table", "change", "check", "text"),
    [
        (HOT, "bid_price_1 = 102", "values", "1 row (id 2) whose bid is not below the ask"),
        (HOT, "bid_price_1 = 101", "values", "1 row (id 2) whose bid is not below the ask"),
        (HOT, "bid_price_1 = -1", "values", "1 row (id 2) with a price or a size that is not above 0"),
        (HOT, "ask_price_1 = 0", "values", "1 row (id 2) with a price or a size that is not above 0"),
        (HOT, "bid_size_1 = 0", "values", "1 row (id 2) with a price or a size that is not above 0"),
        (HOT, "ask_size_1 = 0", "values", "1 row (id 2) with a price or a size that is not above 0"),
        (HOT, "total_bid_volume_10 = 3.5", "values", "1 row (id 2) with totals smaller than the best level"),
        (HOT, "total_ask_volume_10 = 1.5", "values", "1 row (id 2) with totals smaller than the best level"),
        (HOT, "ofi = 9e999", "values", "1 row (id 2) with an infinite number"),
        (
            HOT,
            "data_quality_score = 1.01",
            "values",
            "1 row (id 2) whose data_quality_score is not in [0, 1]",
        ),
        (
            HOT,
            "data_quality_score = -0.01",
            "values",
            "1 row (id 2) whose data_quality_score is not in [0, 1]",
        ),
        *[
            pytest.param(
                *(HOT, f"{name} = {value}", "features"),
                f"1 row (id 2) whose {name} does not follow from the stored columns",
                marks=[pytest.mark.proof] if value == "NULL" and name != "microprice" else [],
            )
            for name in ("mid_price", "spread", "spread_bps", "microprice", "order_book_imbalance")
            for value in ("0.123", "NULL")
        ],
        (HOT, "ofi = 2.5", "features", "1 row (id 2) whose ofi does not follow from the row before"),
        (HOT, "ofi = NULL", "features", "1 row (id 2) whose ofi does not follow from the row before"),
        (
            HOT,
            "timestamp = '2023'",
            "timestamp",
            "1 row (id 2) whose timestamp is not the instant of receipt",
        ),
        (HOT, "sequence = 5", "order", "1 row (id 2) not after the row before in sequence and receipt"),
        (
            HOT,
            "received_at_ns = received_at_ns - 10000000",
            "order",
            "1 row (id 2) not after the row before in",
        ),
        (
            HOT,
            "received_at_ns = received_at_ns + 10000000",
            "order",
            "1 row (id 3) not after the row before in",
        ),
        (HOT, "symbol = 'X'", "stray rows", "1 row (id 2) in no coverage segment of their stream"),
        (HOT, "exchange = 'X'", "stray rows", "1 row (id 2) in no coverage segment of their stream"),
        (HOT, "depth = 25", "stray rows", "1 row (id 2) in no coverage segment of their stream"),
        (HOT, "segment_id = 99", "stray rows", "1 row (id 2) in no coverage segment of their stream"),
        (HOT, "segment_id = 12", "stray rows", "1 row (id 2) in no coverage segment of their stream"),
        (LEVELS, "sequence = 99", "levels", "1 row (id 2) that belong to no row of the book"),
        (LEVELS, "segment_id = 99", "levels", "1 row (id 2) that belong to no row of the book"),
        (
            LEVELS,
            "bid_price_1 = 98.5",
            "levels",
            "1 row (id 2) whose bid_price_1 is not that of the book's row",
        ),
        (LEVELS, "ofi_1 = 7", "levels", "1 row (id 2) whose ofi_1 is not that of the book's row"),
        (LEVELS, "bid_price_5 = 98.5", "levels", "1 row (id 2) whose prices are not in order"),
        (LEVELS, "ask_price_5 = 104", "levels", "1 row (id 2) whose prices are not in order"),
        (
            LEVELS,
            "bid_size_10 = 2",
            "levels",
            "1 row (id 2) whose bid sizes do not add up to the book's total",
        ),
        (
            LEVELS,
            "ask_size_7 = 2",
            "levels",
            "1 row (id 2) whose ask sizes do not add up to the book's total",
        ),
        (
            LEVELS,
            "imbalance_5 = 0.5",
            "levels",
            "1 row (id 2) whose imbalance_5 does not follow from its sizes",
        ),
        (
            LEVELS,
            "imbalance_10 = 0.5",
            "levels",
            "1 row (id 2) whose imbalance_10 does not follow from its sizes",
        ),
        (TRADES, "price = 0", "values", "1 row (id 2) with a price or a size that is not above 0"),
        (TRADES, "size = -1", "values", "1 row (id 2) with a price or a size that is not above 0"),
        (TRADES, "size = 9e999", "values", "1 row (id 2) with a price or a size that is not above 0"),
        (TRADES, "kind = 'x'", "values", "1 row (id 2) with a kind or a side that is none"),
        (TRADES, "side = 'up'", "values", "1 row (id 2) with a kind or a side that is none"),
        (TRADES, "symbol = 'X'", "stray rows", "1 row (id 2) in no coverage segment of their stream"),
        (TRADES, "segment_id = 99", "stray rows", "1 row (id 2) in no coverage segment of their stream"),
        (TRADES, "segment_id = 11", "stray rows", "1 row (id 2) in no coverage segment of their stream"),
    ],
)
def test_a_wrong_row_is_named_with_what_is_wrong_of_it(
    path: Path, table: str, change: str, check: str, text: str
) -> None:
    damage(path, f"UPDATE {table} SET {change} WHERE id = 2")
    told = [one for of, one in found(path) if of == check]
    assert any(one.startswith(f"{table}: {text}") for one in told), told


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("high = 50.9", "whose open and close do not lie between low and high"),
        ("low = 50.5", "whose open and close do not lie between low and high"),
        ("close = 48.5", "whose open and close do not lie between low and high"),
        ("open = 52.5", "whose open and close do not lie between low and high"),
        ("low = 0", "whose open and close do not lie between low and high"),
        ("volume = -1", "with a volume below 0"),
        ("vwap = 52.1", "whose vwap does not lie between low and high"),
        ("vwap = 48.9", "whose vwap does not lie between low and high"),
        ("open_time = open_time + 1", "that begin at no multiple of their interval"),
        ("open_time = open_time + 30000", "that begin at no multiple of their interval"),
        ("segment_id = 99", "in no coverage segment of their stream"),
        ("segment_id = 12", "in no coverage segment of their stream"),
        ("symbol = 'X'", "in no coverage segment of their stream"),
    ],
)
def test_a_wrong_bar_is_named(path: Path, change: str, text: str) -> None:
    damage(path, f"UPDATE {BARS} SET {change}")
    assert f"{BARS}: 1 row (id 1) {text}" in [one for _, one in found(path)]


@pytest.mark.parametrize(
    "change", ["open = 52, high = 52", "vwap = 52", "vwap = 49", "vwap = NULL", "volume = 0, vwap = 0"]
)
def test_a_bar_at_its_bounds_is_a_bar(path: Path, change: str) -> None:
    damage(path, f"UPDATE {BARS} SET {change}, confirmed = 0")
    assert found(path) == []


@pytest.mark.parametrize(
    ("interval", "off"), [("1h", True), ("1d", True), ("1m", False), ("1w", False), ("15d", False)]
)
def test_a_bar_begins_at_a_multiple_of_its_interval_where_that_is_fixed(
    path: Path, interval: str, off: bool
) -> None:
    damage(path, f"UPDATE {BARS} SET interval = '{interval}', segment_id = NULL")
    told = [one for _, one in found(path) if "multiple" in one]
    assert bool(told) is off


UNNUMBERED = (
    f"UPDATE {HOT} SET sequence = NULL",
    f"UPDATE {LEVELS} SET sequence = NULL",
    "UPDATE collector_coverage SET first_sequence = NULL, last_sequence = NULL WHERE segment_id = 11",
)


def received_as(table: str, row: int, other: int) -> str:
    """Let a row have come in the frame of another."""
    columns = ("timestamp", "received_at_ns")
    said = ", ".join(f"{name} = (SELECT {name} FROM {table} WHERE id = {other})" for name in columns)
    return f"UPDATE {table} SET {said} WHERE id = {row}"


def test_two_updates_of_one_frame_that_have_no_numbers_are_in_order(path: Path) -> None:
    """Kraken may put several updates of a market in a frame: they are rows with one receipt."""
    damage(path, *UNNUMBERED, received_as(HOT, 3, 2), received_as(LEVELS, 3, 2))
    assert found(path) == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (f"UPDATE {LEVELS} SET bid_price_1 = 98.5 WHERE id = 3", "whose bid_price_1 is not that"),
        (f"DELETE FROM {LEVELS} WHERE id = 3", "3 rows of levels beside 4 of the book"),
        (f"DELETE FROM {HOT} WHERE id = 3", "1 row (id 3) that belong to no row of the book"),
    ],
)
def test_each_of_them_is_held_against_its_own_levels(path: Path, change: str, text: str) -> None:
    damage(path, *UNNUMBERED, received_as(HOT, 3, 2), received_as(LEVELS, 3, 2), change)
    assert any(text in one for _, one in found(path)), found(path)


def test_what_has_numbers_is_not_in_order_at_one_receipt(path: Path) -> None:
    damage(path, received_as(HOT, 3, 2), received_as(LEVELS, 3, 2))
    assert f"{HOT}: 1 row (id 3) not after the row before in sequence and receipt" in [
        one for _, one in found(path)
    ]


def test_an_unnumbered_row_that_came_before_the_one_before_it_is_named(path: Path) -> None:
    damage(path, *UNNUMBERED, received_as(HOT, 3, 1), received_as(LEVELS, 3, 1))
    assert ("order", f"{HOT}: 1 row (id 3) not after the row before in sequence and receipt") in found(path)
