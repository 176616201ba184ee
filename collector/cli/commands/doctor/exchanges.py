"""Check the exchanges: REST and websocket, clock, credentials."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from collector.cli.commands.doctor.check_result import CheckResult
from collector.errors import StreamError
from collector.exchanges.meaning import kinds_in_order

if TYPE_CHECKING:
    from collector.network.markets import Source
    from collector.settings import ExchangeSettings

TIMEOUT_S = 10.0
SLOW_S = 2.0
CLOCK_OFF_S = 1.5  # an answer in whole seconds, as Kraken's, is off by as much as one
NETWORK_ADVICE = "is there a way out to the network, a proxy, a firewall? Is the exchange up?"


def exchange(name: str, settings: "ExchangeSettings") -> Iterator[CheckResult]:
    """Check one exchange."""
    from collector.network.markets import Source  # noqa: PLC0415
    from collector.network.probe import dial  # noqa: PLC0415

    kinds = kinds_in_order(name, settings.market)
    source = Source(name, settings.environment, settings.endpoints, kinds)
    yield from _rest(name, source)
    try:
        count = dial(source, TIMEOUT_S)
        yield CheckResult(f"{name} websocket", "ok", f"{count} address{'es'[: 2 * (count != 1)]} opened")
    except StreamError as error:
        yield CheckResult(f"{name} websocket", "fail", str(error), NETWORK_ADVICE)
    yield _credentials(name, source, settings)


def _rest(name: str, source: "Source") -> Iterator[CheckResult]:
    from collector.network.probe import ask_the_time  # noqa: PLC0415

    try:
        answer = ask_the_time(source, TIMEOUT_S)
    except StreamError as error:
        yield CheckResult(f"{name} REST", "fail", str(error), NETWORK_ADVICE)
        yield CheckResult(f"{name} clock", "skip", "not compared: no answer")
        return
    found = f"answers in {answer.round_trip_s * 1000:.0f} ms"
    slow = answer.round_trip_s > SLOW_S
    yield CheckResult(f"{name} REST", "warn" if slow else "ok", found, "a slow way there" if slow else "")
    side = "behind" if answer.ahead_s > 0 else "ahead of"
    found = f"this machine is {abs(answer.ahead_s):.2f} s {side} {name}"
    if abs(answer.ahead_s) - answer.round_trip_s / 2 > CLOCK_OFF_S:
        yield CheckResult(f"{name} clock", "warn", found, "set the clock: run chrony or systemd-timesyncd")
    else:
        yield CheckResult(f"{name} clock", "ok", found)


def _credentials(name: str, source: "Source", settings: "ExchangeSettings") -> CheckResult:
    from collector.network.probe import check_credentials, unchecked_because  # noqa: PLC0415

    pair, title = settings.credentials, f"{name} credentials"
    if pair is None:
        return CheckResult(title, "skip", "none given, and none needed")
    why = unchecked_because(source)
    if why is not None:
        return CheckResult(title, "skip", f"not checked: {why}")
    key, secret = pair.api_key.get_secret_value(), pair.api_secret.get_secret_value()
    try:
        only_reads = check_credentials(source, key, secret, TIMEOUT_S)
    except StreamError as error:
        if error.permanent:
            advice = f"make a new key at {name}, or take {name.upper()}_API_KEY away: none is needed"
            return CheckResult(title, "fail", f"refused: {error}", advice)
        return CheckResult(title, "warn", f"could not be checked: {error}")
    if not only_reads:
        return CheckResult(
            title, "warn", "accepted, and may do more than read", "one that only reads will do"
        )
    return CheckResult(title, "ok", "accepted, reads only")
