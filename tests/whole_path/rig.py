"""Run the whole program against the simulated exchange, and hold what it stored against the truth."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from collector.app import Collector, Report
from collector.query.audit import audit
from collector.query.database import reading
from collector.settings import load_settings
from collector.simulator import Simulator

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
DEADLINE_S = 20.0


def wait_until(condition: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Wait for a condition; fail, saying for what, when it does not come."""
    until_s = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < until_s, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.01)


class Rig:
    """One collector on one simulator and one database."""

    def __init__(
        self, simulator: Simulator, database: str, symbols: Sequence[str], **overrides: object
    ) -> None:
        self.simulator = simulator
        self.database = database
        self.symbols = symbols
        endpoints = simulator.endpoints("bybit")
        self.settings = load_settings(
            overrides={
                "exchanges.bybit.symbols": list(symbols),
                "exchanges.bybit.endpoints.rest": endpoints["rest"],
                "exchanges.bybit.endpoints.ws": endpoints["ws"],
                "database.url": database,
                "database.auto_migrate": True,
                "writer.interval_s": 0.1,
                "stream.backoff_base_s": 0.05,
                **{name.replace("__", "."): value for name, value in overrides.items()},
            },
            environ={},
            env_file=None,
        )
        self.collector = Collector(self.settings)

    def received(self, symbol: str, channel: str = "book.50") -> int:
        counts, _ = self.collector.buffer.snapshot()
        return next((count.received for key, (count, _) in counts.items() if key[1:] == (symbol, channel)), 0)

    def sent(self, symbol: str, channel: str = "book.50") -> int:
        return len(self.simulator.truth.sent("bybit", symbol, channel))

    def wait_for_all(self, channel: str = "book.50") -> None:
        """Wait until all that was sent has come in."""
        for symbol in self.symbols:
            wait_until(
                lambda symbol=symbol: self.received(symbol, channel) >= self.sent(symbol, channel) > 0,
                f"all of {symbol} received",
            )

    def wait_until_verified(self, times: int = 1) -> None:
        """Wait until each symbol's book was verified so many times."""
        snapshots = lambda symbol: sum(  # noqa: E731
            one.kind == "snapshot" for one in self.simulator.truth.sent("bybit", symbol, "book.50")
        )
        for symbol in self.symbols:
            wait_until(lambda symbol=symbol: snapshots(symbol) >= times, f"{times} snapshots of {symbol}")
        self.wait_for_all()

    def rows(self, symbol: str) -> list[dict[str, Any]]:
        with reading(self.database) as (connection, tables):
            question = sa.select(tables.hot).where(tables.hot.c.symbol == symbol).order_by(tables.hot.c.id)
            return [dict(row) for row in connection.execute(question).mappings()]

    def segments(self, symbol: str) -> list[dict[str, Any]]:
        with reading(self.database) as (connection, tables):
            table = tables.coverage
            question = sa.select(table).where(table.c.symbol == symbol).order_by(table.c.start_ns)
            return [dict(row) for row in connection.execute(question).mappings()]

    def check(self, report: Report) -> None:
        """Hold everything stored against what the simulator knows; the identity must be exact."""
        assert report.exact, report
        assert report.problems == ()
        found = audit(self.database)
        assert found.passed, found.findings
        for symbol in self.symbols:
            self._check_rows(symbol)
        stored = {(s.symbol, s.channel): s for s in report.accounting}
        for symbol in self.symbols:
            terms = stored[symbol, "book.50"]
            assert terms.received == self.sent(symbol)
            assert terms.dropped == terms.pending == 0

    def _check_rows(self, symbol: str) -> None:
        truth = {state.sequence: state for state in self.simulator.truth.books("bybit", symbol, "book.50")}
        session = self.collector.session.session_id
        ours = {one["segment_id"] for one in self.segments(symbol) if one["session_id"] == session}
        rows = [row for row in self.rows(symbol) if row["segment_id"] in ours]
        assert rows
        for row in rows:
            state = truth[row["sequence"]]
            bid, ask = state.bids[0], state.asks[0]
            assert (row["bid_price_1"], row["bid_size_1"]) == bid
            assert (row["ask_price_1"], row["ask_size_1"]) == ask
            total_bid = total_ask = 0.0
            for _, size in state.bids[:10]:
                total_bid += size
            for _, size in state.asks[:10]:
                total_ask += size
            assert (row["total_bid_volume_10"], row["total_ask_volume_10"]) == (total_bid, total_ask)
            assert row["mid_price"] == (bid[0] + ask[0]) / 2
            assert row["exchange_timestamp"] == state.exchange_ms
            assert row["exchange"] == "bybit"
            assert row["data_source"] == "simulator"
            assert row["depth"] == 50


@contextmanager
def running(
    database: str | Path,
    symbols: Sequence[str] = (BTC, ETH),
    *,
    updates_per_s: float = 100.0,
    **overrides: object,
) -> Iterator[Rig]:
    """Start simulator and collector; yields once every book is verified, and stops both in any case."""
    with Simulator(symbols={"bybit": list(symbols)}, updates_per_s=updates_per_s) as simulator:
        rig = Rig(simulator, str(database), symbols, **overrides)
        rig.collector.start()
        try:
            rig.wait_until_verified()
            yield rig
        finally:
            rig.collector.stop()


def stop_and_check(rig: Rig) -> Report:
    """Stop in an orderly way: nothing under way on the wire, everything committed."""
    rig.simulator.pause()
    rig.wait_for_all()
    report = rig.collector.stop()
    rig.check(report)
    return report
