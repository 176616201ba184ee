"""Turn stored books and trades into the events that hftbacktest replays."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.export.hftbacktest.day import ENDING, FORM, KINDS, joined_days, write_events
else:
    __getattr__, __dir__ = face(__name__, __file__)
