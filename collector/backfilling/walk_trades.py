"""Walk through the trades of the past, as each exchange pages them: by id, by time, or the newest. Pure."""

from collections.abc import Iterator, Sequence
from functools import partial

from collector.backfilling.pages import (
    Lack,
    Portion,
    Rows,
    Seeking,
    Stretch,
    Walk,
    ask,
    ask_surely,
    bounded,
    holds,
)
from collector.errors import FrameError
from collector.events import TradeMessage
from collector.exchanges import Page

MOST_STEPS = 64  # of a search: each halves what is left of it, or nearly
NS_A_MS = 1_000_000


def walk_trades(stretch: Stretch) -> Walk:
    """Walk through the trades of a stretch, its ends included."""
    past = stretch.past
    if past.paging is None:
        return _newest(stretch)
    if past.to_id is not None:
        return _in_windows(stretch)
    if past.paging == "id":
        return _from_id(stretch)
    return _from_time(stretch)


def _newest(stretch: Stretch) -> Walk:
    """Take what there is: whatever was traded in the moment of the oldest one may be missing."""
    page = yield from ask_surely(stretch, stretch.past, {}, partial(holds, 1))
    is_full = len(page.trades) >= stretch.past.rows
    reaches_ms = page.trades[0].exchange_ms + 1 if is_full else stretch.start_ms
    if reaches_ms <= stretch.end_ms:
        rows = [trade for trade in page.trades if trade.exchange_ms >= reaches_ms]
        begins_ms = reaches_ms if reaches_ms > stretch.start_ms else None
        yield Portion(list(_Pager(stretch).parts(rows)), stretch.end_ms, begins_ms)


def _from_id(stretch: Stretch) -> Walk:
    """Ask for pages of ids that go on from each other; the first by its time, where that can be asked for."""
    past, pager = stretch.past, _Pager(stretch)
    assert past.from_id is not None  # noqa: S101  (the registry checks it)
    if past.since is not None:
        asked = bounded(past.since, stretch.start_ms)
    else:
        asked = bounded(past.from_id, (yield from _sought(stretch)))
    while True:
        page = yield from ask_surely(stretch, past, asked, pager.goes_on_or_ends)
        is_last = pager.ends(page) or len(page.trades) < past.rows
        yield pager.portion(page.trades, is_last=is_last)
        if is_last:
            return
        asked = bounded(past.from_id, _number(page.trades[-1]) + 1)


def _sought(stretch: Stretch) -> Seeking[int]:
    """Find the id of the first trade of a stretch, or one a little before it."""
    if stretch.seek is not None and stretch.seek.since is not None:
        page = yield from ask(stretch, stretch.seek, bounded(stretch.seek.since, stretch.start_ms), rows=1)
        if page.trades and page.trades[0].singles is not None:
            return page.trades[0].singles[0]
    return (yield from _searched(stretch))


def _searched(stretch: Stretch) -> Seeking[int]:
    """Find it among all ids there are: by its share of the time between two known ones, and by halves."""
    past, start_ms = stretch.past, stretch.start_ms
    assert past.from_id is not None  # noqa: S101  (the registry checks it)
    page = yield from ask(stretch, past, {})
    if not page.trades or page.trades[0].exchange_ms <= start_ms:
        return _number(page.trades[0]) if page.trades else 0
    low, high = (0, 0), (_number(page.trades[0]), page.trades[0].exchange_ms)
    for step in range(MOST_STEPS):
        if high[0] - low[0] <= 1:
            break
        middle = _between(low, high, start_ms, past.rows) if low[1] and step % 2 else (low[0] + high[0]) // 2
        page = yield from ask(stretch, past, bounded(past.from_id, middle))
        if not page.trades or page.trades[0].exchange_ms >= start_ms:
            high = middle, page.trades[0].exchange_ms if page.trades else high[1]
        elif page.trades[-1].exchange_ms >= start_ms:
            return _number(page.trades[0])
        else:
            low = _number(page.trades[-1]), page.trades[-1].exchange_ms
    return low[0]


def _between(low: tuple[int, int], high: tuple[int, int], at_ms: int, rows: int) -> int:
    """Guess the id at a time, half a page early, between two with theirs: trades come about evenly."""
    share = (at_ms - low[1]) / max(1, high[1] - low[1])
    guess = low[0] + int((high[0] - low[0]) * share) - rows // 2
    return min(high[0] - 1, max(low[0] + 1, guess))


def _from_time(stretch: Stretch) -> Walk:
    """Ask for pages by time; each tells where the next begins."""
    past, pager = stretch.past, _Pager(stretch)
    assert past.since is not None  # noqa: S101  (the registry checks it)
    cursor = stretch.start_ms * past.since.a_second // 1000 - (not past.since.includes)
    while True:
        page = yield from ask_surely(stretch, past, bounded(past.since, cursor), pager.goes_on_or_ends)
        is_last = pager.ends(page) or len(page.trades) < past.rows
        if not is_last and (page.next is None or page.next <= cursor):
            raise FrameError("malformed", f"a page after {cursor} that goes on from {page.next}")
        yield pager.portion(page.trades, is_last=is_last)
        if is_last:
            return
        cursor = page.next or 0


