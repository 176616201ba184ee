"""Find the addresses of an exchange's public data, and configure ccxt with them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Protocol
from urllib.parse import urlsplit

from collector.bounds import Expected
from collector.errors import SettingsError
from collector.exchanges.exchange import KINDS, Environment, Exchange, MarketKind, Tree
from collector.exchanges.registry import environment_problem, exchange_of


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Base URLs to dial instead of the exchange's own; None keeps the exchange's."""

    rest: Annotated[str | None, Expected("an http:// or https:// URL, or null")] = None
    ws: Annotated[str | None, Expected("a ws:// or wss:// URL, or null")] = None

    @property
    def on_loopback(self) -> bool:
        """Whether either of them is on this machine."""
        return any(url is not None and _is_loopback(url) for url in (self.rest, self.ws))


class SwitchesEnvironment(Protocol):
    """The two switches of a ccxt exchange object. Either must be turned before anything else is called."""

    def set_sandbox_mode(self, enabled: bool, /) -> None:
        """Swap in the testnet's addresses."""

    def enable_demo_trading(self, enable: bool, /) -> None:
        """Swap in the demo environment's addresses."""


def apply_environment(exchange_object: SwitchesEnvironment, exchange: str, environment: Environment) -> None:
    """Switch a freshly made ccxt object to `environment`; to be called before anything else."""
    _check_environment(exchange, environment)
    if environment == "testnet":
        exchange_object.set_sandbox_mode(True)
    elif environment == "demo":
        exchange_object.enable_demo_trading(True)


def ccxt_config(
    exchange: str,
    environment: Environment,
    endpoints: Endpoints = Endpoints(),
    kinds: Iterable[MarketKind] = KINDS,
) -> dict[str, object]:
    """Return the configuration with which ccxt dials what `dialled` lists."""
    _check_environment(exchange, environment)
    facts = exchange_of(exchange)
    config: dict[str, object] = {}
    urls: dict[str, object] = {}
    if not facts.is_verified:
        return config  # ccxt's own addresses, which `rebased` changes
    if endpoints.rest is not None:
        bases = {"rest": _base(endpoints.rest)}
        urls |= {name: _filled(address, bases) for name, address in facts.addresses.ccxt_rest.items()}
    if endpoints.ws is not None:
        urls["ws"] = _filled(
            facts.addresses.ccxt_ws, {"ws": _base(endpoints.ws)}, facts.addresses.whole_ws_ends
        )
    if urls:
        config["urls"] = {facts.addresses.ccxt_urls_key[environment]: urls}
    if facts.market_types:
        wanted = frozenset(kinds)
        # Without it ccxt asks for inverse and option markets as well: 11 requests on Bybit.
        types = [facts.market_types[kind] for kind in facts.kinds if kind in wanted]
        config["options"] = {"fetchMarkets": {"types": types}}
    return config


def dialled(
    exchange: str,
    environment: Environment,
    endpoints: Endpoints = Endpoints(),
    kinds: Iterable[MarketKind] = KINDS,
) -> list[str]:
    """List the addresses really dialled for public data, REST first, each once."""
    _check_environment(exchange, environment)
    facts = exchange_of(exchange)
    if not facts.is_verified:  # which addresses there are only ccxt knows
        return [url for url in (endpoints.rest, endpoints.ws) if url is not None]
    own, replaced = facts.addresses.own[environment], facts.addresses.replaced
    wanted = frozenset(kinds)
    rest: list[str] = []
    ws: list[str] = []
    for kind in (kind for kind in facts.kinds if kind in wanted):
        rest.append(rest_address(exchange, environment, endpoints, kind))
        if endpoints.ws is None:
            ws.extend(own.ws[kind])
        else:
            ws.extend(_ws_address(facts, endpoints.ws, address) for address in replaced.ws[kind])
    return list(dict.fromkeys([*rest, *ws]))


def rest_address(exchange: str, environment: Environment, endpoints: Endpoints, kind: MarketKind) -> str:
    """Return the address at which REST is asked for a kind of market of a verified exchange."""
    addresses = exchange_of(exchange).addresses
    if endpoints.rest is None:
        return addresses.own[environment].rest[kind]
    return addresses.replaced.rest[kind].format(rest=_base(endpoints.rest))


def websocket(
    exchange: str, environment: Environment, endpoints: Endpoints, kind: MarketKind, channel: str
) -> str:
    """Return the address at which a channel of a kind of market is collected."""
    _check_environment(exchange, environment)
    facts = exchange_of(exchange)
    if not facts.is_verified:
        return endpoints.ws or exchange  # which addresses there are only ccxt knows
    address_index = facts.addresses.index(kind, channel)
    if endpoints.ws is None:
        return facts.addresses.own[environment].ws[kind][address_index]
    return _ws_address(facts, endpoints.ws, facts.addresses.replaced.ws[kind][address_index])


def rebased(urls: Tree, endpoints: Endpoints) -> Tree:
    """Replace the bases of ccxt's addresses, for an exchange without a table of its own."""

    def moved(url: str) -> str:
        parts = urlsplit(url)
        base = endpoints.ws if parts.scheme in {"ws", "wss"} else endpoints.rest
        return url if base is None or not parts.netloc else _base(base) + parts.path

    return {
        name: moved(each) if isinstance(each, str) else rebased(each, endpoints)
        for name, each in urls.items()
    }


def _check_environment(exchange: str, environment: Environment) -> None:
    problem = environment_problem(exchange, environment)
    if problem is not None:
        raise SettingsError([problem])


def _base(url: str) -> str:
    return url.rstrip("/")


def is_whole(facts: Exchange, ws: str) -> bool:
    """Return whether a configured base is an address already, dialled as it stands."""
    return _base(ws).endswith(facts.addresses.whole_ws_ends)


def _ws_address(facts: Exchange, ws: str, address: str) -> str:
    return _base(ws) if is_whole(facts, ws) else address.format(ws=_base(ws))


def _filled(
    tree: "str | Tree", bases: Mapping[str, str], whole_ends: tuple[str, ...] = ()
) -> "str | dict[str, object]":
    """Fill the bases into every address of a tree; one that ends so is an address itself."""
    if isinstance(tree, str):
        whole = (base for base in bases.values() if base.endswith(whole_ends))
        return next(whole, None) or tree.format(**bases)
    return {name: _filled(address, bases, whole_ends) for name, address in tree.items()}


def _is_loopback(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
