"""What a database says of its segments, sessions and counts, held against each other and against the rows."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from audited import BARS, HOT, LEVELS, TRADES, damage, found

BOOK_11 = "segment 11 of bybit BTC/USDT book.10"
AT = 1_700_000_040_000_000_000


@pytest.mark.parametrize(
    ("statement", "findings"),
    [
        (
            f"DELETE FROM {TRADES} WHERE id = 4",
            ("segment rows", "bybit BTC/USDT trade: its segments say 4 rows, there are 3"),
        ),
        (
            f"DELETE FROM {BARS}",
            ("segment rows", "bybit BTC/USDT ohlcv.1m: its segments say 1 rows, there are 0"),
        ),
        (f"DELETE FROM {HOT} WHERE id = 4", ("segment rows", f"{BOOK_11}: says 4 rows, has 3")),
        (
            f"DELETE FROM {LEVELS} WHERE id = 4",
            ("levels", f"{BOOK_11}: 3 rows of levels beside 4 of the book"),
        ),
        (
            f"UPDATE {TRADES} SET trade_id = '1007' WHERE id = 4",
            ("trade ids", "segment 12 of bybit BTC/USDT trade: trades 1001 to 1007, 3 missing"),
        ),
        (
            "UPDATE collector_coverage SET end_ns = end_ns + 1 WHERE segment_id = 11",
            (
                "segment span",
                f"{BOOK_11}: says {AT} to {AT + 30_000_001}, its rows go from {AT} to {AT + 30_000_000}",
            ),
        ),
        (
            "UPDATE collector_coverage SET first_sequence = 4 WHERE segment_id = 11",
            ("segment sequence", f"{BOOK_11}: says sequences 4 to 8, its rows have 5 to 8"),
        ),
        (
            "UPDATE collector_coverage SET alive_until_ns = end_ns - 1 WHERE segment_id = 11",
            ("segment span", f"{BOOK_11}: from {AT} to {AT + 30_000_000}, alive until {AT + 29_999_999}"),
        ),
        (
            "UPDATE collector_coverage SET witnessed = 3, disagreed = 4 WHERE segment_id = 11",
            ("witnesses", f"{BOOK_11}: 4 of 3 comparisons disagreed"),
        ),
        (
            "UPDATE collector_coverage SET end_cause = NULL WHERE segment_id = 11",
            ("sessions", f"{BOOK_11}: open, though its session ended at {AT + 120_000_000_000}"),
        ),
        (
            f"UPDATE collector_coverage SET alive_until_ns = {AT + 121_000_000_001} WHERE segment_id = 11",
            (
                "segment span",
                f"{BOOK_11}: alive until {AT + 121_000_000_001}, its session ended at {AT + 120_000_000_000}",
            ),
        ),
        (
            "UPDATE collector_sessions SET ended_ns = started_ns - 1, session_id = 't'",
            ("sessions", "session t ended before it began"),
        ),
        ("DELETE FROM collector_sessions", ("sessions", f"{BOOK_11}: its session s is not known")),
        (
            "UPDATE collector_accounting SET received = 5 WHERE channel = 'trade'",
            ("identity", "bybit BTC/USDT trade: 5 came in, 4 are accounted for"),
        ),
        (
            "UPDATE collector_accounting SET received = 3, merged = -1 WHERE channel = 'trade'",
            ("identity", "bybit BTC/USDT trade: a term is below 0"),
        ),
        (
            """UPDATE collector_accounting SET rejected_reasons = '{"stale": 2}' WHERE channel = 'trade'""",
            ("identity", "bybit BTC/USDT trade: 0 rejected, for 2 reasons"),
        ),
        (
            "UPDATE collector_accounting SET received = 5, written = 5 WHERE channel = 'trade'",
            ("written", "bybit BTC/USDT trade: 5 counted as written, 4 in its segments"),
        ),
        (
            "DELETE FROM collector_accounting WHERE channel = 'trade'",
            ("written", "bybit BTC/USDT trade: 4 rows in segments of session s, which counted none"),
        ),
        (
            "UPDATE collector_accounting SET received = 3, carried_in = 1 WHERE channel = 'trade'",
            ("identity", "bybit BTC/USDT trade: 1 carried in, 0 were left over"),
        ),
        (
            "UPDATE collector_accounting SET written = 5, carried_in = 1 WHERE channel = 'trade'",
            ("written", "bybit BTC/USDT trade: 5 counted as written by all sessions, 4 in all segments"),
        ),
    ],
)
def test_bookkeeping_that_does_not_hold_is_told_in_words(
    path: Path, statement: str, findings: tuple[str, str]
) -> None:
    damage(path, statement)
    assert findings in found(path)


def test_segments_of_one_stream_follow_each_other(path: Path) -> None:
    kept = "session_id, exchange, symbol, channel, verification, end_cause, witnessed, disagreed"

    def add(number: int, start: str) -> None:
        damage(
            path,
            f"INSERT INTO collector_coverage ({kept}, segment_id, start_ns, end_ns, alive_until_ns, rows) "
            f"SELECT {kept}, {number}, {start}, {start}, {start} + 5, 0 "
            "FROM collector_coverage WHERE segment_id = 11",
        )

    add(21, "alive_until_ns")
    assert found(path) == []
    add(22, "alive_until_ns - 1")
    assert ("segment overlap", "segments 11 and 22 of bybit BTC/USDT book.10 overlap") in found(path)


def test_what_one_session_left_over_another_may_carry_in(path: Path) -> None:
    names = "session_id, exchange, symbol, channel, received, carried_in, written, merged, sampled_out, "
    names += "rejected, rejected_reasons, dropped, pending, updated_ns"
    damage(
        path,
        "UPDATE collector_accounting SET written = 1, pending = 3 WHERE channel = 'trade'",
        f"INSERT INTO collector_accounting ({names}) "
        "SELECT 't', exchange, symbol, channel, 0, 3, 3, 0, 0, 0, '{}', 0, 0, 0 "
        "FROM collector_accounting WHERE channel = 'trade'",
    )
    assert found(path) == []


def test_a_sampled_book_is_not_held_to_what_is_not_stored(path: Path) -> None:
    damage(
        path,
        "UPDATE collector_accounting SET received = 6, sampled_out = 2 WHERE channel = 'book.10'",
        f"UPDATE {HOT} SET ofi = 77 WHERE id = 2",
        f"UPDATE {LEVELS} SET ofi_1 = 77 WHERE id = 2",
        "UPDATE collector_coverage SET start_ns = start_ns - 1, end_ns = end_ns + 1, last_sequence = 9 "
        "WHERE segment_id = 11",
    )
    assert found(path) == []
    damage(path, f"UPDATE collector_coverage SET start_ns = {AT + 1} WHERE segment_id = 11")
    assert [check for check, _ in found(path)] == ["segment span"]


def test_trades_that_were_counted_elsewhere_are_not_missing(path: Path) -> None:
    damage(
        path,
        f"UPDATE {TRADES} SET trade_id = '1006' WHERE id = 4",
        "UPDATE collector_accounting SET received = 6, merged = 1, dropped = 1 WHERE channel = 'trade'",
    )
    assert found(path) == []
    damage(path, f"UPDATE {TRADES} SET trade_id = '1007' WHERE id = 4")
    assert [check for check, _ in found(path)] == ["trade ids"]


def test_a_trade_that_is_there_twice_is_named_once_its_index_is_gone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP INDEX ux_collector_trades")
    assert found(path) == [("unique trades", f"{TRADES}: the unique index is gone")]
    damage(path, f"UPDATE {TRADES} SET trade_id = '1001' WHERE id = 2")
    assert ("unique trades", f"{TRADES}: there more than once: bybit BTC/USDT trade 1001") in found(path)


def test_what_something_else_wrote_is_left_alone(path: Path) -> None:
    damage(
        path,
        f"UPDATE {HOT} SET segment_id = NULL, bid_price_1 = -5 WHERE id = 4",
        f"DELETE FROM {LEVELS} WHERE id = 4",
    )
    assert [check for check, _ in found(path)] == ["segment rows"]


@pytest.mark.parametrize("reason", ["damaged", "poison"])
def test_rows_given_up_within_covered_time_are_told(path: Path, reason: str) -> None:
    damage(
        path,
        "UPDATE collector_accounting SET received = 7, rejected = 3, "
        f"""rejected_reasons = '{{"{reason}": 3}}' """
        "WHERE channel = 'book.10'",
    )
    words = "bybit BTC/USDT book.10: 3 rows were given up, no segment of session s ends there"
    assert found(path) == [("given up", words)]
    damage(path, f"UPDATE collector_coverage SET end_cause = '{reason}' WHERE segment_id = 11")
    assert found(path) == []


def test_many_wrong_rows_are_counted_and_five_named(path: Path) -> None:
    damage(path, f"UPDATE {HOT} SET spread = 77")
    assert (
        "features",
        f"{HOT}: 4 rows (id 1, 2, 3, 4) whose spread does not follow from the stored columns",
    ) in found(path)
    kept = "timestamp, exchange, symbol, kind, size, side, exchange_timestamp"
    for number in range(4):
        damage(
            path,
            f"INSERT INTO {TRADES} ({kept}, trade_id, price) "
            f"SELECT {kept}, 'x{number}', -1 FROM {TRADES} WHERE id = 1",
        )
    damage(path, f"UPDATE {TRADES} SET price = -1 WHERE id < 4")
    wrong = "7 rows (id 1, 2, 3, 5, 6 and 2 more) with a price or a size that is not above 0"
    assert ("values", f"{TRADES}: {wrong}") in found(path)


def archived(path: Path, name: str, kind: str, segments: str, deleted: str = "1") -> None:
    key = f"'{kind}', 'bybit', 'BTC/USDT', '2023-11-14', 1, {ord(name)}"
    table = {"features": HOT, "levels": LEVELS, "trades": "collector_trades"}[kind]
    values = f"'{name}', {key}, 'x', '{segments}', 1, {deleted}, '{table}'"
    damage(path, f"INSERT INTO collector_archive VALUES ({values})")


def test_rows_that_were_moved_to_files_are_counted_with_those_that_are_left(path: Path) -> None:
    step = 10_000_000
    damage(path, f"DELETE FROM {HOT} WHERE id < 4", f"DELETE FROM {LEVELS} WHERE id < 4")
    archived(path, "a", "features", f'{{"11": [2, {AT}, {AT + step}, 5, 6, 2]}}')
    archived(path, "b", "features", f'{{"11": [1, {AT + 2 * step}, {AT + 2 * step}, 7, 7, 1]}}')
    archived(path, "c", "levels", f'{{"11": [3, {AT}, {AT + 2 * step}, null, null, 0]}}')
    assert found(path) == []
    damage(path, "UPDATE collector_archive SET deleted_ns = NULL WHERE path = 'b'")
    told = found(path)
    assert ("segment rows", f"{BOOK_11}: says 4 rows, has 3") in told
    assert ("archive", "b: its rows are still being deleted; audit again when that is done") in told


def between_two_files(path: Path) -> None:
    """Leave the second and the last row of the segment in the table: those days could not be moved."""
    damage(path, f"DELETE FROM {HOT} WHERE id IN (1, 3)", f"DELETE FROM {LEVELS} WHERE id IN (1, 3)")
    first, third = (AT, 5), (AT + 20_000_000, 7)
    for name, (at_ns, sequence) in (("a", first), ("b", third)):
        archived(path, name, "features", f'{{"11": [1, {at_ns}, {at_ns}, {sequence}, {sequence}, 1]}}')
        archived(path, name.upper(), "levels", f'{{"11": [1, {at_ns}, {at_ns}, null, null, 0]}}')


def test_rows_that_are_left_between_those_of_files_are_in_order(path: Path) -> None:
    """A day that could not be moved does not hold up the next one, and a segment may reach over both."""
    between_two_files(path)
    assert found(path) == []


def test_no_row_is_left_among_those_of_a_file(path: Path) -> None:
    between_two_files(path)
    damage(path, "UPDATE collector_archive SET segments = replace(segments, '5, 5', '5, 6')")
    wrong = f"{HOT}: 1 row (id 2) not after the row before in sequence and receipt"
    assert ("order", wrong) in found(path)


def test_files_whose_rows_have_no_numbers_are_added_up_as_well(path: Path) -> None:
    damage(path, f"DELETE FROM {TRADES}")
    archived(path, "a", "trades", f'{{"12": [1, {AT}, {AT + 5}, null, null, 0]}}')
    archived(path, "b", "trades", f'{{"12": [3, {AT + 6}, {AT + 59_999_000_000 + 5_000_000}, 7, 8, 2]}}')
    damage(path, f"UPDATE {BARS} SET confirmed = 0")
    assert found(path) == []
