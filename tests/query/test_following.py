"""What is shown of a database as it grows: rows that follow, bars that change, terms, holes."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from collector.errors import QueryError
from collector.query.covered import Selection, coverage, gaps
from collector.query.identity import sessions, status
from collector.query.tail import Tail, Wanted

sys.path.insert(0, str(Path(__file__).parent))
from stored import START_NS, STEP_NS, SYMBOL, Facts, Row, Stored, write

ETH = "ETH/USDT:USDT"


@pytest.fixture
def follow(stored_file: str) -> Iterator[Any]:
    opened: list[Tail] = []

    def open_one(last: int = 10, **wanted: str) -> Tail:
        opened.append(Tail(stored_file, Wanted(**wanted), last=last))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def run(path: str, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for one in statements:
            connection.execute(one)


def history(first: int, count: int) -> Stored:
    return Stored([Row(START_NS + place * STEP_NS, 1, float(place)) for place in range(first, first + count)])


def mids(tail: Tail) -> list[float]:
    return [row["mid_price"] for row in tail.more()]


def test_the_last_rows_are_shown_and_then_each_that_follows_once(stored_file: str, follow: Any) -> None:
    write(stored_file, history(0, 5))
    tail = follow(last=2)
    assert mids(tail) == [3.0, 4.0]
    assert mids(tail) == []
    write(stored_file, history(5, 3))
    assert mids(tail) == [5.0, 6.0, 7.0]
    assert mids(tail) == []


def test_only_the_market_that_was_asked_for_is_shown(stored_file: str, follow: Any) -> None:
    write(stored_file, history(0, 1))
    write(stored_file, history(1, 1), Facts(ETH))
    write(stored_file, history(2, 1), Facts(ETH, "kraken"))
    assert mids(follow(symbol=ETH)) == [1.0, 2.0]
    assert mids(follow(exchange="bybit")) == [0.0, 1.0]
    tail = follow(symbol=ETH, exchange="kraken")
    assert mids(tail) == [2.0]
    write(stored_file, history(3, 1), Facts(ETH))
    write(stored_file, history(4, 1), Facts(ETH, "kraken"))
    assert mids(tail) == [4.0]


def test_an_empty_table_is_waited_at(stored_file: str, follow: Any) -> None:
    tail = follow()
    assert mids(tail) == []
    write(stored_file, history(0, 2))
    assert mids(tail) == [0.0, 1.0]


def test_a_bar_is_shown_again_whenever_it_says_something_new(stored_file: str, follow: Any) -> None:
    columns = "timestamp, exchange, symbol, interval, open_time, open, high, low, close, volume, "
    columns += "received_at_ns, confirmed"

    def add(open_time: int) -> None:
        run(
            stored_file,
            f"INSERT INTO collector_ohlcv ({columns}) "
            f"VALUES ('t', 'bybit', '{SYMBOL}', '1m', {open_time}, 1, 1, 1, 1, 1, 5, 0)",
        )

    def shown(tail: Tail) -> list[tuple[int, int]]:
        return [(row["open_time"], row["confirmed"]) for row in tail.more()]

    add(0)
    add(60)
    tail = follow(table="ohlcv", last=1)
    assert shown(tail) == [(60, 0)]
    assert shown(tail) == []
    run(stored_file, "UPDATE collector_ohlcv SET confirmed = 1 WHERE open_time = 0")
    assert shown(tail) == [(0, 1)]
    run(stored_file, "UPDATE collector_ohlcv SET received_at_ns = 6 WHERE open_time = 60")
    add(120)
    assert shown(tail) == [(60, 0), (120, 0)]
    assert shown(tail) == []


def test_a_table_that_is_none_is_refused(stored_file: str) -> None:
    with pytest.raises(QueryError, match="no table is called 'x', expected one of book, levels"):
        Tail(stored_file, Wanted("x"))


ACCOUNT = (
    "INSERT INTO collector_accounting (session_id, exchange, symbol, channel, received, carried_in, written, "
    "merged, sampled_out, rejected, rejected_reasons, dropped, pending, updated_ns) VALUES "
)


def test_the_terms_of_all_sessions_are_added_up_and_what_was_handed_on_is_no_longer_pending(
    stored_file: str,
) -> None:
    run(
        stored_file,
        ACCOUNT
        + f"""('a', 'bybit', '{SYMBOL}', 'trade', 100, 0, 60, 5, 4, 3, '{{"stale": 2, "x": 1}}', 8, 20, 1)""",
        ACCOUNT + f"""('b', 'bybit', '{SYMBOL}', 'trade', 10, 15, 20, 1, 0, 4, '{{"stale": 4}}', 0, 0, 1)""",
        ACCOUNT + f"""('b', 'bybit', '{ETH}', 'trade', 1, 2, 3, 0, 0, 0, '{{}}', 0, 0, 1)""",
    )
    btc, eth = status(stored_file)
    assert btc == {
        "exchange": "bybit",
        "symbol": SYMBOL,
        "channel": "trade",
        "received": 110,
        "written": 80,
        "merged": 6,
        "sampled_out": 4,
        "rejected": 7,
        "dropped": 8,
        "carried_in": 0,
        "pending": 5,
        "sessions": 2,
        "reasons": {"stale": 6, "x": 1},
    }
    assert (eth["symbol"], eth["carried_in"], eth["pending"], eth["sessions"]) == (ETH, 2, 0, 1)


def test_sessions_are_told_newest_first_with_what_they_committed(stored_file: str) -> None:
    session = "INSERT INTO collector_sessions (session_id, started_ns, version, host, pid, wanted) VALUES "
    batch = "INSERT INTO collector_batches (batch_id, session_id, committed_ns, rows) VALUES "
    run(
        stored_file,
        session + "('old', 1, '0', 'h', 1, '{}'), ('new', 5, '0', 'h', 1, '{}')",
        batch + "('1', 'old', 10, 3), ('2', 'old', 30, 4), ('3', 'old', 20, 5)",
    )
    new, old = sessions(stored_file)
    assert (new["session_id"], new["batches"], new["committed_ns"]) == ("new", None, None)
    assert (old["session_id"], old["batches"], old["committed_ns"]) == ("old", 3, 30)


def test_holes_lie_between_the_segments_of_a_stream(stored_file: str) -> None:
    first = [Row(START_NS, 1, 1.0)]
    second = [Row(START_NS + 10, 2, 1.0)]
    third = [Row(START_NS + 20, 3, 1.0)]
    write(
        stored_file, Stored([*first, *second, *third], {1: START_NS + 4, 2: START_NS + 20, 3: START_NS + 25})
    )
    write(stored_file, Stored([Row(START_NS + 90, 4, 1.0)], {4: START_NS + 95}), Facts(ETH))
    (hole,) = gaps(stored_file).to_dict("records")
    assert (hole["symbol"], hole["from_ns"], hole["until_ns"]) == (SYMBOL, START_NS + 4, START_NS + 10)
    assert hole["cause"] == "sequence_gap"
    assert list(coverage(stored_file)["segment_id"]) == [1, 2, 3, 4]
    assert list(coverage(stored_file, ETH)["segment_id"]) == [4]
    with pytest.raises(QueryError, match="nothing is stored of 'kraken' in collector_coverage"):
        coverage(stored_file, exchange="kraken")
    assert list(coverage(stored_file, channel="book.50")["segment_id"]) == [1, 2, 3, 4]
    assert len(gaps(stored_file, ETH)) == 0
    assert Selection() == Selection(None, None, None)
