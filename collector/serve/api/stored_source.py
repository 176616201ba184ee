"""Read from a database that nobody writes now."""

import asyncio
import time
from collections.abc import Mapping
from math import nan
from typing import Any

from collector.app import KEPT_OF_A_JOB, LEFT, JobState, StreamView
from collector.database import DEFAULT_TABLE_NAME, Tables
from collector.errors import UserError
from collector.events import BookNow, Channel, L2Update, Side, StreamKey, StreamNow, Trade
from collector.masking import passwords_in, without
from collector.query import (
    Asked,
    Database,
    ShortReads,
    events_page,
    job_runs,
    latest_trade,
    located,
    rows_page,
    sessions_page,
    stored_streams,
    summed_accounting,
)
from collector.serve.api import documents, shapes
from collector.serve.api.answers import Reading
from collector.serve.api.happened import described
from collector.serve.api.overview import exchange_rows, stream_rows
from collector.serve.api.source import Now
from collector.sinks import AccountingState
from collector.version import __version__

KEPT_S = 5.0  # nobody writes, as far as is known
EVENTS_SHOWN = 50
NS_A_MICROSECOND = 1_000  # as far as the index over the times tells them apart


class StoredSource:
    """A database, as the last thing that was collected into it left it."""

    is_live = False
    session_id = None

    def __init__(self, database: Database, table_name: str = DEFAULT_TABLE_NAME) -> None:
        self.reads = ShortReads(database, table_name)
        url = located(database)
        self._shown = url.render_as_string(hide_password=True)
        self._secrets = passwords_in(url.render_as_string(hide_password=False))
        self._reading = Reading(self.reads)
        self._lock = asyncio.Lock()  # one reads, the others wait for what it finds
        self._now: Now | None = None
        self._read_s = 0.0
        self._overview_lock = asyncio.Lock()
        self._shown_now: Now | None = None  # of which the overview is made
        self._overview: dict[str, Any] = {}

    def masked(self, text: str) -> str:
        """Return a text without the password of the database."""
        return without(text, self._secrets)

    async def now(self) -> Now:
        """Return the last that is stored of each stream; its moment is that of the last of all."""
        async with self._lock:
            if self._now is None or time.monotonic() - self._read_s > KEPT_S:
                self._now = await self._reading(_state_of_all)
                self._read_s = time.monotonic()
            return self._now

    async def books(self, levels: Mapping[StreamKey, int]) -> list[BookNow]:
        """Return the last stored touch of each book."""
        now = await self.now()
        return [BookNow(one.key, "", one.book) for one in now.streams if one.key in levels]

    async def stats(self) -> shapes.Stats:
        """Return what became of every event of all sessions."""
        return documents.stats(await self._reading(_accounting))

    async def overview(self) -> dict[str, Any]:
        """Return what is stored at a glance, in the form in which a running collector is shown."""
        async with self._overview_lock:
            now = await self.now()
            if now is not self._shown_now:
                self._overview = await self._made(now)
                self._shown_now = now
            return self._overview

    async def _made(self, now: Now) -> dict[str, Any]:
        states = await self._reading(_accounting)
        counts = {one.key: one for one in states}
        views = [
            StreamView(one.key, LEFT, counts.get(one.key) or AccountingState("", *one.key), one, 0, "", 0)
            for one in now.streams
        ]
        session, events = await self._reading(_last_session_and_events)
        return {
            "at_ns": now.at_ns,
            "live": False,
            "started_ns": session.get("started_ns"),
            "uptime_s": None,
            "session_id": session.get("session_id"),
            "version": __version__,
            "database": self._shown,
            "health": {"state": "healthy", "since_ns": now.at_ns, "parts": []},
            "identity": documents.identity(states),
            "writer": None,
            "exchanges": exchange_rows(views, now.at_ns),
            "streams": stream_rows(views, now.at_ns),
            "events": described(events, self.masked),
        }

    async def jobs(self) -> tuple[JobState, ...]:
        """Return the last run of each job, as it is stored; none runs now, and none is due."""
        stored = await self._reading(job_runs)
        return tuple(JobState(timeout_s=0.0, **{name: one[name] for name in KEPT_OF_A_JOB}) for one in stored)

    async def begin_job(self, name: str) -> JobState:
        """Refuse: nothing runs here."""
        raise UserError(f"nobody collects here, so {name} cannot run; expected the command: jobs run {name}")

    async def change(self, exchange: str | None, name: str, *, collect: bool) -> shapes.Changed:
        """Refuse: nothing is collected."""
        del exchange, name, collect
        raise UserError("nobody collects here; expected a running collector")


