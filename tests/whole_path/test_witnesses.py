"""Books are witnessed while they are collected: no false alarm in peace, and a lie is found."""

import sys
from pathlib import Path

from collector.exchanges.registry import EXCHANGES

sys.path.insert(0, str(Path(__file__).parent))
from rig import MARKETS, Market, Rig, on_markets, running, wait_until

WITNESSED = [market for market in MARKETS if EXCHANGES[market.exchange].shared_numbers is not None]
BY_REST = [market for market in MARKETS if market.by_rest]


def channels(market: Market, *names: str) -> dict[str, object]:
    return {f"exchanges__{market.exchange}__channels": [market.channel, *names]}


def books(rig: Rig, symbol: str) -> list[dict[str, object]]:
    return [one for one in rig.segments(symbol) if one["channel"] == rig.market.channel]


def causes(rig: Rig, symbol: str) -> list[object]:
    return [one["end_cause"] for one in books(rig, symbol)]


def doubts(rig: Rig, symbol: str, cause: str) -> int:
    return sum((one.symbol, one.cause) == (symbol, cause) for one in rig.changes)


def lie_until_found(rig: Rig, symbol: str) -> None:
    """Send one lie after the other: not each is about what is compared."""
    told = -1

    def found() -> bool:
        nonlocal told
        if rig.received(symbol) > told:  # the last one is out
            rig.simulator.faults.corrupt_level(rig.market.exchange, symbol, rig.market.channel)
            told = rig.received(symbol)
        return doubts(rig, symbol, "witness") > 0

    wait_until(found, "the lie")


@on_markets("binance linear", "kraken spot")
def test_in_peace_nobody_disagrees(tmp_path: Path, market: Market) -> None:
    every_s = {"integrity__witness_every_s": 0.5}
    collected = channels(market, "bbo", "trade")
    with running(tmp_path / "live.db", market=market, **collected, **every_s) as rig:
        least = 1 if market.exchange == "kraken" else 100  # there, by trades alone

        def compared(symbol: str) -> bool:
            return sum(int(str(one["witnessed"])) for one in books(rig, symbol)) >= least

        for symbol in rig.symbols:
            wait_until(lambda symbol=symbol: rig.written(symbol) > 300, f"rows of {symbol}")
            wait_until(lambda symbol=symbol: compared(symbol), f"comparisons of {symbol}")
        assert rig.collector.stop().good
        for symbol in rig.symbols:
            # Of the best prices as well: what they still send while the socket ends opens nothing.
            assert [one["end_cause"] for one in rig.segments(symbol)] == ["stop"] * 3
            (segment,) = books(rig, symbol)
            assert segment["disagreed"] == 0


@on_markets("bybit linear", "binance spot", among=WITNESSED)
def test_a_lie_about_the_touch_is_found_by_the_best_prices(tmp_path: Path, market: Market) -> None:
    with running(tmp_path / "live.db", market=market, **channels(market, "bbo")) as rig:
        lied_about, untouched = rig.symbols
        wait_until(lambda: rig.written(lied_about) > 30, "rows")
        lie_until_found(rig, lied_about)
        before = rig.written(lied_about)
        wait_until(lambda: rig.written(lied_about) > before + 20, "verified again")
        assert rig.collector.stop().good
        assert "witness" in causes(rig, lied_about)
        assert causes(rig, untouched) == ["stop"]
        segment = next(one for one in books(rig, lied_about) if one["end_cause"] == "witness")
        disagreed = int(str(segment["disagreed"]))
        # On Bybit three in a row; lies that went away by themselves count beside them.
        assert disagreed >= 3 if market.exchange == "bybit" else disagreed == 1
        assert segment["alive_until_ns"] == segment["end_ns"]
        assert "told" in str(segment["detail"])


@on_markets("binance linear", among=BY_REST)
def test_a_lie_about_a_deep_level_is_found_by_rest(tmp_path: Path, market: Market) -> None:
    with running(tmp_path / "live.db", market=market, integrity__witness_every_s=0.3) as rig:
        lied_about, untouched = rig.symbols
        lie_until_found(rig, lied_about)
        wait_until(lambda: doubts(rig, lied_about, "") > 1, "verified again")
        assert rig.collector.stop().good
        segment = next(one for one in books(rig, lied_about) if one["end_cause"] == "witness")
        assert segment["disagreed"] == 1
        assert "by REST" in str(segment["detail"])
        assert causes(rig, untouched) == ["stop"]


@on_markets("binance linear")
def test_an_absurd_jump_is_no_row_until_a_fresh_snapshot_confirms_it(tmp_path: Path, market: Market) -> None:
    """Markets jump by themselves as well, though not so far."""
    with running(tmp_path / "live.db", market=market, integrity__max_jump=0.0009) as rig:
        untouched, jumps = rig.symbols
        wait_until(lambda: rig.written(jumps) > 30, "rows")
        rig.simulator.faults.sweep(market.exchange, jumps, levels=290, buys=True)
        wait_until(lambda: doubts(rig, jumps, "absurd") or doubts(rig, jumps, "edge"), "the doubt")
        before = rig.written(jumps)
        wait_until(lambda: rig.written(jumps) > before + 20, "believed again")
        report = rig.collector.stop()
        assert report.good
        assert set(causes(rig, jumps)[:-1]) == {"absurd"}
        assert causes(rig, untouched) == ["stop"]
        rejected = next(one.rejected for one in report.accounting if one.symbol == jumps)
        assert rejected["absurd"] >= 1
        rig.check_rows(jumps)
