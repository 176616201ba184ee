"""State the fixed facts of each exchange: what it offers, and the addresses at which it offers it.

A table and nothing else, so that settings and help can ask it without paying for ccxt's import.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol
from urllib.parse import urlsplit

from collector.errors import SettingsError
from collector.exchanges import ccxt_names

Environment = Literal["live", "testnet", "demo"]
Kind = Literal["spot", "linear"]
Tree = Mapping[str, "str | Tree"]

KINDS: tuple[Kind, ...] = ("spot", "linear")
_BARE_MARKETS: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {"spot": ("BTC/USDT", "ETH/USDT"), "linear": ("BTC/USDT:USDT", "ETH/USDT:USDT")}
)

# (exchange, market kind, family of channels) that this version collects; widened as the mappers arrive.
_FAMILIES = ("bbo", "book", "ohlcv", "trade")
_COLLECTED: Mapping[str, tuple[Kind, ...]] = {"bybit": KINDS, "binance": KINDS, "kraken": ("spot",)}
SUPPORTED: frozenset[tuple[str, Kind, str]] = frozenset(
    (exchange, kind, family)
    for exchange, kinds in _COLLECTED.items()
    for kind in kinds
    for family in _FAMILIES
)


class Endpoints(Protocol):
    """Base URLs to use instead of the exchange's own; None keeps the exchange's."""

    @property
    def rest(self) -> str | None:
        """Base of the REST paths."""

    @property
    def ws(self) -> str | None:
        """Base of the websocket paths."""


@dataclass(frozen=True, slots=True)
class OwnAddresses:
    """No replacement: the exchange's own addresses."""

    rest: None = None
    ws: None = None


