"""Say what a client wants: channels, each of all markets, of an exchange, or of one market."""

from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple, get_args

from collector.errors import UserError
from collector.serve.api.names import Names

ChannelName = Literal["overview", "ticks", "books", "features", "bars", "states"]
CHANNELS: tuple[str, ...] = get_args(ChannelName)
MOST_WANTS = 500  # of one client
_LONGEST_NAME = 100


class Want(NamedTuple):
    """A channel; None stands for any exchange, any market, any interval."""

    channel: str
    exchange: str | None = None
    symbol: str | None = None
    interval: str | None = None


def covering(channel: str, exchange: str, symbol: str | None, interval: str | None = None) -> Iterator[Want]:
    """Yield the wants that an event satisfies."""
    for length in {None, interval}:
        yield Want(channel, None, None, length)
        yield Want(channel, exchange, None, length)
        if symbol is not None:
            yield Want(channel, exchange, symbol, length)


def wants_of(
    channels: Iterable[str],
    names: Names,
    exchange: str | None = None,
    symbols: Iterable[str] = (),
    interval: str | None = None,
) -> list[Want]:
    """Return what is meant. Raises UserError for a channel that there is not, or an unknown market."""
    found: list[Want] = []
    listed = list(symbols)
    for channel in channels:
        if channel not in CHANNELS:
            raise UserError(f"there is no channel {channel!r}; expected one of {', '.join(CHANNELS)}")
        if channel == "overview":
            found.append(Want(channel))
        elif listed:
            markets = [names.find(name, exchange) for name in listed]
            found += [Want(channel, one.exchange, one.symbol, interval) for one in markets]
        else:
            found.append(Want(channel, exchange, None, interval))
    return found


def text_of(command: dict[str, Any], name: str) -> str | None:
    """Return a text of a command; None where there is none. Raises UserError for what is no text."""
    value = command.get(name)
    if value is None or (isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME):
        return value
    raise UserError(f"{name} is not understood; expected a text of at most {_LONGEST_NAME} characters")
