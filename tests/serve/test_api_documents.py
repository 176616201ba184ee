"""What is given out is made of plain values: names, ticks, events, the whole at a glance, pushes."""

import asyncio
import json
from typing import Any

import pytest

from collector.app.view import StreamView
from collector.events import Candle, L2Update, SegmentChanged, Side, StreamKey, StreamNow, Trade
from collector.query import Page
from collector.serve.api.documents import rows, ticks
from collector.serve.api.happened import described
from collector.serve.api.names import Market, Names, NoSuchMarket, SeveralMarkets
from collector.serve.api.overview import exchange_rows, stream_rows
from collector.serve.api.push.events import addressed, book_messages
from collector.serve.api.push.outbox import Message, Outbox
from collector.serve.api.push.wants import Want, covering
from collector.sinks import AccountingState

BYBIT, SPOT = Market("bybit", "BTC/USDT:USDT", "BTCUSDT"), Market("bybit", "BTC/USDT", "BTCUSDT")
BINANCE, KRAKEN = Market("binance", "BTC/USDT"), Market("kraken", "BTC/USD", "XXBTZUSD")
FUTURE, PERP = Market("binance", "BTC/USDT:USDT-260327"), Market("bybit", "BTC/USDC:USDC", "BTCPERP")
KEY = StreamKey("bybit", "BTC/USDT:USDT", "book.50")
NAN = float("nan")


@pytest.mark.parametrize(
    ("markets", "keys"),
    [
        ([BYBIT, KRAKEN, FUTURE], ["BTCUSDT", "BTCUSD", "BTCUSDT-260327"]),
        ([BYBIT, BINANCE], ["BYBIT:BTCUSDT", "BINANCE:BTCUSDT"]),
        ([BYBIT, SPOT, BINANCE], ["BYBIT:BTC/USDT:USDT", "BYBIT:BTC/USDT", "BINANCE:BTCUSDT"]),
    ],
)
def test_a_market_is_called_by_the_shortest_name_that_it_alone_has(
    markets: list[Market], keys: list[str]
) -> None:
    names = Names(markets)
    assert [names.key(one.exchange, one.symbol) for one in markets] == keys
    assert [names.find(key) for key in keys] == markets


@pytest.mark.parametrize(
    ("name", "more", "market"),
    [
        ("xbt/usd", {}, KRAKEN),
        ("XXBTZUSD", {}, KRAKEN),
        ("BTCPERP", {}, PERP),
        ("BTC/USDT", {}, SPOT),  # ccxt's own name of one before the short form of another
        ("BTCUSDT", {"market": "linear"}, BYBIT),
        ("bybit:btc/usdt:usdt", {}, BYBIT),
        ("btc-usdt:usdt", {"exchange": "bybit"}, BYBIT),
    ],
)
def test_a_market_is_found_by_every_spelling(name: str, more: dict[str, str], market: Market) -> None:
    assert Names([KRAKEN, BYBIT, SPOT, PERP]).find(name, **more) == market


def test_an_unknown_name_and_one_of_several_name_the_choice() -> None:
    names = Names([BYBIT, SPOT])
    with pytest.raises(
        NoSuchMarket, match=r"'ETHUSDT'; expected one of BYBIT:BTC/USDT:USDT, BYBIT:BTC/USDT$"
    ):
        names.find("ETHUSDT")
    with pytest.raises(SeveralMarkets, match=r"bybit BTC/USDT \(spot\); expected \?exchange= or \?market="):
        names.find("BTCUSDT")
    with pytest.raises(NoSuchMarket, match="there is none yet"):
        Names([]).find("BTCUSDT")


def book(*touch: float, ten_known: bool = False) -> L2Update:
    return L2Update(
        exchange=KEY.exchange,
        symbol=KEY.symbol,
        exchange_ms=1_000,
        received_at_ns=1_005_000_000,
        channel=KEY.channel,
        sequence=7,
        segment_id=2**62,
        shown=1,
        ten_known=ten_known,
        numbers=touch,
    )


def trade(price: float, exchange_ms: int | None = 2_000) -> Trade:
    return Trade(
        exchange=KEY.exchange,
        symbol=KEY.symbol,
        exchange_ms=exchange_ms,
        received_at_ns=3_000_000_000,
        trade_id="t1",
        price=price,
        size=0.5,
        side=Side.SELL,
    )


def test_a_tick_is_the_trade_or_else_the_middle_of_the_book() -> None:
    of_book = StreamNow(KEY, True, exchange_ms=1_000, book=book(99.0, 1.0, 101.0, 1.0))
    of_trades = StreamNow(KEY._replace(channel="trade"), True, trade=trade(100.5, None))
    names = Names([BYBIT])
    assert ticks([of_book], names, names.markets) == {
        "BTCUSDT": {
            "symbol": KEY.symbol,
            "price": 100.0,
            "quantity": None,
            "timestamp": 1_000,
            "trade_id": None,
        }
    }
    (tick,) = ticks([of_book, of_trades], names, names.markets).values()
    assert (tick["price"], tick["quantity"], tick["timestamp"], tick["trade_id"]) == (100.5, 0.5, 3_000, "t1")
    empty = StreamNow(KEY, True, book=book(NAN, NAN, 101.0, 1.0))
    assert ticks([empty], names, names.markets) == {}


