"""The whole check against the simulator: all is as documented, planted differences are found by name."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog

sys.path.insert(0, str(Path(__file__).parent))
import check_exchanges
from checking import report
from checking.run import run
from simulated_exchanges import (
    PLACES,
    QUICK,
    edit_answers,
    edit_channel,
    edit_rest,
    edit_snapshots,
    ignore_leaving,
    places,
    replacing,
    simulated,
)

from collector.simulator.recordings.recording import read_recording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from checking.run import Result

    from collector.simulator import Simulator

BTC = "BTC/USDT:USDT"
SECONDS = 1.0


@pytest.fixture
def plain_log() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def checked(simulator: Simulator, folder: Path, only: str = PLACES) -> dict[str, Result]:
    results = run(places(simulator, only), folder, SECONDS, lambda _one: None)
    return {one.place.exchange: one for one in results}


def lines_of(path: str) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.mark.parametrize(
    "only",
    [  # of the others the planted differences are found, and nothing else differs in their forms
        "binance:spot:live,kraken:spot:live",
        pytest.param(PLACES, marks=pytest.mark.proof),
    ],
)
def test_what_is_as_documented_is_green(tmp_path: Path, only: str) -> None:
    with simulated() as simulator:
        found = checked(simulator, tmp_path, only)
    assert len(found) == len(only.split(","))
    assert [str(each) for one in found.values() for each in one.differences] == []
    assert {one.verdict for one in found.values()} == {"ok"}
    assert report.exit_code(list(found.values())) == 0
    for one in found.values():
        done = "; ".join(one.checked)
        for what in ("held against REST 3 times", "asked for anew", "subscribed again", "dialled anew"):
            assert what in done
        assert "identity exact" in done
        lines = lines_of(one.frames)
        assert lines[0]["exchange"] == one.place.exchange
        assert {"header", "connect", "send", "recv", "http", "rest", "down"} <= {each["t"] for each in lines}
        received = [each["data"] for each in lines if each["t"] == "recv"]
        played = [each.text for each in read_recording(one.frames)]
        assert len(received) > 50
        assert [text for text in played if "lastUpdateId" not in text] == received


def test_planted_differences_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("checking.session.SILENT_WITHIN_S", 1.5)
    monkeypatch.setattr("checking.session.reasons_of", lambda _view: ["planted"])
    with simulated() as simulator:
        ignore_leaving(simulator, "binance")
        edit_channel(simulator, "bybit", BTC, "trade", replacing('"BT":false', '"BT":false,"newField":1'))
        edit_channel(simulator, "bybit", BTC, "ohlcv.1m", replacing('"turnover":"[^"]*",', ""))
        edit_rest(simulator, "bybit", "instruments-info", replacing('"tickSize":"[^"]*"', '"tickSize":"7"'))
        edit_snapshots(simulator, "bybit", "book.50", replacing(r'(,\["[^"]*","[^"]*"\]){5}\],"a"', '],"a"'))
        simulator.faults.stall("binance", "BTC/USDT", "trade")
        edit_rest(simulator, "bybit", "market/orderbook", replacing(r'","(\d)', r'","9\1'))
        edit_answers(simulator, "okx", replacing('"connId":"[^"]*"', '"connection":7'))
        unnumbered = replacing('"seqId":', '"number":')
        edit_rest(
            simulator,
            "okx",
            "market/books",
            lambda text: unnumbered(replacing(r'\["(\d+)', r'["9\1')(text)),
        )
        edit_rest(simulator, "okx", "public/instruments", replacing('"ctVal":"[^"]*"', '"ctVal":"0.5"'))
        found = checked(simulator, tmp_path, QUICK)
    texts = {name: [str(each) for each in one.differences] for name, one in found.items()}

    def is_found(exchange: str, start: str) -> bool:
        return any(text.startswith(start) for text in texts[exchange])

    assert is_found("bybit", "unknown field in bybit.linear.publicTrade: data[].newField"), texts
    assert is_found("bybit", "missing field in bybit.kline: data[].turnover"), texts
    assert is_found("bybit", f"tick size: {BTC}: listed as 7"), texts
    assert is_found("bybit", "depth: BTCUSDT: 45 bids in a book of 50 levels"), texts
    assert is_found("binance", "goes on after unsubscribing: ETH/USDT is still sent"), texts
    assert is_found("binance", "not healthy: planted"), texts
    assert is_found("binance", "silent topic: BTC/USDT trade: nothing came"), texts
    assert is_found("bybit", "REST book differs: at update "), texts
    assert is_found("okx", "missing field in okx.ack: connId"), texts
    assert is_found("okx", "unknown field in okx.ack: connection"), texts
    assert is_found("okx", "REST book differs: 0% of its best"), texts
    assert is_found("okx", "contract size: BTC-USDT-SWAP: a size of 1 is listed as 0.5"), texts
    assert report.exit_code(list(found.values())) == 1
    words = report.words(list(found.values()))
    assert "unknown field in bybit.linear.publicTrade" in words
    assert str(found["okx"].frames) in words


def test_an_exchange_that_serves_other_countries_only_is_skipped(tmp_path: Path) -> None:
    with simulated() as simulator:
        simulator.faults.rest_status("binance", 451, count=100)
        (result,) = run(places(simulator, "binance:spot:live"), tmp_path, SECONDS, lambda _one: None)
    assert (result.verdict, result.why) == ("SKIPPED", "answers 451: does not serve this country")


def test_an_error_of_ours_is_a_difference_and_ends_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr("checking.run.load_markets", broken)
    with simulated() as simulator:
        results = run(places(simulator, "kraken,okx:spot:live"), tmp_path, SECONDS, lambda _one: None)
    assert [(one.verdict, one.findings[0].name) for one in results] == [
        ("DIFFERENT", "the check itself failed")
    ] * 2
    assert "RuntimeError: a mistake" in results[0].findings[0].detail


@pytest.mark.usefixtures("plain_log")
def test_without_a_network_everything_is_skipped_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIVE_ENDPOINTS", "http://127.0.0.1:1")
    assert check_exchanges.main(["--folder", str(tmp_path), "--only", "kraken,okx:spot"]) == 0
    said = capsys.readouterr().out
    assert "kraken     spot     live      SKIPPED" in said
    assert "127.0.0.1:1: Connection refused" in said
    assert "NOTHING WAS CHECKED" in said
    assert said.count("SKIPPED") == 2 * 3  # as they end, and in the table
    kept = json.loads((tmp_path / "report.json").read_text())
    assert {(one["exchange"], one["verdict"]) for one in kept} == {("kraken", "SKIPPED"), ("okx", "SKIPPED")}


def test_options_that_cannot_be_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_exchanges.main(["--only", "bybit:moon"]) == 2
    assert "moon not known, expected" in capsys.readouterr().err
    monkeypatch.setenv("LIVE_ENDPOINTS", "bybit=ftp://somewhere")
    assert check_exchanges.main([]) == 2
    assert "expected http://127.0.0.1:PORT" in capsys.readouterr().err
