"""Tell a signal from noise in samples that overlap in time: by blocks of them that hardly do.

What windows and labels say of neighbouring rows is nearly the same thing said again. A thousand of them may
be a dozen observations, and whoever counts them as a thousand finds laws in noise.
"""

import numpy as np
import numpy.typing as npt

from collector.query.instants import Integers

Floats = npt.NDArray[np.float64]
MOST_BLOCKS = 500
_FEW = 8  # blocks, too few to say whether neighbours are alike
DRAWS = 4_000


def blocks(rows: Integers, least_rows: int) -> Integers:
    """Return the number of the block each row is in: of so many rows, or of more where they are very many."""
    if not len(rows):
        return np.empty(0, dtype=np.int64)
    length = max(least_rows, -(-int(rows.max() - rows.min() + 1) // MOST_BLOCKS))
    return np.asarray((rows - rows.min()) // length)


def independent(values: Floats, block: Integers) -> Integers:
    """Return blocks of which neighbours do not resemble each other: those are joined, two by two, that do.

    What lingers for long, as a trend beside a slow feature does, makes neighbours alike however little their
    samples overlap.
    """
    while True:
        sums = _sums(values, block)
        from_mean = sums - sums.mean() if len(sums) else sums
        spread = float(from_mean @ from_mean)
        if len(sums) < _FEW or spread == 0.0:
            return block
        standard_error = spread / np.sqrt(len(sums))
        if float(from_mean[1:] @ from_mean[:-1]) <= standard_error / 2:
            return block
        block = block // 2


def chance(gains: Floats, block: Integers, seed: int = 0) -> float:
    """Return how often noise gains as much: the share of sign-flipped blocks with a sum as great.

    Where a gain means nothing each block might as well have lost as much. This is a permutation test, of one
    side; it needs no bell curve, but some blocks: of four the least share is a sixteenth.
    """
    if not len(gains):
        return 1.0
    sums = _sums(gains, block)
    signs = np.random.default_rng(seed).integers(0, 2, (DRAWS, len(sums)), dtype=np.int8) * 2 - 1
    as_great = np.count_nonzero(signs @ sums >= sums.sum() - 1e-9)
    return (1 + as_great) / (1 + DRAWS)


def interval(values: Floats, block: Integers, share: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Return between which numbers the mean lies, by a bootstrap of blocks; NaN for fewer than two blocks."""
    numbers, places = np.unique(block, return_inverse=True)
    if len(numbers) < 2:  # noqa: PLR2004  (one says nothing of how far means differ)
        return float("nan"), float("nan")
    sums, counts = np.bincount(places, weights=values), np.bincount(places)
    drawn = np.random.default_rng(seed).integers(0, len(numbers), (DRAWS, len(numbers)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1.0 - share) / 2.0, (1.0 + share) / 2.0])
    return float(low), float(high)


def _sums(values: Floats, block: Integers) -> Floats:
    return np.bincount(np.unique(block, return_inverse=True)[1], weights=values).astype(np.float64)
