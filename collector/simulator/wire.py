"""Bytes on the wire: websocket frames made ahead, and connections closed in every way."""

import socket
import struct
from asyncio import Transport

TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA
CONTROL_PATH = "/_control"
# Close codes that are never sent: no code named, and no close frame at all.
NO_CODE = 1005
NO_CLOSE_FRAME = 1006
_SHORT, _MEDIUM = 126, 65_536
_COMPRESSED = 0x40


def frame(payload: bytes, opcode: int = TEXT, *, compressed: bool = False) -> bytes:
    """Make a server's frame: never masked, so that header and payload can be prepared once for all."""
    first = 0x80 | opcode | (_COMPRESSED if compressed else 0)
    size = len(payload)
    if size < _SHORT:
        return bytes((first, size)) + payload
    if size < _MEDIUM:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """Make a close frame; 1005 stands for one that names no code."""
    return frame(b"" if code == NO_CODE else struct.pack("!H", code) + reason.encode(), CLOSE)


def reset(transport: Transport) -> None:
    """End a connection by RST: the peer sees `connection reset`, not an orderly end."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
