"""Push what happens to clients, over a websocket or as server-sent events; a slow one delays nobody."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.serve.api.push.hub import Hub
    from collector.serve.api.push.stream_route import stream_routes
    from collector.serve.api.push.websocket_route import websocket_routes
else:
    __getattr__, __dir__ = face(__name__, __file__)
