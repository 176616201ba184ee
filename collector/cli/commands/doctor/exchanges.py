"""Check the exchanges: REST and websocket, clock, credentials."""

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from collector.cli.commands.doctor.check_result import CheckResult
from collector.errors import StreamError
from collector.exchanges import kinds_in_order

if TYPE_CHECKING:
    from collector.network import ClockAnswer, Source
    from collector.settings import ExchangeSettings

TIMEOUT_S = 10.0
SLOW_S = 2.0
CLOCK_OFF_S = 1.0  # beyond what an answer leaves uncertain
COARSE_STEP_S = 0.1
NETWORK_ADVICE = "is there a way out to the network, a proxy, a firewall? Is the exchange up?"
LOCAL_ADVICE = (
    "that is this machine: python run.py simulate starts simulated exchanges; is its --port this one?"
)
LOCAL_HOSTS = ("127.", "localhost", "::1")


def exchange(name: str, settings: "ExchangeSettings") -> Iterator[CheckResult]:
    """Check one exchange."""
    from collector.network import Source, dial  # noqa: PLC0415

    kinds = kinds_in_order(name, settings.market)
    source = Source(name, settings.environment, settings.endpoints, kinds)
    yield from _rest(name, source)
    try:
        count = dial(source, TIMEOUT_S)
        yield CheckResult(f"{name} websocket", "ok", f"{count} address{'es'[: 2 * (count != 1)]} opened")
    except StreamError as error:
        yield CheckResult(f"{name} websocket", "fail", str(error), _advice(source.endpoints.ws))
    yield _credentials(name, source, settings)


def _rest(name: str, source: "Source") -> Iterator[CheckResult]:
    from collector.network import ask_the_time  # noqa: PLC0415

    try:
        answer = ask_the_time(source, TIMEOUT_S)
    except StreamError as error:
        yield CheckResult(f"{name} REST", "fail", str(error), _advice(source.endpoints.rest))
        yield CheckResult(f"{name} clock", "skip", "not compared: no answer")
        return
    found = f"answers in {answer.round_trip_s * 1000:.0f} ms"
    slow = answer.round_trip_s > SLOW_S
    yield CheckResult(f"{name} REST", "warn" if slow else "ok", found, "a slow way there" if slow else "")
    if abs(answer.ahead_s) - answer.uncertain_s > CLOCK_OFF_S:
        advice = "set the clock: run chrony or systemd-timesyncd"
        yield CheckResult(f"{name} clock", "warn", _beside(name, answer), advice)
    else:
        yield CheckResult(f"{name} clock", "ok", _beside(name, answer))


def _advice(endpoint: str | None) -> str:
    """Return what to do where an address does not answer; None is that of the exchange."""
    host = (urlsplit(endpoint).hostname or "") if endpoint else ""
    return LOCAL_ADVICE if host.startswith(LOCAL_HOSTS) else NETWORK_ADVICE


def _beside(name: str, answer: "ClockAnswer") -> str:
    """Describe this machine's clock beside an exchange's, as far as its answer tells."""
    told = f"{name} tells whole seconds: " if answer.step_s >= COARSE_STEP_S else ""
    if told and abs(answer.ahead_s) <= answer.uncertain_s:
        return f"{told}this machine's clock agrees with that, to within {2 * answer.uncertain_s:.1f} s"
    side = "behind" if answer.ahead_s > 0 else "ahead of"
    more = f", give or take {answer.uncertain_s:.1f} s" if told else ""
    return f"{told}this machine is {abs(answer.ahead_s):.2f} s {side} {name}{more}"


def _credentials(name: str, source: "Source", settings: "ExchangeSettings") -> CheckResult:
    from collector.network import check_credentials, unchecked_because  # noqa: PLC0415

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
