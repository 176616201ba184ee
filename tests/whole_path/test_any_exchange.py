"""An exchange that nobody wrote a folder for: every message a row, and said to be unproven."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from collector.app.wiring import make_collector
from collector.events.notices import PotentialHalt, SegmentChanged
from collector.query.audit import run_audit
from collector.query.database import reading
from collector.settings import load_settings

sys.path.insert(0, str(Path(__file__).parent))
from okxus import Okxus
from rig import wait_until

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables

BTC, ETH = "BTC/USDT", "ETH/USDT"
CHANNEL = "book.20"


class Rig:
    def __init__(self, okxus: Okxus, folder: Path, *channels: str, **settings: object) -> None:
        self.okxus = okxus
        self.database = str(folder / "live.db")
        overrides = {
            "exchanges.okxus.symbols": [BTC, "ETH-USDT"],
            "exchanges.okxus.channels": list(channels) or [CHANNEL],
            "exchanges.okxus.endpoints.rest": f"http://127.0.0.1:{okxus.port}",
            "exchanges.okxus.endpoints.ws": f"ws://127.0.0.1:{okxus.port}",
            "database.url": self.database,
            "writer.interval_s": 0.1,
            "stream.backoff_base_s": 0.05,
            "stream.subscribe_timeout_s": 2.0,
            **{name.replace("__", "."): value for name, value in settings.items()},
        }
        lay_tables(self.database)
        self.collector = make_collector(load_settings(overrides=overrides, environ={}, env_file=None))
        self.changes: list[SegmentChanged] = []
        self.halts: list[PotentialHalt] = []
        self.collector.events.attach(SegmentChanged, self.changes.append)
        self.collector.events.attach(PotentialHalt, self.halts.append)

    def halted(self, code: str) -> bool:
        return code in {one.code for one in self.halts}

    def received(self, symbol: str, channel: str = CHANNEL) -> int:
        counts, _ = self.collector.buffer.snapshot()
        found = counts.get(("okxus", symbol, channel))
        return 0 if found is None else found[0].received

    def opened(self, symbol: str) -> int:
        return sum(one.verified and one.symbol == symbol for one in self.changes)

    def wait_for_all(self) -> None:
        for symbol, name in ((BTC, "BTC-USDT"), (ETH, "ETH-USDT")):
            sent = self.okxus.books[name].sent
            wait_until(lambda symbol=symbol, sent=sent: self.received(symbol) >= sent, f"all {symbol}")

    def table(self, table: str, symbol: str) -> list[dict[str, Any]]:
        with reading(self.database) as (connection, tables):
            one = getattr(tables, table)
            order = one.c.start_ns if table == "coverage" else one.c.id
            question = sa.select(one).where(one.c.symbol == symbol).order_by(order)
            return [dict(row) for row in connection.execute(question).mappings()]

    def causes(self, symbol: str) -> list[str]:
        return [one["end_cause"] for one in self.table("coverage", symbol)]

    def check_rows(self, symbol: str, depth: int = 20) -> list[dict[str, Any]]:
        """Each row is a state that the exchange published."""
        rows = [row for row in self.table("hot", symbol) if row["depth"] == depth]
        states = self.okxus.books[symbol.replace("/", "-")].states
        for row in rows:
            bids, asks = states[row["sequence"]]
            best = (row["bid_price_1"], row["bid_size_1"], row["ask_price_1"], row["ask_size_1"])
            assert best == (*bids[0], *asks[0])
            if depth >= 10:
                assert row["total_bid_volume_10"] == pytest.approx(sum(size for _, size in bids[:10]))
                assert row["total_ask_volume_10"] == pytest.approx(sum(size for _, size in asks[:10]))
            assert row["data_quality_score"] <= 0.5  # nothing proves it
        return rows


@contextmanager
def running(folder: Path, *channels: str, **settings: object) -> Iterator[Rig]:
    with Okxus(["BTC-USDT", "ETH-USDT"]).running() as okxus:
        rig = Rig(okxus, folder, *channels, **settings)
        rig.collector.start()
        try:
            for symbol in (BTC, ETH):
                wait_until(lambda symbol=symbol: rig.opened(symbol) >= 1, f"{symbol} begun")
            yield rig
        finally:
            report = rig.collector.stop()
    assert report.exact, report
    found = run_audit(rig.database)
    assert found.passed, found.findings


@pytest.mark.parametrize("updates", [500, pytest.param(3000, marks=pytest.mark.proof)])
def test_every_message_of_a_burst_is_a_row_and_none_is_conflated(tmp_path: Path, updates: int) -> None:
    with running(tmp_path) as rig:
        rig.okxus.publish("BTC-USDT", updates)
        rig.okxus.publish("ETH-USDT", 50)
        rig.okxus.publish("BTC-USDT", 7, in_one_frame=True)
        rig.wait_for_all()
    rows = rig.check_rows(BTC)
    assert [row["sequence"] for row in rows] == list(rig.okxus.books["BTC-USDT"].states)
    assert len(rows) == updates + 8
    assert len(rig.check_rows(ETH)) == 51
    for symbol in (BTC, ETH):
        (segment,) = rig.table("coverage", symbol)
        assert (segment["verification"], segment["end_cause"]) == ("none", "stop")


def test_several_depths_of_one_market_are_read_off_one_book(tmp_path: Path) -> None:
    with running(tmp_path, "book.20", "book.5", "bbo") as rig:
        rig.okxus.publish("BTC-USDT", 100)
        rig.wait_for_all()
        assert rig.okxus.subscribed == 2
    for depth in (20, 5, 1):
        assert len(rig.check_rows(BTC, depth)) == 101
        totals = {row["total_bid_volume_10"] is None for row in rig.check_rows(BTC, depth)}
        assert totals == {depth < 10}


def test_a_cut_is_a_hole_with_a_cause_and_comes_back(tmp_path: Path) -> None:
    with running(tmp_path) as rig:
        rig.okxus.publish("BTC-USDT", 20)
        rig.wait_for_all()
        rig.okxus.cut()
        wait_until(lambda: min(rig.opened(BTC), rig.opened(ETH)) >= 2, "begun again")
        rig.okxus.publish("BTC-USDT", 20)
        rig.wait_for_all()
    assert len(rig.check_rows(BTC)) == 42
    for symbol in (BTC, ETH):
        assert rig.causes(symbol) == ["disconnect", "stop"]


def test_silence_of_the_peer_is_noticed(tmp_path: Path) -> None:
    with running(tmp_path, stream__heartbeat_s=0.3) as rig:
        rig.okxus.mute = True
        wait_until(lambda: [one for one in rig.changes if one.cause == "disconnect"], "noticed")
        rig.okxus.mute = False
        wait_until(lambda: min(rig.opened(BTC), rig.opened(ETH)) >= 2, "begun again")
    for symbol in (BTC, ETH):
        assert rig.causes(symbol) == ["disconnect", "stop"]
        assert "silent" in rig.table("coverage", symbol)[0]["detail"]


def test_a_gap_that_ccxt_sees_begins_that_market_anew_alone(tmp_path: Path) -> None:
    with running(tmp_path) as rig:
        rig.okxus.publish("BTC-USDT", 20)
        rig.okxus.books["BTC-USDT"].skips = True
        rig.okxus.publish("BTC-USDT", 2)
        wait_until(lambda: rig.opened(BTC) >= 2, "begun again")
        rig.okxus.publish("BTC-USDT", 20)
        wait_until(lambda: rig.received(BTC) >= 42, "updates after it")
    assert rig.causes(BTC) == ["invalid_nonce", "stop"]
    assert rig.causes(ETH) == ["stop"]
    assert len(rig.check_rows(BTC)) == 42


def test_numbers_that_fall_are_no_numbers(tmp_path: Path) -> None:
    with running(tmp_path) as rig:
        rig.okxus.publish("BTC-USDT", 20)
        rig.okxus.books["BTC-USDT"].falls = True
        rig.okxus.publish("BTC-USDT", 20)
        rig.wait_for_all()
    assert rig.causes(BTC) == ["numbering", "stop"]
    assert rig.causes(ETH) == ["stop"]
    sequences = [row["sequence"] for row in rig.table("hot", BTC)]
    assert len(sequences) == 41
    assert None not in sequences[:21]
    assert set(sequences[21:]) == {None}


def test_a_crossed_book_is_no_row_and_the_next_message_begins_anew(tmp_path: Path) -> None:
    with running(tmp_path) as rig:
        book = rig.okxus.books["BTC-USDT"]
        rig.okxus.publish("BTC-USDT", 20)
        book.crosses = True
        rig.okxus.publish("BTC-USDT", 1)
        wait_until(lambda: [one for one in rig.changes if one.cause == "crossed"], "noticed")
        rig.okxus.publish("BTC-USDT", 20)
        wait_until(lambda: rig.opened(BTC) >= 2, "begun again")
        rig.wait_for_all()
    assert rig.causes(BTC) == ["crossed", "stop"]
    assert len(rig.check_rows(BTC)) == 41
    assert rig.causes(ETH) == ["stop"]


def test_a_stalled_market_is_found_stale_and_a_quiet_one_is_not(tmp_path: Path) -> None:
    with running(tmp_path, stream__stale_after_s=0.4) as rig:
        book = rig.okxus.books["BTC-USDT"]
        book.stalled = True
        rig.okxus.publish("BTC-USDT", 50)
        wait_until(lambda: [one for one in rig.changes if one.cause == "stale"], "found stale")
        book.stalled = False
        wait_until(lambda: rig.opened(BTC) >= 2, "begun again")
        assert [one.symbol for one in rig.changes if one.cause == "stale"] == [BTC]
    assert rig.causes(BTC) == ["stale", "stop"]
    assert "stale" not in rig.causes(ETH)


def test_a_market_without_a_book_is_refused_alone(tmp_path: Path) -> None:
    okxus = Okxus(["BTC-USDT", "ETH-USDT"])
    okxus.refuses.add("BTC-USDT")
    with okxus.running():
        rig = Rig(okxus, tmp_path)
        rig.collector.start()
        try:
            wait_until(lambda: rig.halted("subscription_refused"), "refused")
            wait_until(lambda: rig.opened(ETH) >= 1, "the other")
            okxus.publish("ETH-USDT", 20)
            wait_until(lambda: rig.received(ETH) >= 20, "the other goes on")
        finally:
            report = rig.collector.stop()
    assert report.exact
    assert [problem.partition(" refused")[0] for problem in report.problems] == ["okxus: BTC/USDT book.20"]
    assert rig.table("coverage", BTC) == []


def test_a_restart_goes_on_in_the_same_database(tmp_path: Path) -> None:
    for _ in range(2):
        with running(tmp_path) as rig:
            rig.okxus.publish("BTC-USDT", 20)
            rig.wait_for_all()
    assert rig.causes(BTC) == ["stop", "stop"]
    assert len(rig.table("hot", BTC)) == 42


def test_markets_come_and_go_while_it_runs(tmp_path: Path) -> None:
    with running(tmp_path) as rig:
        assert [key.symbol for key in rig.collector.unsubscribe("okxus", ETH)] == [ETH]
        wait_until(lambda: list(rig.okxus._sockets.values()) == [{("books", "BTC-USDT")}], "left")
        rig.okxus.publish("BTC-USDT", 20)
        rig.collector.subscribe("okxus", ETH)
        wait_until(lambda: rig.opened(ETH) >= 2, "back")
        rig.okxus.publish("ETH-USDT", 20)
        wait_until(lambda: rig.received(ETH) >= 22, "updates")
    assert rig.causes(BTC) == ["stop"]
    assert rig.causes(ETH) == ["unsubscribed", "stop"]
