"""Give a copy of the verified local book of a market, as it is now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from collector.app import Collector
from collector.bot.symbol_names import SymbolNames
from collector.errors import CollectorError, UserError
from collector.events import BOOK, BookNow, Channel, L2Update, StreamKey

ANSWER_S = 5.0  # for the loop that collects to make the copy
Level = tuple[float, float]  # price, size


class BookNotVerifiedError(CollectorError):
    """There is no verified book of the market now; `state` is what `get_stats` says of its stream."""

    def __init__(self, key: StreamKey, state: str, cause: str) -> None:
        self.exchange, self.symbol, self.channel = key
        self.state = state
        since = f", since {cause}" if cause else ""
        super().__init__(f"the book {' '.join(key)} is not verified: {state}{since}")


@dataclass(frozen=True, slots=True)
class LocalBook:
    """A verified book at one moment. It never changes."""

    exchange: str
    symbol: str
    channel: str
    state: str  # verified: of any other there is none
    verification: str  # by what it is: sequence, checksum, ...
    sequence: int | None  # of the exchange, of the last update in it
    exchange_ms: int | None  # that update's time by the exchange
    received_at_ns: int  # and by us
    bids: tuple[Level, ...]  # (price, size), the highest first
    asks: tuple[Level, ...]  # the lowest first
    update: L2Update  # the same as an update: mid_price, microprice, order_book_imbalance, ...

    @property
    def exchange_time(self) -> datetime | None:
        """Return the exchange's own time of its last update, UTC; None where none was sent."""
        return self.update.exchange_time

    @property
    def received_at(self) -> datetime:
        """Return when its last update was received, UTC."""
        return self.update.received_at


class Books:
    """Finds the book that a name means, and has it copied."""

    def __init__(self) -> None:
        self._keys: Sequence[StreamKey] = ()
        self._names = SymbolNames()

    def book(
        self, collector: Collector, symbol: str, exchange: str | None, channel: str | None, levels: int | None
    ) -> LocalBook:
        """Return the verified book now. Raises UserError for one that is not asked for."""
        books = [one for one in collector.expected if _is_book(one)]
        key = self._find(books, symbol, exchange, channel)
        depth = Channel.of(key.channel).depth if levels is None else levels
        if not hasattr(depth, "__index__") or depth < 1:
            raise UserError(f"levels is {levels!r}; expected a whole number from 1, or None for all")
        copies = collector.stream.call(lambda: collector.stream.books_now({key: depth}), ANSWER_S)
        for copied in copies:
            if copied.book is not None:
                return _local(copied, copied.book)
        view = next((one for one in collector.view().streams if one.key == key), None)
        raise BookNotVerifiedError(key, *(("missing", "") if view is None else (view.state, view.last_cause)))

    def _find(
        self, keys: Sequence[StreamKey], symbol: str, exchange: str | None, channel: str | None
    ) -> StreamKey:
        if keys != self._keys:
            names = SymbolNames()
            for market in dict.fromkeys((key.exchange, key.symbol) for key in keys):
                names.add(market)
            self._keys, self._names = keys, names
        meant = self._names.find(symbol, exchange)
        found = [key for key in keys if key[:2] == meant and channel in (None, key.channel)]
        if not found:
            wanted = " ".join(str(part) for part in (exchange, symbol, channel) if part)
            there = ", ".join(" ".join(key) for key in keys) or "none: no book is collected"
            raise UserError(f"no book of {wanted} is collected; expected one of {there}")
        return max(found, key=lambda key: Channel.of(key.channel).depth)


def _is_book(key: StreamKey) -> bool:
    return Channel.of(key.channel).family == BOOK


def _local(copied: BookNow, book: L2Update) -> LocalBook:
    return LocalBook(
        *copied.key,
        state="verified",
        verification=copied.verification,
        sequence=book.sequence,
        exchange_ms=book.exchange_ms,
        received_at_ns=book.received_at_ns,
        bids=book.bids,
        asks=book.asks,
        update=book,
    )
