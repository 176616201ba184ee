"""Faults in frames: each looks at the next messages of one channel, changes some, and is done."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from collector.simulator.exchanges.messages import Answer, Outgoing, Topic

HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


# Levels are objects or arrays.
_SIDES = re.compile(r'"(bids|asks)":\[(?:[^\[\]]|\[[^\]]*\])*\]')


@dataclass(slots=True)
class RestFault:
    """One armed fault: for the next `count` requests whose path contains `path`, `after` so many others."""

    name: str
    exchange: str | None
    path: str
    count: int
    delay_s: float = 0.0
    instead: Answer | None = None
    keeps_share: float = 1.0
    edit: Callable[[str], str] | None = None
    after: int = 0

    def matches(self, exchange: str, path: str) -> bool:
        """Return whether it applies to a request."""
        return self.count > 0 and self.exchange in {None, exchange} and self.path in path

    def change(self, answer: Answer) -> Answer:
        """Return what is answered instead."""
        if self.instead is not None:
            return self.instead
        if self.edit is not None:
            return answer._replace(body=self.edit(answer.body))
        return answer._replace(body=answer.body[: int(len(answer.body) * self.keeps_share)])


class Tamper(Protocol):
    """A fault armed on a channel; forgotten once done."""

    done: bool

    def __call__(self, topic: Topic, message: Outgoing) -> list[Outgoing]:
        """Return what is sent in the place of a message."""


@dataclass(slots=True)
class Drop:
    """Lose messages."""

    count: int
    done: bool = False

    def __call__(self, topic: Topic, message: Outgoing) -> list[Outgoing]:
        """Lose this message."""
        del topic, message
        self.count -= 1
        self.done = self.count <= 0
        return []


@dataclass(slots=True)
class Duplicate:
    """Send a message twice."""

    done: bool = False

    def __call__(self, topic: Topic, message: Outgoing) -> list[Outgoing]:
        """Send the message, and again."""
        del topic
        self.done = True
        return [message, message]


@dataclass(slots=True)
class Reorder:
    """Send a message after the one that follows it."""

    held: Outgoing | None = None
    done: bool = False

    def __call__(self, topic: Topic, message: Outgoing) -> list[Outgoing]:
        """Hold the first message back until the second is there."""
        del topic
        if self.held is None:
            self.held = message
            return []
        self.done = True
        return [message, self.held]


@dataclass(slots=True)
class Edit:
    """Change the text of a message; waits for one that the edit changes."""

    edit: Callable[[str], str]
    done: bool = False

    def __call__(self, topic: Topic, message: Outgoing) -> list[Outgoing]:
        """Send the changed text."""
        del topic
        text = self.edit(message.text)
        self.done = text != message.text
        return [message._replace(text=text)]


@dataclass(slots=True)
class Instead:
    """Send something else, made at that moment, in the place of the next message."""

    make: Callable[[Topic], list[Outgoing]]
    done: bool = field(default=False)

    def __call__(self, topic: Topic, message: Outgoing) -> list[Outgoing]:
        """Make what is sent."""
        del message
        self.done = True
        return self.make(topic)


def set_number(level: re.Pattern[str], part: str, value: str) -> Callable[[str], str]:
    """Write any value where the first level has its price or size."""

    def edit(text: str) -> str:
        found = level.search(text)
        return text if found is None else text[: found.start(part)] + value + text[found.end(part) :]

    return edit


def change_sizes(level: re.Pattern[str]) -> Callable[[str], str]:
    """Change the last digit of the size of every level but those that go, and nothing else."""

    def change(found: re.Match[str]) -> str:
        if not found["size"].strip('0."'):
            return found.group()
        end = found.end("size") - found.start()
        whole = found.group()
        return whole[: end - 1] + str((int(whole[end - 1]) + 1) % 10) + whole[end:]

    return lambda text: level.sub(change, text)


def change_checksum(text: str) -> str:
    """Change the checksum and nothing else."""
    return re.sub(r'"checksum":(\d+)', lambda found: f'"checksum":{int(found[1]) ^ 1}', text)


def empty_levels(text: str) -> str:
    """Take the levels out, so that the checksum changes without data."""
    return _SIDES.sub(r'"\1":[]', text)
