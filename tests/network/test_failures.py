"""One table classes whatever goes wrong beneath us: complete, and not fooled by what ccxt calls it."""

import asyncio
import errno
import http
import socket
import ssl
from collections.abc import Iterator

import aiohttp
import ccxt
import pytest
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from collector.errors import FrameError, StreamError
from collector.network import failures
from collector.network.failure_table import CCXT, CLOSE, HTTP, FailureClass, class_of_cause
from collector.network.failures import Failure, classify, classify_close
from collector.retry import Backoff

PLACE = ConnectionKey(
    "example.org", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None
)

# To one who neither orders nor pays they say no more than their nearest ancestor.
INHERITS = {
    ccxt.NoChange,
    ccxt.MarginModeAlreadySet,
    ccxt.AddressPending,
    ccxt.OrderNotFound,
    ccxt.OrderNotCached,
    ccxt.OrderImmediatelyFillable,
    ccxt.OrderNotFillable,
    ccxt.DuplicateOrderId,
}


def descendants(root: type[BaseException]) -> Iterator[type[BaseException]]:
    for each in root.__subclasses__():
        yield each
        yield from descendants(each)


def classed(failure: Failure) -> tuple[str, str]:
    return str(failure.kind), failure.cause


def handshake(status: int, **headers: str) -> aiohttp.WSServerHandshakeError:
    url = URL("wss://user:hunter2@example.org/ws?listenKey=topsecret")
    told = CIMultiDictProxy(CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}))
    request = aiohttp.RequestInfo(url, "GET", told, url)
    return aiohttp.WSServerHandshakeError(
        request, (), status=status, message="Invalid response status", headers=told
    )


def wrapped(error: BaseException) -> ccxt.NetworkError:
    """Wrap as ccxt's websocket client does: by argument alone."""
    return ccxt.NetworkError(error)


def raised_from(error: BaseException, cause: BaseException | None) -> BaseException:
    try:
        raise error from cause
    except type(error) as caught:
        return caught


def raised_while_handling(first: BaseException, second: BaseException) -> BaseException:
    try:
        try:
            raise first
        except type(first):
            raise second  # noqa: B904  (as ccxt does)
    except type(second) as caught:
        return caught


def rest(kind: type[Exception], status: int, exchange: str = "binance", body: str = "{}") -> Exception:
    """Word an error as ccxt does an answer's status."""
    return kind(
        f"{exchange} GET https://api.example.org/x?symbol=A {status} {http.HTTPStatus(status).phrase} {body}"
    )


# Complete


def test_every_error_of_the_pinned_ccxt_has_its_line_or_is_said_to_inherit() -> None:
    tree = {ccxt.BaseError, *descendants(ccxt.BaseError)}
    ours = {each for each in tree if each.__module__.startswith("ccxt")}
    assert ours == set(CCXT) | INHERITS
    assert not set(CCXT) & INHERITS


def test_what_inherits_has_an_ancestor_with_a_line_of_its_own() -> None:
    for each in INHERITS:
        failure = classify(each("x"))
        assert failure.cause in {"rejected", "not_market_data"}


def test_every_error_of_ccxt_is_classed_as_its_line_says() -> None:
    for each, entry in CCXT.items():
        failure = classify(each("nothing more is known"))
        assert (failure.kind, failure.cause, failure.suspicious) == (
            entry.kind,
            entry.cause,
            entry.suspicious,
        )


def test_every_error_of_aiohttps_client_is_known() -> None:
    tree = {aiohttp.ClientError, *descendants(aiohttp.ClientError)}
    by_status = {each for each in tree if issubclass(each, aiohttp.ClientResponseError)}
    assert len(tree) > 20
    for each in tree - by_status:
        assert failures._entry(each.__new__(each), None) is not None, each


@pytest.mark.parametrize("exchange", ["bybit", "binance", "kraken"])
def test_every_status_that_ccxt_knows_has_its_line(exchange: str) -> None:
    theirs = {int(status) for status in getattr(ccxt, exchange)().httpExceptions}
    assert theirs <= set(HTTP)


def test_every_close_code_that_aiohttp_knows_has_its_line() -> None:
    assert {int(code) for code in aiohttp.WSCloseCode} <= set(CLOSE)


