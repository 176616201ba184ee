"""Stand between a client and a PostgreSQL server, and let the link go bad: stall, be cut, or swallow."""

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import sqlalchemy as sa


class Proxy:
    """Forwards TCP on loopback to a server's socket file; may stall, or cut at a word of the client's."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._stalled = threading.Event()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._cut_at: bytes | None = None  # guarded by _lock, like all below
        self._swallow_at: bytes | None = None
        self._swallows_answer = False
        self.cuts = 0
        self.swallowed = 0
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, name="proxy")

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        for thread in self._threads:
            thread.join()

    def stall(self) -> None:
        """Forward nothing any more on links that stand or come, and close none: half-open."""
        self._stalled.set()

    def recover(self) -> None:
        """Forward again on new links; those that stalled stay dead."""
        self._stalled.clear()

    def cut_at(self, word: bytes) -> None:
        """Hand the next message with this word to the server, and cut the link before it answers."""
        with self._lock:
            self._cut_at = word

    def swallow_at(self, word: bytes, *, answer: bool = False) -> None:
        """Let a link go silent and stay open, at a message with this word or once the server has answered."""
        with self._lock:
            self._swallow_at, self._swallows_answer = word, answer

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._forward, args=(client,), name="proxy link")
            self._threads.append(thread)
            thread.start()

    def _forward(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, selectors.DefaultSelector() as ready:
            try:
                server.connect(str(self._target))
            except OSError:
                return  # the server is away: the client sees its link closed
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            is_dead = False
            while not self._closed.is_set():
                is_dead = is_dead or self._stalled.is_set()
                events = [] if is_dead else ready.select(0.05)
                if is_dead:
                    self._closed.wait(0.05)
                for key, _ in events:
                    passed = self._pass_on(key.fileobj, key.data, from_client=key.fileobj is client)  # type: ignore[arg-type]
                    if passed is None:
                        is_dead = True
                        break
                    if not passed:
                        return

    def _pass_on(self, source: socket.socket, target: socket.socket, *, from_client: bool) -> bool | None:
        """Return whether the link goes on; None when it is dead, and nobody is told."""
        try:
            content = source.recv(1 << 16)
            if from_client and self._is_swallowed(content):
                if self._swallows_answer:
                    target.sendall(content)
                    self._wait_for_the_answer(target)
                return None
            if content:
                target.sendall(content)
        except OSError:
            return False
        with self._lock:
            if from_client and self._cut_at is not None and self._cut_at in content:
                self._cut_at = None
                self.cuts += 1
                self._wait_for_the_answer(target)
                return False
        return bool(content)

    def _is_swallowed(self, content: bytes) -> bool:
        with self._lock:
            if self._swallow_at is None or self._swallow_at not in content:
                return False
            self._swallow_at = None
            self.swallowed += 1
            return True

    @staticmethod
    def _wait_for_the_answer(server: socket.socket) -> None:
        """Let the server do what it was told, so that the client alone does not know."""
        server.settimeout(5)
        with suppress(OSError):
            server.recv(1 << 16)


@contextmanager
def through_a_proxy(url: str) -> Iterator[tuple[Proxy, str]]:
    """Yield a proxy before a server that listens on a socket file, and the URL through it."""
    direct = sa.make_url(url)
    with Proxy(Path(str(direct.query["host"])) / ".s.PGSQL.5432") as proxy:
        through = direct.set(host="127.0.0.1", port=proxy.port, query={})
        yield proxy, through.render_as_string(hide_password=False)
