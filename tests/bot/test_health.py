"""What is wrong is said in words, one reason for each; where nothing is, all is well."""

from dataclasses import replace

import pytest

from collector.app.view import StreamView, View, WriterView
from collector.bot.health import Health, reasons_of
from collector.bot.stats import IngestorStats, Known, StreamStats, last_messages, stats_of
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
        WELL,
        streams=(
            UNKNOWN,
            STREAM,
            replace(STREAM, key=StreamKey("bybit", "ETH/USDT", "book.50"), state="left"),
        ),
        halts=2,
        last_halt=PotentialHalt("bybit", "code", "why", 1),
        reconnects={("bybit", "transient"): 2, ("kraken", "resync"): 1},
        holes={("bybit", "checksum"): 2, ("bybit", "disconnect"): 3, ("kraken", "stale"): 1},
        writer=replace(WRITER, retries=3, breaker="open", spooled_rows=5, spool_bytes=70, spilling=True),
    )
    known = Known("a", (), view, {KEY: 2.5}, last_messages(view), "bybit.0 disconnected: 1006")
    stats = stats_of("running", (), known, [Delivery("bot", 1, 2, 3, 4)], now_ns=5_000_002_000_000)
    assert (stats["state"], stats["healthy"], stats["reasons"]) == ("running", True, [])
    terms = {"received": 20, "written": 12, "merged": 2, "sampled_out": 0, "rejected_total": 4, "dropped": 0}
    assert {name: value for name, value in stats.items() if name in terms} == terms
    assert stats["pending"] == 2
    assert stats["callbacks"] == [{"name": "bot", "handled": 1, "failed": 2, "dropped": 3, "waiting": 4}]
    assert (stats["uptime_s"], stats["connections"], stats["commits"]) == (12.5, {"bybit.0": "connected"}, 4)
    assert (stats["halts"], stats["last_halt"]) == (2, "code: why")
    assert (stats["last_commit_s"], stats["database_error"], stats["database"]) == (0.25, None, "live.db")
    assert stats["reconnects"] == {"bybit": {"transient": 2}, "kraken": {"resync": 1}}
    assert stats["holes"] == {"bybit": {"checksum": 2, "disconnect": 3}, "kraken": {"stale": 1}}
    assert (stats["mismatches"], stats["retries"], stats["breaker"]) == (3, 3, "open")
    assert stats["spool"] == {"rows": 5, "bytes": 70, "max_bytes": 1, "spilling": True}
    assert (stats["received_per_s"], stats["last_trouble"]) == (2.5, "bybit.0 disconnected: 1006")
    assert (stats["last_message_ns"], stats["last_message_age_s"]) == (2_000_000, 5000.0)
    assert stats["streams"] == [
        {
            "exchange": "bybit",
            "symbol": "BTC/USDT",
            "channel": "book.50",
            "state": "verified",
            **{name: count // 2 for name, count in terms.items()},
            "pending": 1,
            "received_per_s": 2.5,
            "last_message_ns": 2_000_000,
            "last_message_age_s": 5000.0,
            "rejected": {"stale": 2},
            "gaps": 3,
            "last_cause": "stale",
            "bid": 100.0,
            "ask": 101.0,
            "lag_ms": 1.0,
        }
    ]
    assert all(one["state"] == "verified" for one in stats["streams"])
    assert [(one["symbol"], one["state"]) for one in stats["other_streams"]] == [
        ("_unknown", "verified"),
        ("ETH/USDT", "left"),
    ]


def test_when_a_message_came_is_known_after_the_stream_says_nothing_any_more() -> None:
    silent = replace(WELL, streams=(replace(STREAM, glance=None, state="down"),))
    times = last_messages(silent, last_messages(WELL))
    (one,) = stats_of("stopped", (), Known("a", (), silent, {}, times), [])["streams"]
    assert (one["last_message_ns"], one["bid"], one["ask"], one["lag_ms"]) == (2_000_000, None, None, None)


def test_before_the_first_start_nothing_is_verified_and_there_is_nothing_to_add_up() -> None:
    stats = stats_of("stopped", ("not running",), Known("live.db", (KEY,)), [])
    assert (stats["healthy"], stats["received"], stats["session_id"]) == (False, 0, None)
    assert (stats["database"], stats["last_message_ns"], stats["breaker"]) == ("live.db", None, "closed")
    assert [(one["exchange"], one["symbol"], one["state"]) for one in stats["streams"]] == [
        ("bybit", "BTC/USDT", "missing")
    ]


def test_the_keys_are_the_same_at_any_moment() -> None:
    before = stats_of("stopped", ("not running",), Known("live.db", (KEY,)), [])
    after = stats_of("running", (), Known("live.db", (KEY,), WELL), [])
    assert before.keys() == after.keys() == IngestorStats.__annotations__.keys()
    streams = [*before["streams"], *after["streams"]]
    assert [one.keys() for one in streams] == [StreamStats.__annotations__.keys()] * 2
    assert before["spool"].keys() == after["spool"].keys()
