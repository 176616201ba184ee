"""Run the whole program against the simulated exchange, and hold what it stored against the truth."""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from collector.app.report import Report
from collector.app.wiring import make_collector
from collector.events.notices import SegmentChanged
from collector.query.audit import run_audit
from collector.query.database import reading
from collector.settings import load_settings
from collector.simulator import Simulator
from collector.sinks.contract import Sink

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
DEADLINE_S = 60.0  # of a condition: what fails to come does so on the busiest machine


@dataclass(frozen=True)
class Market:
    """One kind of market of one exchange, and how its books are collected."""

    exchange: str
    symbols: tuple[str, str]
    channel: str
    by_rest: bool = False  # each snapshot is an event that no socket brought

    @property
    def depth(self) -> int:
        return int(self.channel.removeprefix("book."))

    def __str__(self) -> str:
        return f"{self.exchange} {'linear' if ':' in self.symbols[0] else 'spot'}"


BYBIT_LINEAR = Market("bybit", (BTC, ETH), "book.50")
MARKETS = [
    BYBIT_LINEAR,
    Market("bybit", ("BTC/USDT", "ETH/USDT"), "book.200"),
    Market("binance", ("BTC/USDT", "ETH/USDT"), "book.50", by_rest=True),
    Market("binance", (BTC, ETH), "book.50", by_rest=True),
    Market("okx", ("BTC/USDT", "ETH/USDT"), "book.400"),
    Market("okx", (BTC, ETH), "book.400"),
    Market("kraken", ("BTC/USD", "ETH/USD"), "book.25"),
]


def on_markets(*short: str, among: Sequence[Market] = tuple(MARKETS)) -> pytest.MarkDecorator:
    """Run a test on these markets, given by name; on the others in the long run only."""
    assert set(short) <= {str(market) for market in among}
    marks = {str(market): () if str(market) in short else (pytest.mark.proof,) for market in among}
    params = [pytest.param(market, marks=marks[str(market)]) for market in among]
    return pytest.mark.parametrize("market", params, ids=str)


