"""Tell from the simulator's send log what a collector could know of each stream, and what it could not.

Nothing here comes from the collector: only the log's own lines, and the names that the exchanges use.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from collector.simulator.send_log import Logged

Stream = tuple[str, str, str]  # exchange, symbol, channel
TradeKey = Callable[[str, str, int], str]
Key = int | str  # what a stored row shows of its update

# Where a subscription to best prices begins with the present ones under the number of the last step.
BEGIN_WITH_A_STATE = {"kraken", "okx"}
MARKET_EVENTS = {"snapshot", "delta", "trade", "bar", "withheld"}


@dataclass(slots=True)
class Update:
    """One update that the market made: when it was first seen in the log, and what became of it."""

    number: tuple[int, int]  # how often the numbers had begun again, and the number; in order of making
    key: Key
    made_ns: int
    delivered: list[tuple[int, int]] = field(default_factory=list)  # connection, when
    missed: set[str] = field(default_factory=set)  # stalled, dropped, unheard, closed
    is_change: bool = True  # else only the state that a subscription began with, of a step that left it so

    @property
    def last_ns(self) -> int:
        """When it was last on its way to somebody."""
        return max([self.made_ns, *(at_ns for _, at_ns in self.delivered)])


class Told:
    """What the exchange told of one stream, update by update."""

    def __init__(self) -> None:
        self.updates: list[Update] = []  # in the order of making, once `settle` was called
        self.connections: set[int] = set()
        self.line_times_ns: list[int] = []
        self.has_times = False  # instead of numbers
        self.stalls_ns: list[list[int]] = []  # of bars: from the first that is withheld to the next sent
        self.by_key: dict[Key, list[int]] = {}
        self._found: dict[tuple[int, int], Update] = {}
        self._epoch = 0
        self._first_number: int | None = None
        self._may_restart = False
        self._beginning: set[int] = set()  # connections that are sent the present state next

    def begins(self, connection: int) -> None:
        """Expect the present state on a connection: a subscription begins."""
        self._beginning.add(connection)

    def _is_beginning(self, line: Logged) -> bool:
        """Return whether a line of best prices is the state that a subscription begins with."""
        if line.event == "withheld" or line.connection is None or line.channel != "bbo":
            return line.detail == "stalled snapshot"
        begins = line.connection in self._beginning
        self._beginning.discard(line.connection)
        return begins

    def restarts(self) -> None:
        """Expect the numbers to begin again."""
        self._may_restart = True

    def note(self, line: Logged, number: int, key: Key) -> None:
        """Add one update of a line."""
        if self._first_number is None:
            self._first_number = number
        elif self._may_restart and number <= self._first_number:
            self._epoch, self._first_number, self._may_restart = self._epoch + 1, number, False
        place = self._epoch, number
        update = self._found.get(place)
        begins = self._is_beginning(line)
        if update is None:
            update = self._found[place] = Update(place, key, line.at_ns, is_change=not begins)
        update.is_change |= not begins
        if line.event == "withheld":
            update.missed.add(line.detail)
        elif line.delivered and line.connection is not None:
            update.delivered.append((line.connection, line.at_ns))
        else:
            update.missed.add("closed")

    def note_bar(self, line: Logged) -> None:
        """Note whether bars are withheld, and since when."""
        is_stalled = bool(self.stalls_ns) and len(self.stalls_ns[-1]) == 1
        if line.event != "withheld" and line.delivered and is_stalled:
            self.stalls_ns[-1].append(line.at_ns)
        elif line.event == "withheld" and line.detail == "stalled" and not is_stalled:
            self.stalls_ns.append([line.at_ns])

    def settle(self) -> None:
        """Put the updates in order."""
        self.updates = sorted(self._found.values(), key=self._order)
        found: dict[Key, list[int]] = defaultdict(list)
        for place, update in enumerate(self.updates):
            found[update.key].append(place)
        self.by_key = dict(found)

    def _order(self, update: Update) -> tuple[int, int, int]:
        """Return what puts updates in order; microseconds begin again where a clock stands still for long."""
        epoch, number = update.number
        return (epoch, number // 1000, update.made_ns) if self.has_times else (epoch, number, 0)

    def line_after(self, at_ns: int) -> int | None:
        """Return when the log next says something of the stream."""
        place = bisect_right(self.line_times_ns, at_ns)
        return self.line_times_ns[place] if place < len(self.line_times_ns) else None


@dataclass
class SendTruth:
    """The whole log, by stream; `faults` and `answers` by exchange."""

    streams: dict[Stream, Told]
    faults: dict[str, list[Logged]]
    closed: dict[str, list[Logged]]
    answers: dict[str, list[Logged]]
    first_ns: int
    last_ns: int

    def told(self, exchange: str, symbol: str, channel: str) -> Told | None:
        """Find what was told of one of the collector's streams."""
        return self.streams.get((exchange, symbol, sent_as(exchange, channel)))


