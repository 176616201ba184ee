"""Trades and bars, the whole way: what is stored is what was traded, on every market and either database."""

import dataclasses
import json
import math
import sys
from pathlib import Path

import pandas as pd
import pytest

from collector import load_ohlcv
from collector.events import market as told
from collector.exchanges.registry import EXCHANGES
from collector.query.audit import run_audit
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from market_rig import MarketRig, collecting
from rig import BYBIT_LINEAR, MARKETS, Market, on_markets, wait_until

NUMBERED = [market for market in MARKETS if EXCHANGES[market.exchange].numbers_trades]
KRAKEN = MARKETS[-1]


@on_markets("binance linear", "kraken spot")  # Bybit: in PostgreSQL; OKX: test_okx.py
def test_trades_and_bars_equal_the_truth(tmp_path: Path, market: Market) -> None:
    with collecting(tmp_path / "live.db", market) as rig:
        collects_and_stores_all(rig)


@on_markets("bybit linear", among=[BYBIT_LINEAR, KRAKEN])
def test_the_same_in_postgresql(postgres_url: str, market: Market) -> None:
    with collecting(postgres_url, market) as rig:
        collects_and_stores_all(rig)


def collects_and_stores_all(rig: MarketRig) -> None:
    rig.wait_for_trades(30)
    rig.let_a_minute_pass()
    rig.wait_for_trades(30)
    rig.let_a_minute_pass()
    for symbol in rig.symbols:  # a bar is compared with its trades a second after its end
        trades, bars = rig.heard_trades[symbol], rig.heard_bars[symbol, "1m"]
        wait_until(
            lambda trades=trades, bars=bars: trades[-1].exchange_ms > bars[-1].open_ms + 1100, "a second more"
        )
    rig.stop()
    for symbol in rig.symbols:
        assert not rig.missing(symbol)
        (segment,) = rig.segments(symbol, "trade")
        assert segment["end_cause"] == "stop"
        assert segment["rows"] == len(rig.rows("trades", symbol))
        numbered = EXCHANGES[rig.market.exchange].numbers_trades
        assert segment["verification"] == ("sequence" if numbered else "connection")
        minutes = rig.check_bars(symbol, "1m")
        assert sum(row["confirmed"] for row in minutes) >= 2
        (bars,) = rig.segments(symbol, "ohlcv.1m")
        assert bars["witnessed"] >= 1  # by the bars that our trades make
        assert bars["disagreed"] == 0
        for one in rig.heard_trades[symbol]:
            assert one.exchange == rig.market.exchange


@on_markets("bybit linear")
def test_a_lost_connection_is_a_hole_and_nothing_is_doubled(tmp_path: Path, market: Market) -> None:
    with collecting(tmp_path / "live.db", market) as rig:
        rig.wait_for_trades(10)
        rig.simulator.faults.reset(market.exchange)
        wait_until(lambda: all(len(rig.causes_so_far(symbol)) == 1 for symbol in rig.symbols), "the reset")
        rig.wait_for_trades(60)
        rig.stop()
        for symbol in rig.symbols:
            assert rig.causes(symbol) == ["disconnect", "stop"]
            assert rig.causes(symbol, "ohlcv.1m") == ["disconnect", "stop"]


@on_markets("kraken spot")
def test_bars_that_stop_while_their_market_trades_are_subscribed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, market: Market
) -> None:
    quick = dataclasses.replace(EXCHANGES[market.exchange], bars_within_s=0.2, quiet_after_s=None)
    monkeypatch.setitem(EXCHANGES, market.exchange, quick)
    with collecting(tmp_path / "live.db", market, stream__stale_after_s=0.3) as rig:
        stalled, untouched = rig.symbols
        rig.simulator.faults.stall(market.exchange, stalled, "ohlcv.1m")
        wait_until(lambda: rig.causes_so_far(stalled, "ohlcv.1m"), "found stale")
        rig.simulator.faults.unstall(market.exchange, stalled, "ohlcv.1m")
        rig.wait_for_trades()
        wait_until(lambda: rig.is_covered(stalled, "ohlcv.1m"), "seen again")
        assert rig.collector.stop().good  # not all that was made of the bars was sent
        assert run_audit(rig.rig.database).passed
        assert set(rig.causes(stalled, "ohlcv.1m")) == {"stale", "stop"}
        assert rig.causes(untouched, "ohlcv.1m") == rig.causes(stalled) == ["stop"]
        first = rig.segments(stalled, "ohlcv.1m")[0]
        assert first["alive_until_ns"] == first["end_ns"]


