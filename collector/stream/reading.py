"""Take each message of a frame to whoever it is for."""

from collections.abc import Callable

from collector.errors import FrameError
from collector.events.messages import Ack, Candle, Delta, Other, Snapshot, Status, TopOfBook, Trade
from collector.events.notices import State
from collector.stream.requests import Requests
from collector.stream.subscriptions import Subscriptions, Surroundings
from collector.stream.unknown import UnknownFrames

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
