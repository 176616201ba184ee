"""Each check finds what it is for, and nothing where all is well."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from checking import books_check, frames_check, rates, report, stored
from checking.finding import Finding, counted
from checking.places import Place
from checking.recording import Line, Recording
from checking.rest_books import Book, RestBook, State, all_compared, compared
from checking.run import Result, judge
from checking.session import RESUBSCRIBED

from collector.sinks.contract import AccountingState

BYBIT = Place("bybit", "live", "linear")
BINANCE = Place("binance", "live", "spot")
KRAKEN = Place("kraken", "live", "spot")
OKX = Place("okx", "live", "linear")
SECOND = 1_000_000_000
SWAP = {
    "id": "BTC-USDT-SWAP",
    "symbol": "BTC/USDT:USDT",
    "baseId": "BTC",
    "contract": True,
    "contractSize": 0.01,
    "precision": {"price": 0.1, "amount": 0.01},
    "info": {"ctVal": "0.01", "ctMult": "1", "ctValCcy": "BTC", "lotSz": "0.01"},
}
BYBIT_MARKET = {"id": "BTCUSDT", "symbol": "BTC/USDT:USDT", "precision": {"price": 0.1, "amount": 0.001}}


def line(frame: object, at_ns: int = 0, what: Any = "recv", connection: str = "1", url: str = "") -> Line:
    return Line(what, at_ns, connection, frame if isinstance(frame, str) else json.dumps(frame), url)


def names(findings: Any) -> list[str]:
    return [one.name for one in findings]


def book(depth: int, levels: int, *, kind: str = "snapshot", step: float = 0.1, size: str = "1.001") -> Line:
    rows = [[f"{50_000 + number * step:.1f}", size] for number in range(levels)]
    data = {"s": "BTCUSDT", "b": rows, "a": rows, "u": 1, "seq": 1}
    return line({"topic": f"orderbook.{depth}.BTCUSDT", "type": kind, "ts": 1, "data": data, "cts": 1})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("<html>", "unreadable frame"),
        ('{"topic":"tickers.BTCUSDT"}', "unknown message"),
        ('{"success":true,"ret_msg":"subscribe","op":"subscribe"}', "missing field in bybit.ack"),
        (book(50, 1).text.replace('"u": 1', '"u": -1'), "frame that we cannot read"),
    ],
)
def test_forms(text: str, name: str) -> None:
    assert names(frames_check.forms(BYBIT, [line(text)])) == [name]
    assert names(frames_check.forms(BYBIT, [book(50, 3)])) == []


def test_the_bare_pong_of_okx_is_no_difference() -> None:
    assert names(frames_check.forms(OKX, [line("pong")])) == []


def test_refusals() -> None:
    refused = {"success": False, "ret_msg": "no such topic", "conn_id": "1", "op": "subscribe"}
    assert names(frames_check.refusals(BYBIT, [line(refused), book(50, 1)])) == ["refused by the exchange"]


@pytest.mark.parametrize(
    ("place", "ping", "pong"),
    [
        (BYBIT, '{"op":"ping","req_id":"3"}', '{"success":true,"ret_msg":"pong","conn_id":"1","op":"ping"}'),
        (KRAKEN, '{"method":"ping","req_id":3}', '{"method":"pong","req_id":3,"time_in":"","time_out":""}'),
        (OKX, "ping", "pong"),
    ],
)
def test_pings(place: Place, ping: str, pong: str) -> None:
    sent, answered = line(ping, what="send"), line(pong)
    assert names(frames_check.pings(place, [sent])) == ["ping not answered"]
    assert names(frames_check.pings(place, [sent, answered])) == []
    assert [one.is_note for one in frames_check.pings(place, [answered])] == [True]


def test_pings_of_the_websocket_itself() -> None:
    sent, answered = line("ping of the websocket", what="send"), line("ping or pong", what="control")
    assert names(frames_check.pings(BINANCE, [sent])) == ["ping not answered"]
    assert names(frames_check.pings(BINANCE, [sent, answered])) == []


@pytest.mark.parametrize(("listed", "found"), [("0.01", []), ("0.1", ["contract size"])])
def test_contract_sizes_by_the_turnover_of_bars(listed: str, found: list[str]) -> None:
    row = ["1", "50000", "50010", "49990", "50000", "20", "0.2", "10000", "0"]  # 20 contracts of 0.01
    frame = {"arg": {"channel": "candle1m", "instId": "BTC-USDT-SWAP"}, "data": [row]}
    market = {**SWAP, "info": {**SWAP["info"], "ctVal": listed}}  # type: ignore[dict-item]
    assert names(frames_check.bars(OKX, [line(frame)], {"BTC/USDT:USDT": market})) == found


@pytest.mark.parametrize(
    ("levels", "environment", "found"),
    [(50, "live", []), (49, "live", ["depth"] * 2), (49, "testnet", []), (51, "testnet", ["depth"] * 2)],
)
def test_depths(levels: int, environment: Any, found: list[str]) -> None:
    place = replace(BYBIT, environment=environment)
    assert names(books_check.depths(place, [book(50, levels), book(50, 2, kind="delta")])) == found


def test_the_depth_of_krakens_books_is_what_was_confirmed() -> None:
    result = {"channel": "book", "depth": 25, "symbol": "BTC/USD"}
    ack = line({"method": "subscribe", "result": result, "success": True, "time_in": "", "time_out": ""})
    rows = [{"price": 1.0 + number, "qty": 1.0} for number in range(10)]
    data = [{"symbol": "BTC/USD", "bids": rows, "asks": rows, "checksum": 1}]
    shown = line({"channel": "book", "type": "snapshot", "data": data})
    found = list(books_check.depths(KRAKEN, [ack, shown]))
    assert [one.detail for one in found] == [
        f"BTC/USD: 10 {side} in a book of 25 levels" for side in ("bids", "asks")
    ]


def test_the_depth_of_binances_books_is_what_rest_was_asked_for() -> None:
    rows = [["1.0", "2.0"]] * 4
    url = "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit={}"
    answer = {"lastUpdateId": 1, "bids": rows, "asks": rows}
    assert names(books_check.depths(BINANCE, [line(answer, what="http", url=url.format(4))])) == []
    assert names(books_check.depths(BINANCE, [line(answer, what="http", url=url.format(5))])) == ["depth"] * 2


@pytest.mark.parametrize(
    ("listed", "step", "found"),
    [
        (0.1, 0.1, []),
        (0.5, 0.1, ["tick size"]),  # there are prices between
        (0.01, 0.1, ["tick size"]),  # no price ever has the second decimal
        (None, 0.1, ["tick size"]),
    ],
)
def test_tick_sizes(listed: float | None, step: float, found: list[str]) -> None:
    market = {**BYBIT_MARKET, "precision": {"price": listed, "amount": 0.001}}
    lines = [book(1000, 300, step=step)]
    assert names(books_check.steps(BYBIT, lines, {"BTC/USDT:USDT": market})) == found


def test_size_steps() -> None:
    markets = {"BTC/USDT:USDT": BYBIT_MARKET}
    assert names(books_check.steps(BYBIT, [book(50, 50, size="0.0005")], markets)) == ["size step"]
    assert names(books_check.steps(BYBIT, [book(50, 50, size="0.005")], markets)) == []


def rate_names(counts: dict[str, int], seconds: int, place: Place = BYBIT) -> list[tuple[str, str]]:
    lines = []
    for channel in place.channels:
        topic = place.facts.topics.topic("BTCUSDT", "BTC/USDT:USDT", channel)
        frame = {
            "topic": topic,
            "type": "snapshot",
            "ts": 1,
            "cts": 1,
            "data": {"s": "", "b": [], "a": [], "u": 1},
        }
        if not topic.startswith("orderbook"):
            frame["data"] = []
        if topic.startswith("publicTrade"):
            frame["data"] = [{"T": 1, "S": "Buy", "v": "1", "p": "1", "i": "1"}]
        if topic.startswith("kline"):
            bar = dict.fromkeys(("open", "high", "low", "close", "volume"), "1")
            frame["data"] = [{"start": 1, "confirm": False, "timestamp": 1, **bar}]
        lines += [line(frame, at_ns=SECOND + 1)] * counts.get(channel, 5 * seconds)
    found = rates.rates(place, lines, (SECOND, SECOND * (seconds + 1)), {"id": "BTCUSDT", "symbol": "B"})
    return [(one.name, one.detail.split(":")[1].split()[-1]) for one in found if not one.is_note]


def test_rates() -> None:
    assert rate_names({}, 10) == []
    assert rate_names({"trade": 0}, 10) == [("silent topic", "trade")]
    assert rate_names({"book.1000": 100}, 10) == [("more messages than expected", "book.1000")]
    assert rate_names({"trade": 1000}, 10) == []  # a busy market, no other push
    assert rate_names({"trade": 0}, 10, replace(BYBIT, environment="testnet")) == []  # may well be silent


def levels(*prices: float) -> tuple[tuple[float, float], ...]:
    return tuple((price, 1.0) for price in prices)


STOOD = Book(levels(9, 8, 7), levels(10, 11, 12))
OTHER = Book(levels(9, 8, 6), levels(10, 11, 12))
ELSEWHERE = Book(levels(5, 4, 3), levels(14, 15, 16))


@pytest.mark.parametrize(
    ("sequence", "rest", "found"),
    [
        (7, STOOD, []),
        (7, OTHER, ["REST book differs"]),  # the same number proves the whole book
        (None, OTHER, []),  # one level of six may have come and gone
        (None, ELSEWHERE, ["REST book differs"]),
        (None, Book((), ()), ["REST book differs"]),
    ],
)
def test_books_against_rest(sequence: int | None, rest: Book, found: list[str]) -> None:
    states = [State(5 * SECOND, 7, STOOD)]
    asked = RestBook(5 * SECOND, 5 * SECOND + 1, sequence, rest)
    assert names(compared(asked, states, SECOND)) == found


def test_one_unlike_answer_may_be_chance_and_most_are_not() -> None:
    states = [State(5 * SECOND, 7, STOOD)]
    like, unlike = (RestBook(5 * SECOND, 5 * SECOND + 1, None, book) for book in (STOOD, ELSEWHERE))
    assert [one.is_note for one in all_compared([like, unlike, like], states, SECOND)] == [True]
    assert [one.is_note for one in all_compared([unlike, unlike, like], states, SECOND)] == [False] * 2
    certain = RestBook(5 * SECOND, 5 * SECOND + 1, 7, OTHER)
    assert [one.is_note for one in all_compared([like, like, certain], states, SECOND)] == [False]


def test_a_book_that_cannot_be_compared_is_a_note() -> None:
    (found,) = compared(RestBook(1, 2, None, STOOD), [], SECOND)
    assert found.is_note


def seen_of(**values: Any) -> Any:
    return SimpleNamespace(
        **{"place": BYBIT, "recording": Recording(), "outage_ns": 0, "report": None} | values
    )


def accounting(**terms: Any) -> AccountingState:
    return AccountingState("s", "bybit", "BTC/USDT:USDT", "trade", **terms)


@pytest.mark.parametrize(
    ("state", "found"),
    [
        (accounting(received=5, written=4, rejected={"unsynced": 1}), []),
        (accounting(received=5, written=4), ["identity"]),
        (accounting(received=5, written=4, dropped=1), ["identity"]),
        (accounting(received=5, written=4, rejected={"malformed": 1}), ["rejected"]),
    ],
)
def test_identity(state: AccountingState, found: list[str]) -> None:
    assert names(stored.identity(seen_of(report=SimpleNamespace(accounting=[state])))) == found


def test_trades_of_binances_futures_that_are_none_are_expected() -> None:
    place = Place("binance", "live", "linear")
    state = accounting(received=1, rejected={"out_of_range": 1})
    seen = seen_of(place=place, report=SimpleNamespace(accounting=[state]))
    assert names(stored.identity(seen)) == ["rejected"]
    seen.recording.add("recv", "1", '{"e":"trade","p":"0","q":"0","X":"NA"}')
    assert names(stored.identity(seen)) == []


def segments(*ends: tuple[str, int, int], disagreed: int = 0) -> pd.DataFrame:
    rows = [
        {
            "symbol": symbol,
            "channel": channel,
            "start_ns": start,
            "alive_until_ns": until,
            "end_cause": cause,
            "detail": "",
            "witnessed": 1,
            "disagreed": disagreed,
        }
        for symbol in BYBIT.symbols
        for channel in BYBIT.channels
        for cause, start, until in ends
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("coverage", "found"),
    [
        (segments((RESUBSCRIBED, 0, 50), ("stop", 55, 100)), set()),
        (segments(("sequence_gap", 0, 50), ("stop", 55, 100)), {"coverage ended"}),
        (segments(("disconnect", 0, 10), ("stop", 90, 100)), {"coverage"}),
        (segments(("stop", 0, 100), disagreed=1), {"witness disagrees"}),
        (segments(("stop", 0, 100)).iloc[1:], {"coverage"}),
    ],
)
def test_coverage(coverage: pd.DataFrame, found: set[str]) -> None:
    assert set(names(stored.covered(seen_of(coverage=coverage)))) == found


def test_an_outage_made_on_purpose_is_no_hole() -> None:
    coverage = segments(("disconnect", 0, 10), ("stop", 90, 100))
    assert names(stored.covered(seen_of(coverage=coverage, outage_ns=80))) == []


def test_market_lists() -> None:
    info = {"symbol": "B", "status": "Trading", "contractType": "LinearPerpetual"}
    info |= {"priceFilter": {"tickSize": "0.1"}, "lotSizeFilter": {"qtyStep": "0.001"}}
    good = {"info": info, "contractSize": 1.0}
    assert names(stored.listed(BYBIT, dict.fromkeys(BYBIT.symbols, good))) == []
    assert names(stored.listed(BYBIT, {BYBIT.symbols[0]: good})) == ["market list"]
    for other, name in (
        ({**good, "contractSize": 10.0}, "contract size"),
        ({"info": {**info, "status": ""}}, "market list"),
    ):
        found = stored.listed(BYBIT, {BYBIT.symbols[0]: good, BYBIT.symbols[1]: other})
        assert names(found) == [name]


def test_what_was_stored_is_judged_together_with_the_frames() -> None:
    """Every check has its part in the verdict; what this one says is proven above."""
    markets = SimpleNamespace(
        by_symbol={symbol: {**BYBIT_MARKET, "symbol": symbol} for symbol in BYBIT.symbols}
    )
    seen = seen_of(
        findings=[Finding("planted", "by the session")],
        markets=markets,
        steady_ns=(0, 0),
        report=SimpleNamespace(accounting=[accounting(received=1)]),
        audit=SimpleNamespace(findings=[SimpleNamespace(check="order", text="1 row")]),
        coverage=segments(("sequence_gap", 0, 100)),
    )
    seen.recording.add("recv", "1", "<html>")
    seen.recording.add("recv", "1", '{"success":false,"ret_msg":"no","conn_id":"1","op":"subscribe"}')
    seen.recording.add("send", "1", '{"op":"ping"}')
    assert {one.name for one in judge(seen)} == {
        "planted",
        "identity",
        "verify: order",
        "coverage ended",
        "unreadable frame",
        "refused by the exchange",
        "ping not answered",
    }


def test_equal_findings_are_put_together() -> None:
    found = list(counted([Finding("a", "b"), Finding("a", "b"), Finding("a", "c")]))
    assert list(map(str, found)) == ["a: b (2 times)", "a: c"]


def test_the_report_says_what_was_checked_and_what_not() -> None:
    good = Result(BYBIT, "ok", "", ("a", "7 frames"), (Finding("n", "d", is_note=True),), 61.0, "f.gz")
    bad = Result(OKX, "DIFFERENT", "", ("a",), (Finding("depth", "49 bids"),), 62.0, "g.gz")
    gone = Result(KRAKEN, "SKIPPED", "no route", (), (), 0.1)
    assert report.exit_code([good, gone]) == 0
    assert report.exit_code([good, bad, gone]) == 1
    assert "All 1 that could be reached behave as documented. Not checked" in report.words([good, gone])
    words = report.words([good, bad, gone])
    assert "1 difference at okx:linear:live. Not checked, since not reachable: kraken:spot:live." in words
    for text in (
        "okx        linear   live      DIFFERENT   62",
        "- depth: 49 bids",
        "frames: g.gz",
        "- note: n: d",
    ):
        assert text in words
    assert "NOTHING WAS CHECKED" in report.words([gone])
