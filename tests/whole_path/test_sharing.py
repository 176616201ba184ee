"""Several collectors on one PostgreSQL database: never two on one stream; and what happened is stored."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from collector.errors import DatabaseInUse
from collector.query.audit import run_audit
from collector.query.database import reading
from collector.simulator import Simulator
from collector.spool.file import SpoolFile

sys.path.insert(0, str(Path(__file__).parent))
from rig import BTC, ETH, Rig, running, stop_and_check


@pytest.fixture
def rig(postgres_url: str, tmp_path: Path) -> Iterator[Rig]:
    with Simulator(symbols={"bybit": [BTC, ETH]}, updates_per_s=100.0) as simulator:
        first = Rig(simulator, postgres_url, [BTC], spool__path=str(tmp_path / "first-spool"))
        first.collector.start()
        try:
            first.wait_until_verified()
            yield first
        finally:
            first.collector.stop()


def another(rig: Rig, tmp_path: Path, *symbols: str) -> Rig:
    return Rig(rig.simulator, rig.database, symbols, spool__path=str(tmp_path / "second-spool"))


def test_a_second_collector_of_a_stream_is_refused_at_its_start(rig: Rig, tmp_path: Path) -> None:
    refused = another(rig, tmp_path, ETH, BTC).collector
    for _ in range(2):
        with pytest.raises(
            DatabaseInUse, match=rf"process \d+ on .* \(session {rig.collector.session.session_id}\)"
        ):
            refused.start()
        spool = SpoolFile(refused.writer.spool_path, max_bytes=1 << 20)
        spool.open()  # it was let go of
        spool.close()
    assert stop_and_check(rig).good


def test_collectors_of_different_streams_work_side_by_side(rig: Rig, tmp_path: Path) -> None:
    other = another(rig, tmp_path, ETH)
    other.collector.start()
    other.wait_until_verified(20)
    report = other.collector.stop()
    assert report.exact
    assert report.good
    assert stop_and_check(rig).good
    assert run_audit(rig.database).passed


def test_a_stream_under_the_exchange_s_own_name_is_refused_once_it_is_known(rig: Rig, tmp_path: Path) -> None:
    other = another(rig, tmp_path, "BTCUSDT")
    other.collector.start()
    assert other.collector.wait(20)
    report = other.collector.stop()
    assert any("collected into this database already, by process" in one for one in report.problems)
    assert not report.accounting or all(state.received == 0 for state in report.accounting)
    assert stop_and_check(rig).good


def test_a_stream_that_another_has_is_not_added_while_running(rig: Rig, tmp_path: Path) -> None:
    other = another(rig, tmp_path, ETH)
    other.collector.start()
    other.wait_until_verified()
    with pytest.raises(DatabaseInUse, match=BTC):
        other.collector.subscribe("bybit", "BTCUSDT")
    other.wait_until_verified(20)
    assert rig.collector.unsubscribe("bybit", BTC)
    assert other.collector.stop().good
    assert stop_and_check(rig).good


def test_what_happened_is_stored_as_events(tmp_path: Path) -> None:
    with running(tmp_path / "live.db", [BTC]) as rig:
        rig.wait_until_verified()
        rig.simulator.faults.reset("bybit")
        rig.wait_until_verified_again()
        rig.simulator.pause()
        rig.check(rig.collector.stop(), all_came=False)
        with reading(rig.database) as (connection, tables):
            events = tables.events.c
            found = connection.execute(
                sa.select(events.kind, events.code, events.symbol, events.session_id).order_by(events.id)
            ).all()
    told = [(kind, code) for kind, code, _, _ in found]
    assert told.count(("system_state", "connected")) >= 2
    assert told.count(("segment", "verified")) >= 2
    assert ("system_state", "disconnected") in told
    assert ("segment", "stop") in told
    assert {symbol for kind, _, symbol, _ in found if kind == "segment"} == {BTC}
    assert {session for *_, session in found} == {rig.collector.session.session_id}
