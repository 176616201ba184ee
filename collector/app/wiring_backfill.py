"""Build what brings in the past over REST, from the settings."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collector.app.wiring_feeds import remembered_universe
from collector.app.wiring_writer import new_session, store_of
from collector.backfilling import (
    Fetcher,
    Filling,
    Plan,
    Portion,
    Progress,
    Span,
    Storing,
    Stretch,
    Wanted,
    fill,
    make_plan,
)
from collector.buffer import Buffer
from collector.database import database_url, sqlite_path
from collector.errors import DatabaseAway, DatabaseInUse, QueryError, SinkError, StreamError, UserError
from collector.events import REST, Channel, ContractSize, StreamKey
from collector.exchanges import KINDS, MarketKind, exchange_of, kind_of, kinds_in_order
from collector.features import BookRows, MarketRows, StreamFacts
from collector.ids import SegmentIds
from collector.network import BUDGETS, Attempts, Budgets, Markets, RestClient, Source, load_until, look_up
from collector.query import spans_covered
from collector.retry import Backoff
from collector.settings import ExchangeSettings, Settings
from collector.sinks import SessionState, SqlSink
from collector.writer import Preparation

TIMEOUT_S = 30.0
MOST_LOADS = 5  # of an exchange's markets
LOAD_AGAIN = Backoff(1.0, 20.0)
REFUSED_WAIT_S = 60.0
NS_A_MS = 1_000_000
ROWS = 20_000  # that the buffer holds: a page of each exchange, many times


@dataclass(frozen=True, slots=True)
class Asked:
    """What of the past is asked for."""

    start_ms: int
    end_ms: int
    only_holes: bool = False
    whole: bool = False  # also what is stored already


class Backfill:
    """The past of what is configured: planned, and brought in. In the end `close` it."""

    def __init__(
        self,
        settings: Settings,
        asked: Asked,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        budgets: Budgets = BUDGETS,
    ) -> None:
        self._settings = settings
        self._asked = asked
        self._now_ns = now_ns
        self._budgets = budgets
        self._markets: dict[str, Markets] = {}
        self._contracts: dict[StreamKey, ContractSize | None] = {}
        self.notes: list[str] = []

    async def plan(self, *, is_dry: bool = False) -> Plan:
        """Plan what to ask for. Raises UserError for a market that is none.

        A dry plan asks no exchange, where all markets have unified names.
        """
        configured = self._settings.exchanges.items()
        named = [(name, self._with_universe(name, one)) for name, one in configured]
        exchanges = [(name, one) for name, one in named if one.symbols]
        if not exchanges:
            raise UserError(
                "nothing to ask for: no symbol is configured; name some with --symbols BTC/USDT:USDT"
            )
        if is_dry and all(map(_is_unified, (name for _, one in exchanges for name in one.symbols))):
            wanted = [one for name, settings in exchanges for one in _unchecked(name, settings)]
        else:
            loaded = await asyncio.gather(*(self._load(name, one) for name, one in exchanges))
            self._markets = {name: one for (name, _), one in zip(exchanges, loaded, strict=True)}
            wanted = [one for name, settings in exchanges for one in self._wanted(name, settings)]
        spans = self._covered([one.key for one in wanted])
        found = make_plan(
            wanted,
            self._asked.start_ms,
            self._asked.end_ms,
            self._now_ns() // NS_A_MS,
            lambda key: spans.get(key, ()),
            only_holes=self._asked.only_holes,
        )
        return Plan(found.stretches, (*self.notes, *found.notes))

    async def run(
        self,
        planned: Plan,
        *,
        is_stopping: Callable[[], bool] = lambda: False,
        on_progress: Callable[[Progress], None] = lambda _progress: None,
    ) -> Progress:
        """Bring in what is planned. Raises UserError where the database cannot be written to."""
        sink = store_of(self._settings)
        if not isinstance(sink, SqlSink):
            raise UserError(f"the past is brought into SQLite or PostgreSQL, not into {sink.name}")
        session = self._session()
        buffer = Buffer(levels_per_row=1, max_rows=ROWS, flush_rows=ROWS)
        preparation = self._preparation(session, buffer)
        storing = Storing(buffer, preparation, sink, self._now_ns, is_stopping)
        try:
            await storing.call(lambda: _open(sink, session, planned))
            progress = await self._fill(planned, buffer, storing, is_stopping, on_progress)
            await storing.call(lambda: sink.write(preparation.ended(self._now_ns(), "stop")))
        except SinkError as error:
            text = "what is stored stays; the same command goes on there"
            raise DatabaseAway(f"{error}\n{text}") from error
        else:
            return progress
        finally:
            await storing.call(sink.close)
            storing.close()

    async def _fill(
        self,
        planned: Plan,
        buffer: Buffer,
        storing: Storing,
        is_stopping: Callable[[], bool],
        on_progress: Callable[[Progress], None],
        segment_ids: SegmentIds | None = None,
    ) -> Progress:
        fetchers: dict[str, Fetcher] = {}
        new_segment_id = (segment_ids or SegmentIds()).next

        def filling(stretch: Stretch) -> Filling:
            return Filling(stretch, buffer, new_segment_id, self._contracts[stretch.key])

        try:
            fetchers = {name: self._fetcher(name) for name in planned.by_exchange()}
            return await fill(
                planned, fetchers, storing, filling, is_stopping=is_stopping, on_progress=on_progress
            )
        finally:
            for one in fetchers.values():
                await one.client.close()

    async def rows(self, planned: Plan) -> AsyncGenerator[tuple[ContractSize | None, Portion]]:
        """Yield what comes, with what its sizes count, for a caller to keep. Raises StreamError."""
        for name, stretches in planned.by_exchange().items():
            fetcher = self._fetcher(name)
            try:
                for stretch in stretches:
                    async for portion in fetcher.portions(stretch):
                        yield self._contracts[stretch.key], portion
            finally:
                await fetcher.client.close()

    def _with_universe(self, name: str, settings: ExchangeSettings) -> ExchangeSettings:
        """Return the settings with the markets that were last among those traded most, by name."""
        if settings.universe.top is None:
            return settings
        last = remembered_universe(self._settings, name)
        if not last:
            self.notes.append(f"{name}: no collector kept its universe here yet: of it nothing is asked for")
        return settings.model_copy(update={"symbols": (*settings.symbols, *last)})

    async def _load(self, name: str, settings: ExchangeSettings) -> Markets:
        stopped, failed = asyncio.Event(), list[StreamError]()

        def on_failure(number: int, error: StreamError, *_: object) -> None:
            failed.append(error)
            if error.permanent or number >= MOST_LOADS:
                stopped.set()

        attempts = Attempts(LOAD_AGAIN, REFUSED_WAIT_S)
        found = await load_until(stopped, _source(name, settings), TIMEOUT_S, attempts, on_failure)
        if found is None:
            raise UserError(f"{name}: {failed[-1]}")
        return found

    def _wanted(self, name: str, settings: ExchangeSettings) -> Iterator[Wanted]:
        found = look_up(self._markets[name], settings.symbols)
        if found.unknown:
            raise UserError(f"{name}: {found.unknown[0][1]}")
        for choice in found.choices:
            self.notes.append(f"{name}: {choice.name} is taken for {choice.symbol} ({choice.kind})")
        for kind, market in found.markets:
            for channel in settings.channels:
                key = StreamKey(name, market["symbol"], channel)
                if not Channel.of(channel).is_book:
                    self._contracts[key] = exchange_of(name).contract_size(market)
                yield Wanted(key, kind, market["id"], has_key=settings.credentials is not None)

    def _covered(self, keys: Sequence[StreamKey]) -> dict[StreamKey, list[Span]]:
        database, asked = self._settings.database, self._asked
        path = sqlite_path(database_url(database.url))
        if asked.whole or (path is not None and not Path(path).is_file()):
            return {}
        try:
            found = spans_covered(
                database.url, keys, asked.start_ms * NS_A_MS, asked.end_ms * NS_A_MS, database.table_name
            )
        except QueryError as error:  # none yet, or another's: to open it for writing tells
            if asked.only_holes:
                raise
            self.notes.append(f"nothing is counted as there already: {error}")
            return {}
        return {key: [Span(*one) for one in spans] for key, spans in found.items()}

    def _fetcher(self, name: str) -> Fetcher:
        settings = self._settings.exchanges[name]
        pair = settings.credentials
        client = RestClient(
            _source(name, settings),
            TIMEOUT_S,
            self._markets[name],
            self._budgets,
            api_key="" if pair is None else pair.api_key.get_secret_value(),
        )
        return Fetcher(client, self._now_ns)

    def _preparation(self, session: SessionState, buffer: Buffer) -> Preparation:
        exchanges = self._settings.exchanges

        def facts(number: int) -> StreamFacts:
            key = buffer.key(number)
            source = exchanges[key.exchange].stored_data_source
            return StreamFacts(key, 0, source, contract=buffer.contract(number), origin=REST)

        return Preparation(
            session,
            buffer.key,
            BookRows(facts, 1).settle,
            most_rows=ROWS,
            market_rows=MarketRows(facts).settle,
        )

    def _session(self) -> SessionState:
        asked = self._asked
        wanted = json.dumps({"backfill": f"{asked.start_ms} to {asked.end_ms}"})
        return new_session(wanted, started_ns=self._now_ns())


def _is_unified(symbol: str) -> bool:
    return kind_of(symbol) in KINDS


def _unchecked(name: str, settings: ExchangeSettings) -> Iterator[Wanted]:
    """Yield what is configured as if each market were there."""
    for symbol in settings.symbols:
        for channel in settings.channels:
            kind: MarketKind = "spot" if kind_of(symbol) == "spot" else "linear"
            if kind not in exchange_of(name).kinds:
                raise UserError(f"{name}: {symbol} is a market of a kind that is not collected from there")
            yield Wanted(StreamKey(name, symbol, channel), kind, symbol, settings.credentials is not None)


def _source(name: str, settings: ExchangeSettings) -> Source:
    return Source(name, settings.environment, settings.endpoints, kinds_in_order(name, settings.market))


def _open(sink: SqlSink, session: SessionState, planned: Plan) -> None:
    """Open the database, and claim each stream's past: two do not fill it at the same time."""
    try:
        sink.open()
        keys = dict.fromkeys(one.key for one in planned.stretches)
        sink.claim(session, keys, REST)
    except DatabaseInUse as error:
        if sink.file is None:
            raise
        text = "a running collector closes holes itself; on PostgreSQL both can write"
        raise DatabaseInUse(f"{error}\n{text}") from error
    except SinkError as error:
        raise DatabaseAway(str(error)) from error


Report = tuple[Plan, Progress | None]


def backfill(
    settings: Settings,
    asked: Asked,
    *,
    is_dry: bool = False,
    on_plan: Callable[[Plan], Any] = lambda _plan: None,
    is_stopping: Callable[[], bool] = lambda: False,
    on_progress: Callable[[Progress], None] = lambda _progress: None,
    now_ns: Callable[[], int] = time.time_ns,
    budgets: Budgets = BUDGETS,
) -> Report:
    """Plan, and unless it is dry bring in, the past of what is configured."""

    async def run() -> Report:
        job = Backfill(settings, asked, now_ns=now_ns, budgets=budgets)
        planned = await job.plan(is_dry=is_dry)
        on_plan(planned)
        if is_dry or not planned.stretches:
            return planned, None
        return planned, await job.run(planned, is_stopping=is_stopping, on_progress=on_progress)

    return asyncio.run(run())