def wait_until(condition: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Wait for a condition; fail, saying for what, when it does not come."""
    until_s = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < until_s, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.01)


class Rig:
    """One collector on one simulator and one database."""

    def __init__(
        self,
        simulator: Simulator,
        database: str,
        symbols: Sequence[str],
        market: Market = BYBIT_LINEAR,
        *,
        sinks: Sequence[Sink] = (),
        **overrides: object,
    ) -> None:
        self.simulator = simulator
        self.database = database
        self.symbols = symbols
        self.market = market
        endpoints = simulator.endpoints(market.exchange)
        section = f"exchanges.{market.exchange}"
        self.settings = load_settings(
            overrides={
                f"{section}.symbols": list(symbols),
                f"{section}.channels": [market.channel],
                f"{section}.endpoints.rest": endpoints["rest"],
                f"{section}.endpoints.ws": endpoints["ws"],
                "database.url": database,
                "database.auto_migrate": True,
                "writer.interval_s": 0.1,
                "stream.backoff_base_s": 0.05,
                **{name.replace("__", "."): value for name, value in overrides.items()},
            },
            environ={},
            env_file=None,
        )
        lay_tables(database)
        self.collector = make_collector(self.settings, followers=sinks)
        self.changes: list[SegmentChanged] = []
        self.collector.events.attach(SegmentChanged, self.changes.append)

    def received(self, symbol: str) -> int:
        """Count the events taken in, of the socket and of REST."""
        counts, _ = self.collector.buffer.snapshot()
        key = (self.market.exchange, symbol, self.market.channel)
        return counts[key][0].received if key in counts else 0

    def written(self, symbol: str) -> int:
        """Count the rows taken, whether committed yet or not."""
        counts, _ = self.collector.buffer.snapshot()
        key = (self.market.exchange, symbol, self.market.channel)
        if key not in counts:
            return 0
        count = counts[key][0]
        return count.received - count.merged - count.dropped - sum(count.rejected.values())

    def sent(self, symbol: str) -> int:
        """Count what was put on the wire."""
        return len(self.simulator.truth.sent(self.market.exchange, symbol, self.market.channel))

    def snapshots(self, symbol: str) -> int:
        """Count the times that the book was verified from the ground up."""
        return sum(one.symbol == symbol and one.verified for one in self.changes)

    def wait_for_all(self) -> None:
        """Wait until all that was sent has come in."""
        for symbol in self.symbols:
            wait_until(
                lambda symbol=symbol: self.received(symbol) >= self.sent(symbol) + self.market.by_rest > 0,
                f"all of {symbol} received",
            )

    def wait_until_verified(self, rows: int = 1) -> None:
        """Wait until each symbol's book has given rows."""
        for symbol in self.symbols:
            wait_until(lambda symbol=symbol: self.written(symbol) >= rows, f"{rows} rows of {symbol}")

    def wait_until_verified_again(self, times: int = 2) -> None:
        """Wait until each symbol's book was verified so many times from the ground up."""
        for symbol in self.symbols:
            wait_until(lambda symbol=symbol: self.snapshots(symbol) >= times, f"{symbol} verified again")

    def rows(self, symbol: str) -> list[dict[str, Any]]:
        with reading(self.database) as (connection, tables):
            question = sa.select(tables.hot).where(tables.hot.c.symbol == symbol).order_by(tables.hot.c.id)
            return [dict(row) for row in connection.execute(question).mappings()]

    def segments(self, symbol: str) -> list[dict[str, Any]]:
        with reading(self.database) as (connection, tables):
            table = tables.coverage
            question = sa.select(table).where(table.c.symbol == symbol).order_by(table.c.start_ns)
            return [dict(row) for row in connection.execute(question).mappings()]

    def check(self, report: Report, *, all_came: bool = True) -> None:
        """Hold everything stored against what the simulator knows; the identity must be exact.

        `all_came`: no connection was cut, so that what was put on the wire came in as well.
        """
        assert report.exact, report
        assert report.problems == ()
        self.check_connections()
        self.check_database()
        for symbol in self.symbols:
            self.check_rows(symbol)
        stored = {(s.symbol, s.channel): s for s in report.accounting}
        for symbol in self.symbols:
            terms = stored[symbol, self.market.channel]
            if self.market.by_rest:
                assert terms.received > self.sent(symbol) or not all_came
            else:
                assert terms.received == self.sent(symbol) or not all_came
            assert terms.dropped == terms.pending == 0

    def check_connections(self) -> None:
        """No connection was cut unasked: the collector would be blamed for what follows from it."""
        unasked = {"idle", "expired", "slow_consumer"}
        cut = [one for one in self.simulator.truth.faults() if one.name in unasked]
        assert not cut, cut

    def check_database(self) -> None:
        """Hold the database against itself."""
        found = run_audit(self.database)
        assert found.passed, found.findings

    def check_rows(self, symbol: str) -> None:
        """Each row of this session is a state that the exchange published, number by number."""
        market = self.market
        published: dict[int | None, set[tuple[float, ...]]] = defaultdict(set)
        times_ms: dict[int | None, int] = {}
        books = self.simulator.truth.books(market.exchange, symbol, market.channel, levels=SUMMED)
        for state in books:
            published[state.sequence].add(as_row(state))
            times_ms.setdefault(state.sequence, state.exchange_ms)
        session = self.collector.session.session_id
        ours = {one["segment_id"] for one in self.segments(symbol) if one["session_id"] == session}
        rows = [row for row in self.rows(symbol) if row["segment_id"] in ours]
        assert rows
        for row in rows:
            found, told = published[row["sequence"]], tuple(row[name] for name in COMPARED)
            if market.by_rest and told[TOUCH:] == (None, None):  # beyond the snapshot's edge, not known
                found, told = {state[:TOUCH] for state in found}, told[:TOUCH]
            assert told in found, (row, list(found)[:3])
            if row["sequence"] is not None and row["exchange_timestamp"] is not None:
                assert row["exchange_timestamp"] == times_ms[row["sequence"]]
            assert row["mid_price"] == (row["bid_price_1"] + row["ask_price_1"]) / 2
            assert (row["exchange"], row["data_source"], row["depth"]) == (
                market.exchange,
                "simulator",
                market.depth,
            )


TOUCH, SUMMED = 4, 10
COMPARED = (
    *("bid_price_1", "bid_size_1", "ask_price_1", "ask_size_1"),
    *("total_bid_volume_10", "total_ask_volume_10"),
)


def as_row(state: Any) -> tuple[float, ...]:
    """Return what a row must say of a published state, by explicit adds, best first."""
    total_bid = total_ask = 0.0
    for _, size in state.bids[:SUMMED]:
        total_bid += size
    for _, size in state.asks[:SUMMED]:
        total_ask += size
    return (*state.bids[0], *state.asks[0], total_bid, total_ask)


@contextmanager
def running(
    database: str | Path,
    symbols: Sequence[str] | None = None,
    *,
    market: Market = BYBIT_LINEAR,
    updates_per_s: float = 250.0,
    sinks: Sequence[Sink] = (),
    **overrides: object,
) -> Iterator[Rig]:
    """Start simulator and collector; yields once every book is verified, and stops both in any case."""
    wanted = market.symbols if symbols is None else symbols
    with Simulator(symbols={market.exchange: list(wanted)}, updates_per_s=updates_per_s) as simulator:
        rig = Rig(simulator, str(database), wanted, market, sinks=sinks, **overrides)
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
