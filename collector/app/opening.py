"""Open what a session writes to: the database with its spools, and the claim on its streams."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from collector.app.claims import Claims
from collector.app.known_database import KnownDatabase
from collector.errors import CollectorError, DatabaseAway, SinkError
from collector.loggers import get_logger
from collector.sinks import Store
from collector.writer import Follower, WriterThread

Watched = Callable[[], AbstractContextManager[None]]  # to be entered around each call of the database

log = get_logger(__name__)


class Opening:
    """Opens all before the threads start; a database that is away but known, when it is back."""

    def __init__(
        self,
        store: Store[object],
        known: KnownDatabase,
        writer: WriterThread,
        followers: tuple[Follower, ...],
        claims: Claims,
    ) -> None:
        self._store = store
        self._known = known
        self._writer = writer
        self._spools: tuple[WriterThread | Follower, ...] = (writer, *followers)
        self._claims = claims

    def begin(self, *, without_database: bool) -> str:
        """Open all, or raise UserError. Returns why the database is away where it may be left for `late`."""
        with self._writer.watching() as watched:
            try:
                self._open(watched)
            except DatabaseAway as error:
                if not (without_database and self._known.recall()):
                    self._release_spools()
                    raise
                self._open_spools_alone(watched)
                return str(error)
            except CollectorError:
                self._release_spools()
                raise
        return ""

    def late(self) -> None:
        """Open the database that was away, in the writer's thread; raises UserError if it is another one."""
        try:
            self._open(nullcontext)
        except DatabaseAway:
            self._known.recall()
            raise

    def _open(self, watched: Watched) -> None:
        try:
            with watched():
                self._store.open()
            self._known.check()
            self._open_spools(watched)
            with watched():
                self._claims.begin()
        except CollectorError as error:
            self._store.close()
            if isinstance(error, SinkError) and error.transient:
                raise DatabaseAway(str(error)) from error
            raise
        self._known.remember()

    def _open_spools(self, watched: Watched) -> None:
        for one in self._spools:
            with watched():  # it may ask the database whose it is
                one.open()

    def _open_spools_alone(self, watched: Watched) -> None:
        try:
            self._open_spools(watched)
        except CollectorError:
            self._known.forget()
            self._store.close()
            self._release_spools()
            raise

    def _release_spools(self) -> None:
        for one in self._spools:
            one.release()
