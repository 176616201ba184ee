"""Judge the state of a collector: pure rules over measured facts, with limits that can be configured."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.health.alarms import HealthAlarms
    from collector.health.facts import Facts, MachineFacts, StreamFact
    from collector.health.limits import HealthLimits
    from collector.health.rules import Health, Part, Verdict, is_wedged, judge
else:
    __getattr__, __dir__ = face(__name__, __file__)
