"""Build from the settings what shows a collector: its HTTP server, that of a database, and CloudWatch."""

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from collector.app import Collector, Reporter
from collector.serve.access import Access
from collector.serve.limits import HttpLimits
from collector.serve.server import Server
from collector.serve.shown import ShownCollector
from collector.settings import ServeSettings, Settings

if TYPE_CHECKING:
    from fastapi import APIRouter

    from collector.serve.gate import Asgi


def server_of(settings: Settings, collector: Collector, *, by_default: bool) -> Server | None:
    """Return the server of a collector, not started; None where none is wanted.

    `by_default`: whether there is one where the settings do not say.
    """
    serve = settings.serve
    if not (by_default if serve.enabled is None else serve.enabled):
        return None
    from collector.serve.recent_events import RecentEvents  # noqa: PLC0415  (only where it is served)

    access, recent = _access(serve), RecentEvents(collector.events)
    shown = ShownCollector(collector, settings.secrets())

    def routers() -> "list[APIRouter]":
        from collector.query import ShortReads  # noqa: PLC0415
        from collector.serve.api import LiveSource, api_routers  # noqa: PLC0415
        from collector.serve.health_routes import health_routes  # noqa: PLC0415
        from collector.serve.metric_routes import metric_routes  # noqa: PLC0415

        reads = ShortReads(collector.database_url, collector.table_name)
        source = LiveSource(collector, shown, reads, recent)
        of_api = api_routers(source, access, collector.events)
        return [health_routes(shown), metric_routes(shown), *of_api]

    return _server(serve, access, routers, recent.close)


def server_of_database(settings: Settings, database: str, table_name: str) -> Server:
    """Return the server of a database that nobody writes now, not started."""
    access = _access(settings.serve)

    def routers() -> "list[APIRouter]":
        from collector.serve.api import StoredSource, api_routers  # noqa: PLC0415

        return api_routers(StoredSource(database, table_name), access)

    return _server(settings.serve, access, routers)


def report_metrics(settings: Settings, collector: Collector) -> None:
    """Let a collector send its metrics to CloudWatch while it runs, if that is wanted.

    Raises UserError for what prevents it, MissingExtra where the extra for it is not installed.
    """
    wanted = settings.metrics.cloudwatch
    if wanted.mode is None:
        return
    from collector.serve.cloudwatch import Changes, MetricsByCalls, MetricsInLog, dimensions_of  # noqa: PLC0415

    dimensions = dimensions_of(wanted.dimensions, socket.gethostname())
    changes = Changes(dimensions, wanted.only, settings.secrets())
    if wanted.mode == "log":
        in_log = MetricsInLog(wanted.namespace, changes)
        collector.reporters.add(Reporter("cloudwatch log", wanted.every_s, in_log))
        return
    by_calls = MetricsByCalls(wanted.namespace, changes, wanted.region)
    collector.reporters.add(
        Reporter("cloudwatch", wanted.every_s, by_calls, by_calls.close, lambda: by_calls.refused)
    )


def _access(serve: ServeSettings) -> Access:
    return Access(serve.host, serve.hosts, None if serve.token is None else serve.token.get_secret_value())


def _server(
    serve: ServeSettings,
    access: Access,
    routers: "Callable[[], list[APIRouter]]",
    on_close: Callable[[], None] = lambda: None,
) -> Server:
    """Return a server whose application is made in its own thread, which pays for what it imports."""

    def make(limits: HttpLimits) -> "Asgi":
        from collector.serve.application import make_application  # noqa: PLC0415
        from collector.serve.page import page_router, session_router  # noqa: PLC0415

        return make_application(access, limits, [page_router(), session_router(access), *routers()])

    return Server(make, serve.host, serve.port, on_close=on_close)
