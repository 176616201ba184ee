"""A connection near its exchange's limit is replaced before it is cut, and no hole appears."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from collector.events.notices import PotentialHalt, State, SystemState
from collector.exchanges.registry import EXCHANGES
from collector.live import replacement
from collector.live.connections import Connections
from collector.streams import paired_stream

sys.path.insert(0, str(Path(__file__).parent))
from rig import COMPARED, MARKETS, Market, Rig, as_row, on_markets, running, wait_until


@on_markets("bybit linear", "binance linear")
def test_a_connection_is_replaced_without_a_hole(
    tmp_path: Path, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = dataclasses.replace(EXCHANGES[market.exchange], lifetime_s=0.5)
    monkeypatch.setitem(EXCHANGES, market.exchange, short)
    with running(tmp_path / "live.db", market=market, updates_per_s=100.0) as rig:
        newest = lambda: max((one.number for one in rig.simulator.connections(market.exchange)), default=0)  # noqa: E731
        first_number = newest()
        wait_until(lambda: newest() >= first_number + 3, "three replacements")
        wait_until(lambda: len(rig.simulator.connections(market.exchange)) <= 2, "the old ones gone")
        assert len(connections_of(rig)._running) <= 2
        connections = connections_of(rig).connections
        # Stopped in the middle of one, what only the new connection has may be left in a segment of its own.
        wait_until(lambda: not any(one.is_leaving for one in connections), "no replacement under way")
        check_without_a_hole(rig)


def connections_of(rig: Rig) -> Connections:
    """Return the connections of the exchange."""
    (feed,) = rig.collector.stream.feeds
    assert feed._connections is not None
    return feed._connections


def check_without_a_hole(rig: Rig) -> None:
    """Stop, and see one segment of each book without an update missing."""
    report = rig.collector.stop()
    assert report.good
    for symbol in rig.symbols:
        segments = rig.segments(symbol)
        assert [one["end_cause"] for one in segments] == ["stop"], segments
        (segment,) = segments
        rows = rig.rows(symbol)
        assert segment["rows"] == len(rows)
        rig.check_rows(symbol)
        check_contiguous(rig, symbol, rows)


def check_contiguous(rig: Rig, symbol: str, rows: Sequence[dict[str, Any]]) -> None:
    """Nothing between the first and the last row is missing, nothing is there twice."""
    market = rig.market
    if market.exchange == "bybit":
        sequences = [row["sequence"] for row in rows]
        assert sequences == list(range(sequences[0], sequences[0] + len(rows)))
    truth = rig.simulator.truth.books(market.exchange, symbol, market.channel)
    published = [as_row(state) for state in truth]
    stored = [tuple(row[name] for name in COMPARED) for row in rows[1:]]
    assert any(published[at : at + len(stored)] == stored for at in range(len(published)))


@on_markets("binance linear")
def test_what_only_the_new_connection_brings_is_stored_while_the_old_one_is_silent(
    tmp_path: Path, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one is half open when the new one comes up, then found dead, and cannot dial again."""
    monkeypatch.setattr(paired_stream, "MOST_WAIT_NS", 10**9)
    short = dataclasses.replace(EXCHANGES[market.exchange], lifetime_s=2.0)
    monkeypatch.setitem(EXCHANGES, market.exchange, short)
    symbol = market.symbols[0]
    with running(tmp_path / "live.db", [symbol], market=market, updates_per_s=100.0) as rig:
        rig.simulator.faults.half_open(market.exchange)
        wait_until(lambda: len(rig.simulator.connections(market.exchange)) == 2, "the new connection")
        rig.simulator.faults.refuse(market.exchange, 503, count=1)
        before = rig.written(symbol)
        wait_until(lambda: rig.written(symbol) > before + 100, "rows of the new connection", deadline_s=20.0)
        report = rig.collector.stop()
        assert report.exact
        (terms,) = [one for one in report.accounting if one.symbol == symbol]
        assert terms.merged < 20  # of the hundred and more that only the new one brought, none
        rig.check_rows(symbol)
        segments = rig.segments(symbol)
        for segment in segments:
            rows = [row for row in rig.rows(symbol) if row["segment_id"] == segment["segment_id"]]
            check_contiguous(rig, symbol, rows)
        rig.check_database()


def test_a_connection_that_is_announced_to_end_is_replaced_before_it_does(tmp_path: Path) -> None:
    market = next(one for one in MARKETS if str(one) == "binance linear")
    states: list[SystemState] = []
    with running(tmp_path / "live.db", market=market, updates_per_s=100.0) as rig:
        rig.collector.events.attach(SystemState, states.append)
        newest = max(one.number for one in rig.simulator.connections("binance"))
        assert rig.simulator.faults.server_shutdown("binance", seconds=20.0) == 1
        wait_until(
            lambda: [one.number > newest for one in rig.simulator.connections("binance")] == [True],
            "the new one, and not the old",
            deadline_s=15.0,
        )
        before = rig.written(rig.symbols[0])
        wait_until(lambda: rig.written(rig.symbols[0]) > before + 50, "rows of the new connection")
        check_without_a_hole(rig)
    assert State.SHUTTING_DOWN in {one.state for one in states}
    assert State.DISCONNECTED not in {one.state for one in states}


def test_a_replacement_that_is_refused_leaves_the_old_connection_and_is_tried_seldom(
    tmp_path: Path,
) -> None:
    market = next(one for one in MARKETS if str(one) == "binance linear")
    halts: list[PotentialHalt] = []
    with running(tmp_path / "live.db", market=market, updates_per_s=100.0) as rig:
        rig.collector.events.attach(PotentialHalt, halts.append)
        rig.simulator.faults.refuse("binance", 401, count=1000)
        rig.simulator.faults.server_shutdown("binance", seconds=60.0)
        wait_until(lambda: halts, "the refusal")
        before = rig.written(rig.symbols[0])
        wait_until(lambda: rig.written(rig.symbols[0]) > before + 200, "some seconds")
        assert [one.code for one in halts] == ["replacement_refused"]
        assert len(connections_of(rig).connections) == len(connections_of(rig)._running) == 1
        check_without_a_hole(rig)


def test_a_replacement_is_tried_again_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    market = next(one for one in MARKETS if str(one) == "binance linear")
    monkeypatch.setattr(replacement, "RETRY_S", 0.5)
    halts: list[PotentialHalt] = []
    with running(tmp_path / "live.db", market=market, updates_per_s=100.0) as rig:
        rig.collector.events.attach(PotentialHalt, halts.append)
        newest = max(one.number for one in rig.simulator.connections("binance"))
        rig.simulator.faults.refuse("binance", 401)
        rig.simulator.faults.server_shutdown("binance", seconds=60.0)
        wait_until(
            lambda: [one.number > newest for one in rig.simulator.connections("binance")] == [True],
            "the new one, and not the old",
        )
        assert [one.code for one in halts] == ["replacement_refused"]
        check_without_a_hole(rig)
