"""The live table: every width, every height, in trouble and out of it."""

import io
from collections.abc import Iterable
from dataclasses import replace

import pytest
from rich.console import Console

from collector.app.view import StreamView, View, WriterView
from collector.cli.live_table import draw, price
from collector.cli.plain import span
from collector.cli.screen import Rates
from collector.events.batch import StreamKey
from collector.events.notices import PotentialHalt, StreamNow
from collector.network.budget import BudgetNow
from collector.sinks.contract import AccountingState
from collector.writer.follower import FollowerState

NOW_NS = 1_700_000_000_000_000_000


def stream(
    symbol: str = "BTC/USDT:USDT",
    *,
    state: str = "verified",
    received: int = 1500,
    gaps: int = 0,
    cause: str = "",
    dropped: int = 0,
    exchange: str = "bybit",
) -> StreamView:
    key = StreamKey(exchange, symbol, "book.50")
    glance = StreamNow(key, state == "verified", 64_123.4, 64_123.9, NOW_NS, NOW_NS // 1_000_000 - 12)
    counts = AccountingState(
        "s", *key, received=received, written=received - dropped - 10, dropped=dropped, pending=10
    )
    return StreamView(key, state, counts, glance, gaps, cause, NOW_NS - 12_000_000_000)


def view(streams: Iterable[StreamView], **more: object) -> View:
    parts: dict[str, object] = {
        "session_id": "s",
        "database": "./live.db",
        "uptime_s": 3723.0,
        "answers": True,
        "streams": tuple(streams),
        "connections": {},
        "writer": WriterView(12, 1490, 0, 0.0021, None, 340, 200_000),
        "refused": (),
        "halts": 0,
        "last_halt": None,
    }
    return View(**{**parts, **more})  # type: ignore[arg-type]


def drawn(shown: View, width: int = 80, height: int = 40) -> list[str]:
    rates = [50.0] * len(shown.streams)
    console = Console(file=io.StringIO(), width=width, height=height, legacy_windows=False)
    with console.capture() as capture:
        console.print(draw(shown, rates, NOW_NS, width, height))
    return capture.get().splitlines()


@pytest.mark.parametrize("width", [20, 40, 80, 100, 140, 240])
@pytest.mark.parametrize("height", [8, 24, 60])
@pytest.mark.parametrize("count", [0, 1, 5, 100])
def test_it_fits_the_terminal_whatever_that_is(width: int, height: int, count: int) -> None:
    streams = [stream(f"C{number}/USDT:USDT", gaps=number % 3, cause="checksum") for number in range(count)]
    lines = drawn(view(streams), width, height)
    assert max(map(len, lines)) <= width
    assert len(lines) <= max(height, 12)


def test_eighty_columns_say_what_matters() -> None:
    lines = drawn(view([stream(gaps=2, cause="sequence_gap")]), 80)
    (row,) = [line for line in lines if "BTC/USDT:USDT" in line]
    expected = "BTC/USDT:USDT book.50 verified 50.0 12.0 64,123.65 0.08 2 sequence_gap"
    assert row.split() == expected.split()
    text = "\n".join(lines)
    assert "collecting 1:02:03   1 of 1 streams verified   50.0 updates/s" in text
    assert "buffer    10 rows waiting, peak 340 of 200,000, spool empty" in text
    assert "12 batches, 1,490 rows, last commit 2.1 ms" in text
    assert "identity  exact  1,500 received = 1,490 written + 10 pending" in text


def test_a_hundred_and_forty_columns_say_more() -> None:
    lines = drawn(view([stream(gaps=1, cause="disconnect")]), 140)
    (row,) = [line for line in lines if "BTC/USDT:USDT" in line]
    for text in ("1,500", "1,490", "0.5", "disconnect 12s ago"):
        assert text in row
    heading = next(line for line in lines if "mid" in line)
    assert "received" in heading
    assert "rejected" in heading


def test_where_there_is_no_room_for_all_those_in_trouble_stay() -> None:
    streams = [stream(f"C{number}/USDT:USDT") for number in range(50)]
    streams.append(stream("BAD/USDT:USDT", state="down", gaps=1, cause="disconnect"))
    text = "\n".join(drawn(view(streams), 80, 24))
    assert "BAD/USDT:USDT" in text
    assert "more, all verified" in text
    assert "50 of 51 streams verified" in text


def test_trouble_is_told() -> None:
    halt = PotentialHalt("bybit", "unreachable", "10 attempts to connect failed", NOW_NS)
    shown = view(
        [stream(dropped=7)],
        answers=False,
        halts=3,
        last_halt=halt,
        refused=("bybit: symbol 'NOPE' is not a market there",),
        budgets={
            "binance": (BudgetNow(0.3, 0.0, "", 0, 0, 0.0), BudgetNow(1.0, 118.2, "http_418", 2, 0, 0.0))
        },
        writer=WriterView(12, 1490, 4, 0.0021, "disk I/O error", 340, 200_000, spooled_rows=7000),
    )
    text = "\n".join(drawn(shown, 140))
    for told in (
        "no answer from a thread",
        "7 dropped",
        "disk I/O error",
        "spool 7,000 rows",
        "4 retries",
        "unreachable: 10 attempts to connect failed",
        "symbol 'NOPE' is not a market there",
        "paused    binance: no request over REST for 118 s, it refused one (http_418)",
    ):
        assert told in text


def test_an_exchange_that_nothing_comes_from_is_told_and_what_needs_no_network() -> None:
    silent = drawn(view([], unreached=("bybit at https://api.bybit.com: no answer",)), width=100)
    assert "no answer bybit at https://api.bybit.com: no answer; tries go on" in silent
    assert any("python run.py demo needs no network" in line for line in silent)
    assert not any("needs no network" in line for line in drawn(view([])))


def test_what_is_being_committed_is_no_difference_to_worry_about() -> None:
    key = StreamKey("bybit", "BTC/USDT:USDT", "book.50")
    counts = AccountingState("s", *key, received=10, written=4)
    shown = view([StreamView(key, "verified", counts, None, 0, "", 0)])
    assert "10 received = 4 written + 0 pending + 6 being committed" in "\n".join(drawn(shown))


def test_rates_follow_the_counts() -> None:
    rates = Rates()
    assert rates.of(view([stream(received=1000)], uptime_s=10.0)) == [None]
    assert rates.of(view([stream(received=1100)], uptime_s=12.0)) == [50.0]
    (later,) = rates.of(view([stream(received=1100)], uptime_s=20.0))
    assert later == 0.0


@pytest.mark.parametrize(
    ("value", "text"),
    [(64_123.456, "64,123.46"), (12.5, "12.5000"), (0.00012345678, "0.000123457")],
)
def test_a_price_has_the_digits_that_matter(value: float, text: str) -> None:
    assert price(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(3, "3s"), (180, "3m"), (7200, "2h"), (172_800, "2d")])
def test_a_span_is_short(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_a_follower_is_shown_with_what_it_has_and_what_waits() -> None:
    state = FollowerState(
        *("./second.db", 12, 1490, 0, 2300, 0, 0),
        spilling=True,
        breaker="open",
        spool="./live.db-spool-follower-1",
        last_error="the disk is full",
    )
    text = "\n".join(drawn(view([stream()], followers=(state,)), 200))
    assert (
        "follower  ./second.db: 1,490 rows stored, 2,300 wait in the spool ./live.db-spool-follower-1, "
        "the last error: the disk is full" in text
    )
    dropping = "\n".join(drawn(view([stream()], followers=(replace(state, dropped=7, spooled=0),)), 200))
    assert "1,490 rows stored, 7 DROPPED, the last error" in dropping
