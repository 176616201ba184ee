"""Merge sources of chunks, each in the order of time, and cut chunks to one length."""

from collections.abc import Iterator, Sequence

import numpy as np

from collector.query.rows.columns import Chunk, joined, length, picked
from collector.query.rows.placing import RECEIPT


def merged(sources: Sequence[Iterator[Chunk]], at: str = RECEIPT) -> Iterator[Chunk]:
    """Yield the rows of all sources in the order of a time; at one instant, in that of the sources."""
    if len(sources) == 1:
        yield from sources[0]
        return
    heads = [(source, first) for source in sources if (first := next(source, None)) is not None]
    while len(heads) > 1:
        # Rows up to the end of the head that ends first are all known, once its last instant is read whole.
        until_ns = min(_last_ns(chunk, at) for _, chunk in heads)
        taken: list[Chunk] = []
        left: list[tuple[Iterator[Chunk], Chunk]] = []
        for source, head in heads:
            chunk = _through(until_ns, head, source, at)
            cut = int(np.searchsorted(chunk[at], until_ns, side="right"))
            taken.append(picked(chunk, slice(0, cut)))
            if cut < length(chunk):
                left.append((source, picked(chunk, slice(cut, None))))
        whole = joined([chunk for chunk in taken if length(chunk)])
        yield picked(whole, np.argsort(whole[at], kind="stable"))
        heads = left
    for source, chunk in heads:
        yield chunk
        yield from source


def _through(until_ns: int, head: Chunk, source: Iterator[Chunk], at: str) -> Chunk:
    """Append chunks of the source to its head until one reaches beyond the instant, or the source ends."""
    chunks = [head]
    while _last_ns(chunks[-1], at) == until_ns and (following := next(source, None)) is not None:
        chunks.append(following)
    return joined(chunks)


def _last_ns(chunk: Chunk, at: str) -> int:
    return int(chunk[at][-1])


def even(chunks: Iterator[Chunk], rows: int) -> Iterator[Chunk]:
    """Cut the chunks anew, so that all but the last have the same number of rows."""
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
