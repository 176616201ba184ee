"""Sampled and deep rows, from the simulated exchange's socket to the database, held against the truth."""

import json
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from collector.events.market import L2Update
from collector.query.database import reading

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "features"))
from oracle import deep, order_flow, same
from rig import BTC, ETH, Rig, running, stop_and_check, wait_until

MS = 1_000_000
INTERVAL = {"mode": "interval", "interval_ms": 50}


class Watched:
    """Every update that came in, as a bot sees it, whether it is stored or not."""

    def __init__(self, rig: Rig) -> None:
        self.updates: dict[str, list[L2Update]] = {symbol: [] for symbol in rig.symbols}
        rig.collector.events.subscribe(L2Update, lambda update: self.updates[update.symbol].append(update))


def states(rig: Rig, symbol: str) -> dict[int, Any]:
    """Return what the exchange published, by sequence."""
    return {one.sequence: one for one in rig.simulator.truth.books("bybit", symbol, "book.50")}


def deep_rows(rig: Rig, symbol: str) -> list[dict[str, Any]]:
    with reading(rig.database) as (connection, tables):
        table = tables.levels
        question = sa.select(table).where(table.c.symbol == symbol).order_by(table.c.id)
        return [dict(row) for row in connection.execute(question).mappings()]


def check_flow(rig: Rig, symbol: str, rows: Sequence[dict[str, Any]], names: dict[str, int]) -> None:
    """Each row's flow is the sum over all updates since the row before; the first row has none."""
    truth = states(rig, symbol)
    assert all(rows[0][name] is None for name in names)
    for before, row in pairwise(rows):
        for name, level in names.items():
            flow = 0.0
            for sequence in range(before["sequence"] + 1, row["sequence"] + 1):
                one, other = truth[sequence - 1], truth[sequence]
                flow += order_flow((one.bids[:10], one.asks[:10]), (other.bids[:10], other.asks[:10]), level)
            assert same(row[name], flow), (name, row)


def check_sampled(rig: Rig, symbol: str, expected: list[int]) -> None:
    """Exactly these updates are rows; all others are counted, and covered."""
    rows = rig.rows(symbol)
    assert [row["sequence"] for row in rows] == expected
    check_flow(rig, symbol, rows, {"ofi": 1})
    (segment,) = rig.segments(symbol)
    sent = sorted(states(rig, symbol))[-rig.sent(symbol) :]
    assert (segment["first_sequence"], segment["last_sequence"]) == (sent[0], sent[-1])
    (terms,) = (one for one in rig.collector.accounting() if one.symbol == symbol)
    assert (terms.written, terms.sampled_out) == (len(expected), rig.sent(symbol) - len(expected))
    assert terms.sampled_out > 0


def test_rows_that_do_not_move_the_touch_are_sampled_away(tmp_path: Path) -> None:
    with running(tmp_path / "live.db", exchanges__bybit__sample__mode="on_top_change") as rig:
        wait_until(lambda: min(rig.received(BTC), rig.received(ETH)) > 100, "some updates")
        stop_and_check(rig)
        for symbol in (BTC, ETH):
            published = list(states(rig, symbol).values())[-rig.sent(symbol) :]
            tops = [(one.bids[0], one.asks[0]) for one in published]
            moved = [place == 0 or tops[place] != tops[place - 1] for place in range(len(tops))]
            check_sampled(
                rig, symbol, [one.sequence for one, new in zip(published, moved, strict=True) if new]
            )


