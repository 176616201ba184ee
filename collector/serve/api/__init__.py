"""Give out what is collected and what is stored: JSON documents, a websocket, server-sent events."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.serve.api.asked import refusal_of
    from collector.serve.api.live_source import LiveSource
    from collector.serve.api.routers import api_routers
    from collector.serve.api.stored_source import StoredSource
else:
    __getattr__, __dir__ = face(__name__, __file__)
