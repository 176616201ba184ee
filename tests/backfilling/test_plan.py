"""What is asked for: what is wanted, less what is there, as far as an exchange has it; pure."""

import time

import pytest

from collector.backfilling.plan import DAY_MS, NOT_YET_MS, SEAM_MS, Plan, Span, Wanted, make_plan
from collector.events.batch import StreamKey

NOW_MS = 1_790_000_000_000
DAY_AGO_MS, MINUTE_MS, NS_A_MS = NOW_MS - DAY_MS, 60_000, 1_000_000
KEY = StreamKey("binance", "BTC/USDT", "trade")
TRADES = Wanted(KEY, "spot", "BTCUSDT")


def planned(one: Wanted, start_ms: int, end_ms: int, *spans: Span, only_holes: bool = False) -> Plan:
    return make_plan([one], start_ms, end_ms, NOW_MS, lambda _key: spans, only_holes=only_holes)


def bars(exchange: str, symbol: str, interval: str = "1m") -> Wanted:
    kind = "linear" if ":" in symbol else "spot"
    return Wanted(StreamKey(exchange, symbol, f"ohlcv.{interval}"), kind, symbol)  # type: ignore[arg-type]


def ends(plan: Plan) -> list[tuple[int, int]]:
    return [(one.start_ms, one.end_ms) for one in plan.stretches]


def span(start_ms: int, end_ms: int, *, filled: bool) -> Span:
    return Span(start_ms * NS_A_MS, end_ms * NS_A_MS, filled)


def test_what_rest_brought_before_is_not_asked_for_again() -> None:
    first, last = DAY_AGO_MS + 1000, DAY_AGO_MS + 5000
    found = planned(TRADES, DAY_AGO_MS, DAY_AGO_MS + 9000, span(first, last, filled=True))
    assert ends(found) == [(DAY_AGO_MS, first), (last, DAY_AGO_MS + 9000)]


def test_what_came_live_is_asked_for_unless_only_holes_are_wanted() -> None:
    whole = DAY_AGO_MS, DAY_AGO_MS + 600_000
    live = [
        span(whole[0], whole[0] + 100_000, filled=False),
        span(whole[0] + 200_000, whole[1], filled=False),
    ]
    assert ends(planned(TRADES, *whole, *live)) == [whole]
    (hole,) = ends(planned(TRADES, *whole, *live, only_holes=True))
    assert hole == (whole[0] + 100_000 - SEAM_MS, whole[0] + 200_000 + SEAM_MS)
    filled = span(*hole, filled=True)
    assert ends(planned(TRADES, *whole, *live, filled, only_holes=True)) == []


def test_nothing_is_asked_for_that_may_still_change() -> None:
    assert ends(planned(TRADES, DAY_AGO_MS, NOW_MS + DAY_MS)) == [(DAY_AGO_MS, NOW_MS - NOT_YET_MS)]
    ((_, end_ms),) = ends(planned(bars("okx", "BTC/USDT"), DAY_AGO_MS, NOW_MS))
    assert end_ms == (NOW_MS - NOT_YET_MS) // MINUTE_MS * MINUTE_MS


@pytest.mark.parametrize(
    ("wanted", "days_ago", "words", "is_asked"),
    [
        (bars("kraken", "BTC/USD"), 2, "the newest 720 only, from ", True),
        (bars("kraken", "BTC/USD"), 0.1, "", True),
        (Wanted(StreamKey("bybit", "X", "trade"), "linear", "X"), 0.1, "the newest 1,000 trades only", True),
        (Wanted(StreamKey("binance", "X", "trade"), "linear", "X"), 3, "with a key (BINANCE_API_KEY", True),
        (Wanted(StreamKey("okx", "X", "trade"), "linear", "X"), 100, "the last 90 days only", True),
        (Wanted(StreamKey("okx", "X", "book.5"), "linear", "X"), 1, "no exchange serves books", False),
        (bars("kraken", "BTC/USD"), 300, "older ones can be built from its trades", True),
    ],
)
def test_what_cannot_be_had_is_said_at_once(
    wanted: Wanted, days_ago: float, words: str, is_asked: bool
) -> None:
    found = planned(wanted, NOW_MS - int(days_ago * DAY_MS), NOW_MS)
    assert words in " ".join(found.notes)
    assert bool(found.notes) == bool(words)
    assert bool(found.stretches) == is_asked


def test_a_key_brings_single_trades_of_binance() -> None:
    for has_key, kind in ((False, "agg"), (True, "trade")):
        one = Wanted(KEY, "spot", "BTCUSDT", has_key=has_key)
        (stretch,) = planned(one, DAY_AGO_MS, NOW_MS).stretches
        assert stretch.past.id_kind == kind
        assert (stretch.seek is not None) == has_key


def test_a_year_of_minutes_of_fifty_markets_is_planned_in_a_second() -> None:
    wanted = [bars("bybit", f"X{number}/USDT:USDT") for number in range(50)]
    began_s = time.process_time()
    found = make_plan(wanted, NOW_MS - 366 * DAY_MS, NOW_MS - DAY_MS, NOW_MS)
    whole = found.estimate()
    assert time.process_time() - began_s < 1.0
    assert whole.rows == 50 * 365 * 24 * 60
    assert whole.requests == 50 * -(-365 * 24 * 60 // 1000)
    assert whole.seconds == pytest.approx(whole.requests / 60.0)  # half of 600 in 5 s


def test_exchanges_are_asked_at_the_same_time() -> None:
    both = make_plan(
        [bars("okx", "BTC/USDT"), bars("binance", "BTC/USDT")], DAY_AGO_MS, NOW_MS - MINUTE_MS, NOW_MS
    )
    alone = [
        make_plan([bars(name, "BTC/USDT")], DAY_AGO_MS, NOW_MS - MINUTE_MS, NOW_MS).estimate().seconds
        for name in ("okx", "binance")
    ]
    assert both.estimate().seconds == max(alone)
