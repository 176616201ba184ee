"""Divide segments and counts over the parts of a market.

Over all parts they add up to what the write set says, and a segment never claims more than the parts up to
there hold.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import NamedTuple

from collector.sinks.avro.markets import Chunk
from collector.sinks.contract import AccountingState, SegmentState, Value

_COUNTED = {"book", "trades", "ohlcv"}  # tables whose rows are events of the identity

States = tuple[tuple[SegmentState, ...], tuple[AccountingState, ...]]


class _Row(NamedTuple):
    segment_id: Value
    received_at_ns: Value
    sequence: Value


@dataclass(slots=True)
class _PartRows:
    """The counted rows of a part by segment, those that no state has claimed yet."""

    by_segment: dict[Value, list[_Row]] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)  # by channel


def divide(
    segments: Sequence[SegmentState],
    accounting: Sequence[AccountingState],
    parts: Sequence[Sequence[Chunk]],
) -> list[States]:
    """Return for each part the segments and the counts that go with it."""
    if len(parts) == 1:
        return [(tuple(segments), tuple(accounting))]
    channels = {one.segment_id: one.channel for one in segments}
    rows = [_rows_of(chunks, channels) for chunks in parts]
    found: list[tuple[list[SegmentState], list[AccountingState]]] = [([], []) for _ in parts]
    newest: dict[int, int] = {}  # the part that has the last state of a segment so far
    for segment in segments:
        for place, state in _divided_segment(segment, rows, newest.get(segment.segment_id)):
            found[place][0].append(state)
            newest[segment.segment_id] = place
    for account in accounting:
        for place, increment in _divided_account(account, rows):
            found[place][1].append(increment)
    return [(tuple(states), tuple(increments)) for states, increments in found]


def _rows_of(chunks: Iterable[Chunk], channels: dict[int, str]) -> _PartRows:
    found = _PartRows()
    for chunk in chunks:
        rows = chunk.tables[0]
        if rows.table not in _COUNTED:
            continue
        told = [
            [column[place] for place in chunk.places]
            if (column := rows.columns.get(name))
            else [None] * len(chunk.places)
            for name in _Row._fields
        ]
        every = map(_Row, *told)
        for segment_id, several in groupby(every, key=lambda one: one.segment_id):
            of_segment = list(several)
            found.by_segment.setdefault(segment_id, []).extend(of_segment)
            channel = chunk.channel or (channels.get(segment_id, "") if isinstance(segment_id, int) else "")
            found.written[channel] = found.written.get(channel, 0) + len(of_segment)
    return found


def _divided_segment(
    segment: SegmentState, parts: Sequence[_PartRows], not_before: int | None
) -> Iterator[tuple[int, SegmentState]]:
    """Yield the state that each part brings, with the part's place: the whole one where its last row is."""
    left, begin = segment.rows, segment
    for place, part in enumerate(parts):
        there = part.by_segment.get(segment.segment_id, [])
        rows, part.by_segment[segment.segment_id] = there[:left], there[left:]
        if not rows:
            continue
        if left < segment.rows:  # what came before it is in an earlier part
            begin = replace(
                segment,
                start_ns=_at_ns(rows[0], segment.end_ns),
                first_sequence=_whole(rows[0].sequence),
            )
        left -= len(rows)
        if not left:
            yield place, replace(begin, rows=len(rows))
            return
        last_ns = _at_ns(rows[-1], begin.start_ns)
        yield (
            place,
            replace(
                begin,
                rows=len(rows),
                end_ns=last_ns,
                alive_until_ns=last_ns,
                last_sequence=_whole(rows[-1].sequence),
                end_cause=None,
                detail=None,
            ),
        )
    # No row, or fewer than it says: how far it covers is true after all that there is.
    is_whole = left == segment.rows
    place = not_before if is_whole and not_before is not None else len(parts) - 1
    yield place, replace(begin, rows=left)


def _divided_account(
    account: AccountingState, parts: Sequence[_PartRows]
) -> Iterator[tuple[int, AccountingState]]:
    """Yield what each part adds: its own rows as they came in and were written, the last one all the rest."""
    left = account
    for place, part in enumerate(parts[:-1]):
        rows = min(left.written, part.written.get(account.channel, 0))
        if not rows:
            continue
        part.written[account.channel] -= rows
        received = min(rows, max(left.received, 0))
        carried_in = min(rows - received, max(left.carried_in, 0))
        added = AccountingState(
            account.session_id,
            *account.key,
            received=received,
            carried_in=carried_in,
            written=rows,
            pending=received + carried_in - rows,
        )
        yield place, added
        left = replace(
            left,
            received=left.received - added.received,
            carried_in=left.carried_in - added.carried_in,
            written=left.written - rows,
            pending=left.pending - added.pending,
        )
    yield len(parts) - 1, left


def _whole(value: Value) -> int | None:
    return value if isinstance(value, int) else None


def _at_ns(row: _Row, otherwise: int) -> int:
    found = _whole(row.received_at_ns)
    return otherwise if found is None else found