@on_markets("binance linear", among=NUMBERED)
def test_a_trade_that_was_lost_is_a_hole_in_coverage(tmp_path: Path, market: Market) -> None:
    with collecting(tmp_path / "live.db", market) as rig:
        broken, untouched = rig.symbols
        rig.wait_for_trades(10)
        rig.simulator.faults.drop_frame(market.exchange, broken, "trade")
        rig.wait_for_trades(20)
        rig.stop()
        assert rig.causes(broken) == ["sequence_gap", "stop"]
        assert rig.causes(untouched) == ["stop"]
        first, second = rig.segments(broken, "trade")
        lost = rig.missing(broken)
        assert [int(one) for one in lost] == list(range(first["last_sequence"] + 1, second["first_sequence"]))
        assert first["alive_until_ns"] == first["end_ns"]


def test_a_trade_that_cannot_be_read_is_a_hole_where_no_number_shows_it(tmp_path: Path) -> None:
    with collecting(tmp_path / "live.db", BYBIT_LINEAR) as rig:
        broken, untouched = rig.symbols
        rig.wait_for_trades(10)
        topic = f"publicTrade.{broken.partition(':')[0].replace('/', '')}"
        garbled = f'{{"topic":"{topic}","type":"snapshot","ts":1,"data":[{{"T":1,"p":"much"}}]}}'
        rig.simulator.faults.raw_frame("bybit", garbled, broken)
        wait_until(lambda: rig.causes_so_far(broken), "the frame")
        rig.wait_for_trades(20)
        rig.stop()
        assert rig.causes(broken) == ["malformed", "stop"]
        assert rig.causes(untouched) == ["stop"]
        assert not rig.missing(broken)


@on_markets("bybit linear")
def test_a_trade_told_twice_is_stored_once(tmp_path: Path, market: Market) -> None:
    with collecting(tmp_path / "live.db", market) as rig:
        symbol = rig.symbols[0]
        rig.simulator.faults.duplicate_frame(market.exchange, symbol, "trade")
        rig.wait_for_trades(20)
        report = rig.stop()
        (terms,) = [one for one in report.accounting if (one.symbol, one.channel) == (symbol, "trade")]
        assert terms.merged >= 1
        assert rig.causes(symbol) == ["stop"]
        assert not rig.missing(symbol)


def test_what_is_told_again_in_another_session_is_merged(tmp_path: Path) -> None:
    path, known = str(tmp_path / "live.db"), []
    with Simulator(symbols={"kraken": list(KRAKEN.symbols)}, updates_per_s=200.0) as simulator:
        for again in (False, True):
            with collecting(path, KRAKEN, "trade", "ohlcv.1m", simulator=simulator) as rig:
                simulator.resume()
                rig.wait_for_trades(20)
                report = rig.stop()
                assert all((one.merged > 0) == again for one in report.accounting if one.channel == "trade")
            known.append({symbol: load_ohlcv(path, symbol, interval="1m") for symbol in rig.symbols})
    for symbol, before in known[0].items():  # when a bar was known, and in which segment, stays
        after = known[1][symbol]
        assert len(before) > 1
        pd.testing.assert_frame_equal(after[after.index <= before.index[-1]], before)
        assert not after["corrected"].any()


def test_a_bar_that_the_exchange_corrects_is_kept_beside_what_was_known(tmp_path: Path) -> None:
    path = str(tmp_path / "live.db")
    with collecting(path, BYBIT_LINEAR, "trade", "ohlcv.1m") as rig:
        symbol, untouched = rig.symbols
        rig.let_a_minute_pass()
        bars = rig.heard_bars[symbol, "1m"]
        first = next(one for one in bars if one.confirmed)
        volume = math.nextafter(first.volume, math.inf)
        rig.simulator.faults.raw_frame("bybit", bybit_bar(first, volume), symbol)
        wait_until(
            lambda: any((one.volume, one.confirmed) == (volume, True) for one in bars), "the correction"
        )
        report = rig.stop()
    written = {one.symbol: one.written for one in report.accounting if one.channel == "ohlcv.1m"}
    for name, corrections in ((symbol, 1), (untouched, 0)):
        assert len(rig.rows("ohlcv_corrections", name)) == corrections
        assert len(rig.rows("ohlcv", name)) == written[name] - corrections
    latest = load_ohlcv(path, symbol, interval="1m", index="open_time")
    then = load_ohlcv(path, symbol, interval="1m", index="open_time", as_of=first.received_at_ns)
    at = pd.Timestamp(first.open_ms, unit="ms", tz="UTC")
    assert (latest.loc[at, "volume"], latest.loc[at, "corrected"]) == (volume, 1)
    assert (then.loc[at, "volume"], then.loc[at, "corrected"]) == (first.volume, 0)


