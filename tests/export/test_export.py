"""Exports hold what the database holds, and go on where they stood."""

import hashlib
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest

from collector.errors import QueryError, UserError
from collector.export import exporter as module
from collector.export.exporter import export
from collector.query import Reader
from collector.query import database as extras

sys.path.insert(0, str(Path(__file__).parents[1] / "query"))
from stored import SYMBOL, Facts, Row, Stored, insert, iso, prepare, write

sys.path.insert(0, str(Path(__file__).parents[1]))
from any_database import in_a_file

pyarrow = pytest.importorskip("pyarrow")
DAY_NS = 86_400_000_000_000
MIDNIGHT_NS = 1_700_006_400_000_000_000 // DAY_NS * DAY_NS
FIRST = 2**62 + 1


def history(days: int, a_day: int = 20, first: int = FIRST) -> Stored:
    """Rows on several days, the first of each at the very midnight, the last a nanosecond before the next."""
    rows = []
    for day in range(days):
        places = [0, *np.random.default_rng(day).integers(1, DAY_NS - 1, a_day - 2).tolist(), DAY_NS - 1]
        at = [MIDNIGHT_NS + day * DAY_NS + place for place in sorted(places)]
        rows += [Row(at_ns, first + day, float(place % 9), 0.1) for place, at_ns in enumerate(at)]
    ends = {first + day: MIDNIGHT_NS + (day + 1) * DAY_NS - 1 for day in range(days)}
    return Stored(rows, ends)


@pytest.fixture
def filled(any_database: str) -> str:
    url = prepare(any_database)
    write(url, history(3))
    write(url, history(2, 5, FIRST + 10), Facts(symbol="ETH/USDT:USDT", exchange="kraken", depth=25))
    return url


