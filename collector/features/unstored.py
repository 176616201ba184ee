"""Settle events of which nothing is stored: each is counted, as one that sampling leaves out. Pure."""

from collections.abc import Iterator

import numpy as np

from collector.events import (
    CANDLE_INTEGERS,
    INT_COLUMNS,
    NO_INT,
    SAMPLED_OUT,
    TRADE_INTEGERS,
    Batch,
    Integers,
    Settled,
)


def unstored_books(batch: Batch, *, is_last: bool = False) -> Settled:  # noqa: ARG001  (none is ever held)
    """Settle the states of books."""
    integers = np.frombuffer(batch.integers, dtype=np.int64).reshape(-1, INT_COLUMNS)
    received_at_ns, _, sequences, streams, segments, _ = integers.T
    return _unstored("book", streams, segments, received_at_ns, sequences)


def unstored_market(batch: Batch) -> Iterator[Settled]:
    """Settle trades and bars."""
    integers = np.frombuffer(batch.trades.integers, dtype=np.int64).reshape(-1, TRADE_INTEGERS)
    received_at_ns, _, sequences, streams, segments, *_ = integers.T
    yield _unstored("trades", streams, segments, received_at_ns, sequences)
    integers = np.frombuffer(batch.candles.integers, dtype=np.int64).reshape(-1, CANDLE_INTEGERS)
    received_at_ns, _, _, streams, segments, *_ = integers.T
    yield _unstored("ohlcv", streams, segments, received_at_ns, np.full(len(integers), NO_INT, np.int64))


def _unstored(
    table: str, streams: Integers, segments: Integers, at_ns: Integers, sequences: Integers
) -> Settled:
    fates = np.full(len(streams), SAMPLED_OUT, dtype=np.int8)
    return Settled(table, {}, streams, segments, at_ns, sequences, fates=fates)
