"""Reserve the wanted streams for this session in a store that several collectors share."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial

from collector.errors import UserError
from collector.events.batch import StreamKey
from collector.settings import Settings
from collector.sinks.contract import SessionState, Store
from collector.writer.tasks import Task

TIMEOUT_S = 10.0


class Claims:
    """The streams that this session has claimed. A store that is not shared is claimed as a whole."""

    def __init__(
        self,
        settings: Settings,
        session: SessionState,
        store: Store[object],
        submit: Callable[[Task], Future[int]],
        hurry: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._session = session
        self._store = store
        self._submit = submit
        self._hurry = hurry
        self._is_shared = store.capabilities.shared
        self._ours: frozenset[StreamKey] = frozenset()

    def begin(self) -> None:
        """Record the session and claim what is configured by ccxt's names. Before the writer's thread runs.

        What an exchange's own names mean is known once its markets are loaded: `ask` claims those.
        """
        named = [
            StreamKey(name, symbol, channel)
            for name, exchange in self._settings.exchanges.items()
            for symbol in exchange.symbols
            for channel in exchange.channels
            if "/" in symbol
        ]
        self._store.claim(self._session, named)
        self._ours = frozenset(named)

    def ask(self, keys: Sequence[StreamKey]) -> Future[int]:
        """Claim these as well, from any thread; the future raises DatabaseInUse for what another has."""
        new = [key for key in keys if key not in self._ours]
        if not new or not self._is_shared:
            done: Future[int] = Future()
            done.set_result(0)
            return done
        asked = self._submit(partial(self._store.claim, self._session, new))
        self._hurry()
        return asked

    def take(self, keys: Sequence[StreamKey]) -> None:
        """Claim these as well, and wait; raises DatabaseInUse for what another has."""
        try:
            self.ask(keys).result(TIMEOUT_S)
        except TimeoutError:
            raise UserError(
                "the database does not answer, so nobody can say whether another collector has these "
                "streams; try again when it does"
            ) from None
