"""Make sure that the streams wanted are ours in a database that several collectors share."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future

from collector.database.url import database_url, sqlite_path
from collector.errors import UserError
from collector.events.batch import StreamKey
from collector.settings import Settings
from collector.sinks.contract import SessionState, Sink, Task

TIMEOUT_S = 10.0


class Claims:
    """What this session has claimed. An SQLite file is ours as a whole: nothing to ask there."""

    def __init__(
        self,
        settings: Settings,
        session: SessionState,
        sink: Sink,
        submit: Callable[[Task], Future[int]],
        hurry: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._session = session
        self._sink = sink
        self._submit = submit
        self._hurry = hurry
        self._is_shared = sqlite_path(database_url(settings.database.url)) is None
        self._ours: frozenset[StreamKey] = frozenset()

    def begin(self) -> None:
        """Say who writes, and claim what is configured by ccxt's names. Before the writer's thread runs.

        What an exchange's own names mean is known once its markets are: then `ask` is asked.
        """
        named = [
            StreamKey(name, symbol, channel)
            for name, exchange in self._settings.exchanges.items()
            for symbol in exchange.symbols
            for channel in exchange.channels
            if "/" in symbol
        ]
        self._sink.run(self._sink.claiming(self._session, named))
        self._ours = frozenset(named)

    def ask(self, keys: Sequence[StreamKey]) -> Future[int]:
        """Claim these as well, from any thread; the future raises DatabaseInUse for what another has."""
        new = [key for key in keys if key not in self._ours]
        if not new or not self._is_shared:
            done: Future[int] = Future()
            done.set_result(0)
            return done
        asked = self._submit(self._sink.claiming(self._session, new))
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
