"""Class what goes wrong beneath us: one table for ccxt's errors, HTTP statuses, close codes and the system's.

What each class asks of the caller:

transient   try again with backoff
rate_limit  try again after `retry_after_s` or, where none is given, a long pause; ask for less
resync      the connection is good, the book is not: fetch that one again
permanent   asking again cannot help: stop that stream alone, and say so

Some answers look transient and seldom are: a geo block is a 403 or a 451, which ccxt calls "not available".
They are `suspicious`. The caller counts the suspicious failures of a stream or connection in a row (any
success sets the count back) and asks `Failure.stops(count)` before it tries again.
"""

import asyncio
import errno
import math
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

import aiohttp
import ccxt

from collector.errors import FrameError, StreamError

MOST_SUSPICIOUS_TRIES: Final = 30  # some ten minutes at a backoff of at most 60 s with full jitter
LONGEST_RETRY_AFTER_S: Final = 3 * 24 * 3600.0  # Binance's longest ban
MOST_DETAIL: Final = 300


class Class(StrEnum):
    """What a failure asks of the caller."""

    TRANSIENT = "transient"
    RATE_LIMIT = "rate_limit"
    RESYNC = "resync"
    PERMANENT = "permanent"


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that went wrong, classed."""

    kind: Class
    cause: str  # a short word out of a bounded set, to count by and to store in coverage
    retry_after_s: float | None = None
    detail: str = ""
    suspicious: bool = False  # looks as if it would pass, and often does not

    def stops(self, suspicious_in_a_row: int) -> bool:
        """Say whether trying again is over, after so many suspicious failures in a row, this one included."""
        if self.kind is Class.PERMANENT:
            return True
        return self.suspicious and suspicious_in_a_row >= MOST_SUSPICIOUS_TRIES


class Entry(NamedTuple):
    """One line of the table. Of an error and all that lies beneath it, the least vague is believed."""

    kind: Class
    cause: str
    suspicious: bool = False
    vague: int = 0  # 1: the status or the cause beneath says more; 2: any other word does; 3: ours, around it
    retry_after_s: float | None = None  # where the exchange documents a time and the answer has none


_TRANSIENT, _RATE_LIMIT, _RESYNC, _PERMANENT = (
    Class.TRANSIENT,
    Class.RATE_LIMIT,
    Class.RESYNC,
    Class.PERMANENT,
)

# Every class of ccxt's tree stands here or in INHERITS. One that a later ccxt adds is classed like its
# nearest ancestor until it is given its own line; a test tells that one is missing.
CCXT: Final[Mapping[type[BaseException], Entry]] = MappingProxyType(
    {
        ccxt.BaseError: Entry(_TRANSIENT, "exchange_error", suspicious=True, vague=2),
        ccxt.ExchangeError: Entry(_TRANSIENT, "exchange_error", suspicious=True, vague=2),
        ccxt.AuthenticationError: Entry(_PERMANENT, "authentication", vague=1),
        ccxt.PermissionDenied: Entry(_PERMANENT, "permission_denied"),
        ccxt.AccountNotEnabled: Entry(_PERMANENT, "permission_denied"),
        ccxt.AccountSuspended: Entry(_PERMANENT, "account_suspended"),
        ccxt.ArgumentsRequired: Entry(_PERMANENT, "bad_request"),
        ccxt.BadRequest: Entry(_PERMANENT, "bad_request"),
        ccxt.BadSymbol: Entry(_PERMANENT, "bad_symbol"),
        ccxt.OperationRejected: Entry(_TRANSIENT, "rejected", suspicious=True),
        ccxt.MarketClosed: Entry(_TRANSIENT, "market_closed"),  # it opens again
        ccxt.ManualInteractionNeeded: Entry(_PERMANENT, "manual_interaction"),
        ccxt.RestrictedLocation: Entry(_PERMANENT, "geo_blocked"),
        ccxt.InsufficientFunds: Entry(_PERMANENT, "not_market_data"),  # we neither order nor pay
        ccxt.InvalidAddress: Entry(_PERMANENT, "not_market_data"),
        ccxt.InvalidOrder: Entry(_PERMANENT, "not_market_data"),
        # Said of contracts that are gone, and of those not listed yet.
        ccxt.ContractUnavailable: Entry(_TRANSIENT, "contract_unavailable", suspicious=True),
        ccxt.NotSupported: Entry(_PERMANENT, "not_supported"),
        ccxt.InvalidProxySettings: Entry(_PERMANENT, "proxy_settings"),
        ccxt.ExchangeClosedByUser: Entry(_PERMANENT, "closed_by_us"),
        ccxt.OperationFailed: Entry(_TRANSIENT, "operation_failed", vague=2),
        ccxt.NetworkError: Entry(_TRANSIENT, "network", vague=2),
        ccxt.DDoSProtection: Entry(_RATE_LIMIT, "rate_limit", vague=1),
        ccxt.RateLimitExceeded: Entry(_RATE_LIMIT, "rate_limit", vague=1),
        ccxt.ExchangeNotAvailable: Entry(_TRANSIENT, "unavailable", vague=1),
        ccxt.OnMaintenance: Entry(_TRANSIENT, "maintenance"),
        ccxt.InvalidNonce: Entry(_RESYNC, "invalid_nonce"),  # of public data: a book's number out of order
        ccxt.ChecksumError: Entry(_RESYNC, "checksum"),
        ccxt.RequestTimeout: Entry(_TRANSIENT, "timeout", vague=1),
        ccxt.BadResponse: Entry(_TRANSIENT, "bad_response", vague=1),
        ccxt.NullResponse: Entry(_TRANSIENT, "bad_response"),
        ccxt.CancelPending: Entry(_TRANSIENT, "operation_failed"),
        ccxt.UnsubscribeError: Entry(_PERMANENT, "unsubscribed"),  # told to watchers when we unsubscribe
    }
)
# Classed like their nearest ancestor: to one who neither orders nor pays they say no more.
INHERITS: Final[frozenset[type[BaseException]]] = frozenset(
    {
        ccxt.NoChange,
        ccxt.MarginModeAlreadySet,
        ccxt.AddressPending,
        ccxt.OrderNotFound,
        ccxt.OrderNotCached,
        ccxt.OrderImmediatelyFillable,
        ccxt.OrderNotFillable,
        ccxt.DuplicateOrderId,
    }
)

# What the system, aiohttp and our own code raise; descendants are classed like their nearest ancestor.
OTHERS: Final[Mapping[type[BaseException], Entry]] = MappingProxyType(
    {
        ConnectionRefusedError: Entry(_TRANSIENT, "refused"),
        ConnectionResetError: Entry(_TRANSIENT, "reset"),
        ConnectionAbortedError: Entry(_TRANSIENT, "reset"),
        BrokenPipeError: Entry(_TRANSIENT, "reset"),
        ConnectionError: Entry(_TRANSIENT, "network", vague=2),
        socket.gaierror: Entry(_TRANSIENT, "dns"),
        socket.herror: Entry(_TRANSIENT, "dns"),
        TimeoutError: Entry(_TRANSIENT, "timeout"),
        # Not permanent: certificates are renewed and clocks set right without us, and unlike a geo block a
        # dial a minute until then harms nobody. That nothing comes in is told by the attempts counted.
        ssl.SSLCertVerificationError: Entry(_TRANSIENT, "tls_certificate"),
        ssl.SSLError: Entry(_TRANSIENT, "tls"),
        OSError: Entry(_TRANSIENT, "os_error", vague=2),
        EOFError: Entry(_TRANSIENT, "disconnected"),
        StreamError: Entry(_TRANSIENT, "stream_error", vague=3),
        asyncio.CancelledError: Entry(_PERMANENT, "cancelled"),  # the end was asked for
        aiohttp.ClientError: Entry(_TRANSIENT, "network", vague=2),
        aiohttp.ClientConnectionError: Entry(_TRANSIENT, "network", vague=2),
        aiohttp.ClientConnectionResetError: Entry(_TRANSIENT, "reset"),
        aiohttp.ClientConnectorError: Entry(_TRANSIENT, "unreachable", vague=1),
        aiohttp.ClientConnectorDNSError: Entry(_TRANSIENT, "dns"),
        aiohttp.ClientProxyConnectionError: Entry(_TRANSIENT, "proxy"),
        aiohttp.ClientSSLError: Entry(_TRANSIENT, "tls", vague=1),
        aiohttp.ClientConnectorCertificateError: Entry(_TRANSIENT, "tls_certificate"),
        aiohttp.ServerDisconnectedError: Entry(_TRANSIENT, "disconnected"),
        aiohttp.ServerTimeoutError: Entry(_TRANSIENT, "timeout"),
        aiohttp.ServerFingerprintMismatch: Entry(_TRANSIENT, "tls_certificate"),
        aiohttp.ClientPayloadError: Entry(_TRANSIENT, "truncated"),
        aiohttp.InvalidURL: Entry(_PERMANENT, "bad_url"),
        aiohttp.RedirectClientError: Entry(_PERMANENT, "bad_url"),
        aiohttp.NonHttpUrlClientError: Entry(_PERMANENT, "bad_url"),
    }
)
_BY_CLASS = {**OTHERS, **CCXT}
_INTERNAL = Entry(_TRANSIENT, "internal_error")  # a mistake of ours: the next frame may not meet it

ERRNO: Final[Mapping[int, Entry]] = MappingProxyType(
    {
        **dict.fromkeys(
            (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN),
            Entry(_TRANSIENT, "unreachable"),
        ),
        **dict.fromkeys((errno.EMFILE, errno.ENFILE), Entry(_TRANSIENT, "no_files")),
        **dict.fromkeys((errno.ENOBUFS, errno.ENOMEM), Entry(_TRANSIENT, "no_memory")),
        errno.ECONNREFUSED: Entry(_TRANSIENT, "refused"),
        **dict.fromkeys((errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE), Entry(_TRANSIENT, "reset")),
        errno.ETIMEDOUT: Entry(_TRANSIENT, "timeout"),
        errno.EADDRNOTAVAIL: Entry(_TRANSIENT, "no_ports"),
        **dict.fromkeys((errno.EACCES, errno.EPERM), Entry(_TRANSIENT, "firewall")),
    }
)

# The answer to a REST request or a websocket's handshake. A status not named is classed by its hundred.
HTTP: Final[Mapping[int, tuple[Class, bool]]] = MappingProxyType(
    {
        400: (_TRANSIENT, True),  # our request is wrong; some exchanges say it of their own trouble
        401: (_PERMANENT, False),
        403: (_TRANSIENT, True),  # a firewall for a while, or a geo block for ever
        404: (_TRANSIENT, True),  # an address that moved, or a deployment under way
        405: (_TRANSIENT, True),
        407: (_PERMANENT, False),  # our own proxy wants credentials
        408: (_TRANSIENT, False),
        409: (_TRANSIENT, False),
        410: (_TRANSIENT, True),
        418: (_RATE_LIMIT, False),  # what Binance answers to who went on after 429
        421: (_TRANSIENT, False),
        422: (_TRANSIENT, True),
        423: (_TRANSIENT, False),
        425: (_TRANSIENT, False),
        429: (_RATE_LIMIT, False),
        451: (_TRANSIENT, True),  # refused for legal reasons
        500: (_TRANSIENT, False),
        501: (_TRANSIENT, True),
        502: (_TRANSIENT, False),
        503: (_TRANSIENT, False),
        504: (_TRANSIENT, False),
        505: (_TRANSIENT, True),
        509: (_RATE_LIMIT, False),  # "bandwidth limit exceeded"
        511: (_TRANSIENT, False),  # a captive portal: somebody signs in
        # A proxy in front of the exchange cannot reach it (Cloudflare).
        **dict.fromkeys((520, 521, 522, 523, 524, 525, 526, 530), (_TRANSIENT, False)),
    }
)
_HTTP_BY_HUNDRED: Mapping[int, tuple[Class, bool]] = {
    1: (_TRANSIENT, False),  # 101, but not as a websocket is opened
    2: (_TRANSIENT, False),  # a page in the place of a websocket: maintenance, mostly
    3: (_TRANSIENT, True),
    4: (_TRANSIENT, True),
    5: (_TRANSIENT, False),
}

# What an exchange means by a status, where it is not what others mean.
# https://bybit-exchange.github.io/docs/v5/rate-limit and /v5/error: 403 is too many requests of one address,
# to be left alone for ten minutes at least; or an address in the US, hence suspicious.
# https://developers.binance.com/docs/binance-spot-api-docs/rest-api/http-return-codes and /limits: 418 bans
# for 2 minutes to 3 days, with Retry-After; 403 is their firewall, for a rate or for security.
HTTP_OF: Final[Mapping[tuple[str, int], Entry]] = MappingProxyType(
    {
        ("bybit", 403): Entry(_RATE_LIMIT, "http_403", suspicious=True, retry_after_s=600.0),
        ("binance", 403): Entry(_RATE_LIMIT, "http_403", suspicious=True),
        ("binance", 418): Entry(_RATE_LIMIT, "http_418", retry_after_s=120.0),
    }
)

NO_CODE = 1005  # a closing frame without a code; aiohttp says 0
CLOSE: Final[Mapping[int, tuple[Class, bool]]] = MappingProxyType(
    {
        1000: (_TRANSIENT, False),  # the end, in good order
        1001: (_TRANSIENT, False),  # the server goes away, or the connection has reached its 24 hours
        1002: (_TRANSIENT, True),  # a breach of the protocol, by us or by what stands between
        1003: (_TRANSIENT, True),  # a kind of data that it does not take from us
        NO_CODE: (_TRANSIENT, False),
        1006: (_TRANSIENT, False),  # no closing frame: cut off, reset, or given up by us
        1007: (_TRANSIENT, True),  # text that is not UTF-8
        1008: (_RATE_LIMIT, True),  # against its policy: at Binance too many messages, or pongs missed
        1009: (_TRANSIENT, False),  # a message too big: one of theirs over our limit
        1010: (_TRANSIENT, True),  # an extension missed
        1011: (_TRANSIENT, False),  # a server's own error
        1012: (_TRANSIENT, False),  # a restart
        1013: (_RATE_LIMIT, False),  # overloaded: "try again later"
        1014: (_TRANSIENT, False),  # a bad gateway
        1015: (_TRANSIENT, False),  # TLS failed
        3000: (_PERMANENT, False),  # unauthorized
        3003: (_TRANSIENT, True),  # forbidden
        3008: (_TRANSIENT, False),  # timeout
    }
)

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
    """Class an error; `headers` are those of the REST answer, which ccxt keeps apart from the error."""
    chain = list(_chain(error))
    entries = [entry for each in chain if (entry := _entry(each, exchange)) is not None]
    found = min(entries, key=lambda entry: entry.vague, default=_INTERNAL)
    waits = (_retry_after_s(each) for each in (headers, *(getattr(one, "headers", None) for one in chain)))
    retry_after_s = next((wait_s for wait_s in waits if wait_s is not None), found.retry_after_s)
    is_final = isinstance(error, StreamError) and error.permanent
    return Failure(
        _PERMANENT if is_final else found.kind,
        found.cause,
        retry_after_s,
        _clean(f"{type(error).__name__}: {str(error).strip()}"),
        found.suspicious,
    )


def classify_close(code: int | None) -> Failure:
    """Class the close of a websocket by its code; None when there was none."""
    found = _close_entry(code or NO_CODE)
    said = "without a code" if not code else f"with code {code}"
    return Failure(found.kind, found.cause, None, f"closed {said}", found.suspicious)


def _entry(error: BaseException, exchange: str | None) -> Entry | None:
    """Return the line of one error by itself, whatever lies beneath it."""
    if isinstance(error, FrameError):
        return Entry(_RESYNC, error.reason)
    named = next((_BY_CLASS[base] for base in type(error).__mro__ if base in _BY_CLASS), None)
    if named is not None and not named.vague:
        return named
    return _numbered(error, exchange, named) or named


def _numbered(error: BaseException, exchange: str | None, named: Entry | None) -> Entry | None:
    """Return the line of the status, close code or error number that an error brings."""
    status, code = _status(error), _close_code(error)
    if status is not None:
        entry = _http_entry(status, exchange)
        is_limit = named is not None and named.kind is _RATE_LIMIT  # ccxt knows it of that exchange
        return entry._replace(kind=_RATE_LIMIT) if is_limit else entry
    if code is not None:
        return _close_entry(code)
    number = error.errno if isinstance(error, OSError) else None
    return None if number is None else ERRNO.get(number)


def _http_entry(status: int, exchange: str | None) -> Entry:
    if exchange is not None and (exchange, status) in HTTP_OF:
        return HTTP_OF[exchange, status]
    known = HTTP.get(status) or _HTTP_BY_HUNDRED.get(status // 100)
    if known is None:
        return Entry(_TRANSIENT, "http_other", suspicious=True)
    return Entry(known[0], f"http_{status}", suspicious=known[1])


def _close_entry(code: int) -> Entry:
    if code in CLOSE:
        kind, suspicious = CLOSE[code]
        return Entry(kind, f"close_{code}", suspicious)
    # The peer may choose any of thousands: counted together, told apart in the detail.
    for first, last, cause in ((3000, 3999, "close_3xxx"), (4000, 4999, "close_4xxx")):
        if first <= code <= last:
            return Entry(_TRANSIENT, cause, suspicious=True)
    return Entry(_TRANSIENT, "close_other", suspicious=True)


def _status(error: BaseException) -> int | None:
    """Return the HTTP status of an error: aiohttp's, that of requests, or the one in ccxt's words."""
    if isinstance(error, aiohttp.ClientResponseError):
        return error.status
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(status, int):
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
    """Walk from an error to all that lies beneath it: ccxt wraps by `from`, by argument, or not at all."""
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
    """Read Retry-After in seconds, as the exchanges send it; a date or nonsense counts as none."""
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
