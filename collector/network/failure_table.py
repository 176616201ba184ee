"""Classify every failure in one table: ccxt's errors, the system's, HTTP statuses, close codes.

What each class asks of the caller:

transient   try again with backoff
rate_limit  try again after `retry_after_s` or, where none is given, a long pause; ask for less
resync      the connection is good, the book is not: fetch that one again
permanent   asking again soon cannot help: stop that stream alone, and report it; where access to the
            exchange is refused (OF_ACCESS), try again from time to time

Some answers look transient and seldom are: a geo block is a 403 or a 451, which ccxt calls "not available".
They are `suspicious`.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

import aiohttp
import ccxt

from collector.errors import StreamError
from collector.exchanges import EXCHANGES


class FailureClass(StrEnum):
    """What a failure requires of the caller."""

    TRANSIENT = "transient"
    RATE_LIMIT = "rate_limit"
    RESYNC = "resync"
    PERMANENT = "permanent"


class FailureEntry(NamedTuple):
    """One line of the table. Of an error and all that lies beneath it, the least vague is believed."""

    kind: FailureClass
    cause: str
    suspicious: bool = False
    vague: int = 0  # 1: the status or the cause beneath says more; 2: any other word does; 3: ours, around it
    retry_after_s: float | None = None  # where the exchange documents a time and the answer has none


_TRANSIENT, _RATE_LIMIT, _RESYNC, _PERMANENT = (
    FailureClass.TRANSIENT,
    FailureClass.RATE_LIMIT,
    FailureClass.RESYNC,
    FailureClass.PERMANENT,
)

# A class of ccxt's tree that does not stand here is classed like its nearest ancestor; a test knows which
# are meant to be, and finds one that a later ccxt adds.
CCXT: Final[Mapping[type[BaseException], FailureEntry]] = MappingProxyType(
    {
        ccxt.BaseError: FailureEntry(_TRANSIENT, "exchange_error", suspicious=True, vague=2),
        ccxt.ExchangeError: FailureEntry(_TRANSIENT, "exchange_error", suspicious=True, vague=2),
        ccxt.AuthenticationError: FailureEntry(_PERMANENT, "authentication", vague=1),
        ccxt.PermissionDenied: FailureEntry(_PERMANENT, "permission_denied"),
        ccxt.AccountNotEnabled: FailureEntry(_PERMANENT, "permission_denied"),
        ccxt.AccountSuspended: FailureEntry(_PERMANENT, "account_suspended"),
        ccxt.ArgumentsRequired: FailureEntry(_PERMANENT, "bad_request"),
        ccxt.BadRequest: FailureEntry(_PERMANENT, "bad_request"),
        ccxt.BadSymbol: FailureEntry(_PERMANENT, "bad_symbol"),
        ccxt.OperationRejected: FailureEntry(_TRANSIENT, "rejected", suspicious=True),
        ccxt.MarketClosed: FailureEntry(_TRANSIENT, "market_closed"),  # it opens again
        ccxt.ManualInteractionNeeded: FailureEntry(_PERMANENT, "manual_interaction"),
        ccxt.RestrictedLocation: FailureEntry(_PERMANENT, "geo_blocked"),
        ccxt.InsufficientFunds: FailureEntry(_PERMANENT, "not_market_data"),  # we neither order nor pay
        ccxt.InvalidAddress: FailureEntry(_PERMANENT, "not_market_data"),
        ccxt.InvalidOrder: FailureEntry(_PERMANENT, "not_market_data"),
        # Said of contracts that are gone, and of those not listed yet.
        ccxt.ContractUnavailable: FailureEntry(_TRANSIENT, "contract_unavailable", suspicious=True),
        ccxt.NotSupported: FailureEntry(_PERMANENT, "not_supported"),
        ccxt.InvalidProxySettings: FailureEntry(_PERMANENT, "proxy_settings"),
        ccxt.ExchangeClosedByUser: FailureEntry(_PERMANENT, "closed_by_us"),
        ccxt.OperationFailed: FailureEntry(_TRANSIENT, "operation_failed", vague=2),
        ccxt.NetworkError: FailureEntry(_TRANSIENT, "network", vague=2),
        ccxt.DDoSProtection: FailureEntry(_RATE_LIMIT, "rate_limit", vague=1),
        ccxt.RateLimitExceeded: FailureEntry(_RATE_LIMIT, "rate_limit", vague=1),
        ccxt.ExchangeNotAvailable: FailureEntry(_TRANSIENT, "unavailable", vague=1),
        ccxt.OnMaintenance: FailureEntry(_TRANSIENT, "maintenance"),
        ccxt.InvalidNonce: FailureEntry(
            _RESYNC, "invalid_nonce"
        ),  # of public data: a book's number out of order
        ccxt.ChecksumError: FailureEntry(_RESYNC, "checksum"),
        ccxt.RequestTimeout: FailureEntry(_TRANSIENT, "timeout", vague=1),
        ccxt.BadResponse: FailureEntry(_TRANSIENT, "bad_response", vague=1),
        ccxt.NullResponse: FailureEntry(_TRANSIENT, "bad_response"),
        ccxt.CancelPending: FailureEntry(_TRANSIENT, "operation_failed"),
        ccxt.UnsubscribeError: FailureEntry(
            _PERMANENT, "unsubscribed"
        ),  # raised in watches when we unsubscribe
    }
)

# Whatever was asked for. It passes when a ban is lifted, a key renewed, an address repaired.
OF_ACCESS: Final = frozenset(
    {
        *("authentication", "permission_denied", "account_suspended", "manual_interaction", "geo_blocked"),
        *("proxy_settings", "bad_url", "http_401", "http_407", "close_3000"),
    }
)

DNS = FailureEntry(_TRANSIENT, "dns")
# The resolver answers that there is no such name: misspelt in the configuration, most likely.
NO_SUCH_HOST = FailureEntry(_TRANSIENT, "no_such_host", suspicious=True)
NAMELESS = frozenset(getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA") if hasattr(socket, name))

# What the system, aiohttp and our own code raise; descendants are classed like their nearest ancestor.
OTHERS: Final[Mapping[type[BaseException], FailureEntry]] = MappingProxyType(
    {
        ConnectionRefusedError: FailureEntry(_TRANSIENT, "refused"),
        ConnectionResetError: FailureEntry(_TRANSIENT, "reset"),
        ConnectionAbortedError: FailureEntry(_TRANSIENT, "reset"),
        BrokenPipeError: FailureEntry(_TRANSIENT, "reset"),
        ConnectionError: FailureEntry(_TRANSIENT, "network", vague=2),
        socket.gaierror: DNS,
        socket.herror: FailureEntry(_TRANSIENT, "dns"),
        TimeoutError: FailureEntry(_TRANSIENT, "timeout"),
        # Not permanent: certificates are renewed and clocks set right without us, and unlike a geo block a
        # dial a minute until then harms nobody. The attempts counted raise the alarm.
        ssl.SSLCertVerificationError: FailureEntry(_TRANSIENT, "tls_certificate"),
        ssl.SSLError: FailureEntry(_TRANSIENT, "tls"),
        OSError: FailureEntry(_TRANSIENT, "os_error", vague=2),
        EOFError: FailureEntry(_TRANSIENT, "disconnected"),
        StreamError: FailureEntry(_TRANSIENT, "stream_error", vague=3),
        asyncio.CancelledError: FailureEntry(_PERMANENT, "cancelled"),  # the end was asked for
        aiohttp.ClientError: FailureEntry(_TRANSIENT, "network", vague=2),
        aiohttp.ClientConnectionError: FailureEntry(_TRANSIENT, "network", vague=2),
        aiohttp.ClientConnectionResetError: FailureEntry(_TRANSIENT, "reset"),
        aiohttp.ClientConnectorError: FailureEntry(_TRANSIENT, "unreachable", vague=1),
        aiohttp.ClientConnectorDNSError: DNS,
        aiohttp.ClientProxyConnectionError: FailureEntry(_TRANSIENT, "proxy"),
        aiohttp.ClientSSLError: FailureEntry(_TRANSIENT, "tls", vague=1),
        aiohttp.ClientConnectorCertificateError: FailureEntry(_TRANSIENT, "tls_certificate"),
        aiohttp.ServerDisconnectedError: FailureEntry(_TRANSIENT, "disconnected"),
        aiohttp.ServerTimeoutError: FailureEntry(_TRANSIENT, "timeout"),
        aiohttp.ServerFingerprintMismatch: FailureEntry(_TRANSIENT, "tls_certificate"),
        aiohttp.ClientPayloadError: FailureEntry(_TRANSIENT, "truncated"),
        aiohttp.InvalidURL: FailureEntry(_PERMANENT, "bad_url"),
        aiohttp.RedirectClientError: FailureEntry(_PERMANENT, "bad_url"),
        aiohttp.NonHttpUrlClientError: FailureEntry(_PERMANENT, "bad_url"),
    }
)
BY_CLASS = {**OTHERS, **CCXT}
INTERNAL = FailureEntry(_TRANSIENT, "internal_error")  # a mistake of ours: the next frame may not meet it

ERRNO: Final[Mapping[int, FailureEntry]] = MappingProxyType(
    {
        **dict.fromkeys(
            (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN),
            FailureEntry(_TRANSIENT, "unreachable"),
        ),
        **dict.fromkeys((errno.EMFILE, errno.ENFILE), FailureEntry(_TRANSIENT, "no_files")),
        **dict.fromkeys((errno.ENOBUFS, errno.ENOMEM), FailureEntry(_TRANSIENT, "no_memory")),
        errno.ECONNREFUSED: FailureEntry(_TRANSIENT, "refused"),
        **dict.fromkeys(
            (errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE), FailureEntry(_TRANSIENT, "reset")
        ),
        errno.ETIMEDOUT: FailureEntry(_TRANSIENT, "timeout"),
        errno.EADDRNOTAVAIL: FailureEntry(_TRANSIENT, "no_ports"),
        **dict.fromkeys((errno.EACCES, errno.EPERM), FailureEntry(_TRANSIENT, "firewall")),
    }
)

# The answer to a REST request or a websocket's handshake. A status not named is classed by its hundred.
HTTP: Final[Mapping[int, tuple[FailureClass, bool]]] = MappingProxyType(
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
BY_HUNDRED: Mapping[int, tuple[FailureClass, bool]] = {
    1: (_TRANSIENT, False),  # 101, but not as a websocket is opened
    2: (_TRANSIENT, False),  # a page in the place of a websocket: maintenance, mostly
    3: (_TRANSIENT, True),
    4: (_TRANSIENT, True),
    5: (_TRANSIENT, False),
}

NO_CODE = 1005  # a closing frame without a code; aiohttp says 0
CLOSE: Final[Mapping[int, tuple[FailureClass, bool]]] = MappingProxyType(
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


_BY_CAUSE: Final[Mapping[str, FailureClass]] = MappingProxyType(
    {entry.cause: entry.kind for entry in (*BY_CLASS.values(), *ERRNO.values(), DNS, NO_SUCH_HOST, INTERNAL)}
    | {f"http_{status}": kind for status, (kind, _) in HTTP.items()}
    | {f"close_{code}": kind for code, (kind, _) in CLOSE.items()}
)


def http_of(exchange: str, status: int) -> FailureEntry | None:
    """Return what an exchange means by a status, where it is not what others mean."""
    meaning = EXCHANGES[exchange].http_meanings.get(status) if exchange in EXCHANGES else None
    if meaning is None:
        return None
    kind, after_s = FailureClass(meaning.kind), meaning.retry_after_s
    return FailureEntry(kind, f"http_{status}", suspicious=meaning.suspicious, retry_after_s=after_s)


_PREFIXES = 2  # "attempt 3: could not load the markets: " may stand before a cause


def class_of_cause(exchange: str, words: str) -> FailureClass:
    """Return the class of a failure that was told in words: of the first of them that is a cause.

    What is in no table, such as an exchange's own closing code, passes as a rule.
    """
    causes = words.split(": ")[: _PREFIXES + 1]
    kinds = (_class_of(exchange, cause) for cause in causes)
    return next((kind for kind in kinds if kind is not None), FailureClass.TRANSIENT)


def _class_of(exchange: str, cause: str) -> FailureClass | None:
    status = cause.removeprefix("http_")
    found = http_of(exchange, int(status)) if status != cause and status.isdecimal() else None
    if found is not None:
        return found.kind
    return _BY_CAUSE.get(cause)
