"""Trades beside the best prices: a sweep is no contradiction, trades that go on elsewhere are."""

import gzip
from pathlib import Path

import pytest

from collector.book.bridged import BridgedBook
from collector.book.verified import Did
from collector.errors import FrameError
from collector.events.messages import Delta, Trade
from collector.exchanges.binance import continuity, read_frame, read_snapshot
from collector.exchanges.venues import Kind
from collector.stream.trade_touch import SLOT_NS, TradesAtTheTouch

RECORDED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "binance" / "nkaz001-hftbacktest"


def trade_on(touch: TradesAtTheTouch, first_s: int, seconds: int, price: float) -> tuple[int, bool]:
    """Trade three times a second; return what was compared in all, and whether the book is contradicted."""
    compared, contradicted = 0, False
    for second in range(first_s, first_s + seconds):
        for part in range(3):
            more, wrong = touch.traded(second * SLOT_NS + part * SLOT_NS // 4, price)
            compared, contradicted = compared + more, contradicted or wrong
    return compared, contradicted


def quoted(seconds: int = 60) -> TradesAtTheTouch:
    touch = TradesAtTheTouch()
    for second in range(seconds):
        touch.of_book(second * SLOT_NS, 100.0, 101.0)
    return touch


@pytest.mark.parametrize("price", [100.0, 100.5, 101.0, 99.6, 101.4])
def test_trades_at_or_near_the_best_prices_agree(price: float) -> None:
    compared, contradicted = trade_on(quoted(3), 2, 20, price)
    assert compared >= 50
    assert not contradicted


@pytest.mark.parametrize("price", [99.0, 102.0])
def test_trades_that_go_on_far_away_contradict(price: float) -> None:
    assert trade_on(quoted(3), 2, 8, price)[1]


def test_a_sweep_of_some_seconds_does_not() -> None:
    touch = quoted(3)
    assert not trade_on(touch, 2, 4, 90.0)[1]
    assert not trade_on(touch, 6, 10, 100.5)[1]


def test_a_price_that_the_book_follows_does_not() -> None:
    touch = TradesAtTheTouch()
    for second in range(40):
        price = 100.0 - second
        touch.of_book(second * SLOT_NS, price - 0.5, price + 0.5)
        assert not trade_on(touch, second, 1, price)[1]


def test_nothing_is_compared_without_a_book_or_after_it_was_lost() -> None:
    touch = TradesAtTheTouch()
    assert trade_on(touch, 0, 20, 1.0) == (0, False)
    touch = quoted(3)
    touch.forget()
    assert trade_on(touch, 5, 20, 1.0) == (0, False)


def test_memory_is_bounded() -> None:
    assert len(quoted(1000)._slots) < 20


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded frames are not on this machine")
@pytest.mark.parametrize(
    ("names", "kind", "trades"),
    [
        (("spot_ethusdt_20240808.gz", "spot_ethusdt_20240809.gz"), "spot", 14_000),
        (("usdm_btcusdt_20240718.gz", "usdm_btcusdt_20240719.gz"), "linear", 10_000),
    ],
)
def test_recorded_trades_contradict_nothing(names: tuple[str, ...], kind: Kind, trades: int) -> None:
    book, touch = BridgedBook(continuity(kind, 1000), 1000), TradesAtTheTouch()
    book.fetching = 1
    compared = 0
    for name in names:
        with gzip.open(RECORDED / name, "rt", encoding="utf-8") as lines:
            for line in lines:
                received, text = line.split(" ", 1)
                if '"lastUpdateId"' in text[:20]:
                    book.apply_snapshot(read_snapshot(text, "x"))
                    book.fetching = 0
                    continue
                try:
                    (message,) = read_frame(text)
                except FrameError:
                    continue
                if isinstance(message, Delta) and book.apply_delta(message).did is Did.CONTINUED:
                    bid, _, ask, _ = book.book.top(1)
                    touch.of_book(int(received), bid, ask)
                elif isinstance(message, Trade):
                    more, contradicted = touch.traded(int(received), message.price)
                    compared += more
                    assert not contradicted
    assert compared >= trades
