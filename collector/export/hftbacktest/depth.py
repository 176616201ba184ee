"""Turn successive states of a book into the changes between them."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from collector.export.hftbacktest.layout import BUY, DEPTH, DEPTH_CLEAR, DEPTH_SNAPSHOT, SELL, Events, events
from collector.query.rows.columns import Array, Chunk, length

Floats = npt.NDArray[np.float64]


@dataclass(slots=True)
class Differences:
    """Compares each row with the one before, across the ends of chunks."""

    levels: int
    _before: dict[str, Array] = field(default_factory=dict)

    def events(self, rows: Chunk, exchange_ns: npt.NDArray[np.int64]) -> Events:
        """Return the events of some rows: removed levels, then new or changed; at a segment's start all."""
        count = length(rows)
        if not count:
            return events([], [], [], [], np.empty(0))
        segment = rows["segment_id"]
        last = self._before.get("segment_id")
        starts = np.r_[True if last is None else segment[0] != last[0], segment[1:] != segment[:-1]]
        nothing = np.zeros((count, 1))
        kind = np.where(starts, DEPTH_SNAPSHOT, DEPTH)[:, np.newaxis]
        went, came = [], []
        for side, flag in (("bid", BUY), ("ask", SELL)):
            price, size, gone, new = self._compared(side, rows, starts)
            flags = np.broadcast_to(kind | flag, new.shape)
            went.append((np.full(gone.shape, DEPTH | flag), price[:-1], np.zeros(gone.shape), gone))
            came.append((flags, price[1:], size[1:], new))
        clear = (np.full((count, 1), DEPTH_CLEAR), nothing, nothing, starts[:, np.newaxis])
        columns = zip(clear, *went, *came, strict=True)
        flags, prices, sizes, wanted = (np.concatenate(parts, axis=1) for parts in columns)
        self._before = {name: values[-1:] for name, values in rows.items()}
        row = np.nonzero(wanted)[0]
        local_ns = rows["received_at_ns"][row]
        return events(flags[wanted], exchange_ns[row], local_ns, prices[wanted], sizes[wanted])

    def _compared(
        self, side: str, rows: Chunk, starts: npt.NDArray[np.bool_]
    ) -> tuple[Floats, Floats, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return prices and sizes with the row before in front, which levels went, and which came."""
        price, size = self._table(f"{side}_price", rows), self._table(f"{side}_size", rows)
        price = np.where(size > 0, price, np.nan)
        same = price[1:, :, np.newaxis] == price[:-1, np.newaxis, :]
        was = np.where(same, size[:-1, np.newaxis, :], 0.0).sum(axis=2)
        here = np.isfinite(price)
        gone = here[:-1] & ~same.any(axis=1) & ~starts[:, np.newaxis]
        new = here[1:] & (starts[:, np.newaxis] | (was != size[1:]))
        return price, size, gone, new

    def _table(self, name: str, rows: Chunk) -> Floats:
        columns = []
        for level in range(1, self.levels + 1):
            values = rows[f"{name}_{level}"]
            columns.append(np.r_[self._before.get(f"{name}_{level}", np.array([np.nan])), values])
        return np.column_stack(columns)
