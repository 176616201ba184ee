"""Run the websocket thread: ccxt.pro connects, we read every frame."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.live.feed import NOTHING_TO_COLLECT, Claim, Feed
    from collector.live.first_contact import PATIENCE_S
    from collector.live.limits import Integrity, Limits, Pace, Universe, Wanted
    from collector.live.thread import StreamThread
else:
    __getattr__, __dir__ = face(__name__, __file__)
