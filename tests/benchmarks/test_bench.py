"""The benchmarks run, lose nothing of ours and say what they measured; how fast they are is not judged."""

import argparse
import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from bench.report import Report

ROOT = Path(__file__).resolve().parents[2]


def bench(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "bench", *words], capture_output=True, text=True, check=False
    )


def measured(name: str) -> list[dict[str, Any]]:
    done = bench(name, "--quick", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["benchmark"] == name
    assert set(report["machine"]) == {"cores", "load", "system", "python", "sqlite"}
    rows: list[dict[str, Any]] = report["rows"]
    return rows


@pytest.mark.proof
def test_three_programs_are_measured_none_of_which_loses_anything(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `bench path --quick` does, with as few updates as show that each program stores them all."""
    path = importlib.import_module("path")
    monkeypatch.setattr(path, "QUICK", path.Plan((1,), (), path.CYCLE, 1, 0.0))
    report = Report("path", quick=True, as_json=True)
    path.work(report, argparse.Namespace(quick=True, uvloop=False))
    report.end()
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {row["program"] for row in rows} == {"careful", "floor", "collector"}
    assert {row["lost"] for row in rows} == {0}


@pytest.mark.proof
def test_path_measures_three_programs() -> None:
    rows = measured("path")
    assert {row["program"] for row in rows} == {"careful", "floor", "collector"}
    assert {row["lost"] for row in rows} == {0}


@pytest.mark.proof
def test_stream_sees_all_where_the_watch_loop_sees_a_part() -> None:
    rows = measured("stream")
    assert all(row["ours_saw"] == row["sent"] for row in rows)
    assert all(row["stock_saw"] < row["sent"] for row in rows if row["pace"] == "flat out")


@pytest.mark.proof
def test_write_stores_all_rows() -> None:
    rows = measured("write")
    assert {row["writer"] for row in rows} == {"executemany", "Core executemany", "writer + sink"}
    assert all(row["stored"] == row["sent"] for row in rows)


@pytest.mark.proof
def test_latency_hears_every_update_where_nobody_skips() -> None:
    rows = measured("latency")
    assert {row["program"] for row in rows} == {"bare", "stock", "callback"}
    assert all(row["heard"] == row["sent"] for row in rows if row["program"] != "stock")
    assert all(0 < row["p50_us"] <= row["p99_us"] <= row["most_us"] for row in rows)


@pytest.mark.proof
def test_serve_loses_nothing_while_a_hundred_watch() -> None:
    alone, watched = measured("serve")
    assert (alone["clients"], watched["clients"]) == (0, 100)
    assert alone["heard"] == alone["sent"] == watched["heard"] == watched["sent"]
    assert watched["pushed_per_s"] > 100  # ten times a second each, on a quiet machine


@pytest.mark.proof
def test_records_read_back_every_event() -> None:
    rows = [row for row in measured("records") if "way" in row]
    assert {row["way"] for row in rows} == {"JSON", "Avro, row by row", "ours, batch", "ours, single"}
    assert all(row["read_back"] == row["events"] for row in rows)


@pytest.mark.proof
def test_disk_counts_the_rows_of_its_day() -> None:
    without, at_midnight, closed = measured("disk")
    assert without["moved"] == at_midnight["moved"] == 0  # the last closed hour stays
    assert closed["moved"] == closed["rows"] > 0


@pytest.mark.proof
def test_read_reads_as_many_rows_each_way() -> None:
    rows = measured("read")
    assert {row["to"] for row in rows} >= {"1 s frame", "rows", "Parquet", "archived touch"}


@pytest.mark.proof
def test_a_follower_loses_nothing_whatever_its_stream_does() -> None:
    rows = measured("follower")
    assert {row["stream"] for row in rows} == {"none", "answers", "dead", "hangs"}
    for row in rows:
        wanted = 0 if row["stream"] == "none" else row["sent"]
        assert (row["put"] + row["spooled"], row["dropped"]) == (wanted, 0)


def test_an_unknown_benchmark_is_named_with_those_there_are() -> None:
    done = bench("nothing")
    assert done.returncode == 2
    assert "follower, latency, path, peers, read, records, serve, simulator, stream, write" in done.stderr
