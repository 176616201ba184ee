"""`plan` says what a stream beside the database takes, by the figures that were measured."""

import json
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from program import ROOT, Run

from collector.cli.stream_plan import (
    BYTES_AN_EVENT,
    FEW,
    MANY,
    FollowerPlan,
    StreamPlan,
    follower_plans,
    follower_text,
)
from collector.settings.load import load_settings
from collector.settings.model import Settings

URL = "kinesis://eu-central-1/market-data"
ROW = re.compile(
    r"^\| (practical|deep), ([\d,]+) \|.*?\|.*?\| [\d.]+; (\d+) \| [\d.]+; (\d+) \|$", re.MULTILINE
)


def configured(folder: Path, features: str = "practical", **options: object) -> Settings:
    path = folder / "planned.yaml"
    follower = json.dumps({"url": URL, **options})
    path.write_text(f"followers: [{follower}, ./second.db]\nstorage: {{features: {features}}}\n")
    return load_settings(path, environ={}, env_file=None)


def line(
    rows_a_s: float, symbol: str = "BTC/USDT", channel: str = "book.50", basis: str = "at most"
) -> StreamPlan:
    return StreamPlan("bybit", symbol, channel, rows_a_s, rows_a_s, 1.0, basis)


def planned(settings: Settings, *lines: StreamPlan) -> FollowerPlan:
    (found,) = follower_plans(settings, lines)  # the file beside it is none
    return found


def test_the_figures_are_those_of_the_page() -> None:
    page = (ROOT / "docs" / "kinesis.md").read_text()
    told = {(one[0], int(one[1].replace(",", ""))): (int(one[2]), int(one[3])) for one in ROW.findall(page)}
    assert len(told) == 4
    for number, form in enumerate(("batch", "single")):
        for features in ("practical", "deep"):
            measured = told[features, FEW][number], told[features, MANY][number]
            assert BYTES_AN_EVENT[features, form] == measured


@pytest.mark.parametrize(("form", "records_a_s", "bytes_a_s"), [("batch", 1, 4200), ("single", 11, 3150)])
def test_ten_events_a_second_take_what_was_measured_of_parts_of_ten(
    tmp_path: Path, form: str, records_a_s: float, bytes_a_s: float
) -> None:
    found = planned(configured(tmp_path, records=form), line(10.0))
    assert (found.records_a_s, found.shards, found.too_much) == (records_a_s, 1, [])
    assert found.bytes_a_s == pytest.approx(bytes_a_s)
    assert found.gigabytes_a_day == pytest.approx(bytes_a_s * 86_400 / 1e9)


def test_a_deep_book_is_one_event_and_two_rows_unless_rows_were_counted(tmp_path: Path) -> None:
    settings = configured(tmp_path, "deep")
    estimated = planned(settings, line(20.0))
    counted = planned(settings, line(10.0, basis="measured"))
    assert estimated.bytes_a_s == pytest.approx(counted.bytes_a_s) == pytest.approx(6800)
    assert planned(settings, line(10.0, channel="trade")).bytes_a_s == pytest.approx(6800)


def test_markets_share_parts_and_not_shards(tmp_path: Path) -> None:
    settings = configured(tmp_path, records="single", coverage=False)
    one = planned(settings, line(6.0), line(4.0, channel="trade"), line(0.5, "ETH/USDT"))
    assert one.records_a_s == 10.5
    many = planned(
        settings, *(line(400.0, f"C{number}/USDT") for number in range(6)), line(1_500.0, "DOGE/USDT")
    )
    assert many.shards == 4
    assert many.too_much == ["bybit DOGE/USDT"]
    text = follower_text(many)
    assert "3,900.0 records/s" in text
    assert "4 shards at least" in text
    assert text.endswith("so that it falls behind: bybit DOGE/USDT")


def test_the_command_tells_it_of_what_is_configured(run: Run) -> None:
    words = ("plan", "--symbols", "BTC/USDT:USDT", "--channels", "book.50", "--db", "live.db")
    stream = {"COLLECTOR_FOLLOWERS": URL}
    (found,) = json.loads(run(*words, "--json", **stream).stdout)["followers"]
    assert (found["url"], found["form"], found["records_a_s"], found["shards"]) == (URL, "batch", 1.0, 1)
    assert f"{URL} (batch): 1.0 records/s, " in run(*words, **stream).stdout
    assert json.loads(run(*words, "--json").stdout)["followers"] == []
