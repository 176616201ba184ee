"""Write numbers as the values of a column, None where there is none."""

import numpy as np
import numpy.typing as npt

from collector.events.columns import NO_INT
from collector.features.practical import Floats, Integers

Value = float | int | str | None


def nullable(numbers: Floats) -> list[Value]:
    """Return the numbers; NaN is None."""
    return _with_nulls(numbers, np.isnan(numbers))


def nullable_integers(numbers: Integers) -> list[Value]:
    """Return the whole numbers; NO_INT is None."""
    return _with_nulls(numbers, numbers == NO_INT)


def _with_nulls(numbers: Floats | Integers, missing: npt.NDArray[np.bool_]) -> list[Value]:
    values: list[Value] = numbers.tolist()
    for position in np.flatnonzero(missing).tolist():
        values[position] = None
    return values