def _state_of_all(connection: Any, tables: Tables) -> Now:
    stored = stored_streams(connection, tables)
    at_ns = max((one["last_ns"] for one in stored), default=time.time_ns())
    streams = tuple(_stream(connection, tables, one) for one in stored)
    return Now(at_ns, streams, dict.fromkeys((one.key for one in streams), LEFT))


def _accounting(connection: Any, tables: Tables) -> list[AccountingState]:
    return [_state(one) for one in summed_accounting(connection, tables)]


def _last_session_and_events(connection: Any, tables: Tables) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    sessions, _ = sessions_page(connection, tables, before_ns=None, limit=1)
    events, _ = events_page(connection, tables, before=None, limit=EVENTS_SHOWN)
    return next(iter(sessions), {}), events


def _state(summed: Mapping[str, Any]) -> AccountingState:
    terms = {term: summed[term] for term in documents.IDENTITY if term != "rejected"}
    names = (summed["exchange"], summed["symbol"], summed["channel"])
    return AccountingState("", *names, rejected=summed["reasons"], **terms)


def _stream(connection: Any, tables: Tables, stored: Mapping[str, Any]) -> StreamNow:
    key = StreamKey(stored["exchange"], stored["symbol"], stored["channel"])
    channel = Channel.of(key.channel)
    last_ns = stored["last_ns"]
    book = _last_book(connection, tables, key, channel.depth, last_ns) if channel.is_book else None
    trade = _last_trade(connection, tables, key) if channel.family == "trade" else None
    last = book or trade
    return StreamNow(
        key,
        False,
        None if book is None else book.best_bid,
        None if book is None else book.best_ask,
        last_ns if last is None else last.received_at_ns,
        None if last is None else last.exchange_ms,
        book,
        trade,
    )


def _last_book(connection: Any, tables: Tables, key: StreamKey, depth: int, last_ns: int) -> L2Update | None:
    """Read the last state; from its own end on, or a depth that ended long ago is looked for in all since."""
    asked = Asked(key.exchange, key.symbol, end_ns=last_ns + NS_A_MICROSECOND, limit=1, newest_first=True)
    page = rows_page(connection, tables, asked, depth=depth)
    if not page.rows:
        return None
    row = dict(zip(page.columns, page.rows[0], strict=True))
    touch = (row["bid_price_1"], row["bid_size_1"], row["ask_price_1"], row["ask_size_1"])
    return L2Update(
        exchange=key.exchange,
        symbol=key.symbol,
        exchange_ms=row["exchange_timestamp"],
        received_at_ns=row["received_at_ns"] or 0,
        channel=key.channel,
        sequence=row["sequence"],
        segment_id=row["segment_id"],
        shown=1,
        ten_known=False,
        numbers=tuple(nan if number is None else number for number in touch),
    )


def _last_trade(connection: Any, tables: Tables, key: StreamKey) -> Trade | None:
    row = latest_trade(connection, tables, key.exchange, key.symbol)
    if row is None:
        return None
    return Trade(
        exchange=key.exchange,
        symbol=key.symbol,
        exchange_ms=row["exchange_timestamp"],
        received_at_ns=row["received_at_ns"] or 0,
        trade_id=row["trade_id"],
        price=row["price"],
        size=row["size"],
        side=Side(row["side"]) if row["side"] else Side.BUY,
    )
