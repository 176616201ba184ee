"""The collector under measure: its stream layer alone, and the whole of it."""

import threading
from collections.abc import Callable, Collection, Iterable

from bench.book_frames import STYLES
from bench.programs import Setting
from bench.server import Sent
from collector.app.wiring import make_collector
from collector.book.kernel import find_kernel
from collector.events.batch import StreamKey
from collector.settings import Settings, load_settings
from collector.sinks.contract import Capabilities, Receipt, Rows, SessionState, Store, WriteSet

FLUSH_S = 0.1
HAS_KERNEL = find_kernel("auto")[0] is not None


def settings_of(setting: Setting, database_url: str | None = None, kernel: str = "auto") -> Settings:
    """Say to the collector what it is to collect, and where to: a file of its own unless told otherwise."""
    style = STYLES[setting.style]
    section = f"exchanges.{style.exchange}"
    return load_settings(
        overrides={
            f"{section}.symbols": list(setting.symbols),
            f"{section}.channels": [style.channel],
            f"{section}.endpoints.rest": setting.endpoints.rest,
            f"{section}.endpoints.ws": setting.endpoints.ws,
            "database.url": database_url or str(setting.folder / "collector.db"),
            "database.auto_migrate": True,  # a server's too, which is empty
            "spool.path": str(setting.folder / "spool"),  # none of the user's is looked at
            "writer.interval_s": FLUSH_S,
            "stream.kernel": kernel,
            "stream.stale_after_s": 3600.0,  # markets are silent between two rounds
            "health.lag_s": 3600.0,  # frames have times of their own
            "health.clock_off_s": 3600.0,
        },
        environ={},
        env_file=None,
    )


class NoSink:
    """Stands where nothing is written."""

    name = "nowhere"
    file = None
    identity = "nowhere"
    capabilities = Capabilities(transactions=True, idempotent=True)

    def open(self) -> None:
        """Do nothing."""

    def write(self, write_set: WriteSet) -> Receipt:
        """Take it."""
        del write_set
        return Receipt()

    def knows(self, sessions: Collection[str]) -> bool:
        """Know every one."""
        del sessions
        return True

    def claim(self, session: SessionState, streams: Iterable[StreamKey]) -> int:
        """Claim nothing."""
        del session, streams
        return 0

    def maintain(self, task: Callable[[object], int]) -> int:
        """Do nothing."""
        del task
        return 0

    def refuses(self, rows: Rows) -> str | None:
        """Refuse nothing."""
        del rows

    def abort(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class StreamLayer:
    """Socket to buffer: tap, mapping, verified book, best ten levels; the buffer is swapped away."""

    kernel = "auto"

    def __init__(self, setting: Setting) -> None:
        self._collector = make_collector(settings_of(setting, kernel=self.kernel), store=NoSink())
        self._symbols = len(setting.symbols)
        self._rows = 0
        self._stopping = threading.Event()
        self._drainer = threading.Thread(target=self._drain)

    def start(self) -> None:
        """Start the websocket thread, and one that throws rows away."""
        self._drainer.start()
        self._collector.stream.start()

    def is_ready(self) -> bool:
        """Say whether each book has given a row."""
        return self._rows >= self._symbols

    def has_reached(self, sent: Sent, seen: int) -> bool:
        """Say whether every update became a row."""
        return seen >= sent.updates

    def seen(self) -> int:
        """Count rows."""
        return self._rows

    def stop(self) -> None:
        """Stop both threads."""
        self._collector.stream.ask_to_stop()
        self._collector.stream.join(10.0)
        self._stopping.set()
        self._drainer.join()

    def _drain(self) -> None:
        buffer = self._collector.buffer
        while not self._stopping.is_set():
            buffer.wait(FLUSH_S)
            self._rows += buffer.swap().rows


class PureStreamLayer(StreamLayer):
    """The same without the compiled kernel."""

    kernel = "off"


class WholeProgram:
    """Socket to committed row."""

    kernel = "auto"

    def __init__(
        self, setting: Setting, store: Store[object] | None = None, database_url: str | None = None
    ) -> None:
        self._collector = make_collector(settings_of(setting, database_url, self.kernel), store=store)
        self._symbols = len(setting.symbols)

    def start(self) -> None:
        """Start the collector."""
        self._collector.start()

    def is_ready(self) -> bool:
        """Say whether the first row of each book is committed."""
        return self.seen() >= self._symbols

    def has_reached(self, sent: Sent, seen: int) -> bool:
        """Say whether every update is committed."""
        return seen >= sent.updates

    def seen(self) -> int:
        """Count committed rows of streams; the log of events is written beside them."""
        return self._collector.writer.balance.totals().written

    def stop(self) -> None:
        """Stop the collector; what it says of itself must be whole."""
        report = self._collector.stop()
        if not report.good:
            raise RuntimeError(f"the collector lost something: {report}")


class PureProgram(WholeProgram):
    """The same without the compiled kernel."""

    kernel = "off"


def without_database(setting: Setting) -> WholeProgram:
    """Make the whole program, but for the database: for millions of updates that nobody is to keep."""
    return WholeProgram(setting, NoSink())
