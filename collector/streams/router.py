"""Take each message of a frame to whoever it is for."""

from collections.abc import Callable

from collector.buffer.buffer import Buffer
from collector.errors import FrameError
from collector.events.batch import UNKNOWN, StreamKey
from collector.events.messages import Ack, Candle, Delta, Other, Snapshot, Status, TopOfBook, Trade
from collector.events.notices import State
from collector.live.requests import Requests
from collector.live.subscriptions import Subscriptions, Surroundings


class UnknownFrames:
    """Frames of one exchange that are nobody's: one event each, rejected under its reason."""

    def __init__(
        self, exchange: str, buffer: Buffer, on_first: Callable[[str, str, str], None] | None = None
    ) -> None:
        self._buffer = buffer
        self._number = buffer.register(StreamKey(exchange, UNKNOWN, UNKNOWN))
        self._on_first = on_first
        self._seen: set[str] = set()
        self.received = 0

    def count(self, reason: str, detail: str, text: str) -> None:
        """Count a frame; the first of each reason is shown to whoever listens."""
        self.received += 1
        self._buffer.count_rejected(self._number, self.received, reason)
        if reason not in self._seen and self._on_first is not None:
            self._seen.add(reason)
            self._on_first(reason, detail, text[:200])


MARKET_DATA = (Delta, Snapshot, Trade, TopOfBook, Candle)


class Frames:
    """What one connection does with its frames. Never raises."""

    def __init__(
        self,
        around: Surroundings,
        subscriptions: Subscriptions,
        requests: Requests,
        unknown: UnknownFrames,
        publish: Callable[[State, str], None],
        on_mistake: Callable[[str], None],
    ) -> None:
        self._read_frame = around.protocol.read_frame
        self._subscriptions = subscriptions
        self._requests = requests
        self._unknown = unknown
        self._publish = publish
        self._on_mistake = on_mistake

    def take(self, text: str, received_at_ns: int) -> bool:
        """Take what is ours; False when something in the frame is not, and ccxt should have it."""
        ours = True
        try:
            for message in self._read_frame(text):
                if isinstance(message, MARKET_DATA):
                    told = _as_book(message) if type(message) is TopOfBook else message
                    if not self._subscriptions.take(told, received_at_ns):
                        self._unknown.count("unknown_topic", message.topic, text)
                elif isinstance(message, Status):
                    self._publish(State.said(message.state), message.text or message.state)
                elif isinstance(message, Ack):
                    ours = self._requests.answered(message)
                elif isinstance(message, Other):
                    ours = False
        except FrameError as error:
            self._unknown.count(error.reason, error.detail, text)
            self._subscriptions.doubt(text, error.reason, error.detail)
            ours = True
        except Exception as error:  # noqa: BLE001  (raised into ccxt's receive loop it would end the stream)
            self._unknown.count("internal_error", repr(error), text)
            self._on_mistake(repr(error))
            ours = True
        return ours


def _as_book(top: TopOfBook) -> Snapshot:
    """Read the best bid and ask as a whole book of one level."""
    bids, asks = [(top.bid_price, top.bid_size)], [(top.ask_price, top.ask_size)]
    return Snapshot(top.topic, top.sequence, top.exchange_ms, bids, asks)
