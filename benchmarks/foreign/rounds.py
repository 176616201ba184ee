"""Serve rounds to the process that measures: our side of a comparison and the peer's run the same lines."""

import time
from array import array
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import NamedTuple, Protocol

LOOK_S = 0.005
ROUND_TIMEOUT_S = 60.0
STILL_S = 3.0  # nothing came through for so long: what is missing will not come


class Told(NamedTuple):
    """What a program says of a round."""

    cpu_s: float
    wall_s: float
    through: int
    peak_mb: float  # the most memory the process ever had
    places: "array[int]"  # of each update heard: which symbol
    of_ms: "array[int]"  # its time by the exchange, by which it is known
    at_ns: "array[int]"  # when it was heard, by the clock that all processes of a machine share


class Hearing:
    """What a bot's callback notes: as little as tells later how long each update took."""

    def __init__(self) -> None:
        self.count = 0  # since the start
        self.clear()

    def clear(self) -> None:
        """Forget what was noted, but not how often."""
        self.places, self.of_ms, self.at_ns = array("H"), array("q"), array("q")

    def note(self, place: int, of_ms: int) -> None:
        """Note an update that is heard now."""
        self.at_ns.append(time.monotonic_ns())
        self.of_ms.append(of_ms)
        self.places.append(place)
        self.count += 1


class Program(Protocol):
    """A program under measure."""

    hearing: Hearing

    def start(self) -> None:
        """Connect and subscribe; may return before the books are in."""

    def through(self) -> int:
        """Count the updates that came out at the far end, snapshots of the start with them."""

    def stop(self) -> None:
        """End."""


def serve(program: Program, symbols: int, pipe: Pipe) -> None:
    """Start a program, measure a round whenever one is begun, and end it when None is sent."""
    program.start()
    try:
        while program.through() < symbols:  # each begins with one snapshot, and nothing else is sent
            time.sleep(LOOK_S)
        pipe.send("ready")
        while pipe.recv() is not None:
            pipe.send(_round(program, pipe))
    finally:
        program.stop()


def _round(program: Program, pipe: Pipe) -> Told:
    hearing, before = program.hearing, program.through()
    hearing.clear()
    cpu_s, began_s = time.process_time(), time.monotonic()
    pipe.send("begun")
    sent = int(pipe.recv())  # sleeps until all was sent
    through, changed_s = 0, time.monotonic()
    while True:
        now_s, seen = time.monotonic(), program.through() - before
        if seen != through:
            through, changed_s = seen, now_s
        if through >= sent or now_s - changed_s > STILL_S or now_s - began_s > ROUND_TIMEOUT_S:
            break
        time.sleep(LOOK_S)
    cpu_s = time.process_time() - cpu_s
    return Told(cpu_s, changed_s - began_s, through, _peak_mb(), hearing.places, hearing.of_ms, hearing.at_ns)


def _peak_mb() -> float:
    """Tell the most memory this program had; `getrusage` would tell that of the process it was started by."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
