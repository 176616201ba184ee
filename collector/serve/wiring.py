"""Build the HTTP server of a collector, or of a database, from the settings."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from collector.app import Collector
from collector.serve.access import Access
from collector.serve.limits import HttpLimits
from collector.serve.server import Server
from collector.serve.shown import ShownCollector
from collector.settings import ServeSettings

if TYPE_CHECKING:
    from fastapi import APIRouter

    from collector.serve.gate import Asgi


def server_of(settings: ServeSettings, collector: Collector, *, by_default: bool) -> Server | None:
    """Return the server of a collector, not started; None where none is wanted.

    `by_default`: whether there is one where the settings do not say.
    """
    if not (by_default if settings.enabled is None else settings.enabled):
        return None
    from collector.serve.recent_events import RecentEvents  # noqa: PLC0415  (only where it is served)

    access, recent = _access(settings), RecentEvents(collector.events)

    def routers() -> "list[APIRouter]":
        from collector.query import ShortReads  # noqa: PLC0415
        from collector.serve.api import LiveSource, api_routers  # noqa: PLC0415
        from collector.serve.health_routes import health_routes  # noqa: PLC0415

        reads = ShortReads(collector.database_url, collector.table_name)
        source = LiveSource(collector, reads, recent)
        return [health_routes(ShownCollector(collector)), *api_routers(source, access, collector.events)]

    return _server(settings, access, routers, recent.close)


def server_of_database(settings: ServeSettings, database: str, table_name: str) -> Server:
    """Return the server of a database that nobody writes now, not started."""
    access = _access(settings)

    def routers() -> "list[APIRouter]":
        from collector.serve.api import StoredSource, api_routers  # noqa: PLC0415

        return api_routers(StoredSource(database, table_name), access)

    return _server(settings, access, routers)


def _access(settings: ServeSettings) -> Access:
    token = None if settings.token is None else settings.token.get_secret_value()
    return Access(settings.host, settings.hosts, token)


def _server(
    settings: ServeSettings,
    access: Access,
    routers: "Callable[[], list[APIRouter]]",
    on_close: Callable[[], None] = lambda: None,
) -> Server:
    """Return a server whose application is made in its own thread, which pays for what it imports."""

    def make(limits: HttpLimits) -> "Asgi":
        from collector.serve.application import make_application  # noqa: PLC0415
        from collector.serve.page import page_router, session_router  # noqa: PLC0415

        return make_application(access, limits, [page_router(), session_router(access), *routers()])

    return Server(make, settings.host, settings.port, on_close=on_close)
