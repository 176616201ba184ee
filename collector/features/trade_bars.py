"""Build bars from trades, never stored, and compare the exchange's own bars with them."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import isclose

import numpy as np

from collector.events import (
    CANDLE_INTEGERS,
    CANDLE_NUMBERS,
    NO_INT,
    REST,
    TRADE_INTEGERS,
    TRADE_NUMBERS,
    Batch,
    Channel,
    StreamKey,
    Witnessed,
)
from collector.features.practical import Floats, Integers

MINUTE_MS = 60_000
# Bars that begin at multiples of their length since 1970; weeks and months do not.
LENGTHS_MS: Mapping[str, int] = {
    **{f"{minutes}m": minutes * MINUTE_MS for minutes in (1, 3, 5, 15, 30)},
    **{f"{hours}h": hours * 60 * MINUTE_MS for hours in (1, 2, 4, 6, 8, 12)},
    "1d": 24 * 60 * MINUTE_MS,
}
GRACE_MS = 1000  # a trade this long after a bar's end shows that all of its trades are in
MOST_WAITING = 64
SAME_VOLUME = 1e-9  # sums of the same sizes, added in another order


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, from the exchange or from trades."""

    open: float
    high: float
    low: float
    close: float
    volume: float
    count: int | None


@dataclass(slots=True)
class _Interval:
    """The bars of one market at one length."""

    length_ms: int
    began_ms: int | None = None  # open time of the bar in which the trades of this segment begin
    reached_ms: int = 0  # the newest trade's time
    built: dict[int, Bar] = field(default_factory=dict)  # by open time
    confirmed: dict[int, tuple[Bar, int]] = field(default_factory=dict)  # the exchange's, and their segments

    def restart(self) -> None:
        """Discard the bars built so far: trades are missing."""
        self.began_ms, self.reached_ms = None, 0
        self.built.clear()

    def add(self, at_ms: Integers, prices: Floats, sizes: Floats) -> None:
        """Add trades in the order of their ids."""
        opens = at_ms // self.length_ms * self.length_ms
        starts = np.flatnonzero(np.r_[True, opens[1:] != opens[:-1]])
        ends = np.r_[starts[1:], len(opens)]
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            here = prices[start:end]
            high, low = float(here.max()), float(here.min())
            volume, count = float(sizes[start:end].sum()), end - start
            self._extend(int(opens[start]), Bar(float(here[0]), high, low, float(here[-1]), volume, count))
        if self.began_ms is None:
            self.began_ms = int(opens[0])
        self.reached_ms = max(self.reached_ms, int(at_ms[-1]))

    def _extend(self, open_ms: int, more: Bar) -> None:
        bar = self.built.get(open_ms)
        if bar is not None:
            more = replace(
                more,
                open=bar.open,
                high=max(bar.high, more.high),
                low=min(bar.low, more.low),
                volume=bar.volume + more.volume,
                count=(bar.count or 0) + (more.count or 0),
            )
        self.built[open_ms] = more
        _trim(self.built)

    def compared(self, opens_elsewhere: bool) -> Iterator[tuple[int, bool]]:
        """Yield the segment of each bar that can be compared now, and whether it agrees."""
        for open_ms in sorted(self.confirmed):
            end_ms = open_ms + self.length_ms
            if self.began_ms is None or self.reached_ms < end_ms + GRACE_MS:
                return
            bar, segment = self.confirmed.pop(open_ms)
            if open_ms > self.began_ms:  # else its first trades may have been before ours
                yield segment, _agree(bar, self.built.get(open_ms), opens_elsewhere)


