"""From the simulated exchange's socket to rows read back with pandas."""

import sys
import threading
from pathlib import Path

import pandas as pd
import pytest

from collector import gaps, load_features
from collector.errors import QueryError

sys.path.insert(0, str(Path(__file__).parent))
from rig import BTC, ETH, Rig, running, stop_and_check, wait_until

sys.path.insert(0, str(Path(__file__).parents[1]))
from any_database import in_a_file, on_a_server


def sequences(rig: Rig, symbol: str) -> list[int]:
    return [row["sequence"] for row in rig.rows(symbol)]


@on_a_server  # in a file: test_markets.py
def test_every_update_is_a_row_equal_to_the_truth(any_database: str) -> None:
    with running(any_database) as rig:
        wait_until(lambda: rig.received(BTC) > 150, "some updates")
        report = stop_and_check(rig)
        for symbol in (BTC, ETH):
            stored = sequences(rig, symbol)
            assert stored == list(range(stored[0], stored[0] + rig.sent(symbol)))
            (segment,) = rig.segments(symbol)
            assert (segment["first_sequence"], segment["last_sequence"]) == (stored[0], stored[-1])
            assert (segment["end_cause"], segment["verification"]) == ("stop", "sequence")
            assert segment["alive_until_ns"] >= segment["end_ns"]
        assert report.good
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"websocket", "writer", "markets"}


@pytest.mark.parametrize("updates", [500, pytest.param(2500, marks=pytest.mark.proof)])
def test_a_burst_is_stored_whole(tmp_path: Path, updates: int) -> None:
    with running(tmp_path / "live.db", [BTC], updates_per_s=0.0) as rig:
        rig.simulator.publish(updates, BTC)
        report = stop_and_check(rig)
        stored = sequences(rig, BTC)
        assert len(stored) == updates + 1
        assert stored == list(range(stored[0], stored[0] + updates + 1))
        assert report.good


@in_a_file
@pytest.mark.parametrize("how", [pytest.param("close", marks=pytest.mark.proof), "reset"])
def test_a_cut_connection_is_two_segments_and_no_loader_crosses_the_hole(any_database: str, how: str) -> None:
    database = any_database
    with running(database) as rig:
        wait_until(lambda: rig.received(BTC) > 50, "some updates")
        before = rig.received(BTC)
        cut = rig.simulator.faults.close if how == "close" else rig.simulator.faults.reset
        rig.simulator.faults.refuse("bybit", 503, count=3)  # so that the hole is one that can be seen
        cut(exchange="bybit")
        rig.wait_until_verified_again()
        wait_until(lambda: rig.received(BTC) > before + 100, "updates after the cut")
        rig.check(rig.collector.stop(), all_came=False)
        for symbol in (BTC, ETH):
            first, second = rig.segments(symbol)
            assert first["end_cause"] == "disconnect"
            assert second["end_cause"] == "stop"
            assert first["last_sequence"] <= second["first_sequence"]
            assert first["alive_until_ns"] <= second["start_ns"]

    holes = gaps(database, BTC)
    assert holes["cause"].tolist() == ["disconnect"]
    (hole,) = holes.to_dict(orient="records")
    frame = load_features(database, BTC, every="1ms")
    assert isinstance(frame, pd.DataFrame)
    in_the_hole = (frame.index.as_unit("ns").asi8 > hole["from_ns"]) & (
        frame.index.as_unit("ns").asi8 < hole["until_ns"]
    )
    assert in_the_hole.any()
    assert frame["mid_price"][in_the_hole].isna().all()
    first, second = rig.segments(BTC)
    covered = frame["segment"].notna()
    assert set(frame["segment"][covered]) == {first["segment_id"], second["segment_id"]}
    assert len(load_features(database, BTC, on_gap="split")) == 2
    parts = load_features(database, BTC, every="1ms", on_gap="split")
    assert [part["segment"].nunique() for part in parts] == [1, 1]
    with pytest.raises(QueryError, match="hole"):
        load_features(database, BTC, on_gap="raise")
    with pytest.raises(QueryError, match="not covered"):
        load_features(database, BTC, every="1ms", on_gap="raise")
    crossed = load_features(database, BTC, every="1ms", on_gap="ignore")
    assert isinstance(crossed, pd.DataFrame)
    assert crossed["mid_price"].notna().all()


