"""One exchange's feed: it goes on until it is stopped, whatever the exchange lists or answers."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import ccxt
import pytest

from collector.book.bridged import BridgedBook
from collector.book.kept_deltas import DELTA_BYTES, LEVEL_BYTES
from collector.errors import StreamError
from collector.events.messages import Delta
from collector.events.notices import State
from collector.live import market_list
from collector.streams.book_stream import BookStream

sys.path.insert(0, str(Path(__file__).parent))
from feed_rig import PACE, FeedRig, Listing, market

BTC, ETH, NEW = market("BTC/USDT"), market("ETH/USDT"), market("NEW/USDT")
OFTEN = replace(PACE, markets_every_s=0.01)


def test_whatever_a_load_raises_is_told_alarmed_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = [KeyError("altname"), TypeError("ours"), StreamError("could not load the markets"), ValueError("x")]
    rig = FeedRig(monkeypatch, "BTC/USDT", answers=[*odd, Listing(BTC)])

    async def scene() -> None:
        await rig.until(lambda: rig.streams)

    rig.run(scene)
    assert rig.loads == len(odd) + 1
    of_markets = [one for one in rig.states if one.connection == "bybit.markets"]
    assert [one.state for one in of_markets] == [State.DISCONNECTED] * len(odd) + [State.ONLINE]
    assert of_markets[0].cause.startswith("attempt 1: could not load the markets: KeyError('altname')")
    assert [(one.code, one.reason) for one in rig.halts if one.code == "markets"] == [
        ("markets", "attempt 3: could not load the markets; tries go on")
    ]


def test_a_refused_list_is_in_the_health_until_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = StreamError("could not load the markets: geo_blocked")
    blocked.__cause__ = ccxt.RestrictedLocation("not from there")
    rig = FeedRig(monkeypatch, "BTC/USDT", answers=[blocked])

    async def scene() -> None:
        await rig.until(lambda: rig.loads > 5 and rig.feed.refused)
        assert rig.feed.refused[0].startswith("bybit: attempt ")
        assert "geo_blocked; tried again every 0 s" in rig.feed.refused[0]
        rig.answers = [Listing(BTC)]
        await rig.until(lambda: rig.streams)
        assert rig.feed.refused == []

    rig.run(scene)
    assert rig.codes() == ["markets"]


def test_one_market_that_cannot_be_read_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kraken's decimals are needed for its checksums. It is looked at again with the next list."""
    whole = {"info": {"pair_decimals": 1, "lot_decimals": 8}}
    bitcoin, ether = market("BTC/USD", **whole), market("ETH/USD", **whole)
    odd = Listing({**ether, "info": {"lot_decimals": 8}}, bitcoin, exchange="kraken")
    rig = FeedRig(monkeypatch, "ETH/USD", "BTC/USD", answers=[odd], pace=OFTEN, exchange="kraken")

    async def scene() -> None:
        await rig.until(lambda: rig.streams == ["BTC/USD"] and rig.loads > 3)
        (refused,) = rig.feed.refused
        assert refused.startswith(
            "kraken: ETH/USD book.10: listed in a form that cannot be read: KeyError('pair_decimals')"
        )
        rig.answers = [Listing(ether, bitcoin, exchange="kraken")]
        await rig.until(lambda: len(rig.streams) == 2)
        assert rig.feed.refused == []

    rig.run(scene)
    assert rig.codes() == ["bad_market"]
    assert [one.names for one in rig.found] == [("ETH/USD",)]


def test_where_no_name_means_a_market_a_later_one_is_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = FeedRig(monkeypatch, "NOPE/USDT", answers=[Listing(BTC)])

    async def scene() -> None:
        await rig.until(lambda: rig.feed.ready and rig.feed.is_idle and len(rig.halts) == 2)
        assert [key.symbol for key in rig.feed.add(["BTC/USDT"])] == ["BTC/USDT"]
        await rig.until(lambda: any(one.connection == "bybit.spot.0" for one in rig.states))  # it is dialled
        assert not rig.feed.is_idle

    rig.run(scene)
    assert rig.codes() == ["bad_symbol", "nothing_to_collect"]


