"""Decide who may ask: by the name the server is called by, by the origin of a page, by a token. Pure."""

import hmac
import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
# For whoever watches over the process from outside, who knows neither a name nor a token: a word is told.
OPEN_PATHS = frozenset({"/live", "/ready"})
# The page that asks for the token, and where it hands it in: nothing of the data is there.
PAGE_PATH, PAGE_FILES, SESSION_PATH = "/", "/page/", "/api/session"
COOKIE = "collector_session"
_COOKIE_FOR = b"a cookie of the collector's dashboard"
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]{2,45}\]|[a-z0-9.-]{1,253})(?::\d{1,5})?", re.ASCII)

Header = tuple[bytes, bytes]


class Refusal(NamedTuple):
    """Why a request is refused, and what was expected."""

    status: int
    reason: str
    expected: str


class Access:
    """The rules for one server."""

    def __init__(self, host: str, names: Sequence[str] = (), token: str | None = None) -> None:
        self.is_local = is_loopback(host)
        self.names = LOOPBACK_NAMES | {one.lower() for one in names} | _own_name(host)
        self._digest = None if token is None else sha256(token.encode()).digest()
        # The cookie is made from the token, so that it outlives the server, and does not tell the token.
        made_from = None if token is None else hmac.new(token.encode(), _COOKIE_FOR, sha256)
        self.cookie = None if made_from is None else made_from.hexdigest()

    @property
    def has_token(self) -> bool:
        """Return whether there is a token that a request could bring."""
        return self._digest is not None

    def knows_host(self, headers: Iterable[Header]) -> bool:
        """Return whether the request calls the server by a name that it has.

        A page of another site that was led here by its own name (DNS rebinding) does not. Where others may
        reach the server, by its address is as well: no name leads to that, and a token is wanted anyway.
        """
        hosts = values(headers, b"host")
        match = _HOST.fullmatch(hosts[0].lower()) if len(hosts) == 1 else None
        if match is None:
            return False
        return match["name"] in self.names or (not self.is_local and _is_address(match["name"]))

    def brings_token(self, headers: Iterable[Header]) -> bool:
        """Return whether the request brings the token, compared in constant time."""
        found = values(headers, b"authorization")
        if self._digest is None or len(found) != 1:
            return False
        scheme, _, token = found[0].partition(" ")
        return scheme.lower() == "bearer" and self.is_token(token.strip())

    def is_token(self, text: str) -> bool:
        """Return whether this is the token, compared in constant time."""
        return self._digest is not None and hmac.compare_digest(sha256(text.encode()).digest(), self._digest)

    def brings_cookie(self, headers: Iterable[Header]) -> bool:
        """Return whether the request brings the cookie that the token was exchanged for."""
        if self.cookie is None:
            return False
        pairs = [one.partition("=") for line in values(headers, b"cookie") for one in line.split(";")]
        found = [value.strip() for name, _, value in pairs if name.strip() == COOKIE]
        return any(hmac.compare_digest(value.encode(), self.cookie.encode()) for value in found)

    def is_trusted(self, headers: Sequence[Header]) -> bool:
        """Return whether the request may read everything."""
        return self.knows_host(headers) and self._may_read(headers)

    def _may_read(self, headers: Sequence[Header]) -> bool:
        return self.is_local or self.brings_token(headers) or self.brings_cookie(headers)

    def refusal(self, path: str, headers: Sequence[Header]) -> Refusal | None:
        """Return why a request is refused; None if it is not."""
        if path in OPEN_PATHS:
            return None
        if not self.knows_host(headers):
            return Refusal(
                421, "called by a name that this server does not have", "a name of serve.hosts, or localhost"
            )
        is_page = path in (PAGE_PATH, SESSION_PATH) or path.startswith(PAGE_FILES)
        if not is_page and not self._may_read(headers):
            return Refusal(401, "no token, or another one", "the header Authorization: Bearer <token>")
        return None

    def is_same_origin(self, headers: Sequence[Header]) -> bool:
        """Return whether a page that asks comes from this very server; who is no page says no origin."""
        origins, hosts = values(headers, b"origin"), values(headers, b"host")
        if not origins:
            return True
        return len(origins) == len(hosts) == 1 and _origin_host(origins[0]) == hosts[0].lower()


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def values(headers: Iterable[Header], name: bytes) -> list[str]:
    """Return the values of a header."""
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]


def _own_name(host: str) -> set[str]:
    """Return the address listened on as it stands in a Host header; nothing for one that means all."""
    if _is_address(host) and ip_address(host).is_unspecified:
        return set()
    return {f"[{host.lower()}]" if ":" in host else host.lower()}


def _is_address(text: str) -> bool:
    try:
        ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def _origin_host(origin: str) -> str | None:
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        return None
    return parts.netloc if parts.scheme in ("http", "https") and not parts.path else None