class SwitchesEnvironment(Protocol):
    """The two switches of a ccxt exchange object. Either must be turned before anything else is called."""

    def set_sandbox_mode(self, enabled: bool, /) -> None:
        """Swap in the testnet's addresses."""

    def enable_demo_trading(self, enable: bool, /) -> None:
        """Swap in the demo environment's addresses."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where public data is asked for, by kind of market."""

    rest: Mapping[Kind, str]
    ws: Mapping[Kind, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Venue:
    """What one exchange offers."""

    depths: Mapping[Kind, Sequence[int]]
    intervals: tuple[str, ...]
    addresses: Mapping[Environment, Addresses]
    replaced: Addresses  # the same with `{rest}` and `{ws}` for the configured bases
    ccxt_rest: Mapping[str, str]  # the names under which ccxt keeps its REST addresses
    ccxt_ws: Tree
    ccxt_urls_key: Mapping[Environment, str]  # where ccxt keeps the addresses that its switch swaps in
    ws_base_never_holds: str | None = None  # a word in the address by which ccxt tells one kind from another
    asks_markets_by_kind: bool = True
    same_channels: tuple[tuple[str, str], ...] = ()  # two names of ours for one topic of theirs
    # The kinds of market in the order in which a name that means several is read.
    preferred: tuple[Kind, ...] = KINDS
    bare_markets: Mapping[Kind, tuple[str, ...]] = field(default_factory=dict)  # where nobody says which

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of market it has, in a fixed order."""
        return tuple(kind for kind in KINDS if kind in self.depths)

    @property
    def environments(self) -> tuple[Environment, ...]:
        """The environments it has, live first."""
        return tuple(self.addresses)


def _bybit_addresses(rest: str, ws: str) -> Addresses:
    return Addresses(
        rest={"spot": rest, "linear": rest},
        ws={"spot": (f"{ws}/v5/public/spot",), "linear": (f"{ws}/v5/public/linear",)},
    )


def _binance_addresses(spot_rest: str, linear_rest: str, spot_ws: str, linear_ws: str) -> Addresses:
    # ccxt puts the category into the futures address and a stream number behind both: `<address>/<n>`.
    return Addresses(
        rest={"spot": f"{spot_rest}/api/v3", "linear": f"{linear_rest}/fapi/v1"},
        ws={"spot": (spot_ws,), "linear": (f"{linear_ws}/public/ws", f"{linear_ws}/market/ws")},
    )


# https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook; /v5/demo: public data of the demo
# environment comes from the production websocket.
_BYBIT = Venue(
    depths={"spot": (1, 50, 200, 1000), "linear": (1, 50, 200, 1000)},
    intervals=("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d", "1w", "1M"),
    addresses={
        "live": _bybit_addresses("https://api.bybit.com", "wss://stream.bybit.com"),
        "testnet": _bybit_addresses("https://api-testnet.bybit.com", "wss://stream-testnet.bybit.com"),
        "demo": _bybit_addresses("https://api-demo.bybit.com", "wss://stream.bybit.com"),
    },
    replaced=_bybit_addresses("{rest}", "{ws}"),
    ccxt_rest=dict.fromkeys(("public", "private", "spot", "futures", "v2"), "{rest}"),
    # ccxt tells spot from linear by the word "spot" in the address.
    ccxt_ws={
        "public": {kind: f"{{ws}}/v5/public/{kind}" for kind in ("spot", "linear", "inverse", "option")},
    },
    ws_base_never_holds="spot",
    ccxt_urls_key={"live": "api", "testnet": "test", "demo": "demotrading"},
    same_channels=(("bbo", "book.1"),),
    preferred=("linear", "spot"),
    bare_markets=_BARE_MARKETS,
)

# A diff stream has every level; the depth is that of the REST snapshot beneath it: at most 5000 on spot,
# 1000 on USD-M (https://developers.binance.com/docs, "Order book").
_BINANCE = Venue(
    depths={"spot": range(1, 5001), "linear": range(1, 1001)},
    intervals=(
        *("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h"),
        *("1d", "3d", "1w", "1M"),
    ),
    addresses={
        "live": _binance_addresses(
            "https://api.binance.com",
            "https://fapi.binance.com",
            "wss://stream.binance.com:9443/ws",
            "wss://fstream.binance.com",
        ),
        "testnet": _binance_addresses(
            "https://testnet.binance.vision",
            "https://testnet.binancefuture.com",
            "wss://stream.testnet.binance.vision/ws",
            "wss://fstream.binancefuture.com",
        ),
        "demo": _binance_addresses(
            "https://demo-api.binance.com",
            "https://demo-fapi.binance.com",
            "wss://demo-stream.binance.com/ws",
            "wss://fstream.binancefuture.com",
        ),
    },
    replaced=_binance_addresses("{rest}", "{rest}", "{ws}/stream/ws", "{ws}/fut"),
    ccxt_rest={"public": "{rest}/api/v3", "fapiPublic": "{rest}/fapi/v1", "dapiPublic": "{rest}/dapi/v1"},
    # ccxt takes every address with "/stream" in it for spot.
    ccxt_ws={"spot": "{ws}/stream/ws", "linear": "{ws}/fut/ws"},
    ws_base_never_holds="/stream",
    ccxt_urls_key={"live": "api", "testnet": "test", "demo": "demo"},
    preferred=("spot", "linear"),
    bare_markets=_BARE_MARKETS,
)

_KRAKEN_REST, _KRAKEN_WS = "https://api.kraken.com", "wss://ws.kraken.com/v2"

# https://docs.kraken.com/api/docs/websocket-v2/book. Its spot exchange has one environment only.
_KRAKEN = Venue(
    depths={"spot": (10, 25, 100, 500, 1000)},
    intervals=("1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"),
    addresses={"live": Addresses(rest={"spot": _KRAKEN_REST}, ws={"spot": (_KRAKEN_WS,)})},
    replaced=Addresses(rest={"spot": "{rest}"}, ws={"spot": ("{ws}/kraken/v2",)}),
    ccxt_rest={"public": "{rest}"},
    ccxt_ws={"publicV2": "{ws}/kraken/v2"},  # ccxt chooses the form of its ping by "v2"
    ccxt_urls_key={"live": "api"},
    asks_markets_by_kind=False,
    preferred=("spot",),
    bare_markets=MappingProxyType({"spot": ("BTC/USD", "ETH/USD")}),
)

VENUES: Mapping[str, Venue] = MappingProxyType({"bybit": _BYBIT, "binance": _BINANCE, "kraken": _KRAKEN})


# What can be had of any other exchange that ccxt.pro knows: a book as ccxt keeps it, unproven. How deep it is
# the exchange decides; its addresses are ccxt's.
_UNVERIFIED = Venue(
    depths={kind: range(1, ccxt_names.DEEPEST + 1) for kind in KINDS},
    intervals=(),
    addresses={"live": Addresses(rest={}, ws={})},
    replaced=Addresses(rest={}, ws={}),
    ccxt_rest={},
    ccxt_ws={},
    ccxt_urls_key={"live": "api"},
    asks_markets_by_kind=False,
)


def is_known(exchange: str) -> bool:
    """Say whether anything is collected from there, verified or not."""
    return exchange in VENUES or exchange in ccxt_names.NAMES


def venue(exchange: str) -> Venue:
    """Return the facts of `exchange`, or raise SettingsError naming those that are known."""
    if exchange in VENUES:
        return VENUES[exchange]
    if exchange in ccxt_names.NAMES:
        return _UNVERIFIED
    raise SettingsError([f"exchange {exchange!r} is not known, expected one of {', '.join(VENUES)}"])


def families_of(exchange: str) -> tuple[str, ...]:
    """Name the families of channels that are collected from an exchange."""
    return _FAMILIES if exchange in _COLLECTED else ccxt_names.FAMILIES


def kinds_of(exchange: str) -> tuple[Kind, ...]:
    """Name the kinds of market that are collected from an exchange."""
    return _COLLECTED.get(exchange, KINDS)


def environment_problem(exchange: str, environment: Environment) -> str | None:
    """Say why `environment` cannot be had at `exchange`, or return None."""
    offered = venue(exchange).environments
    if environment in offered:
        return None
    return f"{exchange} has no {environment} environment, expected {one_of(offered)}"


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
    endpoints: Endpoints = OwnAddresses(),
    kinds: Iterable[Kind] = KINDS,
) -> dict[str, object]:
    """Return what ccxt's constructor is to be given so that it dials what `dialled` lists."""
    _check_environment(exchange, environment)
    facts = venue(exchange)
    config: dict[str, object] = {}
    urls: dict[str, object] = {}
    if exchange not in VENUES:
        return config  # ccxt's own addresses, which `rebased` changes
    if endpoints.rest is not None:
        urls |= _filled(facts.ccxt_rest, {"rest": _base(endpoints.rest)})
    if endpoints.ws is not None:
        urls["ws"] = _filled(facts.ccxt_ws, {"ws": _base(endpoints.ws)})
    if urls:
        config["urls"] = {facts.ccxt_urls_key[environment]: urls}
    if facts.asks_markets_by_kind:
        wanted = frozenset(kinds)
        # Without it ccxt asks for inverse and option markets as well: 11 requests on Bybit.
        config["options"] = {"fetchMarkets": {"types": [kind for kind in facts.kinds if kind in wanted]}}
    return config


def dialled(
    exchange: str,
    environment: Environment,
    endpoints: Endpoints = OwnAddresses(),
    kinds: Iterable[Kind] = KINDS,
) -> list[str]:
    """List the addresses really dialled for public data, REST first, each once."""
    _check_environment(exchange, environment)
    if exchange not in VENUES:  # which addresses there are only ccxt knows
        return [url for url in (endpoints.rest, endpoints.ws) if url is not None]
    facts = venue(exchange)
    own, replaced = facts.addresses[environment], facts.replaced
    wanted = frozenset(kinds)
    rest: list[str] = []
    ws: list[str] = []
    for kind in (kind for kind in facts.kinds if kind in wanted):
        if endpoints.rest is None:
            rest.append(own.rest[kind])
        else:
            rest.append(replaced.rest[kind].format(rest=_base(endpoints.rest)))
        if endpoints.ws is None:
            ws.extend(own.ws[kind])
        else:
            ws.extend(address.format(ws=_base(endpoints.ws)) for address in replaced.ws[kind])
    return list(dict.fromkeys([*rest, *ws]))


def websocket(
    exchange: str, environment: Environment, endpoints: Endpoints, kind: Kind, door: int = 0
) -> str:
    """Return the address of one of the doors behind which a kind of market is collected."""
    _check_environment(exchange, environment)
    facts = venue(exchange)
    if exchange not in VENUES:
        return endpoints.ws or exchange  # which addresses there are only ccxt knows
    if endpoints.ws is None:
        return facts.addresses[environment].ws[kind][door]
    return facts.replaced.ws[kind][door].format(ws=_base(endpoints.ws))


def rebased(urls: Tree, endpoints: Endpoints) -> Tree:
    """Put other bases before the paths of ccxt's addresses, for an exchange that nobody wrote a table for."""

    def moved(url: str) -> str:
        parts = urlsplit(url)
        base = endpoints.ws if parts.scheme in {"ws", "wss"} else endpoints.rest
        return url if base is None or not parts.netloc else _base(base) + parts.path

    return {
        name: moved(each) if isinstance(each, str) else rebased(each, endpoints)
        for name, each in urls.items()
    }


def smallest_depth_holding(exchange: str, kind: Kind, levels: int) -> int:
    """Return the smallest book depth offered that holds `levels` levels a side."""
    depths = venue(exchange).depths.get(kind, ())
    if not depths:
        raise SettingsError([f"{exchange} has no {kind} markets, expected {one_of(venue(exchange).kinds)}"])
    for depth in depths:
        if depth >= levels:
            return depth
    raise SettingsError([f"{exchange} {kind} has no book of {levels} levels, expected at most {depths[-1]}"])


def kind_of(symbol: str) -> str | None:
    """Tell the kind of market from ccxt's name of it; None for an exchange's own name, which does not tell.

    `BTC/USDT` is spot, `BTC/USDT:USDT` linear, `BTC/USD:BTC` inverse, `BTC/USD:BTC-260327-90000-C` an option.
    """
    pair, colon, settled = symbol.partition(":")
    base, slash, quote = pair.partition("/")
    if not (base and slash and quote):
        return None
    if not colon:
        return "spot"
    settle, *rest = settled.split("-")
    if len(rest) > 1:
        return "option"
    return "linear" if settle == quote else "inverse"


def depths_text(depths: Sequence[int]) -> str:
    """Name the depths offered, for a message."""
    if isinstance(depths, range):
        return f"any from {depths[0]} to {depths[-1]}"
    return one_of([str(depth) for depth in depths])


def supported_text(exchange: str | None = None) -> str:
    """Name what this version collects, from one exchange or from all, for a message."""
    if exchange in ccxt_names.NAMES:
        return f"{exchange} spot and linear: {', '.join(ccxt_names.FAMILIES)}"
    names = [exchange] if exchange is not None and exchange in _COLLECTED else sorted(_COLLECTED)
    return "; ".join(
        f"{name} {' and '.join(sorted(_COLLECTED[name]))}: {', '.join(sorted(_FAMILIES))}" for name in names
    )


def one_of(names: Sequence[str]) -> str:
    """Word a choice: `a`, or `one of a, b, c`."""
    return names[0] if len(names) == 1 else f"one of {', '.join(names)}"


def _check_environment(exchange: str, environment: Environment) -> None:
    problem = environment_problem(exchange, environment)
    if problem is not None:
        raise SettingsError([problem])


def _base(url: str) -> str:
    return url.rstrip("/")


def _filled(tree: Tree, bases: Mapping[str, str]) -> dict[str, object]:
    """Put the bases into every address of a tree."""
    return {
        name: address.format(**bases) if isinstance(address, str) else _filled(address, bases)
        for name, address in tree.items()
    }
