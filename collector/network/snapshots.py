"""Ask REST for the books of one exchange, within its budget, what is needed most first."""

from collections.abc import Callable

import msgspec

from collector.errors import FrameError, StreamError
from collector.events import Snapshot
from collector.exchanges import Exchange, MarketKind, RestSnapshot
from collector.network.budgets import BUDGETS, Budgets
from collector.network.markets import Markets, Source
from collector.network.request_line import RequestLine, Turn
from collector.network.rest import RestClient


class Snapshots:
    """One REST client, with a line of requests for each kind of market. Lives in the websocket's loop."""

    def __init__(
        self,
        source: Source,
        markets: Markets,
        protocol: Exchange,
        timeout_s: float,
        budgets: Budgets = BUDGETS,
    ) -> None:
        self._rest, self._check = protocol.rest, protocol.check
        self._client = RestClient(source, timeout_s, markets, budgets)
        self._lines = {kind: RequestLine(budget) for kind, budget in self._client.budgets.items()}

    @property
    def has_checks(self) -> bool:
        """Return whether the state of a silent stream can be asked for."""
        return self._check is not None

    def waiting(self) -> int:
        """Return how many requests wait or are under way."""
        return sum(map(len, self._lines.values()))

    def holds(self, book: object, kind: MarketKind) -> bool:
        """Return whether a request for a book waits or is under way."""
        return self._lines[kind].holds(book)

    def is_closed(self, kind: MarketKind) -> bool:
        """Return whether the exchange refused us and wants to be left alone for a while."""
        return self._lines[kind].budget.closed_for_s > 0.0

    def has_time_for(self, market_id: str, kind: MarketKind, depth: int) -> bool:
        """Return whether a book could be fetched at once, with as much left for one that needs it."""
        return self._lines[kind].has_time_for(self._request(market_id, kind, depth).weight)

    async def fetch(self, market_id: str, kind: MarketKind, depth: int, topic: str, turn: Turn) -> Snapshot:
        """Return a book's snapshot. Raises StreamError; `permanent` when asking again cannot help."""
        assert self._rest is not None  # noqa: S101  (only such books are opened by it)
        return await self._ask(self._request(market_id, kind, depth), self._rest.read, kind, topic, turn)

    async def ask(self, market_id: str, kind: MarketKind, channel: str, topic: str, turn: Turn) -> Snapshot:
        """Return the state of a stream, as REST has it. Raises StreamError as `fetch` does."""
        check = self._check
        request = None if check is None else check.request(market_id, kind, channel)
        if check is None or request is None:
            raise StreamError(f"REST has no state of {topic}", permanent=True)
        return await self._ask(request, check.read, kind, topic, turn)

    async def close(self) -> None:
        """Close the client."""
        await self._client.close()

    def _request(self, market_id: str, kind: MarketKind, depth: int) -> RestSnapshot:
        assert self._rest is not None  # noqa: S101  (only such books are opened by it)
        return self._rest.request(market_id, kind, self._rest.depth(kind, depth))

    async def _ask(
        self,
        request: RestSnapshot,
        read: Callable[[str, str], Snapshot],
        kind: MarketKind,
        topic: str,
        turn: Turn,
    ) -> Snapshot:
        async with self._lines[kind].go(turn, request.weight):
            answer = await self._client.answer(request, kind)
        try:
            return read(msgspec.json.encode(answer).decode(), topic)
        except FrameError as error:
            raise StreamError(f"a snapshot that cannot be read: {error}") from error
