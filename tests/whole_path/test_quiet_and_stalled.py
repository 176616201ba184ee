"""A quiet market is not a stale one, and a stalled stream does not hide for long, whatever the channel."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collector.events import Snapshot
from collector.exchanges.exchange import Rate, RequestLimits
from collector.exchanges.registry import EXCHANGES
from collector.live import resync
from collector.live.resync import Resyncs, longest_stall_s
from collector.live.topic_subscriptions import TopicSubscriptions
from collector.network import Snapshots
from collector.simulator import Simulator
from collector.streams import BookStream

sys.path.insert(0, str(Path(__file__).parent))
from rig import BTC, DEADLINE_S, ETH, Market, Rig, wait_until

STALE_AFTER_S, ANSWER_S, REST_S, PATIENCE_S, QUIET_S = 0.3, 1.0, 4.0, 0.6, 1.5
SETTINGS = {
    "stream__stale_after_s": STALE_AFTER_S,
    "stream__subscribe_timeout_s": ANSWER_S,
    "stream__markets_timeout_s": REST_S,
    "stream__requests_a_second": 50.0,
}
QUESTIONS = 2  # of each stream
SPOT, USD = ("BTC/USDT", "ETH/USDT"), ("BTC/USD", "ETH/USD")
STREAMS = [
    Market("bybit", (BTC, ETH), "book.50"),
    Market("bybit", SPOT, "bbo"),
    Market("binance", SPOT, "book.50", by_rest=True),
    Market("binance", (BTC, ETH), "book.50", by_rest=True),
    Market("binance", SPOT, "bbo"),
    Market("binance", (BTC, ETH), "bbo"),
    Market("kraken", USD, "book.25"),
    Market("kraken", USD, "bbo"),
]
SHORT = {"bybit spot bbo", "binance spot bbo", "kraken spot book.25", "okx spot bbo"}
QUIET = {"kraken spot book.25"}  # of these: a quiet market takes ten seconds
OKX = [Market("okx", (BTC, ETH), "book.400"), Market("okx", SPOT, "bbo"), Market("okx", SPOT, "book.5")]


class Answers:
    """The answers to questions, as they are recorded: by topic, whether the market was quiet."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.quiet: dict[str, list[bool]] = {}
        answered = Resyncs.answered

        def record(resyncs: Resyncs, name: str, now_s: float, *, quiet: bool) -> None:
            self.quiet.setdefault(name, []).append(quiet)
            answered(resyncs, name, now_s, quiet=quiet)

        monkeypatch.setattr(Resyncs, "answered", record)
        monkeypatch.setattr(resync, "PATIENCE_S", PATIENCE_S)
        monkeypatch.setattr(resync, "MOST_QUIET_WAIT_S", QUIET_S)

    def least(self) -> int:
        """Return how often the topic was asked about that was asked about least."""
        return min(map(len, self.quiet.values())) if len(self.quiet) == len(SPOT) else 0


def wait_for_the_last(rig: Rig) -> None:
    """Wait until the last update that was sent is a row: what was sent to nobody's topic never comes."""
    market = rig.market
    for symbol in rig.symbols:
        last = rig.simulator.truth.sent(market.exchange, symbol, market.channel)[-1]
        if last.sequence is None:
            rig.wait_for_all()
        else:
            wait_until(
                lambda symbol=symbol, last=last: rig.rows(symbol)[-1]["sequence"] >= last.sequence,
                f"the last of {symbol}",
            )


def name_of(market: Market) -> str:
    return f"{market} {market.channel}"


def on_streams(*streams: Market, short: set[str] = SHORT) -> pytest.MarkDecorator:
    """Run a test on one stream of each way to ask; on the others in the long run only."""
    params = [
        pytest.param(one, id=name_of(one), marks=() if name_of(one) in short else (pytest.mark.proof,))
        for one in streams
    ]
    return pytest.mark.parametrize("market", params)


@contextmanager
def running(path: Path, market: Market, updates_per_s: float) -> Iterator[Rig]:
    """Run a collector on markets some way off, where REST is ahead of Binance's stream."""
    with Simulator(symbols={market.exchange: list(market.symbols)}, updates_per_s=updates_per_s) as simulator:
        simulator.faults.latency(market.exchange, 20.0, 5.0)
        if market.exchange == "binance":
            simulator.faults.batch_diffs("binance", 0.1)
        rig = Rig(simulator, str(path / "live.db"), market.symbols, market, **SETTINGS)
        rig.collector.start()
        try:
            rig.wait_until_verified()
            yield rig
            simulator.pause()
            wait_for_the_last(rig)  # what came after the stop would be no part of a clean end
        finally:
            report = rig.collector.stop()
        assert report.exact


