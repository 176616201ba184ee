"""What is wrong is said in words, one reason for each; where nothing is, all is well."""

from dataclasses import replace

import pytest

from collector.app.view import StreamView, View, WriterView
from collector.bot.health import Health, reasons_of
from collector.bot.stats import stats_of
from collector.events.batch import StreamKey
from collector.events.notices import PotentialHalt, StreamNow
from collector.events.subscriber import Delivery
from collector.sinks.contract import AccountingState

KEY = StreamKey("bybit", "BTC/USDT", "book.50")
COUNTS = AccountingState(
    "s", *KEY, received=10, written=6, merged=1, dropped=0, pending=1, rejected={"stale": 2}
)
STREAM = StreamView(KEY, "verified", COUNTS, StreamNow(KEY, True, 100.0, 101.0, 2_000_000, 1), 3, "stale", 5)
WRITER = WriterView(4, 6, 0, 0.25, None, 9, 100)
WELL = View("s", "live.db", 12.5, True, (STREAM,), {"bybit.0": "connected"}, WRITER, (), 0, None)
UNKNOWN = StreamView(
    StreamKey("bybit", "_unknown", "_unknown"),
    "verified",
    AccountingState("s", "bybit", "_unknown", "_unknown"),
    None,
    0,
    "",
    0,
)


@pytest.mark.parametrize(
    ("view", "reasons"),
    [
        (WELL, []),
        (replace(WELL, answers=False), ["the websocket thread or the writer thread does not answer"]),
        (
            replace(WELL, answers=False, streams=()),
            ["the websocket thread or the writer thread does not answer"],
        ),
        (replace(WELL, streams=()), ["no stream has begun"]),
        (replace(WELL, streams=(UNKNOWN,)), ["no stream has begun"]),
        (replace(WELL, streams=(UNKNOWN, STREAM)), []),
        (replace(WELL, refused=("no such market",)), ["refused: no such market"]),
        (
            replace(WELL, streams=(replace(STREAM, state="down"),)),
            ["bybit BTC/USDT book.50: down, since stale"],
        ),
        (
            replace(WELL, streams=(replace(STREAM, state="syncing", last_cause=""),)),
            ["bybit BTC/USDT book.50: syncing"],
        ),
        (replace(WELL, statuses=("kraken is under maintenance",)), ["kraken is under maintenance"]),
        (
            replace(WELL, writer=replace(WRITER, last_error="disk full")),
            ["the database refuses: disk full"],
        ),
        (
            replace(WELL, streams=(replace(STREAM, counts=replace(COUNTS, dropped=2)),)),
            ["2 events found no room and are lost"],
        ),
    ],
)
def test_each_thing_that_is_wrong_has_its_words(view: View, reasons: list[str]) -> None:
    assert list(reasons_of(view)) == reasons


def test_health_is_true_when_there_is_no_reason_against_it() -> None:
    assert Health(())
    assert str(Health(())) == "healthy"
    assert not Health(("one", "two"))
    assert str(Health(("one", "two"))) == "one; two"


def test_stats_add_up_the_streams_and_show_each() -> None:
    view = replace(
        WELL, streams=(STREAM, STREAM), halts=2, last_halt=PotentialHalt("bybit", "code", "why", 1)
    )
    stats = stats_of("running", (), view, [Delivery("bot", 1, 2, 3, 4)])
    assert (stats["state"], stats["healthy"], stats["reasons"]) == ("running", True, [])
    terms = {"received": 20, "written": 12, "merged": 2, "sampled_out": 0, "rejected_total": 4, "dropped": 0}
    assert {name: stats[name] for name in terms} == terms
    assert stats["pending"] == 2
    assert stats["callbacks"] == [{"name": "bot", "handled": 1, "failed": 2, "dropped": 3, "waiting": 4}]
    assert (stats["uptime_s"], stats["connections"], stats["commits"]) == (12.5, {"bybit.0": "connected"}, 4)
    assert (stats["halts"], stats["last_halt"]) == (2, "code: why")
    assert (stats["last_commit_s"], stats["database_error"], stats["database"]) == (0.25, None, "live.db")
    assert stats["streams"][0] == {
        "exchange": "bybit",
        "symbol": "BTC/USDT",
        "channel": "book.50",
        "state": "verified",
        **{name: count // 2 for name, count in terms.items()},
        "pending": 1,
        "rejected": {"stale": 2},
        "gaps": 3,
        "last_cause": "stale",
        "bid": 100.0,
        "ask": 101.0,
        "lag_ms": 1.0,
    }


def test_before_the_first_start_there_is_nothing_to_add_up() -> None:
    stats = stats_of("stopped", ("not running",), None, [])
    assert (stats["healthy"], stats["received"], stats["streams"]) == (False, 0, [])
    assert "session_id" not in stats
    bare = StreamView(KEY, "down", COUNTS, None, 0, "", 0)
    (one,) = stats_of("running", (), replace(WELL, streams=(bare,)), [])["streams"]
    assert (one["bid"], one["ask"], one["lag_ms"]) == (None, None, None)
    assert stats_of("running", (), WELL, [])["last_halt"] is None