@pytest.mark.parametrize(
    "fault", ["gap", *(pytest.param(one, marks=pytest.mark.proof) for one in ("drop_frame", "reorder"))]
)
def test_a_broken_sequence_refetches_that_symbol_alone(tmp_path: Path, fault: str) -> None:
    with running(tmp_path / "live.db") as rig:
        wait_until(lambda: rig.received(BTC) > 30, "some updates")
        getattr(rig.simulator.faults, fault)("bybit", BTC)
        wait_until(lambda: rig.snapshots(BTC) == 2, "a new snapshot of the broken book")
        before = rig.received(BTC)
        wait_until(lambda: rig.received(BTC) > before + 30, "updates after the resync")
        stop_and_check(rig)
        first, second = rig.segments(BTC)
        assert first["end_cause"] == "sequence_gap"
        assert first["alive_until_ns"] == first["end_ns"]  # doubt reaches back to the last proven update
        assert second["end_cause"] == "stop"
        (untouched,) = rig.segments(ETH)
        assert untouched["end_cause"] == "stop"
        assert rig.snapshots(ETH) == 1


def test_a_duplicated_frame_is_counted_and_nothing_else(tmp_path: Path) -> None:
    with running(tmp_path / "live.db", [BTC]) as rig:
        wait_until(lambda: rig.received(BTC) > 30, "some updates")
        rig.simulator.faults.duplicate_frame("bybit", BTC)
        before = rig.received(BTC)
        wait_until(lambda: rig.received(BTC) > before + 30, "updates after it")
        report = stop_and_check(rig)
        (segment,) = rig.segments(BTC)
        assert segment["end_cause"] == "stop"
        terms = next(state for state in report.accounting if state.symbol == BTC)
        assert dict(terms.rejected) == {"stale": 1}


BAD_FRAMES = {
    "not json": "hello",
    "truncated": '{"topic":"orderbook.50.BTCUSDT","type":"delta"',
    "wrong type": '{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":"x","data":[]}',
    "null price": (
        '{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1,"data":{"s":"BTCUSDT","b":[[null,"1"]],"a":[],"u":9}}'
    ),
    "huge number": (
        '{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1,"data":{"s":"BTCUSDT","b":[["1e400","1"]],"a":[],"u":9}}'
    ),
    "deep": "[" * 20_000,
    "unknown topic": (
        '{"topic":"orderbook.50.NOSUCH","type":"delta","ts":1,"data":{"s":"NOSUCH","b":[["1","1"]],"a":[],"u":9}}'
    ),
    "no text at all": "",
}


def test_bad_frames_are_counted_and_the_stream_goes_on(tmp_path: Path) -> None:
    with running(tmp_path / "live.db", [BTC]) as rig:
        for text in BAD_FRAMES.values():
            rig.simulator.faults.raw_frame("bybit", text)
        before = rig.received(BTC)
        wait_until(lambda: rig.received(BTC) > before + 30, "updates after them")
        report = stop_and_check(rig)
        (segment,) = rig.segments(BTC)
        assert segment["end_cause"] == "stop"
        unknown = next(state for state in report.accounting if state.symbol == "_unknown")
        assert unknown.received == len(BAD_FRAMES)
        assert dict(unknown.rejected) == {"malformed": len(BAD_FRAMES) - 1, "unknown_topic": 1}


def test_poisoned_levels_end_the_segment_and_never_become_a_row(tmp_path: Path) -> None:
    with running(tmp_path / "live.db", [BTC], updates_per_s=0.0) as rig:
        rig.simulator.publish(20, BTC)
        rig.wait_for_all()
        last = rig.simulator.truth.books("bybit", BTC, "book.50")[-1]
        poison = (
            '{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1,'
            f'"data":{{"s":"BTCUSDT","b":[["NaN","1"]],"a":[],"u":{last.sequence + 1}}}}}'
        )
        rig.simulator.faults.raw_frame("bybit", poison)
        wait_until(lambda: rig.snapshots(BTC) == 2, "a new snapshot")
        rig.simulator.publish(20, BTC)
        wait_until(lambda: rig.received(BTC) == rig.sent(BTC) + 1, "all of it, and the poison")
        report = rig.collector.stop()
        assert report.exact
        first, second = rig.segments(BTC)
        assert first["end_cause"] == "not_finite"
        assert second["end_cause"] == "stop"
        assert len(rig.rows(BTC)) == first["rows"] + second["rows"] == rig.sent(BTC)


def test_two_runs_on_one_file_are_two_sessions(tmp_path: Path) -> None:
    database = tmp_path / "live.db"
    for _ in range(2):
        with running(database, [BTC]) as rig:
            wait_until(lambda rig=rig: rig.received(BTC) > 20, "some updates")
            stop_and_check(rig)
    first, second = rig.segments(BTC)
    assert first["session_id"] != second["session_id"]
    assert first["end_cause"] == second["end_cause"] == "stop"


def test_stopping_twice_gives_the_same_report(tmp_path: Path) -> None:
    with running(tmp_path / "live.db", [BTC]) as rig:
        report = rig.collector.stop()
        assert rig.collector.stop() is report
