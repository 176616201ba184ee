"""docs/api.md says what the library does: it runs, and it leaves out no public name."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import collector
from collector.bot.components import Components
from collector.bot.config import DataIngestorConfig
from collector.bot.stats import CallbackStats, IngestorStats, SpoolStats, StreamStats

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
FACES = [
    *(
        collector.DataIngestor,
        collector.Listener,
        collector.L2Update,
        collector.Trade,
        collector.Candle,
        collector.Bar,
    ),
    *(collector.Tick, collector.MarketNow, collector.TickStore, collector.Top),
    *(collector.LiveBars, collector.EventBus, collector.ComponentFactory),
    Components,
]
EVENTS = (
    *(collector.SystemState, collector.PotentialHalt, collector.BookVerified, collector.StreamVerified),
    *(collector.L2Update, collector.Trade, collector.Candle, collector.Bar, collector.Top, collector.Tick),
    collector.IngestorError,
)
# Parts of ours speak to each other by these.
OURS = {
    "listen",
    "take",
    "ring",
    "due_in_s",
    "attach",
    "detach_all",
    "remove",
    "numbers",
    "before",
    "shown",
    "ten_known",
}
OURS |= {"hold", "release", "holders", "interval_ms", "listener_failures", "create", "settings"}


def run(script: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_the_page_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    try:
        exec("\n".join(BLOCKS), names)
    finally:
        for name in ("ingestor", "simulator"):  # which a page that failed left running
            if name in names:
                names[name].stop()


def test_every_public_name_stands_in_an_example() -> None:
    pages = [page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md")]
    examples = "\n".join(
        block for page in pages for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    )
    missing = [name for name in collector.__all__ if not re.search(rf"\b{name}\b", examples)]
    assert missing in ([], ["__version__"])


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.__name__)
def test_every_public_part_of_a_face_stands_on_the_page(face: type) -> None:
    names = {name for name in dir(face) if not name.startswith("_")} - OURS
    assert {name for name in names if not re.search(rf"\b{name}\b", PAGE)} == set()


def fields_of(event: type) -> list[str]:
    """Name the fields of an event in their order, without those that are for parts of ours."""
    if dataclasses.is_dataclass(event):
        return [one.name for one in dataclasses.fields(event)]
    if issubclass(event, collector.IngestorError):
        return [name for name in vars(event("code", "message", cause=None)) if not name.startswith("_")]
    return [name for name in event.__struct_fields__ if name not in OURS]  # type: ignore[attr-defined]


def test_the_table_of_events_has_the_fields_of_each() -> None:
    rows = re.findall(r"^\| (\w+) \| [^|]+ \| (`[^|]*|the same) \|$", PAGE, re.MULTILINE)
    told: dict[str, list[str]] = {}
    for name, cell in rows:
        named = re.findall(r"`(\w+)`", re.sub(r"\([^()]*\)", "", cell))
        told[name] = told[rows[len(told) - 1][0]] if cell == "the same" else named
    assert told == {event.__name__: fields_of(event) for event in EVENTS}


def test_every_kind_of_event_that_the_page_names_is_in_its_table() -> None:
    (kinds,) = re.findall(r"Kinds are\s([^.]+)\.", PAGE)
    assert {*re.findall(r"`(\w+)`", kinds), "Bar"} == {event.__name__ for event in EVENTS}


def test_the_table_of_statistics_holds_every_key_and_no_other() -> None:
    table = PAGE.partition("`get_stats` has the same keys")[2].partition("\n\n## ")[0]
    rows, _, of_a_stream = table.partition("A stream has ")
    cells = re.findall(r"^\| (`[^|]+) \| ([^|]+) \|$", rows, re.MULTILINE)
    told = [name for names, _ in cells for name in re.findall(r"`(\w+)`", names)]
    assert sorted(told) == sorted(IngestorStats.__annotations__)
    meaning = dict(cells)
    for part, kind in (("`spool`", SpoolStats), ("`callbacks`", CallbackStats)):
        assert set(re.findall(r"`(\w+)`", meaning[part])) == set(kind.__annotations__)
    names = set(StreamStats.__annotations__) - set(told) - {"state"}
    assert {name for name in names if f"`{name}`" not in of_a_stream} == set()


def test_the_table_of_short_keys_holds_all_of_them_with_their_defaults() -> None:
    table = PAGE.partition("| key | default | means |")[2].partition("\n\n")[0]
    told = dict(re.findall(r"^\| `(\w+)`(?:, `\w+`)? \| `?([^|`]*?)`?(?:, `[^|]*)? \|", table, re.MULTILINE))
    fields = {one.name: one.default for one in dataclasses.fields(DataIngestorConfig)}
    assert {*told, "stop_timeout"} == set(fields)
    for name in (
        "exchange",
        "symbol",
        "sandbox",
        "db_path",
        "buffer_size",
        "orderbook_depth",
        "start_timeout",
    ):
        assert told[name] == str(fields[name])


def test_a_bot_written_from_the_readme_works_at_first_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (bot,) = re.findall(r"<!-- bot -->\n```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(bot, {"__name__": "__main__"})
    printed = capsys.readouterr().out
    assert len(re.findall(r"^BTC/USDT:USDT \d+\.\d+ ", printed, re.MULTILINE)) > 50
    assert "running" in printed
    assert len(collector.load_features(tmp_path / "bot.db", "BTC/USDT:USDT")) > 50


SEVEN_LINES = """
def on_update(update): seen.append(update)
def on_error(error): raise AssertionError(error)
seen = []
from collector import create_data_ingestor, DataIngestor, DataIngestorConfig, L2Update, load_features

ingestor = create_data_ingestor({
    "exchange": "bybit", "symbol": "BTC/USDT:USDT", "sandbox": False,
    "db_path": "./trading_bot_live.db", "table_name": "l2_training_data_practical",
    "buffer_size": 100, "write_interval": 1.0, "orderbook_depth": 10,
    "max_reconnect_attempts": 10, "reconnect_delay": 5.0, "endpoints": ENDPOINTS,
})
ingestor.add_update_callback(on_update)      # L2Update; an exception in a callback harms nobody else
ingestor.add_error_callback(on_error)
if ingestor.start():                         # True once the first verified book is in, or False in time
    wait()
    ingestor.get_stats(); ingestor.is_healthy(); ingestor.subscribe("ETH/USDT:USDT")
    ingestor.stop()                          # drains; also a context manager
print(len(seen), len(load_features("./trading_bot_live.db", "BTC/USDT:USDT")))
"""


@pytest.mark.proof
def test_the_example_of_the_design_collects_from_the_simulator(tmp_path: Path) -> None:
    before = """
import time
from collector.simulator import Simulator
simulator = Simulator(updates_per_s=100)
simulator.start()
ENDPOINTS = simulator.endpoints("bybit")
def wait():
    while len(seen) < 100: time.sleep(0.01)
    simulator.pause()
"""
    done = run(before + SEVEN_LINES + "simulator.stop()\n", tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    seen, stored = map(int, done.stdout.split())
    assert seen == stored >= 100
