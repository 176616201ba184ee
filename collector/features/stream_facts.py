"""Keep what all rows of a stream have in common; turn sizes in contracts into base units."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collector.events import ContractSize, StreamKey
from collector.features.options import Sampling
from collector.features.practical import Floats, Integers

Texts = npt.NDArray[np.object_]

SIZES = slice(1, None, 2)  # of a row's numbers: bid prices, bid sizes, ask prices, ask sizes
EVERY_ROW = Sampling()


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What all rows of a stream have in common."""

    key: StreamKey
    depth: int
    data_source: str
    sampling: Sampling = EVERY_ROW
    contract: ContractSize | None = None  # what sizes count, where that is not the base currency
    origin: str | None = None  # how its rows come: REST where they are fetched afterwards, None: live


class Streams:
    """The facts of the streams that gave rows so far, each as an array by the stream's number."""

    def __init__(self, facts_of: Callable[[int], StreamFacts]) -> None:
        self._facts_of = facts_of
        self._known: set[int] = set()
        self.symbols: Texts = np.empty(0, dtype=object)
        self.exchanges: Texts = np.empty(0, dtype=object)
        self.data_sources: Texts = np.empty(0, dtype=object)
        self.depths: Integers = np.empty(0, dtype=np.int64)
        self.modes: Integers = np.empty(0, dtype=np.int64)
        self.windows_ns: Integers = np.empty(0, dtype=np.int64)
        self.sampled = False  # whether one of them is stored in part
        self.contracts: dict[int, ContractSize] = {}  # of those whose sizes count contracts

    def learn(self, streams: Integers) -> None:
        """Fetch the facts of streams not seen before."""
        for stream in np.flatnonzero(np.bincount(streams)).tolist():
            if stream not in self._known:
                self._learn(stream)

    def _learn(self, stream: int) -> None:
        missing = stream + 1 - len(self.depths)
        if missing > 0:
            for name in ("symbols", "exchanges", "data_sources", "depths", "modes", "windows_ns"):
                known = getattr(self, name)
                setattr(self, name, np.concatenate((known, np.ones(missing, dtype=known.dtype))))
        facts = self._facts_of(stream)
        self.symbols[stream] = facts.key.symbol
        self.exchanges[stream] = facts.key.exchange
        self.data_sources[stream] = facts.data_source
        self.depths[stream] = facts.depth
        self.modes[stream] = facts.sampling.number
        self.windows_ns[stream] = facts.sampling.window_ns
        self.sampled |= facts.sampling.mode != "every"
        if facts.contract is not None:
            self.contracts[stream] = facts.contract
        self._known.add(stream)


def in_base(sizes: Floats, contract: ContractSize) -> Floats:
    """Return sizes in base units, each the very double that `ContractSize.in_base` gives."""
    made: Floats = np.rint(sizes * contract.steps) * contract.numerator / contract.denominator
    return made


def levels_in_base(levels: Floats, streams: Integers, contracts: Mapping[int, ContractSize]) -> Floats:
    """Return a copy of the levels (row, prices or sizes, level) whose sizes are in base units."""
    levels = levels.copy()
    for stream, contract in contracts.items():
        here = np.flatnonzero(streams == stream)
        if len(here):
            levels[here, SIZES] = in_base(levels[here, SIZES], contract)
    return levels
