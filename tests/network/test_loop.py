"""Tests of the event loop: no descriptor is closed twice, whoever has got its number since."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TypeVar

import pytest

from collector.network import new_loop

T = TypeVar("T")


async def listen() -> asyncio.Server:
    return await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)


async def reach(server: asyncio.Server) -> socket.socket:
    """Connect a socket, as aiohttp does before it gives it to the loop."""
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, server.sockets[0].getsockname())
    return sock


def run(work: Callable[[], Coroutine[None, None, T]]) -> T:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(work())


def test_a_connection_abandoned_at_its_first_step_keeps_no_number_that_is_free(tmp_path: Path) -> None:
    """A database's file gets the next free number; closed by a socket later, it would lose its locks."""

    async def work() -> int:
        server = await listen()
        sock = await reach(server)
        number = sock.fileno()
        dial = asyncio.ensure_future(
            asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=sock)
        )
        await asyncio.sleep(0)  # its first step gives the descriptor to the loop
        dial.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dial
        with (tmp_path / "live.db").open("w") as file:
            assert file.fileno() == number, "the number is not free: the descriptor was never closed"
        server.close()
        return sock.detach()

    assert run(work) == -1


def test_a_connection_that_stands_is_closed_once() -> None:
    async def work() -> None:
        server = await listen()
        sock = await reach(server)
        transport, _protocol = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=sock)
        assert transport.get_extra_info("peername") == server.sockets[0].getsockname()
        transport.close()
        server.close()
        await asyncio.sleep(0)
        assert sock.detach() == -1

    run(work)


def test_a_socket_the_loop_refuses_stays_its_callers() -> None:
    async def work() -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            with pytest.raises(ValueError, match="Stream Socket"):
                await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=sock)
            assert sock.fileno() != -1

    run(work)