# ccxt's own words


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ccxt.BadSymbol("binance {...}"), ("permanent", "bad_symbol")),
        (ccxt.OnMaintenance("bybit {...}"), ("transient", "maintenance")),
        (ccxt.ChecksumError("binance"), ("resync", "checksum")),
        (ccxt.RestrictedLocation("x"), ("permanent", "geo_blocked")),
        (ccxt.DDoSProtection("binance 418 I'm a teapot {}"), ("rate_limit", "http_418")),
        (ccxt.DDoSProtection("binance 429 Too Many Requests {}"), ("rate_limit", "http_429")),
        (
            ccxt.RateLimitExceeded('kraken {"error":["EAPI:Rate limit exceeded"]}'),
            ("rate_limit", "rate_limit"),
        ),
        (rest(ccxt.ExchangeNotAvailable, 451), ("transient", "http_451")),
        (rest(ccxt.ExchangeNotAvailable, 503), ("transient", "http_503")),
        (rest(ccxt.AuthenticationError, 401), ("permanent", "http_401")),
        (rest(ccxt.RequestTimeout, 504), ("transient", "http_504")),
        (rest(ccxt.RateLimitExceeded, 403, "bybit"), ("rate_limit", "http_403")),
        (
            ccxt.NetworkError(
                "WSMessage(type=<WSMsgType.ERROR: 258>, data=WebSocketError("
                "<WSCloseCode.MESSAGE_TOO_BIG: 1009>, 'Message size 12000000 exceeds limit 10'), extra=None)"
            ),
            ("transient", "close_1009"),
        ),
        # Said by the body, not by ccxt: believed of the class alone.
        (ccxt.ExchangeError("binance Filter failure 403 forbidden"), ("transient", "exchange_error")),
        (
            ccxt.NetworkError("Connection closed by remote server, closing code 1012"),
            ("transient", "close_1012"),
        ),
        (
            ccxt.NetworkError("Connection closed by remote server, closing code 0"),
            ("transient", "close_1005"),
        ),
    ],
)
def test_ccxts_own_words(error: Exception, expected: tuple[str, str]) -> None:
    assert classed(classify(error)) == expected


def test_a_class_that_says_all_is_not_outdone_by_the_status_beneath_it() -> None:
    error = raised_from(ccxt.BadSymbol("x"), handshake(503))
    assert classed(classify(error)) == ("permanent", "bad_symbol")


def test_a_class_of_a_later_ccxt_is_classed_like_its_nearest_ancestor() -> None:
    class Later(ccxt.BadSymbol):
        pass

    try:
        assert classed(classify(Later("x"))) == ("permanent", "bad_symbol")
    finally:
        del Later


# Statuses


@pytest.mark.parametrize("status", [400, 403, 404, 405, 451])
def test_a_geo_block_in_the_handshake_looks_transient_and_is_suspicious(status: int) -> None:
    failure = classify(wrapped(handshake(status)), "kraken")
    assert (failure.kind, failure.cause) == (FailureClass.TRANSIENT, f"http_{status}")
    assert failure.suspicious
    assert not failure.refuses(failures.MOST_SUSPICIOUS_TRIES - 1)
    assert failure.refuses(failures.MOST_SUSPICIOUS_TRIES)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 599])
def test_a_servers_own_trouble_is_never_final(status: int) -> None:
    failure = classify(wrapped(handshake(status)))
    assert classed(failure) == ("transient", f"http_{status}")
    assert not failure.refuses(10_000)


def test_what_is_permanent_is_a_refusal_at_once() -> None:
    assert classify(wrapped(handshake(401))).refuses(0)


def test_suspicion_becomes_certainty_after_some_ten_minutes() -> None:
    backoff = Backoff(base_s=0.2, most_s=60.0)
    waited_s = sum(backoff.wait_s(attempt, 0.5) for attempt in range(failures.MOST_SUSPICIOUS_TRIES - 1))
    assert 8 * 60 < waited_s < 15 * 60


