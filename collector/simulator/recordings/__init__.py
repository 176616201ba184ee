"""Recorded frames, played in the place of a simulated market."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.simulator.recordings.recording import Recorded, read_recording
    from collector.simulator.recordings.replay import Replay, ReplayHandle
else:
    __getattr__, __dir__ = face(__name__, __file__)
