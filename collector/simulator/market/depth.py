"""The levels that one step sends to a subscriber to the best N levels."""

from bisect import bisect_right

from collector.simulator.market.market import Side, SideChange

_NOWHERE = 1 << 62


def side_delta(side: Side, change: SideChange, depth: int, *, removes_leaving: bool) -> list[tuple[int, int]]:
    """List the (key, lots) that bring a book of `depth` levels up to date; 0 lots removes.

    A level that comes into view from below is sent in full. One that is pushed out of view is removed by
    most exchanges; Kraken leaves it out, and its clients cut the book themselves: `removes_leaving`.
    """
    keys, lots = side.keys, side.lots
    keys_before, lots_before = change
    edge_before = keys_before[depth - 1] if len(keys_before) >= depth else _NOWHERE
    edge = keys[depth - 1] if len(keys) >= depth else _NOWHERE
    result = []
    for key, was in lots_before.items():
        now = lots.get(key, 0)
        if now and key <= edge:
            if now != was or key > edge_before:
                result.append((key, now))
        elif was and key <= edge_before and (removes_leaving or not now):
            result.append((key, 0))
    if edge > edge_before:
        entering = keys[bisect_right(keys, edge_before) : depth]
        result.extend((key, lots[key]) for key in entering if key not in lots_before)
    elif edge < edge_before and removes_leaving:
        leaving = keys_before[bisect_right(keys_before, edge) : depth]
        result.extend((key, 0) for key in leaving if key not in lots_before)
    result.sort()
    return result


def whole_side_delta(side: Side, change: SideChange) -> list[tuple[int, int]]:
    """List every level that a step changed, however deep: Binance's diff stream."""
    lots = side.lots
    return sorted(
        (key, lots.get(key, 0)) for key, was in change.lots_before.items() if lots.get(key, 0) != was
    )
