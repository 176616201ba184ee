"""Build the HTTP server of a collector from the settings."""

from typing import TYPE_CHECKING

from collector.app import Collector
from collector.serve.access import Access
from collector.serve.limits import HttpLimits
from collector.serve.server import Server
from collector.serve.shown import Shown, ShownCollector
from collector.settings import ServeSettings

if TYPE_CHECKING:
    from collector.serve.gate import Asgi


def server_of(settings: ServeSettings, collector: Collector, *, by_default: bool) -> Server | None:
    """Return the server of a collector, not started; None where none is wanted.

    `by_default`: whether there is one where the settings do not say.
    """
    if not (by_default if settings.enabled is None else settings.enabled):
        return None
    shown = ShownCollector(collector)
    token = None if settings.token is None else settings.token.get_secret_value()
    access = Access(settings.host, settings.hosts, token)

    def make(limits: HttpLimits) -> "Asgi":
        return _application(shown, access, limits)

    return Server(make, settings.host, settings.port)


def _application(shown: Shown, access: Access, limits: HttpLimits) -> "Asgi":
    """Make the application in the server's thread, which pays for what it imports."""
    from collector.serve.application import make_application  # noqa: PLC0415
    from collector.serve.health_routes import health_routes  # noqa: PLC0415

    return make_application(access, limits, [health_routes(shown)])
