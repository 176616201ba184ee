"""Make sizes that count contracts into base units, batch by batch: what is stored is comparable."""

from collections.abc import Mapping

import numpy as np

from collector.events.contract_size import ContractSize
from collector.features.practical import Floats, Integers

SIZES = slice(1, None, 2)  # of a row's numbers: bid prices, bid sizes, ask prices, ask sizes


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
