"""Define what the HTTP side sees of a collector: values that are there already, and nothing to wait for."""

from collections.abc import Sequence
from typing import Protocol

from collector.app import Checked, Collector, Phase
from collector.events import EventBus
from collector.health import HealthLimits
from collector.masking import without


class Shown(Protocol):
    """A collector as it is shown. Every member returns at once, whatever state the collector is in."""

    @property
    def phase(self) -> Phase:
        """Return where it is in its life."""

    @property
    def latest(self) -> Checked | None:
        """Return the last check: view, machine and health; None before the first."""

    @property
    def checked_ago_s(self) -> float | None:
        """Return how long ago that was, whatever the wall clock did since; None before the first."""

    @property
    def limits(self) -> HealthLimits:
        """Return how often it is checked, and what counts as degraded."""

    @property
    def loop_silent_s(self) -> float:
        """Return how long ago the loop that collects last turned."""

    @property
    def loop_ended(self) -> bool:
        """Return whether the thread that collects has ended, and nobody asked it to."""

    @property
    def events(self) -> EventBus:
        """Return the bus on which everything that happens is published."""

    def masked(self, text: str) -> str:
        """Return a text that came from elsewhere, such as a driver's error, without any secret in it."""


class ShownCollector:
    """A running collector."""

    def __init__(self, collector: Collector, secrets: Sequence[str] = ()) -> None:
        self._collector = collector
        self._secrets = secrets
        self.limits = collector.monitor.limits
        self.events = collector.events

    @property
    def phase(self) -> Phase:
        """Return where it is in its life."""
        return self._collector.phase

    @property
    def latest(self) -> Checked | None:
        """Return the last check."""
        return self._collector.monitor.latest

    @property
    def checked_ago_s(self) -> float | None:
        """Return how long ago the last check was."""
        return self._collector.monitor.checked_ago_s

    @property
    def loop_silent_s(self) -> float:
        """Return how long ago the loop that collects last turned."""
        return self._collector.stream.silent_s

    @property
    def loop_ended(self) -> bool:
        """Return whether the thread that collects has ended, and nobody asked it to."""
        return self._collector.stream.ended_unasked

    def masked(self, text: str) -> str:
        """Return a text without the secrets of the settings."""
        return without(text, self._secrets)
