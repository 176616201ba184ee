"""Convert sizes that count contracts into base units, exactly as the decimals say."""

from collections.abc import Sequence
from decimal import Decimal
from math import isnan
from typing import NamedTuple


class ContractSize(NamedTuple):
    """What one contract is worth in the base currency.

    A size is a whole number of steps, and a step is worth `numerator / denominator`, both whole. So
    `round(size * steps) * numerator / denominator` is rounded once, and is the very double that the decimal
    text of the product would be read as: 57 contracts of 0.01 are 0.57, not 0.5700000000000001. That holds
    while steps times numerator stay below 2^53; what a contract is worth is a power of ten, seldom more.
    """

    steps: float  # in a contract
    numerator: float
    denominator: float

    def in_base(self, size: float) -> float:
        """Return a size in base units; NaN stays NaN."""
        return size if isnan(size) else round(size * self.steps) * self.numerator / self.denominator

    def levels_in_base(self, numbers: Sequence[float]) -> tuple[float, ...]:
        """Return levels as `OrderBook.top` has them, their sizes in base units."""
        levels = len(numbers) // 4
        bid_prices, bid_sizes = numbers[:levels], numbers[levels : 2 * levels]
        ask_prices, ask_sizes = numbers[2 * levels : 3 * levels], numbers[3 * levels :]
        return (*bid_prices, *map(self.in_base, bid_sizes), *ask_prices, *map(self.in_base, ask_sizes))


def contract_size(base_a_contract: Decimal, step: Decimal) -> ContractSize:
    """Return the worth of a contract where sizes are multiples of `step` contracts."""
    steps = 10 ** max(0, -int(step.normalize().as_tuple().exponent))
    numerator, denominator = (base_a_contract / steps).as_integer_ratio()
    return ContractSize(float(steps), float(numerator), float(denominator))
