"""Put several series of chunks, each in the order of receipt, into one."""

from collections.abc import Iterator, Sequence

import numpy as np

from collector.query.rows.columns import Chunk, joined, length, picked


def merged(sources: Sequence[Iterator[Chunk]]) -> Iterator[Chunk]:
    """Yield the rows of all sources in the order of receipt; at one instant, in that of the sources."""
    if len(sources) == 1:
        yield from sources[0]
        return
    heads: list[tuple[Iterator[Chunk], Chunk]] = []
    for source in sources:
        first = next(source, None)
        if first is not None:
            heads.append((source, first))
    while len(heads) > 1:
        # As far as the head that ends first, everything is known.
        until = min(int(chunk["received_at_ns"][-1]) for _, chunk in heads)
        taken: list[Chunk] = []
        left: list[tuple[Iterator[Chunk], Chunk]] = []
        for source, chunk in heads:
            cut = int(np.searchsorted(chunk["received_at_ns"], until, side="right"))
            taken.append(picked(chunk, slice(0, cut)))
            rest: Chunk | None = picked(chunk, slice(cut, None))
            if rest is not None and not length(rest):
                rest = next(source, None)
            if rest is not None:
                left.append((source, rest))
        whole = joined([chunk for chunk in taken if length(chunk)])
        yield picked(whole, np.argsort(whole["received_at_ns"], kind="stable"))
        heads = left
    for source, chunk in heads:
        yield chunk
        yield from source


def even(chunks: Iterator[Chunk], rows: int) -> Iterator[Chunk]:
    """Yield the same rows cut into chunks of one length, whatever they were cut into before."""
    held: list[Chunk] = []
    count = 0
    for chunk in chunks:
        held.append(chunk)
        count += length(chunk)
        while count >= rows:
            whole = joined(held)
            yield picked(whole, slice(0, rows))
            held, count = [picked(whole, slice(rows, None))], count - rows
    if count:
        yield joined(held)