def bybit_bar(bar: told.Candle, volume: float) -> str:
    """Tell a bar as over, with another volume."""
    name = bar.symbol.partition(":")[0].replace("/", "")
    numbers = {one: repr(getattr(bar, one)) for one in ("open", "high", "low", "close")}
    data = {
        "start": bar.open_ms,
        "end": bar.open_ms + 59_999,
        "interval": "1",
        "confirm": True,
        **numbers,
        "volume": repr(volume),
        "turnover": "1",
        "timestamp": bar.exchange_ms,
    }
    return json.dumps({"topic": f"kline.1.{name}", "type": "snapshot", "ts": 1, "data": [data]})


@on_markets("kraken spot")
def test_a_connection_is_replaced_without_a_hole(
    tmp_path: Path, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = dataclasses.replace(EXCHANGES[market.exchange], lifetime_s=0.5)
    monkeypatch.setitem(EXCHANGES, market.exchange, short)
    with collecting(tmp_path / "live.db", market, "trade", "ohlcv.1m") as rig:
        newest = lambda: max((one.number for one in rig.simulator.connections(market.exchange)), default=0)  # noqa: E731
        first_number = newest()
        wait_until(lambda: newest() >= first_number + 3, "three replacements")
        rig.wait_for_trades(10)
        rig.stop()
        for symbol in rig.symbols:
            assert not rig.missing(symbol)
            assert rig.causes(symbol) == ["stop"]
            assert rig.causes(symbol, "ohlcv.1m") == ["stop"]


@on_markets("bybit linear")
def test_markets_come_and_go(tmp_path: Path, market: Market) -> None:
    with collecting(tmp_path / "live.db", market, "trade") as rig:
        kept, left = rig.symbols
        assert rig.collector.unsubscribe(market.exchange, left)
        wait_until(lambda: rig.causes_so_far(left), "the end of its segment")
        stored = len(rig.heard_trades[left])
        before = len(rig.heard_trades[kept])
        wait_until(lambda: len(rig.heard_trades[kept]) > before + 20, "the other market")
        assert len(rig.heard_trades[left]) == stored
        rig.collector.subscribe(market.exchange, left)
        wait_until(lambda: len(rig.heard_trades[left]) > stored + 20, "the market once more")
        rig.stop()
        assert rig.causes(kept) == ["stop"]
        assert rig.causes(left) == ["unsubscribed", "stop"]


@on_markets("binance linear")
def test_a_market_at_several_depths_and_intervals_at_once(tmp_path: Path, market: Market) -> None:
    other = {"bybit": "book.1000", "okx": "book.5"}.get(market.exchange, "book.100")
    channels = (market.channel, other, "bbo", "trade", "ohlcv.1m", "ohlcv.5m")
    with collecting(tmp_path / "live.db", market, *channels) as rig:
        rig.wait_for_trades(30)
        if str(market) == "binance linear":  # bars have an address of their own there
            for one in rig.simulator.connections(market.exchange):
                kinds = {topic.kind for topic in one.topics.values()}
                assert ("bar" in kinds) == ("/market/" in one.path), (kinds, one.path)
                assert kinds == {"bar"} or "bar" not in kinds
        report = rig.stop()
        written = {(one.symbol, one.channel): one.written for one in report.accounting}
        for symbol in rig.symbols:
            assert all(written[symbol, channel] > 0 for channel in channels)
            assert not rig.missing(symbol)


def test_every_interval_of_a_market_is_collected_where_a_connection_takes_one(tmp_path: Path) -> None:
    channels = ("trade", "ohlcv.1m", "ohlcv.5m", "ohlcv.1h")
    with collecting(tmp_path / "live.db", KRAKEN, *channels) as rig:
        assert len(rig.simulator.connections("kraken")) == 3
        report = rig.stop()
        assert not report.problems
        for symbol in rig.symbols:
            for channel in channels:
                (segment,) = rig.segments(symbol, channel)
                assert segment["end_cause"] == "stop"