def files(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_the_files_hold_the_rows(filled: str, tmp_path: Path) -> None:
    done = export(filled, tmp_path / "out")
    assert (done.files, done.written, done.rows) == (5, 5, 70)
    frame = pd.read_parquet(tmp_path / "out" / "features")
    own = frame[frame["symbol"] == SYMBOL]
    rows = history(3).rows
    assert own["received_at_ns"].tolist() == [row.at_ns for row in rows]
    assert own["segment_id"].tolist() == [row.segment for row in rows]
    assert own["mid_price"].tolist() == [row.mid for row in rows]
    assert set(own["data_source"]) == {"simulator"}
    assert set(own["depth"]) == {50}
    assert own["received_at_ns"].dtype == "Int64"
    assert sorted(set(own["date"].astype(str))) == [
        str(pd.Timestamp(MIDNIGHT_NS + day * DAY_NS).date()) for day in range(3)
    ]
    schema = pyarrow.parquet.read_schema(next((tmp_path / "out").rglob("part-0.parquet")))
    assert pyarrow.types.is_dictionary(schema.field("symbol").type)


@in_a_file
def test_duckdb_reads_it_in_a_line(filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb = pytest.importorskip("duckdb")
    export(filled, tmp_path / "out")
    monkeypatch.chdir(tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "duckdb.sql(\"FROM read_parquet('features/**/*.parquet') WHERE symbol = 'BTC/USDT:USDT'\")" in card
    found = duckdb.sql("FROM read_parquet('features/**/*.parquet') WHERE symbol = 'BTC/USDT:USDT'").df()
    assert len(found) == 60
    assert 'pandas.read_parquet("features")' in card
    assert len(pd.read_parquet("features")) == 70
    segments = pd.read_parquet("coverage.parquet")
    assert sorted(segments["segment_id"] - FIRST) == [0, 1, 2, 10, 11]


@in_a_file
def test_interrupted_and_resumed_gives_identical_files(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(filled, tmp_path / "whole")
    write_day, written = module.write_day, []

    def cut_short(connection: Any, table: Any, day: Any, path: Path, *rest: Any, cut: Any) -> int:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(day)
        return write_day(connection, table, day, path, *rest, cut=cut)

    monkeypatch.setattr(module, "write_day", cut_short)
    with pytest.raises(KeyboardInterrupt):
        export(filled, tmp_path / "cut")
    monkeypatch.undo()
    assert export(filled, tmp_path / "cut").written == 3
    assert files(tmp_path / "cut") == files(tmp_path / "whole")
    before = files(tmp_path / "cut")
    assert export(filled, tmp_path / "cut").written == 0
    assert files(tmp_path / "cut") == before


@in_a_file
def test_only_the_day_that_changed_is_written_again(filled: str, tmp_path: Path) -> None:
    export(filled, tmp_path / "out")
    late = Row(MIDNIGHT_NS + DAY_NS + 5, FIRST + 1, 3.0)
    write(filled, Stored([late]))
    done = export(filled, tmp_path / "out")
    assert (done.written, done.rows) == (1, 21)
    frame = pd.read_parquet(tmp_path / "out" / "features")
    assert late.at_ns in set(frame["received_at_ns"])


@in_a_file
def test_a_mix_is_written_as_it_is(filled: str, tmp_path: Path) -> None:
    """A file is a copy: what loaders refuse to mix stands in its columns."""
    write(filled, Stored([Row(MIDNIGHT_NS + 7, None, 1.0)]), Facts(source="replay", depth=200))
    export(filled, tmp_path / "out")
    frame = pd.read_parquet(tmp_path / "out" / "features")
    assert set(frame["data_source"]) == {"simulator", "replay"}
    assert set(frame["depth"]) == {25, 50, 200}


@in_a_file
def test_checksums_on_the_card_hold(filled: str, tmp_path: Path) -> None:
    export(filled, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text().partition("```text\n")[2].partition("```")[0]
    assert len(card.splitlines()) == 5
    for line in card.splitlines():
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == digest


@in_a_file
def test_csv(filled: str, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="nothing is stored for 'BTC/UDST' in the database; did you mean"):
        export(filled, tmp_path / "none", symbol="BTC/UDST")
    export(filled, tmp_path / "out", form="csv", symbol="btcusdt", exchange="ByBit")
    paths = sorted((tmp_path / "out").rglob("*.csv"))
    frame = pd.concat([pd.read_csv(path) for path in paths])
    assert frame["received_at_ns"].tolist() == [row.at_ns for row in history(3).rows]
    assert frame["mid_price"].tolist() == [row.mid for row in history(3).rows]


@pytest.mark.proof
def test_processes_write_the_same_files(stored_file: str, tmp_path: Path) -> None:
    write(stored_file, history(3))
    export(stored_file, tmp_path / "one")
    export(stored_file, tmp_path / "many", jobs=2)
    assert files(tmp_path / "one") == files(tmp_path / "many")


def test_trades_and_bars_have_their_days(stored_file: str, tmp_path: Path) -> None:
    at = [MIDNIGHT_NS + 5, MIDNIGHT_NS + DAY_NS + 5]
    common = {
        "timestamp": [iso(at_ns) for at_ns in at],
        "exchange": ["bybit"] * 2,
        "symbol": [SYMBOL] * 2,
        "received_at_ns": at,
        "segment_id": [1, 2],
        "data_source": ["simulator"] * 2,
    }
    trades = {"kind": ["trade"] * 2, "trade_id": ["a", "b"], "price": [1.0, 2.0], "size": [3.0, 4.0]}
    insert(stored_file, "trades", {**common, **trades, "side": ["buy", None]})
    numbers = {name: [1.0, 2.0] for name in ("open", "high", "low", "close", "volume")}
    opened = [MIDNIGHT_NS // 1_000_000 - 60_000, MIDNIGHT_NS // 1_000_000]
    bars = {"interval": ["1m"] * 2, "open_time": opened, "confirmed": [1, 1]}
    insert(stored_file, "ohlcv", {**common, **bars, **numbers})
    export(stored_file, tmp_path / "out")
    trades_read = pd.read_parquet(tmp_path / "out" / "trades")
    assert trades_read["trade_id"].tolist() == ["a", "b"]
    assert trades_read["side"].isna().tolist() == [False, True]
    bars_read = pd.read_parquet(tmp_path / "out" / "ohlcv")
    assert bars_read["open_time"].tolist() == opened
    first = str(pd.Timestamp(MIDNIGHT_NS - 1).date())
    assert bars_read["date"].astype(str).tolist()[0] == first
    assert not (tmp_path / "out" / "ohlcv_corrections").exists()
    corrected = {name: values[:1] for name, values in {**common, **bars, **numbers}.items()}
    insert(stored_file, "ohlcv_corrections", corrected | {"close": [1.5]})
    assert export(stored_file, tmp_path / "out").written == 1
    again = pd.read_parquet(tmp_path / "out" / "ohlcv_corrections")
    assert (again["close"].tolist(), again["open_time"].tolist()) == ([1.5], opened[:1])
    assert again["date"].astype(str).tolist() == [first]  # with the bar that it is of, not by its receipt


def test_whole_numbers_are_read_as_such_where_one_is_missing(stored_file: str, tmp_path: Path) -> None:
    write(stored_file, history(2))
    export(stored_file, tmp_path / "out")
    frame = pd.read_parquet(tmp_path / "out" / "features")
    assert frame["sequence"].isna().any()
    assert frame["sequence"].max() == 2**60 + 39  # no float holds it
    whole = ["received_at_ns", "sequence", "exchange_timestamp", "segment_id", "depth"]
    assert {str(frame[name].dtype) for name in whole} == {"Int64"}
    segments = pd.read_parquet(tmp_path / "out" / "coverage.parquet")
    assert str(segments["last_sequence"].dtype) == "Int64"
    assert segments["duration"].tolist() == [pd.Timedelta(DAY_NS - 1, unit="ns")] * 2
    assert str(segments["alive_until"].dtype) == "datetime64[ns, UTC]"


def test_a_database_of_an_earlier_version_is_exported_as_it_is(stored_file: str, tmp_path: Path) -> None:
    write(stored_file, history(1))
    trade = {"timestamp": iso(MIDNIGHT_NS), "exchange": "bybit", "symbol": SYMBOL, "kind": "trade"}
    trade |= {"trade_id": "a", "price": 1.0, "size": 2.0, "received_at_ns": MIDNIGHT_NS, "segment_id": 1}
    insert(stored_file, "trades", {name: [value] for name, value in {**trade, "data_source": "x"}.items()})
    with closing(sqlite3.connect(stored_file)) as connection, connection:
        connection.execute("ALTER TABLE collector_trades DROP COLUMN origin")
    export(stored_file, tmp_path / "out")
    assert pd.read_parquet(tmp_path / "out" / "trades")["trade_id"].tolist() == ["a"]


@pytest.fixture
def stored_file(tmp_path: Path) -> str:
    return prepare(str(tmp_path / "live.db"))


def test_mistakes_are_told(stored_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(QueryError, match="nothing to export"):
        export(stored_file, tmp_path / "out")
    with pytest.raises(QueryError, match="expected one of parquet, csv, hftbacktest"):
        export(stored_file, tmp_path / "out", form="xlsx")

    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(extras, "import_module", missing)
    with pytest.raises(UserError, match=r"this needs pyarrow: run `pip install -e '.\[parquet\]'`"):
        export(stored_file, tmp_path / "out")


def test_a_folder_that_cannot_be_made_is_told_in_words(filled: str, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file of somebody's")
    for folder in (taken, taken / "below"):
        with pytest.raises(UserError, match=r"taken.* cannot be a folder to write to: .*; choose another"):
            export(filled, folder)
    assert taken.read_text() == "a file of somebody's"


def test_a_child_that_reads_makes_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("adbc_driver_sqlite")
    url = prepare(str(tmp_path / "live.db"))
    write(url, history(3))
    started: list[int] = []
    begin = Reader.begin

    def noted(self: Reader) -> bool:
        started.append(self.pid)
        return begin(self)

    monkeypatch.setattr(Reader, "begin", noted)
    export(url, tmp_path / "plain", engine="python")
    assert started == []
    export(url, tmp_path / "fast", engine="arrow")
    assert len(started) == 3  # days
    assert len(set(started)) == 1  # of one child
    plain, fast = files(tmp_path / "plain"), files(tmp_path / "fast")
    assert {path: told for path, told in fast.items() if "date=" in path} == {
        path: told for path, told in plain.items() if "date=" in path
    }


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.proof)])
def test_an_export_leaves_no_child(tmp_path: Path, jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("adbc_driver_sqlite")
    url = prepare(str(tmp_path / "live.db"))
    write(url, history(3))
    monkeypatch.chdir(tmp_path)  # where all that it starts is
    seen: set[str] = set()

    def here() -> list[psutil.Process]:
        others = {os.getpid(), *(one.pid for one in psutil.Process().parents())}
        found = psutil.process_iter(["cwd", "cmdline"])
        return [one for one in found if one.info["cwd"] == str(tmp_path) and one.pid not in others]

    def look(*_: int) -> None:
        seen.update(Path(one.info["cmdline"][-1]).name for one in here() if one.info["cmdline"])

    assert export(url, tmp_path / "out", jobs=jobs, engine="arrow", on_progress=look).rows == 60
    assert "sql_child.py" in seen
    left = [one for one in here() if "sql_child.py" in " ".join(one.info["cmdline"] or [])]
    assert psutil.wait_procs(left, timeout=20)[1] == []
