"""Keep what each exchange says of itself, for the health of a collector and for the alarm."""

from types import MappingProxyType

from collector.events import State, SystemState

# What is less than everything. A connection that is about to be cut is replaced: no state of the exchange.
WORDS = MappingProxyType(
    {
        State.MAINTENANCE: "is under maintenance",
        State.CANCEL_ONLY: "takes cancellations of orders only",
        State.POST_ONLY: "takes orders that make a market only",
        State.LIMIT_ONLY: "takes limit orders only",
        State.OTHER: "says of itself",
    }
)


class ExchangeStatuses:
    """The last that each exchange said of itself. Called in the publisher's thread."""

    def __init__(self) -> None:
        self._words: dict[str, str] = {}  # of the exchanges that are not online

    def take(self, event: SystemState) -> str | None:
        """Take a state; return in words what is new and less than online, else None."""
        if event.state is State.ONLINE:
            self._words.pop(event.exchange, None)
            return None
        words = WORDS.get(event.state)
        if words is None:
            return None
        text = f"{event.exchange} {words}" + (f": {event.cause}" if event.state is State.OTHER else "")
        is_new = self._words.get(event.exchange) != text
        self._words[event.exchange] = text
        return text if is_new else None

    def troubles(self) -> tuple[str, ...]:
        """Return in words what is less than online, an exchange each."""
        return tuple(self._words.copy().values())
