"""Bars built from trades, beside the exchange's own."""

from array import array

import pytest

from collector.events.batch import Batch, StreamKey
from collector.events.columns import NO_INT, NO_NUMBER, CandleColumns, TradeColumns
from collector.exchanges.registry import EXCHANGES
from collector.features.trade_bars import TradeBars

MINUTE_MS = 60_000
START_MS = 1_700_000_040_000 // MINUTE_MS * MINUTE_MS
BARS_SEGMENT = 900
PAST_TRADES = 2  # the stream of those that REST brings


class Rig:
    def __init__(self, exchange: str = "binance", *, open_at_last_close: bool = False) -> None:
        keys = [StreamKey(exchange, "BTC/USDT", channel) for channel in ("trade", "ohlcv.1m", "trade")]
        self.bars = TradeBars(
            keys.__getitem__,
            open_at_last_close=lambda name: open_at_last_close and name == exchange,
            origin_of=lambda stream: "rest" if stream == PAST_TRADES else None,
        )
        self.found = (0, 0)
        self.tell(-10, (1.0, 1.0, 1.0, 1.0, 1.0))  # from now on it is known which bars are wanted

    def trade(
        self,
        at_s: float,
        price: float,
        size: float = 1.0,
        *,
        segment: int = 1,
        marked: str | None = None,
        stream: int = 0,
    ) -> None:
        trades = TradeColumns()
        at_ms = START_MS + int(at_s * 1000)
        trades.append((price, size), (at_ms * 10**6, at_ms, NO_INT, stream, segment, 1, 0), "1", marked)
        self._take(trades=trades)

    def tell(
        self,
        minute: int,
        numbers: tuple[float, float, float, float, float],
        count: int | None = None,
        *,
        confirmed: bool = True,
    ) -> None:
        candles = CandleColumns()
        open_ms = START_MS + minute * MINUTE_MS
        integers = (1, NO_INT, open_ms, 1, BARS_SEGMENT, confirmed, NO_INT if count is None else count)
        candles.append((*numbers, NO_NUMBER), integers)
        self._take(candles=candles)

    def _take(self, trades: TradeColumns | None = None, candles: CandleColumns | None = None) -> None:
        batch = Batch(
            array("d"), array("q"), (), (), {}, {}, trades or TradeColumns(), candles or CandleColumns()
        )
        for segment, one in self.bars.compare(batch).items():
            assert segment == BARS_SEGMENT
            self.found = self.found[0] + one.compared, self.found[1] + one.disagreed


def traded(rig: Rig) -> None:
    """Trade in the minutes 0, 1 and 2."""
    rig.trade(50.0, 100.0)
    rig.trade(60.0, 101.0, 2.0)
    rig.trade(70.0, 103.0)
    rig.trade(80.0, 100.5)
    rig.trade(119.9, 102.0, 0.5)
    rig.trade(121.5, 102.5)


@pytest.mark.parametrize(
    ("told", "count", "disagreed"),
    [
        ((101.0, 103.0, 100.5, 102.0, 4.5), 4, 0),
        ((101.0, 103.0, 100.5, 102.0, 4.5), None, 0),
        ((101.0, 103.0, 100.5, 102.0, 4.500000000001), 4, 0),
        ((101.0, 103.0, 100.5, 102.0, 4.6), 4, 1),
        ((101.0, 103.0, 100.5, 102.0, 4.5), 5, 1),
        ((101.0, 103.5, 100.5, 102.0, 4.5), 4, 1),
        ((101.0, 103.0, 100.0, 102.0, 4.5), 4, 1),
        ((100.0, 103.0, 100.0, 102.0, 4.5), 4, 1),
        ((101.0, 103.0, 100.5, 101.5, 4.5), 4, 1),
    ],
)
@pytest.mark.parametrize("bar_first", [True, False])
def test_a_bar_is_held_against_its_trades(
    told: tuple[float, float, float, float, float], count: int | None, disagreed: int, bar_first: bool
) -> None:
    rig = Rig()
    if bar_first:
        rig.tell(1, told, count)
    traded(rig)
    if not bar_first:
        rig.tell(1, told, count)
    assert rig.found == (1, disagreed)


def test_the_bar_in_which_the_trades_begin_is_not_compared() -> None:
    rig = Rig()
    traded(rig)
    rig.tell(0, (9.0, 9.0, 9.0, 9.0, 9.0))
    assert rig.found == (0, 0)


def test_nor_is_one_in_which_trades_are_missing() -> None:
    rig = Rig()
    rig.trade(50.0, 100.0)
    rig.trade(60.0, 101.0)
    rig.trade(70.0, 103.0, segment=2)
    rig.trade(130.0, 103.0, segment=2)
    rig.tell(1, (101.0, 103.0, 101.0, 103.0, 2.5))
    assert rig.found == (0, 0)


def test_nor_one_that_is_not_over() -> None:
    rig = Rig()
    rig.tell(1, (9.0, 9.0, 9.0, 9.0, 9.0), confirmed=False)
    traded(rig)
    assert rig.found == (0, 0)


def test_a_bar_without_a_trade_is_right_when_nothing_was_traded() -> None:
    rig = Rig()
    rig.trade(50.0, 100.0)
    rig.trade(190.0, 100.0)
    rig.tell(1, (100.0, 100.0, 100.0, 100.0, 0.0), 0)
    assert rig.found == (1, 0)
    rig.tell(2, (100.0, 100.0, 100.0, 100.0, 1.0))
    assert rig.found == (2, 1)


def test_trades_that_are_no_market_trades_are_left_out() -> None:
    rig = Rig()
    rig.trade(50.0, 100.0)
    rig.trade(60.0, 101.0)
    rig.trade(61.0, 5.0, marked="ADL")
    rig.trade(130.0, 100.0)
    rig.tell(1, (101.0, 101.0, 101.0, 101.0, 1.0), 1)
    assert rig.found == (1, 0)


def test_bars_of_bybit_begin_at_the_last_close() -> None:
    assert EXCHANGES["bybit"].bars_open_at_last_close
    rig = Rig("bybit", open_at_last_close=True)
    traded(rig)
    rig.tell(1, (100.0, 103.0, 100.0, 102.0, 4.5))
    assert rig.found == (1, 0)


def test_what_rest_brings_of_another_time_disturbs_no_comparison() -> None:
    rig = Rig()
    rig.trade(50.0, 100.0)
    rig.trade(60.0, 101.0, 2.0)
    rig.trade(-5_000.0, 90.0, segment=7, stream=PAST_TRADES)
    rig.trade(70.0, 103.0)
    rig.trade(121.5, 102.5)
    rig.tell(1, (101.0, 103.0, 101.0, 103.0, 3.0), 2)
    assert rig.found == (1, 0)