def _in_windows(stretch: Stretch) -> Walk:
    """Ask for windows of ids, forward, between the ids found for both ends.

    An id alone brings what is before it, so that the past would come backwards.
    """
    past, pager = stretch.past, _Pager(stretch)
    assert past.from_id is not None  # noqa: S101  (`_is_in_windows`)
    assert past.to_id is not None  # noqa: S101
    at = yield from _last_id_before(stretch, stretch.start_ms)
    end = yield from _last_id_before(stretch, stretch.end_ms + 1)
    if at is None and end is not None:
        at = (yield from _oldest_id(stretch, end)) - 1
    if at is None or end is None or end <= at:
        yield Portion((), stretch.end_ms)
        return
    while at < end:
        reach = min(at + past.rows, end)
        asked = bounded(past.from_id, at) | bounded(past.to_id, reach + 1)
        due = reach - at
        page = yield from ask_surely(stretch, past, asked, partial(holds, due))
        at = reach
        yield pager.portion(page.trades, is_last=at >= end)


def _last_id_before(stretch: Stretch, at_ms: int) -> Seeking[int | None]:
    past = stretch.past
    assert past.until is not None  # noqa: S101  (where ids go in windows, a time says where to begin)
    page = yield from ask_surely(stretch, past, bounded(past.until, at_ms), partial(holds, 1))
    return _number(page.trades[-1]) if page.trades else None


def _oldest_id(stretch: Stretch, known: int) -> Seeking[int]:
    """Find the oldest trade there is within a stretch before which there is none."""
    low_ms, high_ms, found = stretch.start_ms, stretch.end_ms + 1, known
    while high_ms - low_ms > 1:
        middle_ms = (low_ms + high_ms) // 2
        before = yield from _last_id_before(stretch, middle_ms)
        if before is None:
            low_ms = middle_ms
        else:
            high_ms, found = middle_ms, before
    return found


class _Pager:
    """Makes portions of the pages of one stretch, and sees where numbers jump."""

    def __init__(self, stretch: Stretch) -> None:
        self._stretch = stretch
        self._last: TradeMessage | None = None
        self._until_ms = stretch.start_ms

    def ends(self, page: Page) -> bool:
        """Return whether a page reaches beyond the stretch."""
        return bool(page.trades) and page.trades[-1].exchange_ms > self._stretch.end_ms

    def goes_on_or_ends(self, page: Page) -> bool:
        """Return whether a page is full, or reaches beyond the stretch: else it may lack something."""
        return len(page.trades) >= self._stretch.past.rows or self.ends(page)

    def portion(self, trades: Sequence[TradeMessage], *, is_last: bool) -> Portion:
        """Return what of a page lies in the stretch, and how far it is whole with it."""
        parts = list(self.parts(trades))
        if self._last is not None:
            self._until_ms = max(self._until_ms, self._last.exchange_ms)
        return Portion(parts, self._stretch.end_ms if is_last else min(self._until_ms, self._stretch.end_ms))

    def parts(self, trades: Sequence[TradeMessage]) -> Iterator[Rows | Lack]:
        """Yield runs of trades without a jump, and what lies between them."""
        run: list[TradeMessage] = []
        for trade in trades:
            last = self._last
            if last is not None and _missing(last, trade) > 0:
                if run:
                    yield run
                if last.exchange_ms < self._stretch.end_ms and trade.exchange_ms >= self._stretch.start_ms:
                    yield self._lack(last, trade)
                run = []
            if last is None or _missing(last, trade) >= 0:
                self._last = trade
            if self._stretch.start_ms <= trade.exchange_ms <= self._stretch.end_ms:
                run.append(trade)
        if run:
            yield run

    def _lack(self, last: TradeMessage, trade: TradeMessage) -> Lack:
        first, count = _number(last) + 1, _missing(last, trade)
        text = f"the exchange has none of {count} trades from {first} on"
        start_ms = max(last.exchange_ms, self._stretch.start_ms)
        return Lack(start_ms, min(trade.exchange_ms, self._stretch.end_ms), text)


def _missing(last: TradeMessage, trade: TradeMessage) -> int:
    """Return how many numbers lie between; below 0 for one that is not newer, 0 where none are told."""
    if last.number is None or trade.number is None:
        return 0
    return trade.number - last.number - 1


def _number(trade: TradeMessage) -> int:
    try:
        return int(trade.trade_id)
    except ValueError as error:
        raise FrameError("malformed", f"trade id {trade.trade_id!r}: a whole number expected") from error
