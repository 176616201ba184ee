"""Define how much of the server one client, or all together, may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What a request may take. Not configurable: nothing that is served needs more."""

    connections: int = 600  # open at once
    request_s: float = 10.0  # from its first byte to its last; a new connection must send one
    idle_s: float = 5.0  # between two requests on one connection
    stalled_s: float = 10.0  # of an answer that the client does not read
    header_bytes: int = 16_384
    body_bytes: int = 65_536
    ping_s: float = 20.0  # between two pings of a websocket, and for the answer
    websocket_bytes: int = 8_192  # of a message that a client sends
    stop_s: float = 1.0  # for answers under way when the server is stopped