@on_streams(*STREAMS, short=QUIET)
def test_a_market_that_says_little_keeps_its_one_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, market: Market
) -> None:
    answers = Answers(monkeypatch)
    exchange = EXCHANGES[market.exchange]
    often = dict.fromkeys(exchange.rest_limits, RequestLimits((Rate(6000, 60.0),)))  # for Kraken's sake
    monkeypatch.setitem(EXCHANGES, market.exchange, replace(exchange, rest_limits=often))
    with running(tmp_path, market, updates_per_s=1.5) as rig:
        wait_until(lambda: answers.least() >= QUESTIONS, "questions about each stream")
        rig.simulator.pause()  # for longer than an answer may take
        longer = answers.least() + 3
        wait_until(lambda: answers.least() >= longer, "more of them")
        rig.simulator.resume()
        before = rig.written(market.symbols[0])
        wait_until(lambda: rig.written(market.symbols[0]) > before, "the market again")
    for symbol in market.symbols:
        assert [one["end_cause"] for one in rig.segments(symbol)] == ["stop"], rig.segments(symbol)


@on_streams(*STREAMS, *OKX)
def test_a_stream_that_stalls_is_found_within_the_time_that_is_documented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, market: Market
) -> None:
    Answers(monkeypatch)
    stale_after_s = STALE_AFTER_S
    if market.exchange == "okx":  # it tells of a quiet book each minute, so silence is suspicious only then
        stale_after_s = 1.5
        monkeypatch.setitem(EXCHANGES, "okx", replace(EXCHANGES["okx"], quiet_after_s=stale_after_s))
    with running(tmp_path, market, updates_per_s=20.0) as rig:
        stalled, other = market.symbols
        rig.simulator.faults.stall(market.exchange, stalled, market.channel)
        began_s = time.monotonic()
        wait_until(lambda: any(one.cause == "stale" for one in rig.changes), "found stale", DEADLINE_S)
        took_s = time.monotonic() - began_s
        protocol = EXCHANGES[market.exchange]
        longest_s = longest_stall_s(
            stale_after_s,
            rest_timeout_s=REST_S if protocol.check is not None else None,
            stream_timeout_s=ANSWER_S if protocol.sends_state else None,
        )
        print(f"{name_of(market)}: found after {took_s:.1f} s, {longest_s:.1f} s at most")
        assert took_s <= longest_s
        assert [one.symbol for one in rig.changes if one.cause == "stale"] == [stalled]
        rig.simulator.faults.unstall(market.exchange, stalled, market.channel)
        wait_until(lambda: rig.snapshots(stalled) >= 2, "seen again")
    (first, *_) = rig.segments(stalled)
    assert (first["end_cause"], first["alive_until_ns"]) == ("stale", first["end_ns"])
    assert [one["end_cause"] for one in rig.segments(other)] == ["stop"]


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the looks at REST and the new subscriptions, by market."""
    counts: Counter[str] = Counter()
    ask, resubscribe = Snapshots.ask, TopicSubscriptions._resubscribe

    async def asked(snapshots: Snapshots, market_id: str, *others: Any) -> Snapshot:
        counts[f"looks at {market_id}"] += 1
        return await ask(snapshots, market_id, *others)

    async def subscribed(subscriptions: TopicSubscriptions, stream: BookStream, *, is_question: bool) -> None:
        await resubscribe(subscriptions, stream, is_question=is_question)
        counts[f"subscribes {stream.topic.market_id}"] += 1  # a word before that would be of the old one

    monkeypatch.setattr(Snapshots, "ask", asked)
    monkeypatch.setattr(TopicSubscriptions, "_resubscribe", subscribed)
    monkeypatch.setattr(resync, "PATIENCE_S", PATIENCE_S)
    return counts


@pytest.mark.parametrize("market", [Market("binance", SPOT, "bbo")], ids=name_of)
def test_best_prices_after_a_reconnect_begin_with_the_next_change(
    tmp_path: Path, done: Counter[str], market: Market
) -> None:
    """A quiet market is not subscribed again and again; one that moves, without a word of it, is."""
    moving, quiet = market.symbols
    with running(tmp_path, market, updates_per_s=20.0) as rig:
        rig.simulator.pause()
        rig.wait_for_all()
        done.clear()
        rig.simulator.faults.reset("binance")
        wait_until(lambda: done["looks at BTCUSDT"] >= 3 or done["subscribes BTCUSDT"], "something is done")
        wait_until(lambda: done["looks at ETHUSDT"] >= 3 or done["subscribes ETHUSDT"], "something is done")
        assert done["subscribes BTCUSDT"] == done["subscribes ETHUSDT"] == 0
        rig.simulator.faults.stall("binance", moving, "bbo")
        rig.simulator.resume()
        wait_until(lambda: rig.snapshots(quiet) >= 2, "the first change")
        wait_until(lambda: done["subscribes BTCUSDT"], "the one that stalls is subscribed anew")
        assert rig.snapshots(moving) == 1
        rig.simulator.faults.unstall("binance", moving, "bbo")
        wait_until(lambda: rig.snapshots(moving) >= 2, "seen again")
    for symbol in market.symbols:
        before, after = rig.segments(symbol)
        assert (before["end_cause"], after["end_cause"]) == ("disconnect", "stop")
        assert after["start_ns"] == min(
            row["received_at_ns"] for row in rig.rows(symbol) if row["segment_id"] == after["segment_id"]
        )
