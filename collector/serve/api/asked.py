"""Read what a client asks for, and refuse what cannot be answered: with a reason, and what was expected."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Literal, Protocol

from fastapi import HTTPException, Path, Query
from starlette.requests import Request

from collector.errors import CollectorError, DatabaseAway, ReadTooLong, UserError
from collector.exchanges import MarketKind
from collector.query import MOST_ROWS
from collector.serve.api.names import NoSuchMarket

FIRST_NS, LAST_NS = 946_684_800_000_000_000, 7_258_118_400_000_000_000  # the years 2000 to 2200
_DIGITS_OF_NS = 18
EXPECTED_INSTANT = "nanoseconds since 1970, or a time like 2026-01-31T12:00Z, of the years 2000 to 2199"

Symbol = Annotated[
    str,
    Path(
        min_length=1,
        max_length=100,
        description="A market: `BTCUSDT`, `BYBIT:BTCUSDT`, or ccxt's name percent-encoded.",
        examples=["BTCUSDT"],
    ),
]
Exchange = Annotated[str | None, Query(max_length=40, description="Of this exchange only.")]
Kind = Annotated[
    MarketKind | None,
    Query(description="Of this kind of market only."),
]
Start = Annotated[str | None, Query(max_length=40, description=f"From here on: {EXPECTED_INSTANT}.")]
End = Annotated[str | None, Query(max_length=40, description="Up to here, and not the instant itself.")]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS, description="So many at most.")]
CursorText = Annotated[str | None, Query(max_length=300, description="The `next` of the page before.")]
Order = Annotated[
    Literal["oldest", "newest"] | None,
    Query(description="Which comes first; by default the oldest where `start` is given, else the newest."),
]


class Tokens(Protocol):
    """Knows the token of this server."""

    @property
    def has_token(self) -> bool:
        """Return whether there is one."""

    def brings_token(self, headers: list[tuple[bytes, bytes]]) -> bool:
        """Return whether a request brings it in its header; a cookie is not enough."""


def refused(status: HTTPStatus, reason: str, expected: str) -> HTTPException:
    """Return a refusal in the form that every one has."""
    return HTTPException(int(status), {"reason": reason, "expected": expected})


def check_token(request: Request, tokens: Tokens) -> None:
    """Raise the refusal of a request without the token; it is wanted on loopback as well."""
    if not tokens.has_token:
        reason = "nothing can be changed by HTTP: no token is configured"
        raise refused(HTTPStatus.FORBIDDEN, reason, "COLLECTOR_SERVE__TOKEN in the collector's environment")
    if not tokens.brings_token(request.headers.raw):
        reason = "no token, or another one"
        raise refused(HTTPStatus.UNAUTHORIZED, reason, "the header Authorization: Bearer <token>")


def refusal_of(error: CollectorError) -> HTTPException:
    """Return the refusal that an error of ours is."""
    reason, _, expected = str(error).partition("; expected ")
    if isinstance(error, NoSuchMarket):
        return refused(HTTPStatus.NOT_FOUND, reason, expected)
    if isinstance(error, ReadTooLong):
        return refused(HTTPStatus.SERVICE_UNAVAILABLE, reason, expected)
    if isinstance(error, DatabaseAway) or not isinstance(error, UserError):
        return refused(HTTPStatus.SERVICE_UNAVAILABLE, reason, expected or "the same question, later")
    return refused(HTTPStatus.BAD_REQUEST, reason, expected)


def instant_ns(name: str, text: str | None) -> int | None:
    """Return an instant in ns since 1970; None where none is given."""
    if text is None:
        return None
    at_ns = _instant_ns(text.strip())
    if at_ns is None or not FIRST_NS <= at_ns < LAST_NS:
        raise refused(HTTPStatus.BAD_REQUEST, f"{name} is no instant", EXPECTED_INSTANT)
    return at_ns


def span_ns(start: str | None, end: str | None) -> tuple[int | None, int | None]:
    """Return both ends of a span."""
    start_ns, end_ns = instant_ns("start", start), instant_ns("end", end)
    if start_ns is not None and end_ns is not None and end_ns < start_ns:
        raise refused(HTTPStatus.BAD_REQUEST, "end is before start", "an end after the start")
    return start_ns, end_ns


def _instant_ns(text: str) -> int | None:
    if text.isascii() and text.isdecimal():
        return int(text) if len(text) >= _DIGITS_OF_NS else None
    try:
        # In a query a plus is read as a space.
        moment = datetime.fromisoformat(text[:11] + text[11:].replace(" ", "+"))
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    whole_s = int(moment.replace(microsecond=0).timestamp())
    return whole_s * 1_000_000_000 + moment.microsecond * 1000
