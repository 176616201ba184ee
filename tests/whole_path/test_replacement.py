"""A connection near its exchange's limit is replaced before it is cut, and no hole appears."""

import dataclasses
import sys
from pathlib import Path

import pytest

from collector.exchanges.registry import EXCHANGES

sys.path.insert(0, str(Path(__file__).parent))
from rig import COMPARED, Market, as_row, on_markets, running, wait_until


@on_markets("bybit linear", "binance linear", "kraken spot")
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
        report = rig.collector.stop()
        assert report.good
        for symbol in rig.symbols:
            (segment,) = rig.segments(symbol)
            assert segment["end_cause"] == "stop"
            rows = rig.rows(symbol)
            assert segment["rows"] == len(rows)
            rig.check_rows(symbol)
            if market.exchange == "bybit":
                sequences = [row["sequence"] for row in rows]
                assert sequences == list(range(sequences[0], sequences[0] + len(rows)))
            truth = rig.simulator.truth.books(market.exchange, symbol, market.channel)
            published = [as_row(state) for state in truth]
            stored = [tuple(row[name] for name in COMPARED) for row in rows[1:]]
            # Nothing between the first and the last row is missing, nothing is there twice.
            assert any(published[at : at + len(stored)] == stored for at in range(len(published)))
