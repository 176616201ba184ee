"""Ask an exchange for its past, one request at a time, whatever becomes of a request. Asynchronous."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

import msgspec

from collector.backfilling import plan as planning
from collector.backfilling.pages import Portion, Stretch, Walk
from collector.backfilling.walk_bars import walk_bars
from collector.backfilling.walk_trades import walk_trades
from collector.errors import FrameError, StreamError
from collector.events import OHLCV, Channel
from collector.exchanges import Page, RestSnapshot, exchange_of
from collector.loggers import get_logger
from collector.network import Need, RestClient, classify
from collector.retry import Backoff

MOST_FAILURES = 12  # in a row of one request: with the waits between them, some five minutes
LONGEST_PAUSE_S = 900.0  # an exchange that wants to be left alone for longer is left alone
RETRY = Backoff(1.0, 60.0)
NS_A_MS = 1_000_000

log = get_logger(__name__)


class LeftAlone(StreamError):  # noqa: N818  (a state, not a fault)
    """The exchange refuses for a long time; whoever asks again before makes it longer."""


@dataclass(slots=True)
class Asked:
    """What was asked of one exchange so far."""

    requests: int = 0
    failures: dict[str, int] = field(default_factory=dict)  # by cause


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Asks one exchange. Lives in one loop."""

    client: RestClient
    now_ns: Callable[[], int] = time.time_ns
    asked: Asked = field(default_factory=Asked)

    async def portions(self, stretch: Stretch) -> AsyncGenerator[Portion]:
        """Yield what comes of a stretch, page by page. Raises StreamError where it cannot go on."""
        walk = self._walk(stretch)
        step = next(walk, None)
        while step is not None:
            try:
                if isinstance(step, Portion):
                    yield step
                    step = next(walk)
                else:
                    step = walk.send(await self._page(step, stretch))
            except StopIteration:
                return
            except FrameError as error:  # each page could be read, but they do not go on from each other
                raise StreamError(f"{stretch.key.exchange} {stretch.key.symbol}: {error}") from error

    def _walk(self, stretch: Stretch) -> Walk:
        if Channel.of(stretch.key.channel).family == OHLCV:
            return walk_bars(stretch, self.now_ns() // NS_A_MS - planning.NOT_YET_MS)
        return walk_trades(stretch)

    async def _page(self, request: RestSnapshot, stretch: Stretch) -> Page:
        """Ask until there is an answer that can be read, or it is clear that there will be none."""
        failures = 0
        while True:
            try:
                self.asked.requests += 1
                answer = await self.client.ask(request, stretch.kind, Need.BACKFILL)
                return self._read(answer, request, stretch)
            except (StreamError, FrameError) as error:
                failures += 1
                await asyncio.sleep(self._wait_s(error, failures, stretch))

    def _read(self, answer: object, request: RestSnapshot, stretch: Stretch) -> Page:
        text = msgspec.json.encode(answer).decode()
        pasts = [one for one in (stretch.past, stretch.seek) if one is not None]
        past = next(one for one in pasts if one.ccxt_method == request.ccxt_method)
        return exchange_of(stretch.key.exchange).past_pages.read_page(text, stretch.key.channel, past)

    def _wait_s(self, error: StreamError | FrameError, failures: int, stretch: Stretch) -> float:
        """Count a failure, and return how long to wait; raises where that cannot help, or takes too long."""
        exchange = stretch.key.exchange
        failure = classify(error, exchange)
        self.asked.failures[failure.cause] = self.asked.failures.get(failure.cause, 0) + 1
        retry_after_s = error.retry_after_s if isinstance(error, StreamError) else None
        pause_s = max(retry_after_s or 0.0, self.client.budgets[stretch.kind].closed_for_s)
        if pause_s > LONGEST_PAUSE_S:
            until = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.now_ns() / 1e9 + pause_s))
            text = f"{exchange} refuses all requests until {until} ({error}); run it again then"
            raise LeftAlone(f"{text}: it goes on where it ended", retry_after_s=pause_s) from error
        if isinstance(error, StreamError) and error.permanent:
            raise StreamError(f"{exchange} refuses {stretch.key.symbol}: {error}", permanent=True) from error
        if failures >= MOST_FAILURES:
            text = f"{exchange} did not answer {stretch.key.symbol} {stretch.key.channel} {failures} times: "
            raise StreamError(f"{text}{error}") from error
        log.info("backfill.retry", exchange=exchange, symbol=stretch.key.symbol, cause=failure.cause)
        # The budget itself waits for the end of a pause.
        return 0.0 if pause_s else RETRY.wait_s(failures - 1)
