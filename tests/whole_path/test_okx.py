"""OKX from the socket to the database: books by their numbers, contracts as base units, two addresses."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from collector.app.wiring import make_collector
from collector.events.market import Candle, L2Update, Trade
from collector.events.notices import SegmentChanged
from collector.exchanges.exchange import Rate
from collector.exchanges.okx import OKX
from collector.exchanges.registry import EXCHANGES
from collector.query.audit import run_audit
from collector.query.database import reading
from collector.settings import load_settings

sys.path.insert(0, str(Path(__file__).parent))
from okxus import Okxus
from rig import wait_until

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables

SPOT, SWAP = "BTC/USDT", "BTC/USDT:USDT"
NAMES = {SPOT: "BTC-USDT", SWAP: "BTC-USDT-SWAP"}
BOOK = "book.400"
MINUTE_MS = 60_000
PUBLIC, BUSINESS = "/okx/ws/v5/public", "/okx/ws/v5/business"


class Rig:
    def __init__(self, okx: Okxus, folder: Path, **settings: object) -> None:
        self.okx = okx
        self.database = str(folder / "live.db")
        overrides = {
            "exchanges.okx.symbols": [SPOT, SWAP],
            "exchanges.okx.channels": [BOOK, "trade", "ohlcv.1m"],
            "exchanges.okx.endpoints.rest": f"http://127.0.0.1:{okx.port}",
            "exchanges.okx.endpoints.ws": f"ws://127.0.0.1:{okx.port}",
            "database.url": self.database,
            "writer.interval_s": 0.1,
            "stream.backoff_base_s": 0.05,
            "stream.heartbeat_s": 0.3,
            **{name.replace("__", "."): value for name, value in settings.items()},
        }
        lay_tables(self.database)
        self.collector = make_collector(load_settings(overrides=overrides, environ={}, env_file=None))
        self.changes: list[SegmentChanged] = []
        self.heard: dict[type, list[Any]] = {L2Update: [], Trade: [], Candle: []}
        self.collector.events.attach(SegmentChanged, self.changes.append)
        for kind, events in self.heard.items():
            self.collector.events.attach(kind, events.append)

    def opened(self, symbol: str, channel: str) -> int:
        return sum(one.verified and (one.symbol, one.channel) == (symbol, channel) for one in self.changes)

    def received(self, symbol: str, channel: str) -> int:
        return self.collector.buffer.snapshot()[0]["okx", symbol, channel][0].received

    def publish(self, symbol: str, count: int = 1) -> None:
        self.okx.publish(NAMES[symbol], count)
        self.wait_for(symbol)

    def wait_for(self, symbol: str) -> None:
        sent = self.okx.books[NAMES[symbol]].sent
        wait_until(lambda: self.received(symbol, BOOK) >= sent, f"all of {symbol}")

    def rows(self, table: str, symbol: str) -> list[Any]:
        with reading(self.database) as (connection, tables):
            one = getattr(tables, table)
            order = one.c.start_ns if table == "coverage" else one.c.id
            return list(connection.execute(sa.select(one).where(one.c.symbol == symbol).order_by(order)))

    def books(self, symbol: str) -> list[Any]:
        """Return the rows of a book, each held against what was published."""
        worth = 100 if symbol == SWAP else 1
        states = self.okx.books[NAMES[symbol]].states
        rows = self.rows("hot", symbol)
        for row in rows:
            (bid, bid_size), (ask, ask_size) = (side[0] for side in states[row.sequence])
            assert (row.bid_price_1, row.ask_price_1) == (bid, ask)
            # To the last bit: sizes have two decimals, a contract is a hundredth.
            assert row.bid_size_1 == round(bid_size * 100) / (100 * worth)
            assert row.ask_size_1 == round(ask_size * 100) / (100 * worth)
        return rows

    def causes(self, symbol: str) -> list[str]:
        return [one.end_cause for one in self.rows("coverage", symbol) if one.channel == BOOK]


@contextmanager
def running(folder: Path, **settings: object) -> Iterator[Rig]:
    with Okxus(list(NAMES.values())).running() as okx:
        rig = Rig(okx, folder, **settings)
        rig.collector.start()
        try:
            for symbol in NAMES:
                for channel in (BOOK, "trade", "ohlcv.1m"):
                    wait_until(lambda of=(symbol, channel): rig.opened(*of) == 1, f"{symbol} {channel} begun")
            yield rig
        finally:
            report = rig.collector.stop()
    assert report.exact, report
    found = run_audit(rig.database)
    assert found.passed, found.findings


def test_every_update_is_a_proven_row_and_contracts_are_base_units(tmp_path: Path) -> None:
    with running(tmp_path) as rig:
        for symbol in NAMES:
            rig.publish(symbol, 300)
    for symbol in NAMES:
        assert len(rig.books(symbol)) == 301
        (segment,) = (one for one in rig.rows("coverage", symbol) if one.channel == BOOK)
        assert (segment.verification, segment.end_cause) == ("sequence", "stop")
    heard = {one.sequence: one for one in rig.heard[L2Update] if one.symbol == SWAP}
    for row in rig.books(SWAP):  # a bot hears what is stored
        told = heard[row.sequence]
        assert (told.bid_size_1, told.ask_size_1) == (row.bid_size_1, row.ask_size_1)
        assert told.ofi == row.ofi


def test_trades_and_bars_of_swaps_are_in_base_units(tmp_path: Path) -> None:
    now_ms = time.time_ns() // 1_000_000
    bar = [str(now_ms // MINUTE_MS * MINUTE_MS), "10", "12", "9", "11", "57", "0.57", "6.27", "1"]
    with running(tmp_path) as rig:
        for symbol, name in NAMES.items():
            trade = {
                "instId": name,
                "tradeId": "7",
                "px": "10",
                "sz": "57",
                "side": "sell",
                "ts": str(now_ms),
            }
            rig.okx.push("trades", name, trade)
            rig.okx.push("candle1m", name, bar)
            for channel in ("trade", "ohlcv.1m"):
                wait_until(lambda of=(symbol, channel): rig.received(*of) == 1, f"{symbol} {channel}")
    for symbol, size in ((SPOT, 57.0), (SWAP, 0.57)):
        (trade,) = rig.rows("trades", symbol)
        assert (trade.trade_id, trade.kind, trade.side, trade.price, trade.size) == (
            "7",
            "agg",
            "sell",
            10.0,
            size,
        )
        (row,) = rig.rows("ohlcv", symbol)
        assert (row.open, row.high, row.low, row.close, row.volume) == (10.0, 12.0, 9.0, 11.0, size)
        assert row.confirmed
        assert [one.size for one in rig.heard[Trade] if one.symbol == symbol] == [size]
        assert [one.volume for one in rig.heard[Candle] if one.symbol == symbol] == [size]


def test_a_missing_update_ends_the_segment_and_the_book_is_fetched_again(tmp_path: Path) -> None:
    with running(tmp_path) as rig:
        rig.publish(SWAP, 20)
        rig.okx.books[NAMES[SWAP]].skips = True
        rig.okx.publish(NAMES[SWAP], 2)
        wait_until(lambda: rig.opened(SWAP, BOOK) == 2, "begun again")
        rig.publish(SWAP, 20)
    assert rig.causes(SWAP) == ["sequence_gap", "stop"]
    assert rig.causes(SPOT) == ["stop"]
    assert len(rig.books(SWAP)) == 42


def test_a_message_that_nothing_changed_is_merged_and_shows_what_was_missed(tmp_path: Path) -> None:
    with running(tmp_path) as rig:
        rig.publish(SPOT, 5)
        rig.okx.say_nothing_changed(NAMES[SPOT])
        rig.wait_for(SPOT)
        rig.publish(SPOT, 5)
        rig.okx.books[NAMES[SPOT]].skips = True
        rig.okx.publish(NAMES[SPOT], 1)  # is not sent
        rig.okx.say_nothing_changed(NAMES[SPOT])
        wait_until(lambda: rig.opened(SPOT, BOOK) == 2, "begun again")
    assert rig.causes(SPOT) == ["sequence_gap", "stop"]
    assert len(rig.books(SPOT)) == 12


def test_ids_that_begin_again_open_a_segment_without_a_new_subscription(tmp_path: Path) -> None:
    with running(tmp_path) as rig:
        asked = rig.okx.subscribed
        rig.publish(SPOT, 20)
        rig.okx.books[NAMES[SPOT]].falls = True
        rig.publish(SPOT, 20)
        assert rig.okx.subscribed == asked
    assert rig.causes(SPOT) == ["restart", "stop"]
    assert len(rig.books(SPOT)) == 41


def test_pings_are_bare_text_and_bars_are_asked_for_at_their_own_address(tmp_path: Path) -> None:
    with running(tmp_path) as rig:
        for address in (PUBLIC, BUSINESS):
            wait_until(lambda to=address: rig.okx.texts.count((to, "ping")) >= 2, f"pings to {address}")
        assert rig.okx.connections == 2
        asked = [(address, text) for address, text in rig.okx.texts if text != "ping"]
    assert {address for address, text in asked if '"candle1m"' in text} == {BUSINESS}
    assert {address for address, text in asked if '"candle1m"' not in text} == {PUBLIC}
    assert rig.causes(SPOT) == rig.causes(SWAP) == ["stop"]


def test_pings_do_not_use_up_the_requests_of_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scarce = replace(OKX.limits, requests=dict.fromkeys(OKX.kinds, Rate(5, 3600.0)))  # four are used
    monkeypatch.setitem(EXCHANGES, OKX.name, replace(OKX, limits=scarce))
    with running(tmp_path) as rig:
        wait_until(lambda: rig.okx.texts.count((PUBLIC, "ping")) >= 6, "pings")
        assert rig.okx.connections == 2
    assert rig.causes(SPOT) == ["stop"]


def test_a_quiet_book_is_not_asked_for_again_while_the_exchange_would_tell_of_it(tmp_path: Path) -> None:
    with running(tmp_path, stream__stale_after_s=0.1) as rig:
        wait_until(lambda: rig.okx.texts.count((PUBLIC, "ping")) >= 6, "some time")
        assert rig.okx.subscribed == 6
    assert rig.causes(SPOT) == rig.causes(SWAP) == ["stop"]


def test_a_swap_that_cannot_be_made_into_base_units_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    server = Okxus(list(NAMES.values()))
    server.in_dollars.add(NAMES[SWAP])
    with server.running() as okx:
        rig = Rig(okx, tmp_path)
        rig.collector.start()
        wait_until(lambda: rig.opened(SPOT, BOOK) == 1, "spot begun")
        rig.publish(SPOT, 5)
        report = rig.collector.stop()
    assert report.exact
    assert {problem.partition(" into")[0] for problem in report.problems} == {
        f"okx: {SWAP}: sizes cannot be made"
    }
    assert len(rig.books(SPOT)) == 6