def test_the_last_state_of_each_window_is_stored(tmp_path: Path) -> None:
    overrides = {"exchanges__bybit__sample__mode": "interval", "exchanges__bybit__sample__interval_ms": 50}
    with running(tmp_path / "live.db", **overrides) as rig:
        watched = Watched(rig)
        wait_until(lambda: min(map(len, watched.updates.values())) > 100, "some updates")
        stop_and_check(rig)
        for symbol in (BTC, ETH):
            updates = watched.updates[symbol]
            windows = {one.received_at_ns // (50 * MS): one.sequence for one in updates}
            rows = rig.rows(symbol)
            begun = {row["received_at_ns"] // (50 * MS): row["sequence"] for row in rows}
            assert len(begun) == len(rows) < rig.sent(symbol)
            first = min(windows) + 1  # whole windows only: the watching began in the midst of one
            assert {one: begun[one] for one in begun if one >= first} == {
                one: windows[one] for one in windows if one >= first
            }
            check_flow(rig, symbol, rows, {"ofi": 1})
            (segment,) = rig.segments(symbol)
            assert segment["last_sequence"] == updates[-1].sequence


def test_a_market_may_be_sampled_otherwise(tmp_path: Path) -> None:
    with running(tmp_path / "live.db", exchanges__bybit__sample__symbols={BTC: INTERVAL}) as rig:
        wait_until(lambda: rig.received(BTC) > 100, "some updates")
        report = stop_and_check(rig)
        terms = {one.symbol: one for one in report.accounting}
        assert terms[BTC].sampled_out > 0
        assert terms[BTC].written + terms[BTC].sampled_out == terms[BTC].received
        assert (terms[ETH].sampled_out, terms[ETH].written) == (0, terms[ETH].received)
        windows = [row["received_at_ns"] // (50 * MS) for row in rig.rows(BTC)]
        assert len(set(windows)) == len(windows)


def test_a_quiet_market_gives_its_last_state_when_the_window_is_over(tmp_path: Path) -> None:
    overrides = {"exchanges__bybit__sample__symbols": {BTC: INTERVAL}, "stream__heartbeat_s": 0.1}
    with running(tmp_path / "live.db", [BTC], updates_per_s=0.0, **overrides) as rig:
        rig.simulator.publish(3, BTC)
        rig.wait_for_all()
        last = rig.simulator.truth.books("bybit", BTC, "book.50")[-1].sequence
        wait_until(lambda: rig.rows(BTC) and rig.rows(BTC)[-1]["sequence"] == last, "the last state")
        stop_and_check(rig)


def test_a_window_that_is_not_over_is_pending_and_not_covered(tmp_path: Path) -> None:
    hours = {BTC: {"mode": "interval", "interval_ms": 86_400_000}}
    with running(tmp_path / "live.db", [BTC], exchanges__bybit__sample__symbols=hours) as rig:

        def terms() -> Any:
            return next(one for one in rig.collector.accounting() if one.symbol == BTC)

        wait_until(lambda: terms().sampled_out > 20, "updates sampled away")
        assert rig.rows(BTC) == []
        rig.simulator.pause()
        rig.wait_for_all()
        wait_until(lambda: terms().sampled_out == rig.sent(BTC) - 1, "all but the last settled")
        assert (terms().written, terms().pending, terms().difference) == (0, 1, 0)
        assert rig.segments(BTC) == []
        stop_and_check(rig)
        (row,) = rig.rows(BTC)
        assert row["sequence"] == rig.simulator.truth.books("bybit", BTC, "book.50")[-1].sequence
        (segment,) = rig.segments(BTC)
        assert segment["rows"] == 1


@pytest.mark.parametrize(
    ("any_database", "mode"),
    [
        ("postgresql", "every"),
        ("sqlite", "on_top_change"),
        pytest.param("postgresql", "on_top_change", marks=pytest.mark.proof),
        pytest.param("sqlite", "every", marks=pytest.mark.proof),
    ],
    indirect=["any_database"],
)
def test_deep_rows_stand_beside_each_stored_row(any_database: str, mode: str) -> None:
    overrides = {"storage__features": "deep", "exchanges__bybit__sample__mode": mode}
    with running(any_database, **overrides) as rig:
        wait_until(lambda: min(rig.received(BTC), rig.received(ETH)) > 60, "some updates")
        stop_and_check(rig)
        for symbol in (BTC, ETH):
            rows, levels = rig.rows(symbol), deep_rows(rig, symbol)
            key = ("segment_id", "received_at_ns", "sequence", "depth", "timestamp", "data_source")
            assert [[one[name] for name in key] for one in rows] == [
                [one[name] for name in key] for one in levels
            ]
            truth = states(rig, symbol)
            for one in levels:
                state = truth[one["sequence"]]
                expected = deep(list(state.bids), list(state.asks), 10)
                assert {name: one[name] for name in expected} == expected
            check_flow(rig, symbol, levels, {f"ofi_{level}": level for level in range(1, 11)})
        with reading(any_database) as (connection, tables):
            (wanted,) = connection.execute(sa.select(tables.sessions.c.wanted)).scalars()
        assert json.loads(wanted)["bybit"]["features"] == {"practical": 1, "deep": 1}
