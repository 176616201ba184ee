"""Classify failures of the libraries and the network by the table in `failure_table.py`.

The caller counts the suspicious failures of a stream or connection in a row (any success resets the
count) and asks `Failure.refuses(count)` how soon to try again.
"""

import math
import re
import socket
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
import ccxt

from collector.errors import FrameError, StreamError
from collector.network.failure_table import (
    BY_CLASS,
    BY_HUNDRED,
    CLOSE,
    DNS,
    ERRNO,
    HTTP,
    HTTP_OF,
    INTERNAL,
    NAMELESS,
    NO_CODE,
    NO_SUCH_HOST,
    OF_ACCESS,
    FailureClass,
    FailureEntry,
)

MOST_SUSPICIOUS_TRIES: Final = 30  # some ten minutes at a backoff of at most 60 s with full jitter
LONGEST_RETRY_AFTER_S: Final = 3 * 24 * 3600.0  # Binance's longest ban
MOST_DETAIL: Final = 300


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure, classified."""

    kind: FailureClass
    cause: str  # a short word out of a bounded set, to count by and to store in coverage
    retry_after_s: float | None = None
    detail: str = ""
    suspicious: bool = False  # looks as if it would pass, and often does not

    def __str__(self) -> str:
        """Return the cause and its detail."""
        return f"{self.cause}: {self.detail}" if self.detail else self.cause

    @property
    def is_of_access(self) -> bool:
        """Return whether we are refused, or cannot get there, whatever was asked for."""
        return self.kind is FailureClass.PERMANENT and self.cause in OF_ACCESS

    def refuses(self, suspicious_in_a_row: int) -> bool:
        """Return whether this is a refusal, after so many suspicious failures in a row, this one included.

        It may end all the same: a ban is lifted, a key renewed, an address repaired.
        """
        if self.kind is FailureClass.PERMANENT:
            return True
        return self.suspicious and suspicious_in_a_row >= MOST_SUSPICIOUS_TRIES


LEAST_REFUSAL = 400  # of HTTP statuses; some exchanges refuse with 200, and words

# What ccxt keeps of a cause only in words. Matched at the start, where no exchange's text can stand.
_REST_STATUS = re.compile(r"\w+ (?:[A-Z]+ \S+ )?(\d{3})(?= )")  # "<id> GET <url> 403 ...", "binance 418 ..."
_CLOSING_CODE = re.compile(r"Connection closed by remote server, closing code (\d{1,5})")
_SOCKET_ERROR = re.compile(
    r"WSMessage\w*\((?:type=<WSMsgType\.ERROR: \d+>, )?data=WebSocketError\(<WSCloseCode\.\w+: (\d{4})>"
)

_USER_INFO = re.compile(r"//[^/\s@]*@")
_QUERY = re.compile(r"\?[^\s'\"]*")
_SECRET = re.compile(
    r"(?i)\b(\w*(?:key|secret|token|signature|password|passphrase|authorization))\b(['\"]?\s*[=:]\s*).*"
)


def classify(
    error: BaseException, exchange: str | None = None, headers: Mapping[str, str] | None = None
) -> Failure:
    """Classify an error; `headers` are those of the REST answer, which ccxt keeps apart from the error."""
    chain = list(_chain(error))
    entries = [entry for each in chain if (entry := _entry(each, exchange)) is not None]
    found = min(entries, key=lambda entry: entry.vague, default=INTERNAL)
    waits = (_retry_after_s(each) for each in (headers, *(getattr(one, "headers", None) for one in chain)))
    retry_after_s = next((wait_s for wait_s in waits if wait_s is not None), found.retry_after_s)
    is_final = isinstance(error, StreamError) and error.permanent
    return Failure(
        FailureClass.PERMANENT if is_final else found.kind,
        found.cause,
        retry_after_s,
        _clean(f"{type(error).__name__}: {str(error).strip()}"),
        found.suspicious,
    )


def classify_close(code: int | None) -> Failure:
    """Classify the close of a websocket by its code; None when there was none."""
    found = _close_entry(code or NO_CODE)
    ending = "without a code" if not code else f"with code {code}"
    return Failure(found.kind, found.cause, None, f"closed {ending}", found.suspicious)


def mistaken(detail: str) -> Failure:
    """Return the failure for a fault of ours, or of a library."""
    return Failure(INTERNAL.kind, INTERNAL.cause, None, detail)


def unreadable(error: Exception) -> ccxt.BadResponse:
    """Return the error for an answer that ccxt's parser stumbled over: a key missing, another type."""
    bad = ccxt.BadResponse(f"an answer of another form than expected: {error!r}{_place(error)}")
    bad.__cause__ = error
    return bad


def mistake_in_words(error: BaseException) -> str:
    """Describe an error that nobody expected: what it is, and where it was raised."""
    return f"{error!r}{_place(error)}"


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    last = frames[-1]
    return f" in {last.name} ({last.filename.rpartition('/')[2]}:{last.lineno})"


