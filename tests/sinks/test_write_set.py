"""What is handed to a sink, and what can be read off it."""

from collector.sinks.contract import AccountingState, Rows, SessionState, WriteSet

SESSION = SessionState("s", 1, "0", "h", 1, "{}")


def test_a_write_set_is_its_own_sessions_unless_another_brings_it_in() -> None:
    assert WriteSet("b", SESSION).written_by == "s"
    assert WriteSet("b", SESSION, by="t").written_by == "t"


def test_its_rows_are_those_of_all_tables() -> None:
    rows = Rows("book", {"a": [1, 2], "b": [3, 4]}), Rows("trades", {"a": [1]}), Rows("ohlcv", {})
    assert [len(one) for one in rows] == [2, 1, 0]
    assert WriteSet("b", SESSION, rows).row_count == 3


def test_the_identity_holds_or_says_by_how_much_it_is_off() -> None:
    terms = {
        "written": 1,
        "merged": 2,
        "sampled_out": 4,
        "dropped": 8,
        "pending": 16,
        "rejected": {"a": 30, "b": 2},
    }
    whole = AccountingState("s", "bybit", "BTC/USDT", "trade", received=60, carried_in=3, **terms)
    assert (whole.rejected_total, whole.difference) == (32, 0)
    assert AccountingState("s", "bybit", "BTC/USDT", "trade", received=61, **terms).difference == -2
