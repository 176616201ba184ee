"""Commits are measured batch by batch, and every value falls into its bucket."""

import numpy as np

from collector.app.commit_measures import LAG_S, LATENCY_S, CommitMeasures
from collector.events.batch import StreamKey
from collector.histogram import Histogram
from collector.sinks.contract import Rows, SegmentState, SessionState, WriteSet

SESSION = SessionState("s", 1, "0", "host", 1, "{}")
S, MS = 1_000_000_000, 1_000_000
NOW = 1_700_000_000 * S
TRADES = StreamKey("kraken", "BTC/USD", "trade")


def write_set(*rows: Rows, segments: tuple[SegmentState, ...] = ()) -> WriteSet:
    return WriteSet("b", SESSION, rows, segments)


def book(*received: tuple[str, float, float | None]) -> Rows:
    """Return rows of an exchange, so many seconds ago, so many seconds after the exchange sent them."""
    return Rows(
        "book",
        {
            "exchange": [exchange for exchange, _, _ in received],
            "received_at_ns": [NOW - int(age_s * S) for _, age_s, _ in received],
            "exchange_timestamp": [
                None if lag_s is None else (NOW - int((age_s + lag_s) * S)) // MS
                for _, age_s, lag_s in received
            ],
        },
    )


def segment(number: int, compared: int, differed: int, end_cause: str | None = None) -> SegmentState:
    key = ("bybit", "BTC/USDT", "book.50")
    return SegmentState(
        number, "s", *key, 1, 2, 2, None, None, 1, "sequence", end_cause, None, compared, differed
    )


def filled(histogram: Histogram) -> dict[float, int]:
    """Return the buckets that hold something, by their upper edge."""
    edges = [*histogram.edges, float("inf")]
    return {edge: count for edge, count in zip(edges, histogram.counts, strict=True) if count}


def test_a_value_falls_into_the_bucket_whose_edge_it_does_not_pass() -> None:
    found = Histogram.of((1.0, 2.0)).plus_all(np.array([0.0, 1.0, 1.5, 2.0, 2.1])).plus_all(np.array([9.0]))
    assert found.counts == (2, 2, 2)
    assert found.total == 15.6
    one_by_one = Histogram.of((1.0, 2.0))
    for value in (0.0, 1.0, 1.5, 2.0, 2.1, 9.0):
        one_by_one = one_by_one.plus(value)
    assert one_by_one == found


def test_latency_and_lag_are_told_apart_by_exchange() -> None:
    measures = CommitMeasures()
    rows = book(("bybit", 0.2, 0.003), ("kraken", 2.0, None), ("bybit", 0.3, -0.5), ("bybit", 7200.0, 0.2))
    measures.committed(write_set(rows), 0.004, NOW)
    assert {name: filled(one) for name, one in measures.latency_s.items()} == {
        "bybit": {0.25: 1, 0.5: 1, float("inf"): 1},
        "kraken": {2.5: 1},
    }
    assert {name: filled(one) for name, one in measures.lag_s.items()} == {
        "bybit": {0.005: 1, 0.001: 1, 0.25: 1}
    }
    assert measures.lag_s["bybit"].total >= 0.0
    assert round(measures.least_lag_s["bybit"], 3) == -0.5
    assert LATENCY_S[-1] == 3600.0 > LAG_S[-1]


def test_trades_are_measured_and_bars_have_no_lag() -> None:
    columns = {"received_at_ns": [NOW - S, NOW], "exchange_timestamp": [NOW // MS - 1010, NOW // MS - 1]}
    measures = CommitMeasures()
    measures.committed(write_set(Rows("trades", columns, TRADES), Rows("ohlcv", columns, TRADES)), 0.1, NOW)
    measures.committed(write_set(Rows("events", {"at_ns": [1]})), 0.1, NOW)
    assert sum(measures.latency_s["kraken"].counts) == 4
    assert sum(measures.lag_s["kraken"].counts) == 2
    assert measures.rows == {"trades": 2, "ohlcv": 2, "events": 1}
    assert (measures.batch_rows.counts[2], measures.batch_rows.counts[1]) == (1, 1)
    assert filled(measures.commit_s) == {0.1: 2}


def test_comparisons_are_counted_once_though_each_state_has_the_sum() -> None:
    measures = CommitMeasures()
    for segments in (
        (segment(1, 3, 0), segment(2, 5, 1)),
        (segment(1, 3, 0),),
        (segment(1, 10, 2, "witness"),),
        (segment(3, 1, 1),),
    ):
        measures.committed(write_set(segments=segments), 0.1, NOW)
    assert measures.compared == {"bybit": (10 + 5 + 1, 2 + 1 + 1)}
    assert set(measures._witnessed) == {2, 3}  # of those that are open


def test_what_a_reader_holds_does_not_change() -> None:
    measures = CommitMeasures()
    measures.committed(write_set(book(("bybit", 0.2, 0.003))), 0.1, NOW)
    latency_s, rows = measures.latency_s, measures.rows
    before = dict(latency_s), dict(rows)
    measures.committed(write_set(book(("bybit", 0.2, 0.003))), 0.1, NOW)
    assert (dict(latency_s), dict(rows)) == before