def gone(cause: str, detail: str) -> Failure:
    """Return the failure for what we noticed ourselves of a connection: a new one may be better."""
    return Failure(FailureClass.TRANSIENT, cause, None, detail)


def _entry(error: BaseException, exchange: str | None) -> FailureEntry | None:
    """Return the line of one error by itself, whatever lies beneath it."""
    if isinstance(error, FrameError):
        return FailureEntry(FailureClass.RESYNC, error.reason)
    if isinstance(error, socket.gaierror | aiohttp.ClientConnectorDNSError):
        return NO_SUCH_HOST if error.errno in NAMELESS else DNS
    named = next((BY_CLASS[base] for base in type(error).__mro__ if base in BY_CLASS), None)
    if named is not None and not named.vague:
        return named
    return _numbered(error, exchange, named) or named


def _numbered(error: BaseException, exchange: str | None, named: FailureEntry | None) -> FailureEntry | None:
    """Return the line of the status, close code or error number that an error brings."""
    status, code = _status(error), _close_code(error)
    if status is not None:
        entry = _http_entry(status, exchange)
        is_limit = (
            named is not None and named.kind is FailureClass.RATE_LIMIT
        )  # ccxt knows it of that exchange
        return entry._replace(kind=FailureClass.RATE_LIMIT) if is_limit else entry
    if code is not None:
        return _close_entry(code)
    number = error.errno if isinstance(error, OSError) else None
    return None if number is None else ERRNO.get(number)


def _http_entry(status: int, exchange: str | None) -> FailureEntry:
    if exchange is not None and (exchange, status) in HTTP_OF:
        return HTTP_OF[exchange, status]
    known = HTTP.get(status) or BY_HUNDRED.get(status // 100)
    if known is None:
        return FailureEntry(FailureClass.TRANSIENT, "http_other", suspicious=True)
    return FailureEntry(known[0], f"http_{status}", suspicious=known[1])


def _close_entry(code: int) -> FailureEntry:
    if code in CLOSE:
        kind, suspicious = CLOSE[code]
        return FailureEntry(kind, f"close_{code}", suspicious)
    # The peer may choose any of thousands: counted together, told apart in the detail.
    for first, last, cause in ((3000, 3999, "close_3xxx"), (4000, 4999, "close_4xxx")):
        if first <= code <= last:
            return FailureEntry(FailureClass.TRANSIENT, cause, suspicious=True)
    return FailureEntry(FailureClass.TRANSIENT, "close_other", suspicious=True)


def _status(error: BaseException) -> int | None:
    """Return the HTTP status of an error: aiohttp's, that of requests, ours, or the one in ccxt's words."""
    if isinstance(error, aiohttp.ClientResponseError):
        return error.status
    told = getattr(getattr(error, "response", None), "status_code", None), getattr(error, "http_status", None)
    for status in told:
        if isinstance(status, int) and status >= LEAST_REFUSAL:
            return status
    found = _REST_STATUS.match(str(error)) if isinstance(error, ccxt.BaseError) else None
    return int(found[1]) if found else None


def _close_code(error: BaseException) -> int | None:
    if isinstance(error, aiohttp.WebSocketError):
        return error.code
    if not isinstance(error, ccxt.NetworkError):
        return None
    text = str(error)
    found = _CLOSING_CODE.match(text) or _SOCKET_ERROR.match(text)
    return (int(found[1]) or NO_CODE) if found else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all errors beneath it: ccxt wraps by `from`, by argument, or not at all."""
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        beneath = [argument for argument in each.args if isinstance(argument, BaseException)]
        if each.__cause__ is not None:
            beneath.append(each.__cause__)
        elif each.__context__ is not None and not each.__suppress_context__:
            beneath.append(each.__context__)
        if isinstance(each, BaseExceptionGroup):
            beneath.extend(each.exceptions)
        waiting.extend(beneath)


def _retry_after_s(headers: object) -> float | None:
    """Return Retry-After in seconds, as the exchanges send it; a date or nonsense counts as none."""
    if not isinstance(headers, Mapping):
        return None
    for name, value in headers.items():
        if str(name).lower() == "retry-after":
            try:
                wait_s = float(value)
            except (TypeError, ValueError):
                return None
            return min(wait_s, LONGEST_RETRY_AFTER_S) if math.isfinite(wait_s) and wait_s >= 0 else None
    return None


def _clean(text: str) -> str:
    """Return the first line, short, printable and without what may be a secret."""
    line = text.splitlines()[0][: 10 * MOST_DETAIL]
    line = _QUERY.sub("", _USER_INFO.sub("//", line))
    line = _SECRET.sub(r"\1\2***", line)
    return "".join(char if char.isprintable() else "?" for char in line)[:MOST_DETAIL]
