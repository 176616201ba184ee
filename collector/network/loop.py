"""The event loop of the websocket thread."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

try:
    import uvloop
except ImportError:  # ccxt brings it on CPython, but not on Windows
    new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:

    class _Loop(uvloop.Loop):
        """uvloop's, which makes paced frames a fifth cheaper, without its double close.

        A connection that is cancelled while it is handed over leaves its socket object with a descriptor that
        uvloop has closed. The garbage collector closes the number again, by then perhaps a database's file.
        """

        async def create_connection(
            self, protocol_factory: Any, *args: Any, sock: socket.socket | None = None, **options: Any
        ) -> Any:
            try:
                return await super().create_connection(protocol_factory, *args, sock=sock, **options)
            except ValueError:
                raise  # an argument: the socket was not touched
            except BaseException:
                if sock is not None:
                    sock.detach()
                raise

    new_loop = _Loop
