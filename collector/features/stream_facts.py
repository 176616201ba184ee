"""Keep what every row of a stream has in common, ready to be spread over the rows of a batch."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from collector.events.batch import StreamKey
from collector.events.contract_size import ContractSize
from collector.features.options import Sampling
from collector.features.practical import Integers

Texts = npt.NDArray[np.object_]


EVERY_ROW = Sampling()


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What every row of a stream has in common."""

    key: StreamKey
    depth: int
    data_source: str
    sampling: Sampling = EVERY_ROW
    contract: ContractSize | None = None  # what sizes count, where that is not the base currency


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
        """Ask for the facts of streams not seen before."""
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
