"""The rule of bars, slow and by the letter: one state after the other, no batches and no database."""

from dataclasses import dataclass, field
from typing import Any

State = dict[str, Any]
NUMBERS = ("open", "high", "low", "close", "volume")


@dataclass
class Oracle:
    """What is to be stored, and counted."""

    bars: dict[int, State] = field(default_factory=dict)  # by open time
    corrections: list[State] = field(default_factory=list)
    written: int = 0
    merged: int = 0

    def tell(self, state: State) -> None:
        there = self.bars.get(state["open_time"])
        if there is None:
            self.bars[state["open_time"]] = state
            self.written += 1
        elif there["confirmed"] and state["confirmed"] and self.is_news(there, state):
            self.corrections.append(state)
            self.written += 1
        else:
            self.merged += 1
            is_newer = state["received_at_ns"] >= there["received_at_ns"]
            if not there["confirmed"] and (is_newer or state["confirmed"]):
                known = {name: there[name] for name in ("vwap", "count") if state[name] is None}
                self.bars[state["open_time"]] = {**state, **known}

    def is_news(self, first: State, state: State) -> bool:
        told = [first, *(one for one in self.corrections if one["open_time"] == state["open_time"])]
        told.sort(key=lambda one: one["received_at_ns"])  # stable: in the order told within one receipt
        standing = told[0]
        for one in told:
            if one["received_at_ns"] == state["received_at_ns"] and alike(one, state):
                return False
            if one["received_at_ns"] <= state["received_at_ns"]:
                standing = one
        return not alike(standing, state)


def alike(one: State, other: State) -> bool:
    for name in NUMBERS:
        if one[name] != other[name]:
            return False
    for name in ("vwap", "count"):
        if one[name] is not None and other[name] is not None and one[name] != other[name]:
            return False
    return True
