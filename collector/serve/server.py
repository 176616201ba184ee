"""Run the HTTP server in a thread and a loop of its own. What it takes to import is imported there."""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from collector.loggers import get_logger
from collector.serve.limits import HttpLimits

if TYPE_CHECKING:
    from collector.serve.connection import BoundedServer
    from collector.serve.gate import Asgi

LOGGERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")
ENDS_WITHIN_S = 5.0
BACKLOG = 128

log = get_logger(__name__)


class Server:
    """One server. Whatever happens to it, collecting goes on."""

    def __init__(
        self,
        make_application: "Callable[[HttpLimits], Asgi]",  # called in the server's thread
        host: str,
        port: int,
        *,
        limits: HttpLimits | None = None,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        self._make_application = make_application
        self._host = host
        self._port = port
        self._limits = limits or HttpLimits()
        self._on_close = on_close
        self._stopping = threading.Event()
        self._server: BoundedServer | None = None
        self._thread: threading.Thread | None = None
        self.port: int | None = None  # that it listens on; None: it does not

    @property
    def url(self) -> str | None:
        """Return the address to ask; None while it does not listen."""
        if self.port is None:
            return None
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104  (shown, not bound)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def start(self) -> bool:
        """Listen, and answer in a thread. False where that is not possible, which is logged."""
        try:
            listener = _listener(self._host, self._port)
        except OSError as error:
            log.warning(
                "serve.not_listening",
                address=f"{self._host}:{self._port}",
                reason=error.strerror or str(error),
                what_next="collecting goes on; serve.port, or --no-serve",
            )
            return False
        self.port = listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, args=(listener,), name="http", daemon=True)
        self._thread.start()
        log.info("serve.listening", url=self.url)
        return True

    def close(self) -> None:
        """Stop answering and end the thread. Idempotent."""
        self._stopping.set()
        if self._server is not None:
            self._server.end()
        if self._thread is not None:
            self._thread.join(ENDS_WITHIN_S)
            if self._thread.is_alive():
                log.warning("serve.not_ended", within_s=ENDS_WITHIN_S)
            self._thread = None
        self.port = None
        self._on_close()

    def _run(self, listener: socket.socket) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._serve(listener))
        except Exception:
            log.exception("serve.ended")
        finally:
            listener.close()

    async def _serve(self, listener: socket.socket) -> None:
        from collector.serve.connection import BoundedConfig, BoundedServer  # noqa: PLC0415  (costs its imports)

        _silence_uvicorn()
        config = BoundedConfig(self._make_application(self._limits), self._limits)
        server = self._server = BoundedServer(config)
        if self._stopping.is_set():
            server.end()
        try:
            await server.serve([listener])
        finally:
            await server.drop_all()


def _listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens, so that a port in use is known at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _silence_uvicorn() -> None:
    """Keep uvicorn's own lines out: anybody who sends nonsense could fill a log with them."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
