"""The one stream that is asked for: found, or asked back for in words."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collector.database.tables import DEFAULT_TABLE_NAME, make_tables
from collector.errors import QueryError
from collector.query.database import reading
from collector.query.instants import Span
from collector.query.rows.archive_files import Archive, Part
from collector.query.rows.stored_stream import StoredStream, find_stream, mixed, stored_market

sys.path.insert(0, str(Path(__file__).parent))
from stored import START_NS, STEP_NS, SYMBOL, Facts, Row, Stored, write

HOT = make_tables(DEFAULT_TABLE_NAME).hot
LEFT_OPEN: dict[str, Any] = {"depth": None, "data_source": None}


def history(first: int = 0) -> Stored:
    return Stored([Row(START_NS + (first + place) * STEP_NS, 1, float(place + 1)) for place in range(2)])


@pytest.fixture
def find(stored_file: str) -> Callable[..., StoredStream]:
    """Find in a file of one market of bybit, stored at two depths by two sources, and one of kraken."""
    write(stored_file, history())
    write(stored_file, history(10), Facts(depth=200, source="live_trading"))
    write(stored_file, history(), Facts("BTC/USD", "kraken"))
    write(stored_file, history(), Facts("ETH/USDT:USDT", "bybit"))
    write(stored_file, history(), Facts("ETH/USDT", "bybit"))
    write(stored_file, history(), Facts("ETH/USDT", "binance"))

    def find_it(
        symbol: str = SYMBOL, exchange: str | None = None, span: Span | None = None, **wanted: Any
    ) -> StoredStream:
        with reading(stored_file) as (connection, known):
            return find_stream(connection, known.hot, symbol, exchange, span or Span(), LEFT_OPEN | wanted)

    return find_it


def test_what_is_left_open_is_read_off_the_first_row_of_the_span(find: Callable[..., StoredStream]) -> None:
    stream = find()
    assert (stream.symbol, stream.exchange) == (SYMBOL, "bybit")
    assert stream.alike == {"depth": 50, "data_source": "simulator"}
    assert (stream.given, stream.among, stream.parts) == ({}, {}, ())
    later = find(span=Span(START_NS + 5 * STEP_NS, None))
    assert later.alike == {"depth": 200, "data_source": "live_trading"}
    assert later.constants == {"symbol": SYMBOL, "exchange": "bybit", **later.alike}
    assert find(span=Span(START_NS - 10 * STEP_NS, START_NS - 5 * STEP_NS)).alike == {}


def test_what_is_given_is_the_same_in_every_row(find: Callable[..., StoredStream]) -> None:
    stream = find(depth=200)
    assert (stream.given, stream.alike) == ({"depth": 200}, {"data_source": "live_trading"})
    assert stream.constants["depth"] == 200
    whole = find(depth=200, data_source="live_trading")
    assert (whole.given, whole.alike) == ({"depth": 200, "data_source": "live_trading"}, {})


def test_several_values_are_kept_to_be_chosen_by_and_all_of_them_need_no_choice(
    find: Callable[..., StoredStream],
) -> None:
    several = find(data_source=["simulator", "replay"])
    assert (several.among, several.given) == ({"data_source": ("simulator", "replay")}, {})
    assert several.alike == {"depth": 50}
    everything = find(data_source="*", depth=50)
    assert (everything.among, everything.given, everything.alike) == ({}, {"depth": 50}, {})


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("BTCUSDT", SYMBOL),
        ("btc-usdt", SYMBOL),
        ("btcusd", "BTC/USD"),
        ("XBTUSD", "BTC/USD"),
        (SYMBOL, SYMBOL),
    ],
)
def test_a_name_that_can_mean_one_market_is_found(
    find: Callable[..., StoredStream], name: str, found: str
) -> None:
    assert find(name).symbol == found


@pytest.mark.parametrize(
    ("symbol", "exchange", "words"),
    [
        ("ETHUSDT", None, "'ETHUSDT' may mean ETH/USDT or ETH/USDT:USDT; say which"),
        (
            "SOL",
            None,
            f"nothing is stored for 'SOL' in {HOT.name}; symbols here: BTC/USD, BTC/USDT:USDT, ETH/USDT",
        ),
        (
            "ETH/USDT",
            None,
            "ETH/USDT is stored with more than one exchange: binance, bybit; say which: exchange=...",
        ),
        (
            "ETH/USDT",
            "kraken",
            "nothing is stored for 'ETH/USDT' of 'kraken'; its exchanges here: binance, bybit",
        ),
        (SYMBOL, "kraken", f"nothing is stored for '{SYMBOL}' of 'kraken'; its exchanges here: bybit"),
    ],
)
def test_what_is_not_to_be_had_is_told_with_what_is(
    find: Callable[..., StoredStream], symbol: str, exchange: str | None, words: str
) -> None:
    with pytest.raises(QueryError) as caught:
        find(symbol, exchange)
    assert words in str(caught.value)
    assert find("ETH/USDT", "binance").exchange == "binance"


def test_rows_that_are_not_alike_are_told_with_their_choices(
    find: Callable[..., StoredStream], stored_file: str
) -> None:
    stream = find()
    with reading(stored_file) as (connection, _):
        words = str(mixed(connection, stream, Span()))
        assert words == f"{SYMBOL} is stored with more than one depth: 50, 200; say which: depth=..."
        source = StoredStream(HOT, SYMBOL, "bybit", stream.where, {"data_source": "simulator"})
        words = str(mixed(connection, source, Span()))
        assert "data_source: 'live_trading', 'simulator'; say which: data_source=...; " in words
        assert words.endswith('data_source="*" takes all')
        early = Span(None, START_NS + 2 * STEP_NS)
        assert str(mixed(connection, stream, early)) == f"the rows of {SYMBOL} are not alike"
        changed = StoredStream(HOT, SYMBOL, "bybit", stream.where, {"depth": 25})
        assert "was being changed while it was read" in str(mixed(connection, changed, early))


def test_rows_come_in_order_from_one_text_of_time_to_another(
    find: Callable[..., StoredStream], stored_file: str
) -> None:
    stream = find()
    with reading(stored_file) as (connection, _):

        def mids(start: str | None, end: str | None) -> list[float]:
            rows = connection.execute(stream.between(start, end)).mappings()
            return [row["mid_price"] for row in rows]

        texts = [row["timestamp"] for row in connection.execute(stream.between(None, None)).mappings()]
        assert texts == sorted(texts)
        assert mids(None, None) == [1.0, 2.0, 1.0, 2.0]
        assert mids(texts[1], texts[2]) == [2.0, 1.0]
        assert mids(texts[3], None) == [2.0]
        assert mids(None, texts[0]) == [1.0]


def test_a_market_whose_rows_were_all_moved_is_known_by_its_name(stored_file: str) -> None:
    moved = Archive((Part("bybit", "SOL/USDT:USDT", "2026-03-02", Path("nowhere"), 1, 1, is_deleted=True),))
    with reading(stored_file) as (connection, known):
        for name in ("SOL/USDT:USDT", "SOLUSDT"):
            found = stored_market(connection, known.hot, name, None, moved)
            assert found == ("bybit", "SOL/USDT:USDT")
