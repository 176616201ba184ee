"""Make the streams of one exchange, each with its topic and its rule."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from collector.book import Book, BridgedBook, BridgingRule, DeltaMemory, OrderBook, VerifiedBook
from collector.events import BOOK, OHLCV, TRADE, Channel, StreamKey
from collector.exchanges import MarketKind, exchange_of
from collector.streams.book_stream import BookStream
from collector.streams.candle_stream import CandleRule, CandleStream
from collector.streams.market_witness import MarketWitness
from collector.streams.stream import Outlet, Stream, Topic
from collector.streams.trade_stream import TradeRule, TradeStream


class StreamMaker:
    """Makes the streams of one exchange."""

    def __init__(
        self,
        exchange: str,
        outlet: Outlet,
        *,
        levels_per_row: int,
        levels_shown: int,
        most_off_s: float,
        max_jump: float,
        new_book: Callable[[], Book] = OrderBook,
    ) -> None:
        self._exchange = exchange
        self._outlet = outlet
        self._levels_per_row = levels_per_row
        self._levels_shown = levels_shown
        self._most_off_s = most_off_s
        self._max_jump = max_jump
        self._new_book = new_book
        self._memory = DeltaMemory()
        self._witnesses: dict[str, MarketWitness] = {}

    def make(self, kind: MarketKind, market: Any, channel: str, *, standby: bool = False) -> Stream:
        """Make a stream; one on standby follows beside another of the same kind and stores nothing yet."""
        protocol = exchange_of(self._exchange)
        key = StreamKey(self._exchange, market["symbol"], channel)
        name = protocol.topics.topic(market["id"], market["symbol"], channel)
        route, contract = protocol.topics.route(name), protocol.contract_size(market)
        topic = Topic(name, route, market["id"], kind, contract=contract)
        family = Channel.of(channel).family
        if family == TRADE:
            trades = TradeRule(protocol.numbers_trades, self._most_off_s)
            stream_of_trades = TradeStream(key, topic, self._outlet, trades, standby=standby)
            stream_of_trades.witness = self._witness(key.symbol)
            return stream_of_trades
        if family == OHLCV:
            candles = CandleRule(protocol.confirms_bars, self._most_off_s)
            bars = CandleStream(key, topic, self._outlet, candles, standby=standby)
            self._witness(key.symbol).watch_bars(bars)
            return bars
        depth = Channel.of(channel).depth
        rule = protocol.rule(kind, channel, market)
        new_book = self._new_book if kind in protocol.kernel_shapes else OrderBook
        book: VerifiedBook
        if protocol.rest is not None and family == BOOK:
            book = BridgedBook(
                cast("BridgingRule", rule),
                protocol.rest.depth(kind, depth),
                self._max_jump,
                memory=self._memory,
                new_book=new_book,
            )
        else:
            book = VerifiedBook(rule, depth, self._max_jump, new_book=new_book)
        stream = BookStream(
            key,
            replace(topic, depth=depth),
            self._outlet,
            book,
            levels_per_row=self._levels_per_row,
            levels_shown=self._levels_shown,
            standby=standby,
        )
        stream.repeats_when_quiet = protocol.quiet_after_s is not None
        self._witness(key.symbol).watch(stream)
        return stream

    def _witness(self, symbol: str) -> MarketWitness:
        if symbol not in self._witnesses:
            self._witnesses[symbol] = MarketWitness(exchange_of(self._exchange).shared_numbers)
        return self._witnesses[symbol]
