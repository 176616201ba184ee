"""Buffer rows between the two threads: bounded and locked."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.buffer.buffer import Buffer
    from collector.buffer.limits import BufferLimits
else:
    __getattr__, __dir__ = face(__name__, __file__)
