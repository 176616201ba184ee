"""Hold stored trades and bars against the simulator's truth."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from collector.app.report import Report
from collector.events import market as told
from collector.query.audit import run_audit
from collector.query.database import reading
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from rig import Market, Rig, wait_until

INTERVALS = ("1m", "5m")
MINUTE_S = 60.0
STEPS = 3


class MarketRig:
    """A rig that collects trades and bars beside the book, and listens to them as a bot would."""

    def __init__(
        self, simulator: Simulator, database: str, market: Market, *channels: str, **overrides: object
    ) -> None:
        wanted = channels or (market.channel, "trade", *(f"ohlcv.{one}" for one in INTERVALS))
        overrides = {f"exchanges__{market.exchange}__channels": list(wanted), **overrides}
        self.channels = wanted
        self._ahead_s = 0.0
        self.rig = Rig(simulator, database, market.symbols, market, **overrides)
        self.simulator, self.market, self.symbols = simulator, market, market.symbols
        self.collector = self.rig.collector
        self.heard_trades: dict[str, list[told.Trade]] = {symbol: [] for symbol in market.symbols}
        self.heard_bars: dict[tuple[str, str], list[told.Candle]] = {}
        self.collector.events.attach(told.Trade, lambda one: self.heard_trades[one.symbol].append(one))
        self.collector.events.attach(
            told.Candle, lambda one: self.heard_bars.setdefault((one.symbol, one.interval), []).append(one)
        )

    def wait_for_trades(self, more: int = 30) -> None:
        for symbol in self.symbols:
            heard = self.heard_trades[symbol]
            until = len(heard) + more
            wait_until(lambda heard=heard, until=until: len(heard) >= until, f"{more} trades of {symbol}")

    def let_a_minute_pass(self) -> None:
        """Set the exchange's clock ahead, so that bars end, and wait for the next ones."""
        before = {key: bars[-1].open_ms for key, bars in self.heard_bars.items()}
        for _ in range(STEPS):  # an exchange would take a longer jump for a client that is gone
            self._ahead_s += MINUTE_S / STEPS
            stepped_ns = time.time_ns() + int(self._ahead_s * 1e9)
            self.simulator.faults.clock(self._ahead_s)
            self.wait_for_trades(10)
            self.wait_for_pongs(stepped_ns)
        for key, open_ms in before.items():
            if key[1] == "1m":
                bars = self.heard_bars[key]
                wait_until(lambda bars=bars, open_ms=open_ms: bars[-1].open_ms > open_ms, "the next bar")

    def wait_for_pongs(self, since_ns: int) -> None:
        """Wait until pings since this time of the exchange were answered, where the clock might outrun them.

        Binance's spot markets ping every 20 s and wait a minute, of the time that the test sets ahead.
        """
        if str(self.market) == "binance spot":
            for one in self.simulator.connections(self.market.exchange):
                wait_until(lambda one=one: one.last_pong_ns >= since_ns, "a pong")

    def stop(self) -> Report:
        """Stop in an orderly way: what was traded is in."""
        self.simulator.pause()
        exchange = self.market.exchange
        for symbol in self.symbols:
            last = self.simulator.truth.trades(exchange, symbol)[-1].trade_id
            heard = self.heard_trades[symbol]
            wait_until(lambda heard=heard, last=last: heard[-1].trade_id == last, f"the last of {symbol}")
            for interval in INTERVALS:
                bar = self.simulator.truth.bars(exchange, symbol, f"ohlcv.{interval}")[-1]
                bars = self.heard_bars.get((symbol, interval))
                if bars is not None:
                    wait_until(
                        lambda bars=bars, bar=bar: any(
                            (one.open_ms, one.volume) == (bar.open_ms, bar.volume) for one in bars
                        ),
                        f"the last {interval} bar of {symbol}",
                    )
        report = self.collector.stop()
        self.check(report)
        return report

    def check(self, report: Report) -> None:
        assert report.good, report
        self.rig.check_connections()
        found = run_audit(self.rig.database)
        assert found.passed, found.findings
        terms = {(state.symbol, state.channel): state for state in report.accounting}
        for symbol in self.symbols:
            stored = self.check_trades(symbol)
            ours = self.segment_ids(symbol, "trade")
            session = [row for row in stored if row["segment_id"] in ours]
            if (symbol, "trade") in terms:
                assert terms[symbol, "trade"].written == len(session)
            for interval in INTERVALS:
                channel = f"ohlcv.{interval}"
                if (symbol, channel) in terms:
                    self.check_bars(symbol, interval)

    def check_trades(self, symbol: str) -> list[dict[str, Any]]:
        """Each trade stored is one that was made, number by number, each once."""
        truth = {
            one.trade_id: (one.exchange_ms, one.price, one.size, str(one.side))
            for one in self.simulator.truth.trades(self.market.exchange, symbol)
        }
        rows = self.rows("trades", symbol)
        first_ms = min(one[0] for one in truth.values())
        for row in rows:
            if row["trade_id"] in truth:
                numbers = row["exchange_timestamp"], row["price"], row["size"], row["side"]
                assert numbers == truth[row["trade_id"]]
            else:  # of the time before the simulator began, told at the subscription
                assert row["exchange_timestamp"] <= first_ms
            assert (row["exchange"], row["data_source"]) == (self.market.exchange, "simulator")
        ids = [row["trade_id"] for row in rows]
        assert len(ids) == len(set(ids))
        return rows

    def missing(self, symbol: str) -> list[str]:
        """List the trades between the first and the last stored that are not stored."""
        stored = {row["trade_id"] for row in self.rows("trades", symbol)}
        made = [one.trade_id for one in self.simulator.truth.trades(self.market.exchange, symbol)]
        places = [place for place, trade_id in enumerate(made) if trade_id in stored]
        return [trade_id for trade_id in made[places[0] : places[-1] + 1] if trade_id not in stored]

    def check_bars(self, symbol: str, interval: str) -> list[dict[str, Any]]:
        """Each bar stored stands as the exchange's stands at the end."""
        bars = self.simulator.truth.bars(self.market.exchange, symbol, f"ohlcv.{interval}")
        truth = {bar.open_ms: bar for bar in bars}
        rows = [row for row in self.rows("ohlcv", symbol) if row["interval"] == interval]
        assert rows
        for row in rows:
            bar = truth.get(row["open_time"])
            if bar is None:  # before the simulator began
                assert row["open_time"] < bars[0].open_ms
                assert row["confirmed"] == 1
                continue
            numbers = tuple(row[name] for name in ("open", "high", "low", "close", "volume"))
            assert numbers == (bar.open, bar.high, bar.low, bar.close, bar.volume), (interval, row)
            assert row["count"] in {None, bar.count}
            assert (row["count"] is None) == (self.market.exchange in {"bybit", "okx"})
            assert (row["vwap"] is None) == (self.market.exchange != "kraken")
            later = any(other["open_time"] > row["open_time"] for other in rows)
            assert row["confirmed"] == (later if self.market.exchange == "kraken" else bar.confirmed)
        return rows

    def rows(self, table: str, symbol: str) -> list[dict[str, Any]]:
        with reading(self.rig.database) as (connection, tables):
            source = getattr(tables, table)
            question = sa.select(source).where(source.c.symbol == symbol).order_by(source.c.id)
            return [dict(row) for row in connection.execute(question).mappings()]

    def segments(self, symbol: str, channel: str) -> list[dict[str, Any]]:
        return [one for one in self.rig.segments(symbol) if one["channel"] == channel]

    def segment_ids(self, symbol: str, channel: str) -> set[int]:
        """Name the segments of this session."""
        session = self.collector.session.session_id
        found = self.segments(symbol, channel)
        return {one["segment_id"] for one in found if one["session_id"] == session}

    def causes_so_far(self, symbol: str, channel: str = "trade") -> list[str]:
        """List why segments ended, before it is in the database."""
        of_stream = [one for one in self.rig.changes if (one.symbol, one.channel) == (symbol, channel)]
        return [one.cause for one in of_stream if not one.verified]

    def is_covered(self, symbol: str, channel: str) -> bool:
        """Return whether a stream is covered now."""
        of_stream = [one for one in self.rig.changes if (one.symbol, one.channel) == (symbol, channel)]
        return bool(of_stream) and of_stream[-1].verified

    def causes(self, symbol: str, channel: str = "trade") -> list[str | None]:
        return [one["end_cause"] for one in self.segments(symbol, channel)]


@contextmanager
def collecting(
    database: str | Path,
    market: Market,
    *channels: str,
    simulator: Simulator | None = None,
    updates_per_s: float = 400.0,
    **overrides: object,
) -> Iterator[MarketRig]:
    """Start simulator and collector; yields once there are trades, and stops both in any case."""
    if simulator is None:
        symbols = {market.exchange: list(market.symbols)}
        with (
            Simulator(symbols=symbols, updates_per_s=updates_per_s) as new,
            collecting(database, market, *channels, simulator=new, **overrides) as rig,
        ):
            yield rig
        return
    rig = MarketRig(simulator, str(database), market, *channels, **overrides)
    rig.collector.start()
    try:
        wait_until(lambda: all(rig.heard_trades.values()), "trades of every symbol")
        wanted = {(symbol, channel) for symbol in market.symbols for channel in rig.channels}
        wait_until(
            lambda: wanted <= {(one.symbol, one.channel) for one in rig.rig.changes if one.verified},
            "every stream covered",
        )
        yield rig
    finally:
        rig.collector.stop()