def test_a_name_is_looked_at_again_with_each_list_and_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = FeedRig(monkeypatch, "BTC/USDT", "NEWUSDT", answers=[Listing(BTC)], pace=OFTEN)

    async def scene() -> None:
        await rig.until(lambda: rig.loads > 3)
        assert rig.streams == ["BTC/USDT"]
        assert rig.feed.refused[0].endswith("similar names: none")
        rig.answers = [Listing(BTC, market("NEWER/USDT"))]
        await rig.until(lambda: rig.feed.refused[0].endswith("similar names: NEWER/USDT"))
        rig.answers = [Listing(BTC, NEW)]
        await rig.until(lambda: rig.streams == ["BTC/USDT", "NEW/USDT"])
        assert rig.feed.refused == []

    rig.run(scene)
    assert rig.codes() == ["bad_symbol"]
    assert [one.names for one in rig.found] == [("NEWUSDT",)]


def test_a_name_that_is_wanted_no_longer_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = FeedRig(monkeypatch, "BTC/USDT", "NEWUSDT", "ETHUSDT", answers=[Listing(BTC)], pace=OFTEN)

    async def scene() -> None:
        await rig.until(lambda: rig.streams)
        assert rig.feed.remove(["NEWUSDT"]) == []
        assert len(rig.feed.refused) == 1
        rig.answers = [Listing(BTC, NEW, ETH)]
        await rig.until(lambda: "ETH/USDT" in rig.streams)
        assert rig.streams == ["BTC/USDT", "ETH/USDT"]

    rig.run(scene)


def test_a_market_that_one_list_lacks_is_told_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    both, one_of_them = Listing(BTC, ETH), Listing(BTC)
    rig = FeedRig(monkeypatch, "BTC/USDT", "ETH/USDT", answers=[both, one_of_them, both, one_of_them, both])

    async def scene() -> None:
        await rig.until(lambda: len(rig.streams) == 2)
        for _ in range(2):
            await rig.until(rig.feed.look_again().done)
            assert rig.feed.refused == ["bybit: ETH/USDT is not listed any more"]
            assert len(rig.streams) == 2  # that list may have been wrong
            (one,) = [stream for stream in rig.feed._connections.streams if stream.key.symbol == "ETH/USDT"]
            assert rig.feed._standby(one).key == one.key  # a change of connections does not need the list
            assert rig.feed.symbol_of("ethusdt") == "ETH/USDT"  # and its name goes on meaning it
            await rig.until(rig.feed.look_again().done)
            assert rig.feed.refused == []

    rig.run(scene)
    assert [one.symbol for one in rig.halts if one.code == "delisted"] == ["ETH/USDT"] * 2


def test_a_market_that_two_lists_lack_ends_and_begins_again_when_it_is_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = FeedRig(monkeypatch, "BTC/USDT", "ETHUSDT", answers=[Listing(BTC, ETH), Listing(BTC)], pace=OFTEN)

    async def scene() -> None:
        await rig.until(lambda: rig.streams == ["BTC/USDT"])
        loads = rig.loads
        await rig.until(lambda: rig.loads > loads + 2)
        assert rig.feed.refused == ["bybit: ETH/USDT is not listed any more"]
        assert [key.symbol for key in rig.feed.expected] == ["BTC/USDT", "ETH/USDT"]  # still asked for
        rig.answers = [Listing(BTC, ETH)]
        await rig.until(lambda: len(rig.streams) == 2 and not rig.feed.refused)
        rig.answers = [Listing(BTC)]
        await rig.until(lambda: rig.streams == ["BTC/USDT"])
        assert rig.feed.remove(["ETHUSDT"]) == []
        assert rig.feed.refused == []
        rig.answers = [Listing(BTC, ETH)]
        loads = rig.loads
        await rig.until(lambda: rig.loads > loads + 2)
        assert rig.streams == ["BTC/USDT"]  # nobody wants it any more

    rig.run(scene)
    assert [one.symbol for one in rig.halts if one.code == "delisted"] == ["ETH/USDT"] * 2
    assert [one.names for one in rig.found] == [("ETHUSDT",)]


def test_a_list_that_cannot_be_refreshed_touches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[Listing | Exception] = [
        Listing(BTC),
        KeyError("altname"),
        StreamError("no"),
        StreamError("no"),
    ]
    rig = FeedRig(monkeypatch, "BTC/USDT", answers=[*failed, Listing(BTC, NEW)], pace=OFTEN)

    async def scene() -> None:
        await rig.until(lambda: rig.loads > len(failed) + 1)
        assert [key.symbol for key in rig.feed.add(["NEWUSDT"])] == ["NEW/USDT"]

    rig.run(scene)
    assert len(rig.not_refreshed) == 3
    assert rig.codes() == ["markets"]
    assert not [one for one in rig.states if one.connection == "bybit.markets"]


