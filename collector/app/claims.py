"""Claim the streams of this session in a store that several collectors share."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial

from collector.errors import UserError
from collector.events.batch import StreamKey
from collector.sinks.contract import SessionState, Store
from collector.writer.tasks import Task

TIMEOUT_S = 10.0


class Claims:
    """The streams that this session has claimed. A store that is not shared is claimed as a whole."""

    def __init__(
        self,
        named: Sequence[StreamKey],  # what is configured by ccxt's names
        session: SessionState,
        store: Store[object],
        submit: Callable[[Task], Future[int]],
        hurry: Callable[[], None],
    ) -> None:
        self._named = named
        self._session = session
        self._store = store
        self._submit = submit
        self._hurry = hurry
        self._is_shared = store.capabilities.shared
        self._ours: frozenset[StreamKey] = frozenset()

    def begin(self) -> None:
        """Record the session and claim the streams named by ccxt's symbols. Call it before the writer starts.

        An exchange's own names mean something once its markets are loaded: `ask` claims those.
        """
        self._store.claim(self._session, self._named)
        self._ours = frozenset(self._named)

    def ask(self, keys: Sequence[StreamKey]) -> Future[int]:
        """Claim more streams, from any thread; the future raises DatabaseInUse if another session has one."""
        new = [key for key in keys if key not in self._ours]
        if not new or not self._is_shared:
            done: Future[int] = Future()
            done.set_result(0)
            return done
        asked = self._submit(partial(self._store.claim, self._session, new))
        self._hurry()
        return asked

    def take(self, keys: Sequence[StreamKey]) -> None:
        """Claim more streams and wait; raises DatabaseInUse if another session has one."""
        try:
            self.ask(keys).result(TIMEOUT_S)
        except TimeoutError:
            raise UserError(
                "the database does not answer, so nobody can say whether another collector has these "
                "streams; try again when it does"
            ) from None
