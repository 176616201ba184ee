"""Put write sets into a Kinesis stream: requests, what fails of them, and what is refused for good."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.sinks.kinesis.dead_letters import DeadLetter, DeadLetters, dead_letters_at
    from collector.sinks.kinesis.sink import KinesisSink
else:
    __getattr__, __dir__ = face(__name__, __file__)