def test_bybits_403_is_a_rate_limit_of_ten_minutes_or_a_geo_block() -> None:
    failure = classify(wrapped(handshake(403)), "bybit")
    assert (failure.kind, failure.retry_after_s, failure.suspicious) == (FailureClass.RATE_LIMIT, 600.0, True)


def test_binances_418_is_a_ban_as_long_as_it_says_or_its_shortest() -> None:
    assert classify(wrapped(handshake(418)), "binance").retry_after_s == 120.0
    assert classify(wrapped(handshake(418, Retry_After="7200")), "binance").retry_after_s == 7200.0


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        ("30", 30.0),
        ("1.5", 1.5),
        ("nan", None),
        ("-1", None),
        ("inf", None),
        ("soon", None),
        ("9e9", 259_200.0),
    ],
)
def test_retry_after_is_obeyed_as_far_as_it_makes_sense(said: str, understood: float | None) -> None:
    assert classify(wrapped(handshake(429, Retry_After=said))).retry_after_s == understood
    limited = ccxt.DDoSProtection("binance 429 Too Many Requests {}")
    assert classify(limited, "kraken", {"retry-after": said}).retry_after_s == understood


def test_an_unheard_of_status_is_classed_by_its_hundred_and_nonsense_by_none() -> None:
    assert classed(classify(handshake(499))) == ("transient", "http_499")
    assert classify(handshake(499)).suspicious
    assert not classify(handshake(200)).suspicious
    assert classed(classify(handshake(99))) == ("transient", "http_other")
    assert classed(classify(handshake(12345))) == ("transient", "http_other")


# Close codes


@pytest.mark.parametrize(
    ("code", "kind", "cause", "suspicious"),
    [
        (1000, "transient", "close_1000", False),
        (1001, "transient", "close_1001", False),
        (1002, "transient", "close_1002", True),
        (1003, "transient", "close_1003", True),
        (None, "transient", "close_1005", False),
        (0, "transient", "close_1005", False),
        (1006, "transient", "close_1006", False),
        (1007, "transient", "close_1007", True),
        (1008, "rate_limit", "close_1008", True),
        (1009, "transient", "close_1009", False),
        (1011, "transient", "close_1011", False),
        (1012, "transient", "close_1012", False),
        (1013, "rate_limit", "close_1013", False),
        (1014, "transient", "close_1014", False),
        (1015, "transient", "close_1015", False),
        (3000, "permanent", "close_3000", False),
        (3333, "transient", "close_3xxx", True),
        (4001, "transient", "close_4xxx", True),
        (4999, "transient", "close_4xxx", True),
        (2222, "transient", "close_other", True),
        (-1, "transient", "close_other", True),
        (65535, "transient", "close_other", True),
    ],
)
def test_close_codes(code: int | None, kind: str, cause: str, suspicious: bool) -> None:
    failure = classify_close(code)
    assert (failure.kind, failure.cause, failure.suspicious) == (kind, cause, suspicious)
    assert failure.detail == (f"closed with code {code}" if code else "closed without a code")


def test_causes_are_so_few_that_each_can_be_counted() -> None:
    assert len({classify_close(code).cause for code in range(-10, 5_010)}) == len(CLOSE) + 3
    assert len({classify(handshake(status)).cause for status in range(1_200)}) == 501


# The system's errors and aiohttp's


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), ("transient", "refused")),
        (ConnectionResetError(), ("transient", "reset")),
        (BrokenPipeError(), ("transient", "reset")),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), ("transient", "no_such_host")),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), ("transient", "dns")),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), ("transient", "unreachable")),
        (OSError(errno.EMFILE, "Too many open files"), ("transient", "no_files")),
        (OSError("Multiple exceptions: ..."), ("transient", "os_error")),
        (PermissionError(errno.EACCES, "denied"), ("transient", "firewall")),
        (TimeoutError(), ("transient", "timeout")),
        (ssl.SSLCertVerificationError("certificate has expired"), ("transient", "tls_certificate")),
        (ssl.SSLError(1, "WRONG_VERSION_NUMBER"), ("transient", "tls")),
        (asyncio.CancelledError(), ("permanent", "cancelled")),
        (asyncio.IncompleteReadError(b"", 1), ("transient", "disconnected")),
        (aiohttp.ServerDisconnectedError(), ("transient", "disconnected")),
        (aiohttp.ClientPayloadError("x"), ("transient", "truncated")),
        (aiohttp.ServerTimeoutError(), ("transient", "timeout")),
        (aiohttp.ClientConnectionResetError("Cannot write to closing transport"), ("transient", "reset")),
        (aiohttp.InvalidURL("wss://"), ("permanent", "bad_url")),
        (aiohttp.ClientConnectorDNSError(PLACE, OSError(None, "x")), ("transient", "dns")),
        (aiohttp.WebSocketError(1009, "too big"), ("transient", "close_1009")),
        (FrameError("malformed", "x"), ("resync", "malformed")),
        (StreamError("x"), ("transient", "stream_error")),
        (StreamError("x", permanent=True), ("permanent", "stream_error")),
        (ZeroDivisionError("x"), ("transient", "internal_error")),
    ],
)
def test_errors_of_the_system_and_of_ours(error: BaseException, expected: tuple[str, str]) -> None:
    assert classed(classify(error)) == expected


