"""Bars made from trades: exact, in integers."""

from dataclasses import dataclass

MINUTE_MS = 60_000
INTERVALS_MS = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": 60 * MINUTE_MS,
    "2h": 120 * MINUTE_MS,
    "4h": 240 * MINUTE_MS,
    "6h": 360 * MINUTE_MS,
    "12h": 720 * MINUTE_MS,
    "1d": 1440 * MINUTE_MS,
    "1w": 10080 * MINUTE_MS,
    "15d": 21600 * MINUTE_MS,
}


@dataclass(slots=True)
class Bar:
    """One bar in ticks and lots; `turnover` in tick-lots. A bar without a trade repeats the last price."""

    open_ms: int
    interval_ms: int
    open: int
    high: int
    low: int
    close: int
    lots: int = 0
    turnover: int = 0
    count: int = 0
    buy_lots: int = 0
    buy_turnover: int = 0
    first_trade: int = -1
    last_trade: int = -1

    @property
    def end_ms(self) -> int:
        """The first millisecond after the bar."""
        return self.open_ms + self.interval_ms

    def add(self, ticks: int, lots: int, trade: int, *, buys: bool) -> None:
        """Add one trade."""
        if not self.count:
            self.open = self.high = self.low = ticks
            self.first_trade = trade
        self.last_trade = trade
        self.high = max(self.high, ticks)
        self.low = min(self.low, ticks)
        self.close = ticks
        self.lots += lots
        self.turnover += ticks * lots
        self.count += 1
        if buys:
            self.buy_lots += lots
            self.buy_turnover += ticks * lots

    def merge(self, later: "Bar") -> None:
        """Add a later, shorter bar that lies within this one."""
        if later.count:
            if not self.count:
                self.open, self.high, self.low = later.open, later.high, later.low
                self.first_trade = later.first_trade
            self.last_trade = later.last_trade
            self.high = max(self.high, later.high)
            self.low = min(self.low, later.low)
        self.close = later.close
        self.lots += later.lots
        self.turnover += later.turnover
        self.count += later.count
        self.buy_lots += later.buy_lots
        self.buy_turnover += later.buy_turnover


def roll(bars: list[Bar], at_ms: int) -> None:
    """Append bars until one holds a moment; those without a trade repeat the last price."""
    while bars[-1].end_ms <= at_ms:
        bars.append(empty_bar(bars[-1].end_ms, bars[-1].interval_ms, bars[-1].close))


def empty_bar(at_ms: int, interval_ms: int, last_ticks: int) -> Bar:
    """Create the bar that holds a moment."""
    open_ms = at_ms - at_ms % interval_ms
    return Bar(open_ms, interval_ms, last_ticks, last_ticks, last_ticks, last_ticks)