def test_a_stream_is_shown_with_its_features_and_without_what_json_has_not() -> None:
    now = StreamNow(KEY, True, 99.0, 101.0, 1_005_000_000, 1_000, book(99.0, 3.0, 101.0, 1.0))
    down = StreamNow(KEY._replace(symbol="ETH/USDT:USDT"), False)
    counts = AccountingState("s", *KEY, received=5, written=3, rejected={"stale": 2})
    views = [
        StreamView(KEY, "verified", counts, now, 1, "stale", 9),
        StreamView(down.key, "down", AccountingState("s", *down.key), down, 0, "", 0),
    ]
    first, second = stream_rows(views, 2_005_000_000, {KEY: 4.0})
    assert (first["mid"], first["microprice"], first["spread"], first["imbalance"]) == (
        100.0,
        100.5,
        2.0,
        None,
    )
    assert (first["lag_s"], first["age_s"], first["updates_per_s"]) == (0.005, 1.0, 4.0)
    assert (first["counts"]["rejected"], first["counts"]["difference"]) == (2, 0)
    assert (second["state"], second["bid"], second["age_s"], second["last_cause_ns"]) == (
        "down",
        None,
        None,
        None,
    )
    (exchange,) = exchange_rows(views, 2_005_000_000, ["bybit is under maintenance"])
    assert exchange == {
        "exchange": "bybit",
        "state": "partly",
        "status": "is under maintenance",
        "lag_s": 0.005,
        "age_s": 1.0,
        "streams": 2,
        "verified": 1,
    }
    json.dumps([first, second, exchange], allow_nan=False)


@pytest.mark.parametrize(
    ("kind", "code", "detail", "level", "channel", "text"),
    [
        ("segment", "verified", "book.50: segment 5", "info", "book.50", "verified: segment 5"),
        ("segment", "sequence_gap", "trade: segment 5: 9 after 7", "warning", "trade", None),
        ("system_state", "disconnected", "bybit.0: close_1006", "warning", None, None),
        ("potential_halt", "bad_symbol", "why", "error", None, "bad_symbol: why"),
        ("database", "open", "locked", "error", None, None),
        ("database", "closed", "", "info", None, "closed"),
        ("housekeeping", "archive", "", "info", None, "archive"),
    ],
)
def test_an_event_is_described(
    kind: str, code: str, detail: str, level: str, channel: str | None, text: str | None
) -> None:
    row: dict[str, Any] = {"id": 1, "at_ns": 2, "exchange": "bybit", "symbol": None}
    (event,) = described([{**row, "kind": kind, "code": code, "detail": detail}])
    assert (event["level"], event["channel"]) == (level, channel)
    assert text in (None, event["text"])


def test_the_id_of_a_segment_is_text() -> None:
    page = Page(("segment_id", "price"), [[2**62 + 1, 1.0], [None, 2.0]], "x_1")
    assert rows(page) == {
        "columns": ["segment_id", "price"],
        "rows": [["4611686018427387905", 1.0], [None, 2.0]],
        "next": "x_1",
    }


def test_what_happens_is_addressed_to_whoever_wants_it_and_a_bar_is_told_once() -> None:
    def bar(close: float, *, confirmed: bool = False) -> Candle:
        numbers = {"open": 1.0, "high": 9.0, "low": 1.0, "close": close, "volume": 1.0}
        times = {"exchange_ms": 1, "received_at_ns": 1, "open_ms": 60_000}
        names = {"exchange": "bybit", "symbol": KEY.symbol, "interval": "1m"}
        return Candle(**names, **times, **numbers, confirmed=confirmed)

    lost = SegmentChanged(*KEY, 5, 9, verified=False, cause="stale")
    messages = list(addressed([bar(1.0), bar(2.0), trade(5.0), lost]))
    assert [one.message.event for one in messages] == ["bar", "tick", "state"]
    assert json.loads(messages[0].message.text)["close"] == 2.0
    assert Want("bars", "bybit", KEY.symbol, "1m") in messages[0].wants
    assert Want("bars", None, None, "5m") not in messages[0].wants
    assert Want("ticks", "bybit", KEY.symbol, None) in messages[1].wants
    assert json.loads(messages[2].message.text)["cause"] == "stale"
    assert set(covering("states", "bybit", KEY.symbol)) == messages[2].wants
    levels, features = (json.loads(one.message.text) for one in book_messages(book(99.0, 3.0, 101.0, 1.0)))
    assert (levels["bids"], levels["sequence"]) == ([[99.0, 3.0]], 7)
    assert (features["microprice"], features["order_book_imbalance"]) == (100.5, None)


async def taken(outbox: Outbox) -> list[str]:
    return [one.text.decode() for one in await outbox.take()]


def test_an_outbox_is_bounded_by_events_and_by_bytes() -> None:
    async def scene() -> None:
        small = Outbox(most=2)
        for number in range(5):
            small.put(Message("tick", str(number).encode()))
        assert await taken(small) == ['{"type":"lost","count":3}', "3", "4"]
        small.put(Message("tick", b"5"))
        assert await taken(small) == ["5"]
        heavy = Outbox(most_bytes=10)
        for number in range(3):
            heavy.put(Message("tick", str(number).encode() * 6))
        assert await taken(heavy) == ['{"type":"lost","count":2}', "222222"]
        assert (small.lost, heavy.lost) == (3, 2)

    asyncio.run(scene())