def test_causes_are_found_however_they_are_wrapped() -> None:
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
    dialled = raised_from(aiohttp.ClientConnectorError(PLACE, refused), refused)
    assert classify(wrapped(dialled)).cause == "refused"
    assert classify(raised_from(ccxt.ExchangeNotAvailable("bybit GET https://x"), dialled)).cause == "refused"
    assert classify(raised_from(StreamError("could not"), wrapped(dialled))).cause == "refused"
    assert classify(BaseExceptionGroup("both", [dialled])).cause == "refused"
    assert classify(raised_while_handling(refused, ccxt.ExchangeNotAvailable("bybit"))).cause == "refused"


def test_a_permanent_refusal_of_ours_stays_permanent_under_its_causes_name() -> None:
    error = raised_from(StreamError("x", permanent=True), ccxt.NetworkError("x"))
    assert classed(classify(error)) == ("permanent", "network")


def test_errors_that_hold_each_other_are_walked_once() -> None:
    first, second = ccxt.NetworkError("x"), ccxt.NetworkError("y")
    first.__cause__, second.__cause__ = second, first
    assert classify(first).cause == "network"


# Words for people


def test_details_are_one_short_line_without_secrets() -> None:
    failure = classify(wrapped(handshake(403)))
    assert failure.detail == (
        "NetworkError: 403, message='Invalid response status', url='wss://example.org/ws'"
    )
    hostile = classify(ccxt.ExchangeError("\n\nbybit apiKey: abc123 \x1b[31m\nsecond line"))
    assert hostile.detail == "ExchangeError: bybit apiKey: ***"
    assert classify(ccxt.ExchangeError("")).detail == "ExchangeError: "
    spoken = classify(ccxt.ExchangeError("bybit \x1b[31m signature=abc123\nsecond line"))
    assert spoken.detail == "ExchangeError: bybit ?[31m signature=***"
    assert len(classify(ccxt.ExchangeError("x" * 10_000_000)).detail) == failures.MOST_DETAIL


@pytest.mark.parametrize(
    ("exchange", "words", "expected"),
    [
        ("bybit", "close_1006: cut off", "transient"),
        ("binance", "close_1008: too many", "rate_limit"),
        ("binance", "http_418", "rate_limit"),
        ("bybit", "http_403: access too frequent", "rate_limit"),
        ("kraken", "http_403: forbidden", "transient"),
        ("kraken", "attempt 12: could not load the markets: authentication: no such key", "permanent"),
        ("okx", "checksum: differs", "resync"),
        ("okx", "close_4007: its own", "transient"),
        ("okx", "", "transient"),
    ],
)
def test_words_that_begin_with_a_cause_have_its_class(exchange: str, words: str, expected: str) -> None:
    assert class_of_cause(exchange, words) == expected


def test_a_failure_in_words_has_the_class_that_it_had() -> None:
    for error in (
        ccxt.AuthenticationError("x"),
        ccxt.RateLimitExceeded("x"),
        ConnectionRefusedError(),
        TimeoutError(),
    ):
        failure = classify(error, "kraken")
        assert class_of_cause("kraken", f"attempt 1: {failure}") == failure.kind
