"""Load an exchange's markets once, off the streaming loop, and find what a symbol means."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakSet

import ccxt

from collector.errors import StreamError, UserError
from collector.exchanges import (
    UNVERIFIED_NAMES,
    Endpoints,
    Environment,
    MarketKind,
    apply_environment,
    ccxt_config,
    ccxt_id_of,
    exchange_of,
    rebased,
    rest_address,
)
from collector.exchanges import kind_of as kind_in_name
from collector.network.answers import answered
from collector.network.attempts import Attempts, Next
from collector.network.budget import Budget
from collector.network.budgeted import within_budgets
from collector.network.budgets import BUDGETS, Budgets
from collector.network.failures import Failure, classify, mistake_in_words
from collector.network.waiting import in_thread

OK, NOT_OK = 200, 300


def strict(package: Any, exchange: str) -> Any:
    """Return a package of ccxt's class of an exchange, raising BadResponse for an answer that is no JSON.

    Each error that follows from an answer has its `http_status`.
    """
    exchange_id = ccxt_id_of(exchange)
    base: Any = getattr(package, exchange_id)

    class Strict(base):  # type: ignore[misc]  # the base is known at run time only
        def handle_errors(self, code: int, reason: Any, url: Any, method: Any, *more: Any) -> Any:
            try:
                found = super().handle_errors(code, reason, url, method, *more)
            except ccxt.BaseError as error:  # of a body that it does not know the status would be lost
                error.http_status = code
                raise
            _headers, _body, response, *_ = more
            if response is None and OK <= code < NOT_OK:
                raise ccxt.BadResponse(f"{exchange_id} {method} {url} answered what is no JSON")
            return found

    # ccxt chooses some texts by the class's name.
    Strict.__name__ = Strict.__qualname__ = exchange_id
    return Strict


SUGGESTIONS = 3


@dataclass(frozen=True, slots=True)
class Source:
    """Which exchange, in which environment, at which addresses."""

    exchange: str
    environment: Environment
    endpoints: Endpoints
    kinds: tuple[MarketKind, ...]  # that are collected, the one that a plain name means first

    def config(self, timeout_s: float) -> dict[str, Any]:
        """Return the configuration for ccxt's constructor."""
        config = ccxt_config(self.exchange, self.environment, self.endpoints, self.kinds)
        # The text of the last answer would be kept: of the list of markets it is megabytes.
        kept = {"enableLastHttpResponse": False}
        return {**config, **kept, "timeout": int(timeout_s * 1000), "enableRateLimit": True}

    def address(self, exchange: Any) -> None:
        """Point a freshly made ccxt object at the environment and the addresses wanted."""
        apply_environment(exchange, self.exchange, self.environment)
        if self.exchange in UNVERIFIED_NAMES:
            exchange.urls["api"] = rebased(exchange.urls["api"], self.endpoints)

    def rest_address(self, kind: MarketKind) -> str:
        """Return the address at which REST is asked for a kind of market of a verified exchange."""
        return rest_address(self.exchange, self.environment, self.endpoints, kind)

    def budgets(self, among: Budgets = BUDGETS) -> dict[MarketKind, Budget]:
        """Return the budget of each kind of market, while nobody keeps it a new one."""
        return among.of(self.exchange, self.environment, self.endpoints, self.kinds)


