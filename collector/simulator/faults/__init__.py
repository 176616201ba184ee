"""Faults on demand, and what the exchanges' own limits refuse."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.simulator.faults.faults import Faults, fault_names
else:
    __getattr__, __dir__ = face(__name__, __file__)
