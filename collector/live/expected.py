"""Remember which streams are asked for, whether or not anything is collected of them.

What is asked for is the measure of a collector's health: an exchange whose list of markets never came, or a
market that is listed no longer, has no stream that could be unwell.
"""

from collections.abc import Container, Iterable, Mapping, Sequence

from collector.events import StreamKey


class Expected:
    """The streams asked of one exchange: its names by its channels. Read by any thread."""

    def __init__(self, exchange: str, names: Sequence[str], channels: Sequence[str]) -> None:
        self._exchange = exchange
        self._channels = channels
        # Which market each name means, once that is known; replaced as a whole.
        self._meant: dict[str, str | None] = dict.fromkeys(names)

    def add(self, names: Iterable[str], meant: Mapping[str, str]) -> None:
        """Ask for more names, and take what each of them means where it means something."""
        self._meant = {**self._meant, **{name: meant.get(name) for name in names}}

    def remove(self, symbols: Container[str | None]) -> None:
        """Ask no longer for the names that mean these markets."""
        self._meant = {name: symbol for name, symbol in self._meant.items() if symbol not in symbols}

    def forget(self, name: str) -> None:
        """Ask no longer for a name."""
        self._meant = {one: symbol for one, symbol in self._meant.items() if one != name}

    @property
    def keys(self) -> list[StreamKey]:
        """Return the streams, each once; a market by its name as written while nobody knows what it means."""
        symbols = dict.fromkeys(symbol or name for name, symbol in self._meant.items())
        return [
            StreamKey(self._exchange, symbol, channel) for symbol in symbols for channel in self._channels
        ]
