"""Close the holes of a running collector's trades and bars by REST, in its session, by its writer."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial

from collector.app.housekeeping import result_of
from collector.app.jobs import Ending
from collector.app.wiring_backfill import NS_A_MS, ROWS, Asked, Backfill
from collector.backfilling import Plan, Progress, Storing, Stretch, Writes
from collector.buffer import Buffer
from collector.errors import CollectorError, SinkError
from collector.events import Channel, StreamKey
from collector.ids import SegmentIds
from collector.live import StreamThread, Universe
from collector.network import Markets
from collector.query import CoveredSpan, spans_covered
from collector.settings import ExchangeSettings, Settings
from collector.sinks import Receipt, SessionState, SqlSink, WriteSet
from collector.writer import Follower, Task

DAY_MS = 86_400_000
UNTIL_NOW_MS = 30_000  # what is younger may still be under way, and is not in coverage yet

Submit = Callable[[Task], Future[int]]
CALL_TIMEOUT_S = 10.0  # for the loop that collects to say what it does

Hole = tuple[StreamKey, int, int]
Spans = Mapping[StreamKey, Sequence[CoveredSpan]]


class ThroughWriter:
    """Has write sets stored by the thread that writes the database of a collector, between two of its own.

    What is stored is offered to the followers, as what came live is.
    """

    def __init__(
        self, store: SqlSink, submit: Submit, ending: Ending, followers: Sequence[Follower] = ()
    ) -> None:
        self._store = store
        self._submit = submit
        self._ending = ending
        self._followers = followers

    def write(self, write_set: WriteSet) -> Receipt:
        """Store a write set. Raises SinkError; what was stored though nobody said so is not stored again."""
        receipts: list[Receipt] = []
        given = self._submit(partial(self._write, write_set, receipts))
        try:
            result_of(given, self._ending)
        except SinkError:
            raise
        except CollectorError as error:  # it is busy, or the database is away; or it is time to end
            raise SinkError(str(error), transient=not self._ending.is_asked) from error
        return receipts[0]

    def _write(self, write_set: WriteSet, receipts: list[Receipt]) -> int:
        receipts.append(self._store.write(write_set))
        for follower in self._followers:
            follower.offer(write_set)
        return write_set.row_count


class BackfillWithin(Backfill):
    """The past of what a collector collects: brought in in its session, by its writer, with its markets."""

    def __init__(self, settings: Settings, asked: Asked, markets: Mapping[str, Markets]) -> None:
        super().__init__(settings, asked)
        self._known = markets

    async def run_within(
        self,
        session: SessionState,
        writes: Writes,
        planned: Plan,
        is_stopping: Callable[[], bool],
        segment_ids: SegmentIds,
    ) -> Progress:
        """Bring in what is planned."""
        buffer = Buffer(levels_per_row=1, max_rows=ROWS, flush_rows=ROWS)
        storing = Storing(buffer, self._preparation(session, buffer), writes, self._now_ns, is_stopping)
        try:
            return await self._fill(planned, buffer, storing, is_stopping, lambda _: None, segment_ids)
        finally:
            storing.close()

    async def _load(self, name: str, settings: ExchangeSettings) -> Markets:
        return self._known[name] if name in self._known else await super()._load(name, settings)


class HoleFilling:
    """Looks for holes between what is covered, and asks for what belongs there: once, it may not be there."""

    def __init__(
        self,
        settings: Settings,
        session: SessionState,
        store: SqlSink,
        submit: Submit,
        stream: StreamThread,
        segment_ids: SegmentIds,
        followers: Sequence[Follower] = (),
    ) -> None:
        self._settings = settings
        self._session = session
        self._store = store
        self._submit = submit
        self._stream = stream
        self._segment_ids = segment_ids
        self._followers = followers
        self._tried: set[Hole] = set()

    def fill(self, ending: Ending) -> str:
        """Close holes, and return how many. Raises CollectorError for what did not come."""
        jobs, end_ms = self._settings.jobs, time.time_ns() // NS_A_MS - UNTIL_NOW_MS
        asked = Asked(end_ms - round(jobs.fill_holes_days * DAY_MS), end_ms, only_holes=True)
        now = self._stream.glances(CALL_TIMEOUT_S) or ()
        keys = [one.key for one in now if not Channel.of(one.key.channel).is_book]
        database, span_ns = self._settings.database, (asked.start_ms * NS_A_MS, asked.end_ms * NS_A_MS)
        found = spans_covered(database.url, keys, *span_ns, database.table_name)
        spans = {key: one for key, one in found.items() if has_hole(one)}
        return asyncio.run(self._fill(asked, spans, ending)) if spans else ""

    async def _fill(self, asked: Asked, spans: Spans, ending: Ending) -> str:
        """Fill what lies between spans: before the first nothing was wanted, after the last it may come."""
        markets = {
            feed.exchange: Markets(
                feed.markets.loaded, feed.markets.kinds
            )  # shared with clients of this loop
            for feed in self._stream.feeds
            if feed.markets is not None
        }
        backfill = BackfillWithin(self._settings_of(spans), asked, markets)
        planned = await backfill.plan()
        holes = tuple(
            one
            for one in planned.stretches
            if lies_between(one, spans.get(one.key, ())) and hole_of(one) not in self._tried
        )
        if not holes:
            return ""
        progress = await backfill.run_within(
            self._session,
            ThroughWriter(self._store, self._submit, ending, self._followers),
            Plan(holes, planned.notes),
            lambda: ending.is_asked,
            self._segment_ids,
        )
        if ending.is_asked:
            return ""
        if progress.problems:
            raise CollectorError("; ".join(progress.problems))
        self._tried |= set(map(hole_of, holes))
        streams = len({one.key for one in holes})
        return f"{progress.rows:,} rows came for {len(holes)} holes of {streams} streams"

    def _settings_of(self, keys: Iterable[StreamKey]) -> Settings:
        """Return the settings with these markets alone: other names may mean nothing by now."""
        symbols: dict[str, dict[str, None]] = {}
        for key in keys:
            symbols.setdefault(key.exchange, {})[key.symbol] = None
        exchanges = {
            name: self._settings.exchanges[name].model_copy(
                update={"symbols": tuple(own), "universe": Universe()}
            )
            for name, own in symbols.items()
        }
        return self._settings.model_copy(update={"exchanges": exchanges})


def hole_of(stretch: Stretch) -> Hole:
    """Return what tells a hole from another."""
    return stretch.key, stretch.start_ms, stretch.end_ms


def has_hole(spans: Sequence[CoveredSpan]) -> bool:
    """Return whether something lies between spans, which come in the order of their beginning."""
    reached_ns = spans[0].until_ns if spans else 0
    for one in spans:
        if one.start_ns > reached_ns:
            return True
        reached_ns = max(reached_ns, one.until_ns)
    return False


def lies_between(stretch: Stretch, spans: Sequence[CoveredSpan]) -> bool:
    """Return whether a stretch lies between two spans; it may reach a little into both."""
    middle_ns = (stretch.start_ms + stretch.end_ms) // 2 * NS_A_MS
    return any(one.until_ns <= middle_ns for one in spans) and any(one.start_ns >= middle_ns for one in spans)
