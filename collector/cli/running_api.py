"""Ask a running collector by its HTTP server, at the address that the configuration gives it."""

import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from collector.errors import CollectorError, UserError

if TYPE_CHECKING:
    from collector.settings import Settings

TIMEOUT_S = 5.0
REFUSED = 400
EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (asked, not bound)


@dataclass(frozen=True, slots=True)
class RunningApi:
    """The server of a collector that may run."""

    host: str
    port: int
    token: str | None

    @property
    def address(self) -> str:
        """Return where it is."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def get(self, path: str) -> Any:
        """Return the document at a path; None where nobody answers. Raises UserError for a refusal."""
        return self._ask("GET", path)

    def post(self, path: str) -> Any:
        """Ask for a change and return what is answered; None where nobody does. Raises UserError."""
        return self._ask("POST", path)

    def _ask(self, method: str, path: str) -> Any:
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        try:
            document = json.loads(body)
        except ValueError:
            return None  # another server than ours
        if answer.status >= REFUSED:
            told = document if isinstance(document, dict) else {}
            reason, expected = told.get("reason", f"it answers {answer.status}"), told.get("expected", "")
            raise UserError(f"{reason}{f'; expected {expected}' if expected else ''}")
        return document


def running_api(settings: "Settings") -> RunningApi | None:
    """Return the server that a collector of these settings has; None where that is not known."""
    serve = settings.serve
    if serve.enabled is False or serve.port == 0:
        return None
    token = None if serve.token is None else serve.token.get_secret_value()
    return RunningApi(EVERY_ADDRESS.get(serve.host, serve.host), serve.port, token)


def jobs_of_running(settings: "Settings") -> list[dict[str, Any]] | None:
    """Return the jobs of the collector that runs on the configured database; None where none answers."""
    api = running_api(settings)
    try:
        document = None if api is None else api.get("/api/jobs")
    except UserError:
        return None  # the server of something else, or one that wants another token
    if not isinstance(document, dict) or not _writes(document.get("session_id"), settings):
        return None
    return [one for one in document.get("jobs", []) if isinstance(one, dict)]


def _writes(session_id: object, settings: "Settings") -> bool:
    """Return whether a session is one of the configured database."""
    from collector.query import sessions  # noqa: PLC0415

    if session_id is None:
        return False
    try:
        found = sessions(settings.database.url, table_name=settings.database.table_name)
    except CollectorError:
        return False
    return any(one["session_id"] == session_id for one in found)