class TradeBars:
    """Compares the bars of all markets of which trades are collected as well. Used by the writer thread."""

    def __init__(
        self,
        key_of: Callable[[int], StreamKey],
        *,
        open_at_last_close: Callable[[str], bool] = lambda _exchange: False,
        origin_of: Callable[[int], str | None] = lambda _stream: None,
    ) -> None:
        self._key_of = key_of
        self._origin_of = origin_of  # what REST brought is of another time than what is live
        self._open_at_last_close = open_at_last_close  # of an exchange: its bars begin where the last ended
        self._markets: dict[tuple[str, str], dict[str, _Interval]] = defaultdict(dict)
        self._segments: dict[int, int] = {}  # of the trades of each stream

    def compare(self, batch: Batch) -> dict[int, Witnessed]:
        """Add a batch; return, by segment of bars, how many were compared and how many disagree."""
        touched = {*self._take_trades(batch), *self._take_bars(batch)}
        found: dict[int, Witnessed] = {}
        for market in touched:
            opens_elsewhere = self._open_at_last_close(market[0])
            for interval in self._markets[market].values():
                for segment, agrees in interval.compared(opens_elsewhere):
                    one = found.setdefault(segment, Witnessed())
                    one.compared += 1
                    one.disagreed += not agrees
        return found

    def _take_trades(self, batch: Batch) -> Iterator[tuple[str, str]]:
        if not len(batch.trades):
            return
        integers = np.frombuffer(batch.trades.integers, dtype=np.int64).reshape(-1, TRADE_INTEGERS)
        numbers = np.frombuffer(batch.trades.numbers, dtype=np.float64).reshape(-1, TRADE_NUMBERS)
        of_the_market = np.array([mark is None for mark in batch.trades.marks])
        streams, segments = integers[:, 3], integers[:, 4]
        for stream in self._live(streams):
            market = self._key_of(stream)[:2]
            intervals = self._markets[market].values()
            of_stream = streams == stream
            for segment in dict.fromkeys(segments[of_stream].tolist()):
                if self._segments.get(stream) != segment:
                    self._segments[stream] = segment
                    for interval in intervals:
                        interval.restart()
                here = of_stream & (segments == segment) & of_the_market
                if here.any():
                    for interval in intervals:
                        interval.add(integers[here, 1], numbers[here, 0], numbers[here, 1])
            yield market

    def _live(self, streams: Integers) -> list[int]:
        return [stream for stream in np.unique(streams).tolist() if self._origin_of(stream) != REST]

    def _take_bars(self, batch: Batch) -> Iterator[tuple[str, str]]:
        if not len(batch.candles):
            return
        integers = np.frombuffer(batch.candles.integers, dtype=np.int64).reshape(-1, CANDLE_INTEGERS)
        numbers = np.frombuffer(batch.candles.numbers, dtype=np.float64).reshape(-1, CANDLE_NUMBERS)
        for stream in self._live(integers[:, 3]):
            exchange, symbol, channel = self._key_of(stream)
            name = Channel.of(channel).interval
            if name not in LENGTHS_MS:
                continue
            interval = self._markets[exchange, symbol].setdefault(name, _Interval(LENGTHS_MS[name]))
            over = (integers[:, 3] == stream) & (integers[:, 5] == 1)
            for row in np.flatnonzero(over).tolist():
                count = int(integers[row, 6])
                opened, high, low, close, volume, _ = numbers[row].tolist()
                bar = Bar(opened, high, low, close, volume, None if count == NO_INT else count)
                interval.confirmed[int(integers[row, 2])] = bar, int(integers[row, 4])
            _trim(interval.confirmed)
            yield exchange, symbol


def _agree(confirmed: Bar, built: Bar | None, opens_elsewhere: bool) -> bool:
    if built is None:
        return confirmed.volume == 0.0
    high, low = built.high, built.low
    if opens_elsewhere:
        high, low = max(high, confirmed.open), min(low, confirmed.open)
    return (
        (opens_elsewhere or confirmed.open == built.open)
        and (confirmed.high, confirmed.low, confirmed.close) == (high, low, built.close)
        and isclose(confirmed.volume, built.volume, rel_tol=SAME_VOLUME)
        and confirmed.count in {None, built.count}
    )


def _trim(bars: dict[int, Bar] | dict[int, tuple[Bar, int]]) -> None:
    while len(bars) > MOST_WAITING:
        del bars[min(bars)]
