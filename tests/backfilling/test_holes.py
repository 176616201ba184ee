"""Holes cut into what came live close, and what is loaded crosses the seams."""

import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from backfill_rig import (
    KEY,
    MINUTE_MS,
    bars_in,
    brought_in,
    configured,
    rows_of,
    simulated,
    trades_in,
    true_bars,
    true_trades,
    whole_past,
)
from two_origins import LAG_NS, NS_A_MS, TRADES, TwoOrigins

from collector.events.batch import StreamKey
from collector.query.audit.run_checks import run_audit
from collector.query.covered import gaps
from collector.query.loaders import load_trades


def store_live(
    path: Path,
    spans: list[tuple[int, int]],
    true: list[Any],
    key: StreamKey = TRADES,
    *,
    aggregates: bool = False,
) -> int:
    """Store what a collector would have that was connected in these times only; returns how many trades."""
    live, count = TwoOrigins(str(path)), 0
    for first_ms, last_ms in spans:
        segment = live.open(key, first_ms)
        stream = live.buffer.register(key)
        for trade_id, at_ms, price, size, side in true:
            received_ns = at_ms * NS_A_MS + LAG_NS
            if first_ms * NS_A_MS <= at_ms * NS_A_MS and received_ns <= last_ms * NS_A_MS:
                integers = (
                    received_ns,
                    at_ms,
                    int(trade_id),
                    stream,
                    segment,
                    int(side == "buy"),
                    aggregates,
                )
                live.buffer.append_trade(live._count(stream), (price, size), integers, trade_id, None)
                count += 1
        live.close(segment, last_ms, "closed")
    live.flush()
    live.sink.write(live.preparation.ended(spans[-1][1] * NS_A_MS, "stop"))
    live.sink.close()
    return count


def cut(start_ms: int, end_ms: int, true: list[Any], *, is_under_way: bool = False) -> list[tuple[int, int]]:
    """Return a time with three holes in it, of five minutes, two seconds and a minute and a half.

    A trade is under way when each begins, or none is.
    """
    at_ms = [one[1] for one in true]
    begins = [start_ms + minute * MINUTE_MS for minute in (5, 20, 30)]
    begins = [
        next(ms for ms in range(begin, end_ms, 2) if under_way(at_ms, ms) == is_under_way) for begin in begins
    ]
    lengths = (5 * MINUTE_MS + 777, 2_000, 90_000)
    edges = [start_ms, *(edge for hole in zip(begins, lengths, strict=True) for edge in (hole[0], sum(hole)))]
    return list(zip(edges[::2], [*edges[1::2], end_ms], strict=True))


def under_way(at_ms: list[int], until_ms: int) -> bool:
    return any(until_ms - LAG_NS // NS_A_MS < one <= until_ms for one in at_ms)


def test_three_holes_in_live_trades_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bars of the exchange then equal those that `verify` builds from trades, over the seams as well."""
    for name, value in KEY.items():
        monkeypatch.setenv(name, value)
    past = whole_past()
    path = tmp_path / "past.db"
    with simulated({"binance": ["BTC/USDT"]}) as simulator:
        true = true_trades(simulator, "binance", "BTC/USDT", *past)
        live = store_live(path, cut(*past, true), true)
        assert live < len(true)
        settings = configured(simulator, tmp_path)
        _, progress = brought_in(settings, *past, only_holes=True)
        assert progress is not None
        assert trades_in(path, "binance", "BTC/USDT") == true
        assert bars_in(path, "binance", "BTC/USDT") == true_bars(simulator, "binance", "BTC/USDT", *past)
        assert brought_in(settings, *past, only_holes=True, is_dry=True)[0].stretches == ()
    origins = dict(rows_of(path, "SELECT origin, count(*) FROM collector_trades GROUP BY origin"))
    assert origins == {None: live, "rest": len(true) - live}
    assert len(gaps(path)) == 0
    loaded = load_trades(path, "BTC/USDT")
    assert loaded["trade_id"].tolist() == [one[0] for one in true]
    assert list(run_audit(path).findings) == []
    assert "bars against trades" in findings_of_a_changed_bar(path)


def findings_of_a_changed_bar(path: Path) -> set[str]:
    """Change the bar of the first seam, to see that it is compared."""
    query = "SELECT min(open_time) + 300000 FROM collector_ohlcv"
    ((open_ms,),) = rows_of(path, query)
    database = sqlite3.connect(path)
    database.execute("UPDATE collector_ohlcv SET volume = volume * 2 WHERE open_time = ?", (open_ms,))
    database.commit()
    database.close()
    return {one.check for one in run_audit(path).findings}


def test_without_a_key_aggregates_close_holes_in_single_trades(tmp_path: Path) -> None:
    """Trades that are under way where a stream breaks off are in the time that it covered, and missing."""
    past = whole_past()
    path = tmp_path / "past.db"
    with simulated({"binance": ["BTC/USDT"]}) as simulator:
        true = true_trades(simulator, "binance", "BTC/USDT", *past)
        store_live(path, cut(*past, true, is_under_way=True), true)
        _, progress = brought_in(configured(simulator, tmp_path, ["trade"]), *past, only_holes=True)
        assert progress is not None
        assert progress.problems == []
    assert len(gaps(path)) == 0
    assert list(run_audit(path).findings) == []
    loaded = load_trades(path, "BTC/USDT", columns=["kind", "trade_id", "size"])
    assert set(loaded["kind"]) == {"trade", "agg"}
    assert loaded["size"].sum() == pytest.approx(sum(one[3] for one in true))


def test_single_trades_close_holes_in_aggregates(tmp_path: Path) -> None:
    """What comes live of OKX is put together by order, what REST brings is not."""
    past = whole_past()
    path, key = tmp_path / "past.db", StreamKey("okx", "BTC/USDT", "trade")
    with simulated({"okx": ["BTC/USDT"]}) as simulator:
        true = true_trades(simulator, "okx", "BTC/USDT", *past)
        together = put_together(true)
        store_live(path, cut(*past, true), together, key, aggregates=True)
        _, progress = brought_in(configured(simulator, tmp_path, ["trade"]), *past, only_holes=True)
        assert progress is not None
        assert progress.problems == []
    loaded = load_trades(path, "BTC/USDT", columns=["kind", "size"])
    assert set(loaded["kind"]) == {"trade", "agg"}
    assert loaded["size"].sum() == pytest.approx(sum(one[3] for one in true))


def put_together(true: list[Any]) -> list[Any]:
    """Put trades of one time and price together, under the last one's id."""
    found: list[Any] = []
    for trade_id, at_ms, price, size, side in true:
        if found and (found[-1][1], found[-1][2]) == (at_ms, price):
            found.append((trade_id, at_ms, price, found.pop()[3] + size, side))
        else:
            found.append((trade_id, at_ms, price, size, side))
    return found
