"""Compute the features of the `levels` table: ten levels a side, their imbalance and their order flow."""

from collections.abc import Mapping

import numpy as np

from collector.features.practical import TOTAL_LEVELS, Book, Floats, Integers, imbalance, total

IMBALANCES = (5, 10)


def only_known(states: Floats, known_levels: Integers) -> Floats:
    """Return the best ten levels of states (rows x 4 x levels), NaN where the exchange has not shown one."""
    ten = states[:, :, :TOTAL_LEVELS]
    unknown = np.arange(TOTAL_LEVELS) >= known_levels[:, None]
    if not unknown.any():
        return ten
    known: Floats = np.where(unknown[:, None, :], np.nan, ten)
    return known


def deep(states: Floats, flow: Floats, known_levels: Integers) -> Mapping[str, Floats]:
    """Return the columns of the `levels` table that are numbers; NaN is NULL.

    `states` is what `only_known` gave, `flow` is rows x 10.
    """
    book = Book.of(states)
    numbers = {
        f"{name}_{level + 1}": part[:, level]
        for name, part in (
            ("bid_price", book.bid_prices),
            ("bid_size", book.bid_sizes),
            ("ask_price", book.ask_prices),
            ("ask_size", book.ask_sizes),
        )
        for level in range(TOTAL_LEVELS)
    }
    imbalances = {
        f"imbalance_{levels}": np.where(
            known_levels >= levels,
            imbalance(total(book.bid_sizes, levels), total(book.ask_sizes, levels)),
            np.nan,
        )
        for levels in IMBALANCES
    }
    flows = {f"ofi_{level + 1}": flow[:, level] for level in range(TOTAL_LEVELS)}
    return {**numbers, **imbalances, **flows}