def test_an_unknown_name_has_the_list_looked_at_again_but_not_all_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = FeedRig(monkeypatch, "BTC/USDT", answers=[Listing(BTC), Listing(BTC, NEW)])

    async def scene() -> None:
        await rig.until(lambda: rig.streams)
        assert rig.feed.look_for(["BTCUSDT"]).done()
        looked = rig.feed.look_for(["NEWUSDT"])
        assert not looked.done()
        await rig.until(looked.done)
        assert [key.symbol for key in rig.feed.add(["NEWUSDT"])] == ["NEW/USDT"]
        assert rig.feed.look_for(["NOPE"]).done()  # it was looked at just now
        assert rig.loads == 2
        monkeypatch.setattr(market_list, "LEAST_BETWEEN_S", 0.0)
        await rig.until(rig.feed.look_for(["NOPE"]).done)
        assert rig.loads == 3

    rig.run(scene)


def test_who_asked_for_a_look_is_answered_when_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = FeedRig(monkeypatch, "BTC/USDT", answers=[Listing(BTC), StreamError("no")])

    async def scene() -> None:
        await rig.until(lambda: rig.streams)
        await rig.until(rig.feed.look_for(["NEWUSDT"]).done)

    rig.run(scene)


def test_who_asked_for_a_look_is_answered_when_the_feed_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = FeedRig(monkeypatch, "BTC/USDT", answers=[Listing(BTC)])
    waiting = []

    async def scene() -> None:
        await rig.until(lambda: rig.streams)
        waiting.append(rig.feed.look_for(["NOPE"]))

    rig.run(scene)
    assert waiting[0].done()


def test_a_fault_of_ours_beside_the_connections_is_told_and_they_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faults = [ValueError("ours"), ValueError("ours")]

    def old(*_: object) -> bool:
        if faults:
            raise faults.pop()
        return False

    monkeypatch.setattr("collector.live.replacement.is_aged", old)
    monkeypatch.setattr("collector.live.supervision.SUPERVISE_S", 0.001)
    rig = FeedRig(monkeypatch, "BTC/USDT", answers=[Listing(BTC)])

    async def scene() -> None:
        await rig.until(lambda: not faults)
        await asyncio.sleep(0)
        assert rig.loads == 1
        assert rig.streams == ["BTC/USDT"]

    rig.run(scene)
    assert [one for one in rig.codes() if one != "critical_errors"] == ["internal_error"] * 2


def test_all_books_of_a_feed_keep_deltas_in_one_memory_of_64_mib(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those on standby as well: during a replacement every book is there twice."""
    rig = FeedRig(
        monkeypatch,
        "BTC/USDT",
        "ETH/USDT",
        answers=[Listing(BTC, ETH, exchange="binance")],
        exchange="binance",
    )

    async def scene() -> None:
        await rig.until(lambda: len(rig.streams) == 2)
        assert rig.feed._connections is not None
        first, second = rig.feed._connections.streams
        books = [
            one._book for one in (first, second, rig.feed._standby(first)) if isinstance(one, BookStream)
        ]
        memories = [book._recent._memory for book in books if isinstance(book, BridgedBook)]
        assert len(memories) == 3
        for book in books:
            book.apply_delta(Delta("any", 2, 1, [(1.0, 1.0)], [], first_sequence=1))
        assert {one.held_bytes for one in memories} == {3 * (DELTA_BYTES + LEVEL_BYTES)}
        assert {one._most_bytes for one in memories} == {64 * 2**20}

    rig.run(scene)


def test_the_first_wait_for_a_list_obeys_its_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one may be twice as long."""
    pace = replace(PACE, backoff_base_s=0.5, backoff_max_s=60.0)
    rig = FeedRig(monkeypatch, "BTC/USDT", answers=[StreamError("no")], pace=pace)
    waits: list[float] = []
    monkeypatch.setattr("random.random", lambda: 1.0 - 1e-9)
    sleep = asyncio.sleep

    async def told(wait_s: float) -> None:
        waits.append(round(wait_s, 3))
        await sleep(0 if wait_s > 0.1 else wait_s)

    async def scene() -> None:
        monkeypatch.setattr("collector.network.markets.asyncio.sleep", told)
        try:
            async with asyncio.timeout(5.0):
                while len([one for one in waits if one >= 0.5]) < 3:
                    await sleep(0.001)
        finally:
            monkeypatch.setattr("collector.network.markets.asyncio.sleep", sleep)

    rig.run(scene)
    assert [one for one in waits if one >= 0.5][:3] == [0.5, 1.0, 2.0]