def sent_as(exchange: str, channel: str) -> str:
    """Return the channel under which the log has one of the collector's channels."""
    if channel == "book.1":
        return "bbo"
    if exchange == "binance" and channel.startswith("book."):
        return "book"
    if exchange == "okx" and channel.startswith("book.") and channel != "book.5":
        return "book.400"
    return channel


def read_truth(lines: Iterable[Logged], trade_key: TradeKey) -> SendTruth:
    """Read the log; `trade_key` turns an exchange's, a market's and a number into the id of a trade."""
    streams: dict[Stream, Told] = defaultdict(Told)
    others: dict[str, dict[str, list[Logged]]] = {
        event: defaultdict(list) for event in ("fault", "closed", "answer")
    }
    times_ns = []
    for line in lines:
        times_ns.append(line.at_ns)
        exchange = line.exchange or ""
        if line.event in others:
            others[line.event][exchange].append(line)
            if line.detail.startswith("restart"):
                _expect_restart(streams, line)
        elif line.symbol and line.channel:
            _add(streams[exchange, line.symbol, line.channel], line, trade_key)
    for told in streams.values():
        told.settle()
    first_ns, last_ns = min(times_ns, default=0), max(times_ns, default=0)
    return SendTruth(dict(streams), others["fault"], others["closed"], others["answer"], first_ns, last_ns)


def _add(told: Told, line: Logged, trade_key: TradeKey) -> None:
    if line.connection is not None:
        told.connections.add(line.connection)
        if line.event == "subscribed" and line.exchange in BEGIN_WITH_A_STATE:
            told.begins(line.connection)
    if line.event in MARKET_EVENTS:
        told.line_times_ns.append(line.at_ns)
        told.has_times |= bool(line.times_us)
        if line.channel and line.channel.startswith("ohlcv."):
            told.note_bar(line)
        for number, key in _numbers(line, trade_key):
            told.note(line, number, key)


def _expect_restart(streams: dict[Stream, Told], fault: Logged) -> None:
    """Expect new numbers on the channel of a fault; OKX counts all channels of a market together."""
    exchange, restarted = fault.exchange or "", sent_as(fault.exchange or "", fault.channel or "")
    for (name, symbol, channel), told in streams.items():
        if (name, symbol) == (exchange, fault.symbol) and (channel == restarted or exchange == "okx"):
            told.restarts()


def _numbers(line: Logged, trade_key: TradeKey) -> list[tuple[int, Key]]:
    """List the updates of a line: the number that orders each, and what a stored row shows of it."""
    if line.times_us:
        return [(at_us, at_us // 1000) for at_us in line.times_us]
    if line.sequence is None or not line.events:
        return []
    if line.channel == "trade":
        exchange, symbol = line.exchange or "", line.symbol or ""
        numbers = range(line.sequence - line.events + 1, line.sequence + 1)
        return [(number, trade_key(exchange, symbol, number)) for number in numbers]
    return [(line.sequence, line.sequence)]