@dataclass(frozen=True, slots=True)
class Markets:
    """An exchange's markets, as ccxt keeps them; shared by all its connections."""

    loaded: Any  # the ccxt object that asked for them
    kinds: tuple[MarketKind, ...]  # as those of their source
    _sharing: WeakSet[Any] = field(default_factory=WeakSet, repr=False, compare=False)

    @property
    def by_symbol(self) -> dict[str, Any]:
        """Return the markets by ccxt's symbols."""
        markets: dict[str, Any] = self.loaded.markets
        return markets

    def share_with(self, exchange: Any) -> None:
        """Give another ccxt object of the exchange these very markets: a copy costs 2 KB a market."""
        exchange.set_markets_from_exchange(self.loaded)
        self._sharing.add(exchange)

    def differ_from(self, later: "Markets") -> bool:
        """Return whether the exchange lists anything else now."""
        return bool(self.by_symbol != later.by_symbol)

    def renew(self, later: "Markets", kept: Mapping[str, Any]) -> None:
        """Take what the exchange lists now, for all who share these markets; keep some, listed or not."""
        later.loaded.markets = {**kept, **later.by_symbol}
        for exchange in (self.loaded, *self._sharing):
            exchange.set_markets_from_exchange(later.loaded)

    def find(self, name: str) -> Any:
        """Return the market that `name` means: ccxt's symbol, or the exchange's own name for it."""
        return self.choose(name)[0]

    def choose(self, name: str) -> list[Any]:
        """Return the markets that a name may mean, the one that it does mean first.

        A unified name means itself, in any case. A name that markets of several kinds have means the kind
        that stands first in `kinds`; within a kind what the exchange itself calls so, then a perpetual.
        """
        unified = self._unified(name)
        if unified is not None:
            return [unified]
        plain, named_kind = _plain(name), kind_in_name(name)
        found: dict[MarketKind, list[Any]] = {}
        for one in self._offered():
            kind = self.kind_of(one)
            if named_kind in (None, kind) and plain in _own_names(one):
                found.setdefault(kind, []).append(one)
        if not found:
            near = ", ".join(self._near(plain)) or "none"
            raise UserError(f"symbol {name!r} is not a market there; similar names: {near}")
        return [min(found[kind], key=lambda one: _unlike(one, plain)) for kind in self.kinds if kind in found]

    def kind_of(self, market: Any) -> MarketKind:
        """Return the kind of a market; raises UserError for one that is not collected from there."""
        for kind in self.kinds:
            if market.get(kind):
                return kind
        raise UserError(f"symbol {market['symbol']!r} is a market of a kind that is not collected from there")

    def _unified(self, name: str) -> Any | None:
        """Return the market of ccxt's symbol, written in any case."""
        wanted = name.upper()
        market = self.by_symbol.get(name) or self.by_symbol.get(wanted)
        if market is None and "/" in name:  # some have small letters in them
            market = next((one for symbol, one in self.by_symbol.items() if symbol.upper() == wanted), None)
        return market

    def _offered(self) -> Iterable[Any]:
        return (one for one in self.by_symbol.values() if any(one.get(kind) for kind in self.kinds))

    def _near(self, plain: str) -> list[str]:
        base = plain[:3]
        near = [one for one in self._offered() if one["base"].startswith(base)]
        near.sort(key=lambda one: (plain not in _own_names(one), *_unlike(one, plain)))
        return [one["symbol"] for one in near][:SUGGESTIONS]


def load_markets(source: Source, timeout_s: float, budgets: Budgets = BUDGETS) -> Markets:
    """Load the exchange's markets within its budgets. Blocks: call it in a thread of its own."""
    exchange = strict(ccxt, source.exchange)(source.config(timeout_s))
    source.address(exchange)
    weights = exchange_of(source.exchange).list_weight
    turns = within_budgets(source, exchange, timeout_s, budgets, weights)
    with answered("load the markets", exchange, source.exchange), turns:
        exchange.load_markets()
    if not exchange.markets:
        raise StreamError("could not load the markets: the list is empty")
    return Markets(exchange, source.kinds)


def _raw(market: Any) -> Mapping[str, Any]:
    """Return what the exchange itself sent of a market; some send a list."""
    return market["info"] if isinstance(market["info"], Mapping) else {}


def _own_names(market: Any) -> set[str]:
    names = (market["id"], market["symbol"].split(":")[0], _raw(market).get("altname"))
    return {_plain(str(name)) for name in names if name}


def _plain(name: str) -> str:
    return name.replace("/", "").upper()


def _unlike(market: Any, plain: str) -> tuple[bool, bool]:
    """Rank markets of one kind for a name: first what the exchange calls so, and what never expires."""
    return plain != _plain(market["id"]), market.get("expiry") is not None


# What is told of each load that failed: which in a row, why, and what follows. Must not raise.
OnFailure = Callable[[int, StreamError, Failure, Next], None]


async def load_until(
    stopped: asyncio.Event, source: Source, timeout_s: float, attempts: Attempts, on_failure: OnFailure
) -> Markets | None:
    """Load the markets, as often as it takes; None when stopped before, or when the attempts are over."""
    while not stopped.is_set():
        loading = in_thread("markets", lambda: load_markets(source, timeout_s))
        await _either(stopped, loading)
        if loading.cancelled() or not loading.done():
            break
        try:
            return loading.result()
        except StreamError as found:
            error = found
        except Exception as found:  # noqa: BLE001  (a fault of ours: it must not end an exchange)
            error = StreamError(f"could not load the markets: {mistake_in_words(found)}")
            error.__cause__ = found
        failure = replace(classify(error, source.exchange), retry_after_s=error.retry_after_s)
        following = attempts.failed(failure)
        on_failure(attempts.in_a_row, error, failure, following)
        if attempts.are_over:
            break
        await _either(stopped, asyncio.create_task(asyncio.sleep(following.wait_s)))
    return None


async def _either(stopped: asyncio.Event, waited_for: "asyncio.Future[Any]") -> None:
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait({stopping, waited_for}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    waited_for.cancel()
