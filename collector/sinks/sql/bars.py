"""Settle the states of bars: the one rule, the same for every database and however batches are cut. Pure.

Of a bar that is not confirmed the newest state by receipt stands, whole; `vwap` and `count` alone stay where
it does not tell them. An older state that comes late changes nothing, but a confirmation is never too late:
whatever was heard after it was said of a bar that is over. The first confirmation stands for good. What says
otherwise later is a correction, kept beside it as it came.
"""

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field

from collector.database import BAR
from collector.sinks.contract import Value

State = Mapping[str, Value]  # a row by its columns
Bar = tuple[Value, ...]  # exchange, symbol, interval, open time

VALUES = ("open", "high", "low", "close", "volume")
KEPT = ("vwap", "count")  # not sent by all, and not always


@dataclass(slots=True)
class SettledBars:
    """What becomes of states, one after the other."""

    new: dict[Bar, State] = field(default_factory=dict)
    replaced: dict[Bar, State] = field(default_factory=dict)
    corrections: list[State] = field(default_factory=list)
    merged: int = 0


def settle(
    states: Iterable[State],
    stored: Mapping[Bar, State],
    corrections: MutableMapping[Bar, list[State]],
) -> SettledBars:
    """Take states in the order in which they came to rows `stored` and their corrections, by id.

    New corrections are added to these.
    """
    settled = SettledBars()
    for state in states:
        bar = bar_of(state)
        there = settled.new.get(bar, settled.replaced.get(bar, stored.get(bar)))
        if there is None:
            settled.new[bar] = state
            continue
        if there["confirmed"]:
            told = corrections.setdefault(bar, [])
            if state["confirmed"] and _says_otherwise(state, [there, *told]):
                told.append(state)
                settled.corrections.append(state)
                continue
        elif state["confirmed"] or received(state) >= received(there):
            changed = settled.new if bar in settled.new else settled.replaced
            changed[bar] = {**state, **_kept(state, there)}
        settled.merged += 1
    return settled


def bar_of(state: State) -> Bar:
    """Return the key of the bar."""
    return tuple(state[name] for name in BAR)


def received(state: State) -> int:
    """Return when a state was received; what has no time is older than all."""
    return int(state.get("received_at_ns") or 0)


def _kept(state: State, there: State) -> dict[str, Value]:
    return {name: there[name] for name in KEPT if state.get(name) is None and there.get(name) is not None}


def _says_otherwise(state: State, told: list[State]) -> bool:
    """Compare a confirmation with the one that stood when it was received, or with the first there is.

    One of the same receipt and values is the same one, told again.
    """
    at_ns = received(state)
    if any(received(one) == at_ns and _agree(one, state) for one in told):
        return False
    before = [one for one in told if received(one) <= at_ns]
    # Of several received at one instant the last told stands.
    standing = max(enumerate(before), key=lambda one: (received(one[1]), one[0]))[1] if before else None
    return not _agree(standing or min(told, key=received), state)


def _agree(one: State, other: State) -> bool:
    """Return whether two states are the same; a value that only one of them has is no difference."""
    pairs = [(one.get(name), other.get(name)) for name in KEPT]
    return all(one[name] == other[name] for name in VALUES) and all(
        here is None or there is None or here == there for here, there in pairs
    )
