"""What an exchange lists: each simulated market, and its sibling of the other kind.

A sibling gets its market with the first request for it; until then it is only listed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from collector.simulator.market import Instrument, SymbolFeed

QUOTE = "USDT"  # of markets that are there both as spot and as linear perpetual

Name = tuple[str, str]  # spot or linear, the exchange's own name


def market_of(of: Instrument) -> str:
    """Return which of the exchange's markets an instrument belongs to."""
    return "linear" if of.is_linear else "spot"


class Listing(Mapping[Name, SymbolFeed]):
    """The markets of one exchange by their kind and the exchange's own names."""

    def __init__(
        self, feeds: Iterable[SymbolFeed], *, describe: Callable[[str], Instrument], with_siblings: bool
    ) -> None:
        self.start_market: Callable[[Instrument], SymbolFeed] | None = None
        self._feeds = {_name(feed.instrument): feed for feed in feeds}
        self._only_listed: dict[Name, Instrument] = {}
        if with_siblings:
            pairs = [feed.instrument for feed in self._feeds.values() if feed.instrument.quote == QUOTE]
            siblings = [describe(_sibling(of)) for of in pairs]
            self._only_listed = {_name(one): one for one in siblings if _name(one) not in self._feeds}

    def __getitem__(self, name: Name) -> SymbolFeed:
        if name in self._only_listed and self.start_market is not None:
            self._feeds[name] = self.start_market(self._only_listed.pop(name))
        return self._feeds[name]

    def __iter__(self) -> Iterator[Name]:
        return iter([*self._feeds, *self._only_listed])

    def __len__(self) -> int:
        return len(self._feeds) + len(self._only_listed)

    def add(self, feed: SymbolFeed) -> None:
        """List a market that has started."""
        name = _name(feed.instrument)
        self._only_listed.pop(name, None)
        self._feeds[name] = feed

    def started(self, market: str) -> list[SymbolFeed]:
        """List what lives in one of the markets, by name, each brought up to now."""
        living = [
            feed
            for (kind, _), feed in sorted(self._feeds.items(), key=lambda one: one[0])
            if kind == market and not feed.delisted
        ]
        for feed in living:
            feed.catch_up()
        return living

    def instruments(self, market: str) -> list[Instrument]:
        """List what is traded in one of the markets, by name."""
        started = {name: feed.instrument for name, feed in self._feeds.items() if not feed.delisted}
        return [one for (kind, _), one in sorted((started | self._only_listed).items()) if kind == market]


def _name(of: Instrument) -> Name:
    return market_of(of), of.name


def _sibling(of: Instrument) -> str:
    """Return the symbol of the same pair and of the other kind."""
    pair = f"{of.base}/{of.quote}"
    return pair if of.is_linear else f"{pair}:{of.quote}"
