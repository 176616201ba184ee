"""The API over a database that nobody writes: documents, names, pages, refusals."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from api_rig import EXAMPLE, asked, get, listening, serving_database
from serve_rig import TOKEN

from collector.query import load_features
from collector.sinks import SqlSink

BTC = "BTC/USDT:USDT"


@pytest.fixture
def port(stored_port: int) -> int:
    return stored_port


def test_ticks_are_named_as_the_exchange_does_where_one_market_has_the_name(port: int) -> None:
    ticks = get(port, "/api/ticks")
    assert set(ticks) == {"BINANCE:BTCUSDT", "BYBIT:BTCUSDT", "ETHUSDT", "BTCUSD"}
    for tick in ticks.values():
        assert list(tick) == ["symbol", "price", "quantity", "timestamp", "trade_id"]
        assert tick["price"] > 0
    assert list(get(port, "/api/ticks", exchange="bybit", market="linear")) == ["BYBIT:BTCUSDT", "ETHUSDT"]


@pytest.mark.parametrize("name", ["BYBIT:BTCUSDT", "bybit:btcusdt", "BTC%2FUSDT%3AUSDT", "btc-usdt%3ausdt"])
def test_a_market_has_several_names_in_a_path(port: int, name: str) -> None:
    assert get(port, f"/api/ticks/{name}")["symbol"] == BTC


def test_a_name_of_several_markets_is_refused_with_the_choice(port: int) -> None:
    answer = asked(port, "/api/ticks/BTCUSDT")
    assert answer.status == 400
    assert "binance BTC/USDT (spot) or bybit BTC/USDT:USDT (linear)" in answer.json["reason"]
    assert get(port, "/api/ticks/BTCUSDT", market="spot")["symbol"] == "BTC/USDT"


def test_features_are_those_that_a_loader_gives_page_after_page(port: int) -> None:
    expected = load_features(EXAMPLE, BTC)
    rows: list[list[Any]] = []
    more: dict[str, Any] = {}
    while True:
        page = get(port, "/api/features/BYBIT:BTCUSDT", limit=300, order="oldest", **more)
        rows += page["rows"]
        if page["next"] is None:
            break
        more = {"cursor": page["next"]}
    for name in ("mid_price", "microprice", "ofi"):
        place = page["columns"].index(name)
        assert [row[place] for row in rows] == expected[name].astype(object).where(
            expected[name].notna(), None
        ).tolist()
    assert isinstance(rows[0][page["columns"].index("segment_id")], str)


def test_a_span_is_read_by_points_and_by_rows(port: int) -> None:
    spanned = {"exchange": "kraken", "start": "2026-11-21T09:09Z", "end": "2026-11-21T09:11Z"}
    pointed = get(port, "/api/features/XBTUSD", points=6, **spanned)
    assert 0 < len(pointed["rows"]) <= 6
    assert pointed["columns"][0] == "at_ns"
    newest = get(port, "/api/trades/XBTUSD", order="newest", limit=2, **spanned)
    times = [row[1] for row in newest["rows"]]
    assert times == sorted(times, reverse=True)
    bars = get(port, "/api/ohlcv/XBTUSD", interval="1m")
    assert bars["columns"][:2] == ["open_time", "timestamp"]
    assert asked(port, "/api/ohlcv/XBTUSD", interval="7m").json["expected"] == "interval=1m"


def test_coverage_and_gaps_are_of_the_last_hours_that_are_stored(port: int) -> None:
    coverage = get(port, "/api/coverage")
    assert len(coverage["streams"]) == 12
    assert coverage["end_ns"] - coverage["start_ns"] == 6 * 3600 * 10**9
    (broken,) = get(port, "/api/coverage", symbol="ETHUSDT", channel="book.50")["streams"]
    gaps = get(port, "/api/gaps", symbol="ETHUSDT", channel="book.50")["gaps"]
    assert [hole["cause"] for hole in broken["holes"]] == [gap["cause"] for gap in gaps] == ["disconnect"]
    lost_ns = sum(gap["end_ns"] - gap["start_ns"] for gap in gaps)
    kept_ns = sum(one["end_ns"] - one["start_ns"] for one in broken["segments"])
    assert broken["covered"] == pytest.approx(kept_ns / (kept_ns + lost_ns))


def test_the_rest_of_what_is_stored_is_listed(port: int) -> None:
    overview = get(port, "/api/overview")
    assert (overview["live"], overview["writer"], len(overview["streams"])) == (False, None, 12)
    assert overview["identity"] == get(port, "/api/stats")["total"]
    assert overview["identity"]["difference"] == 0
    assert [one["state"] for one in get(port, "/api/sessions")["sessions"]] == ["ended"]
    first = get(port, "/api/events", limit=3)
    rest = get(port, "/api/events", limit=3, cursor=first["next"])
    assert [one["id"] for one in (*first["events"], *rest["events"])] == [48, 47, 46, 45, 44, 43]
    assert overview["events"][:3] == first["events"]
    listed = {one["key"]: one for one in get(port, "/api/symbols")["symbols"]}
    assert listed["BTCUSD"]["channels"] == ["book.25", "ohlcv.1m", "trade"]
    book = get(port, "/api/books/ETHUSDT", depth=3)
    assert (book["state"], len(book["bids"]), len(book["asks"])) == ("left", 1, 1)


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/api/trades/NOPE", 404, "no market here is called 'NOPE'"),
        ("/api/trades/ETHUSDT?start=12", 400, "start is no instant"),
        ("/api/trades/ETHUSDT?start=2026-02-01&end=2026-01-01", 400, "end is before start"),
        ("/api/trades/ETHUSDT?limit=5001", 422, "values that are not taken"),
        ("/api/trades/ETHUSDT?cursor=x", 400, "the cursor is none of ours"),
        ("/api/coverage?cursor=a~b~c~d", 400, "the cursor is none of ours"),
        ("/api/events?before=-1", 400, "the cursor is none of ours"),
        ("/api/features/ETHUSDT?points=5", 400, "points without a span"),
        ("/api/stream?channels=all", 400, "there is no channel 'all'"),
        ("/api/none", 404, "nothing is served at this path"),
    ],
)
def test_what_cannot_be_answered_says_why_and_what_was_expected(
    port: int, path: str, status: int, reason: str
) -> None:
    answer = asked(port, path)
    assert (answer.status, answer.json["reason"]) == (status, reason)
    assert answer.json["expected"]


def test_the_document_of_the_api_is_read_by_programs_and_by_people(port: int) -> None:
    document = get(port, "/openapi.json")
    assert "/api/ticks" in document["paths"]
    page = asked(port, "/docs")
    text = page.body.decode()
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for path in document["paths"]:
        assert path in text
    assert "<script" not in text
    assert "http://" not in text
    assert asked(port, "/docs.css").status == 200


def test_nobody_collects_for_a_database(port: int) -> None:
    header = f"Authorization: Bearer {TOKEN}"
    answer = asked(port, "/api/symbols/BTCUSDT", header, method="POST", exchange="bybit")
    assert (answer.status, answer.json["reason"]) == (400, "nobody collects here")


def test_what_is_pushed_of_a_database_is_its_overview(port: int) -> None:
    with listening(port) as client:
        client.say(op="subscribe", channel="overview")
        assert client.until("overview")["live"] is False
        client.say(op="ping")
        client.until("pong")


def test_an_empty_database_has_empty_answers(tmp_path: Path) -> None:
    path = tmp_path / "live.db"
    sink = SqlSink(str(path), synchronous="OFF", auto_migrate=True)
    sink.open()
    sink.close()
    with serving_database(path) as port:
        assert get(port, "/api/ticks") == {}
        assert get(port, "/api/coverage")["streams"] == []
        assert get(port, "/api/overview")["streams"] == []
        assert (
            asked(port, "/api/ticks/BTCUSDT").json["expected"] == "one that is collected: there is none yet"
        )
