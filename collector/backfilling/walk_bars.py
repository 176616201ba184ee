"""Walk through the bars of the past, in windows of as many as an answer holds. Pure."""

import re
from collections.abc import Iterator, Sequence
from functools import partial

from collector.backfilling.pages import Lack, Portion, Rows, Stretch, Walk, ask_surely, bounded, holds
from collector.events import CandleMessage, Channel, longest_ms, shortest_ms
from collector.exchanges import Past
from collector.features import end_ms as bar_end_ms

SETTLED_MS = 300_000  # a bar that is not there yet may come; one that is over for so long does not

_REGULAR = re.compile(r"[1-9][0-9]*[mh]|1d")


def is_regular(interval: str) -> bool:
    """Return whether bars open at the multiples of their length since 1970."""
    return _REGULAR.fullmatch(interval) is not None


def first_open_ms(at_ms: int, interval: str) -> int:
    """Return when the first bar opens that is over after a time; a time before it where that is not known."""
    step_ms = longest_ms(interval)
    return at_ms // step_ms * step_ms if is_regular(interval) else at_ms - step_ms


def walk_bars(stretch: Stretch, now_ms: int) -> Walk:
    """Walk through the bars that are over after the start, and open before the end, of a stretch.

    `now_ms` is a little before now: a bar that ends later may change still.
    """
    interval, end_ms = Channel.of(stretch.key.channel).interval, stretch.end_ms
    step_ms, regular = shortest_ms(interval), is_regular(interval)
    at_ms = first_open_ms(stretch.start_ms, interval)
    open_ms = now_ms // step_ms * step_ms  # of the first bar that may change still
    if regular and open_ms + step_ms <= end_ms:
        end_ms = max(stretch.start_ms, open_ms)
    while at_ms < end_ms:
        asked, last_ms = _window(stretch.past, at_ms, step_ms, end_ms)
        due = (min(last_ms, now_ms - step_ms) - at_ms) // step_ms + 1 if regular else 1
        page = yield from ask_surely(stretch, stretch.past, asked, partial(holds, due))
        bars = [bar for bar in page.bars if at_ms <= bar.open_ms <= last_ms]
        over = [bar for bar in bars if bar.confirmed and bar_end_ms(bar.open_ms, interval) <= now_ms]
        wanted = [bar for bar in over if bar_end_ms(bar.open_ms, interval) > stretch.start_ms]
        parts: list[Rows | Lack] = [wanted] if wanted else []
        if regular:
            due_ms = min(last_ms, open_ms - 1)
            parts = list(_with_lacks(wanted, at_ms, due_ms, step_ms))
            newest = parts[-1] if parts else None
            if isinstance(newest, Lack) and newest.end_ms > now_ms - SETTLED_MS:
                end_ms, parts = newest.start_ms, parts[:-1]  # it may come still
        at_ms = (last_ms // step_ms + 1) * step_ms if regular else last_ms + 1
        yield Portion(parts, max(stretch.start_ms, min(at_ms, end_ms)))


def _window(past: Past, at_ms: int, step_ms: int, end_ms: int) -> tuple[dict[str, str], int]:
    """Return the parameters of a request for bars from a time on, and when the last of them may open."""
    last_ms = end_ms - 1
    if past.paging is not None:
        last_ms = min(last_ms, at_ms + (past.rows - 1) * step_ms)
    if past.widest_s is not None:
        last_ms = min(last_ms, at_ms + int(past.widest_s * 1000))
    asked: dict[str, str] = {}
    if past.since is not None:
        asked |= bounded(past.since, at_ms * past.since.a_second // 1000 - (not past.since.includes))
    if past.until is not None:
        asked |= bounded(past.until, last_ms + (not past.until.includes))
    return asked, last_ms


def _with_lacks(
    bars: Sequence[CandleMessage], first_ms: int, last_ms: int, step_ms: int
) -> Iterator[Rows | Lack]:
    """Yield runs of bars that follow each other, and what lies between them."""
    run: list[CandleMessage] = []
    due_ms = first_ms
    for bar in bars:
        if bar.open_ms > due_ms:
            if run:
                yield run
            yield _lack(due_ms, bar.open_ms, step_ms)
            run = []
        run.append(bar)
        due_ms = bar.open_ms + step_ms
    if run:
        yield run
    if due_ms <= last_ms:
        yield _lack(due_ms, last_ms // step_ms * step_ms + step_ms, step_ms)


def _lack(start_ms: int, end_ms: int, step_ms: int) -> Lack:
    count = (end_ms - start_ms) // step_ms
    return Lack(start_ms, end_ms, f"the exchange has none of {count} bar{'s' if count != 1 else ''}")
