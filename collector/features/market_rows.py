"""Turn the trades and bars of a batch into the columns of their tables, stream by stream."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from collector.events import (
    CANDLE_INTEGERS,
    CANDLE_NUMBERS,
    NO_INT,
    REST,
    STREAM_COLUMN,
    TRADE_INTEGERS,
    TRADE_KINDS,
    TRADE_NUMBERS,
    Batch,
    CandleColumns,
    Channel,
    Settled,
    TradeColumns,
    Value,
    iso_texts,
)
from collector.features.bar_ends import ends_ms, placed_ns
from collector.features.practical import Floats, Integers
from collector.features.rows import nullable, nullable_integers
from collector.features.stream_facts import StreamFacts, in_base


class MarketRows:
    """Makes rows of trades and bars. Pure."""

    def __init__(self, facts_of: Callable[[int], StreamFacts]) -> None:
        self._facts_of = facts_of

    def settle(self, batch: Batch) -> Iterator[Settled]:
        """Yield the rows of each stream."""
        if len(batch.trades):
            yield from self._trades(batch.trades)
        if len(batch.candles):
            yield from self._candles(batch.candles)

    def _trades(self, trades: TradeColumns) -> Iterator[Settled]:
        numbers = np.frombuffer(trades.numbers, dtype=np.float64).reshape(-1, TRADE_NUMBERS)
        integers = np.frombuffer(trades.integers, dtype=np.int64).reshape(-1, TRADE_INTEGERS)
        for stream, here in _by_stream(integers):
            received_at_ns, exchange_ms, sequences, _, segments, buys, kinds = integers[here].T
            at_ns = placed_ns(self._facts_of(stream).origin, received_at_ns, exchange_ms)
            price, size = numbers[here].T
            size = self._in_base(stream, size)
            of_stream = here.tolist()
            columns: dict[str, Sequence[Value]] = {
                **self._common(stream, at_ns, received_at_ns, exchange_ms, segments),
                "kind": [TRADE_KINDS[kind] for kind in kinds.tolist()],
                "trade_id": [trades.ids[at] for at in of_stream],
                "price": price.tolist(),
                "size": size.tolist(),
                "side": ["buy" if bought else "sell" for bought in buys.tolist()],
                "marked": [trades.marks[at] for at in of_stream],
            }
            if trades.singles:
                singles = [trades.singles.get(at, (None, None)) for at in of_stream]
                columns["first_trade_id"] = [first for first, _ in singles]
                columns["last_trade_id"] = [last for _, last in singles]
            yield self._settled("trades", stream, columns, segments, at_ns, sequences)

    def _candles(self, candles: CandleColumns) -> Iterator[Settled]:
        numbers = np.frombuffer(candles.numbers, dtype=np.float64).reshape(-1, CANDLE_NUMBERS)
        integers = np.frombuffer(candles.integers, dtype=np.int64).reshape(-1, CANDLE_INTEGERS)
        for stream, here in _by_stream(integers):
            received_at_ns, exchange_ms, open_ms, _, segments, confirmed, count = integers[here].T
            facts = self._facts_of(stream)
            interval = Channel.of(facts.key.channel).interval
            if facts.origin == REST:  # tells no time of its own: it is what was known at the bar's end
                exchange_ms = ends_ms(open_ms, interval)
            at_ns = placed_ns(facts.origin, received_at_ns, exchange_ms)
            opened, high, low, close, volume, vwap = numbers[here].T
            volume = self._in_base(stream, volume)
            columns: dict[str, Sequence[Value]] = {
                **self._common(stream, at_ns, received_at_ns, exchange_ms, segments),
                "interval": [interval] * len(here),
                "open_time": open_ms.tolist(),
                "open": opened.tolist(),
                "high": high.tolist(),
                "low": low.tolist(),
                "close": close.tolist(),
                "volume": volume.tolist(),
                "vwap": nullable(vwap),
                "count": nullable_integers(count),
                "confirmed": confirmed.tolist(),
            }
            sequences = np.full(len(here), NO_INT, dtype=np.int64)
            yield self._settled("ohlcv", stream, columns, segments, at_ns, sequences)

    def _in_base(self, stream: int, sizes: Floats) -> Floats:
        contract = self._facts_of(stream).contract
        return sizes if contract is None else in_base(sizes, contract)

    def _common(
        self,
        stream: int,
        at_ns: Integers,
        received_at_ns: Integers,
        exchange_ms: Integers,
        segments: Integers,
    ) -> dict[str, Sequence[Value]]:
        facts, rows = self._facts_of(stream), len(received_at_ns)
        columns: dict[str, Sequence[Value]] = {
            "timestamp": iso_texts(at_ns),
            "exchange": [facts.key.exchange] * rows,
            "symbol": [facts.key.symbol] * rows,
            "exchange_timestamp": nullable_integers(exchange_ms),
            "received_at_ns": received_at_ns.tolist(),
            "segment_id": segments.tolist(),
            "data_source": [facts.data_source] * rows,
        }
        if facts.origin is not None:  # the column is NULL of what is live, at no cost
            columns["origin"] = [facts.origin] * rows
        return columns

    def _settled(
        self,
        table: str,
        stream: int,
        columns: dict[str, Sequence[Value]],
        segments: Integers,
        at_ns: Integers,
        sequences: Integers,
    ) -> Settled:
        streams = np.full(len(segments), stream, dtype=np.int64)
        key = self._facts_of(stream).key
        return Settled(table, columns, streams, segments, at_ns, sequences, key)


def _by_stream(integers: Integers) -> Iterator[tuple[int, Integers]]:
    """Yield each stream's number and the places of its rows, in order."""
    streams = integers[:, STREAM_COLUMN]
    for stream in np.unique(streams).tolist():
        yield stream, np.flatnonzero(streams == stream)
