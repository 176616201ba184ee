"""The verified book now: a copy, whole and of one moment, or a word on why there is none."""

import sys
import threading
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from collector import (
    AmbiguousSymbolError,
    BookNotVerifiedError,
    CollectorError,
    DataIngestor,
    L2Update,
    LocalBook,
    UserError,
)
from collector.bot.local_book import Books
from collector.events.batch import StreamKey

sys.path.insert(0, str(Path(__file__).parent))
from bot_rig import BTC, ETH, running, wait_until


def test_it_is_what_the_update_of_that_sequence_said_with_every_level(tmp_path: Path) -> None:
    updates: dict[tuple[str, int | None], L2Update] = {}
    books: list[LocalBook] = []
    with running(tmp_path, updates_per_s=60.0, symbol=[BTC, ETH]) as (ingestor, simulator):
        ingestor.add_update_callback(
            lambda update: updates.setdefault((update.symbol, update.sequence), update)
        )
        wait_until(lambda: {one["state"] for one in ingestor.get_stats()["streams"]} == {"verified"}, "both")
        wait_until(lambda: {symbol for symbol, _ in list(updates)} == {BTC, ETH}, "each was heard")
        books.extend(ingestor.book("btcusdt", "bybit", "book.50") for _ in range(50))
        simulator.pause()
        wait_until(lambda: ingestor.get_stats()["pending"] == 0, "all stored")
        last = ingestor.book(BTC)
        ingestor.unsubscribe(ETH)
        with pytest.raises(UserError, match="no book of ETHUSDT is collected; expected one of bybit BTC"):
            ingestor.book("ETHUSDT")
        with pytest.raises(UserError, match="no book of BTC/USDT:USDT 5 is collected"):
            ingestor.book(BTC, channel=5)  # type: ignore[arg-type]
        ingestor.stop()  # what waits for the callback is delivered
        with pytest.raises(UserError, match="the ingestor is stopped; expected it to run"):
            ingestor.book(BTC)
        truth = simulator.truth.sent("bybit", BTC, "book.50")[-1]
    books.append(last)
    assert last.sequence == truth.sequence
    compared = 0
    for book in books:
        assert (book.exchange, book.symbol, book.channel, book.state) == ("bybit", BTC, "book.50", "verified")
        assert len(book.bids) == len(book.asks) == 50
        assert book.bids[0][0] < book.asks[0][0]
        assert sorted(book.bids, reverse=True) == list(book.bids)
        update = updates.get((BTC, book.sequence))
        if update is not None:
            compared += 1
            assert (book.bids[:10], book.asks[:10]) == (update.bids, update.asks)
            assert (book.received_at_ns, book.exchange_ms) == (update.received_at_ns, update.exchange_ms)
            assert (book.received_at, book.exchange_time) == (update.received_at, update.exchange_time)
            assert book.update.mid_price == update.mid_price
    assert compared > 0
    with pytest.raises(FrozenInstanceError):
        last.sequence = 1  # type: ignore[misc]


def test_one_that_is_not_verified_is_no_book(tmp_path: Path) -> None:
    with running(tmp_path, updates_per_s=60.0, channels=["trade", "bbo"]) as (ingestor, simulator):
        few = ingestor.book(BTC, levels=3)
        assert (len(few.bids), len(few.asks)) == (3, 3)
        with pytest.raises(UserError, match="levels is 0; expected a whole number from 1"):
            ingestor.book(BTC, levels=0)
        with pytest.raises(UserError, match="levels is '5'; expected a whole number from 1"):
            ingestor.book(BTC, levels="5")  # type: ignore[arg-type]
        wrong: Any = ["BTC/USDT:USDT"]
        asks = (
            ingestor.book,
            ingestor.ticks.get,
            ingestor.ticks.top,
            ingestor.subscribe,
            ingestor.unsubscribe,
        )
        for ask in asks:
            with pytest.raises(UserError, match=r"symbol is \[.*; expected one name, such as BTC/USDT:USDT"):
                ask(wrong)
        with pytest.raises(UserError, match=r"interval is None; expected a number and a unit"):
            ingestor.bars(None)  # type: ignore[arg-type]
        with pytest.raises(UserError, match="no book of kraken BTC/USDT:USDT is collected"):
            ingestor.book(BTC, "kraken")
        with pytest.raises(UserError, match="no book of BTC/USDT:USDT bbo is collected"):
            ingestor.book(BTC, channel="bbo")
        simulator.faults.refuse("bybit", 503, count=100_000)
        simulator.faults.close(exchange="bybit")

        def words() -> str:
            try:
                ingestor.book(BTC)
            except BookNotVerifiedError as error:
                return f"{error.state} {error.exchange} {error.symbol} {error.channel}: {error}"
            return ""

        key = f"bybit {BTC} book.50"
        wait_until(lambda: words().startswith("down"), "it is down")
        assert words() == f"down {key}: the book {key} is not verified: down, since disconnect"


def test_many_may_ask_at_once_also_while_it_stops(tmp_path: Path) -> None:
    odd: list[BaseException] = []
    asked = 0

    def ask(ingestor: DataIngestor) -> None:
        nonlocal asked
        while True:
            try:
                ingestor.book(BTC)
                asked += 1
            except CollectorError:
                return
            except BaseException as error:  # noqa: BLE001  (the test looks)
                odd.append(error)
                return

    with running(tmp_path, updates_per_s=60.0) as (ingestor, _):
        askers = [threading.Thread(target=ask, args=(ingestor,)) for _ in range(3)]
        for asker in askers:
            asker.start()
        wait_until(lambda: asked > 100, "answers")
        assert ingestor.is_healthy()
        assert ingestor.stop()
        for asker in askers:
            asker.join(30.0)
            assert not asker.is_alive()
    assert odd == []


def test_of_several_books_of_a_market_the_deepest_is_meant() -> None:
    keys = [StreamKey("bybit", BTC, f"book.{levels}") for levels in (50, 1000, 200)]
    find = Books()._find
    assert find(keys, "btcusdt", None, None).channel == "book.1000"
    assert find(keys, "btcusdt", "bybit", "book.50").channel == "book.50"
    both = [*keys, StreamKey("kraken", "BTC/USDT:USDT", "book.10")]
    with pytest.raises(AmbiguousSymbolError, match="name the exchange with exchange="):
        find(both, BTC, None, None)
    assert find(both, BTC, "kraken", None).exchange == "kraken"
