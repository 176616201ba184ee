"""Feed the segment of one book by two connections while one replaces the other."""
# ruff: noqa: SLF001  (the two streams of a pair look into each other)

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from collector.book import BookState, VerifiedBook
from collector.events import TOTAL_LEVELS, Delta, L2Update, Liveness, Snapshot, StreamKey
from collector.streams.paired_stream import Held, PairedStream
from collector.streams.stored_until import Place, Position, StoredUntil
from collector.streams.stream import SILENT_NS, UNSYNCED, Outlet, Topic

Row = tuple[int | None, int | None, int, Sequence[float]]  # time, number, known levels, levels


@dataclass(frozen=True, slots=True)
class HeldState(Held):
    """A state of a book that is not counted yet."""

    position: Position
    row: Row


class PairedBook(PairedStream):
    """A book that may be fed on a second connection as well."""

    def __init__(
        self,
        key: StreamKey,
        topic: Topic,
        outlet: Outlet,
        book: VerifiedBook,
        *,
        levels_shown: int,
        standby: bool = False,
    ) -> None:
        super().__init__(key, topic, outlet, standby=standby)
        self._book = book
        self._levels_shown = levels_shown
        self._top: Sequence[float] | None = None  # the last state of this segment, for its order flow
        # What is stored, where two connections bring it; one that stores nothing always asks it.
        self._stands = StoredUntil(Position(None, is_number=False), book.book) if standby else None
        self._at_head = False  # this book is the last state that is stored
        self._began: Position | None = None  # where the rows of the open segment begin

    @property
    def verified(self) -> bool:
        """Return whether the book is believed now."""
        return self._book.state is BookState.SYNCED

    @property
    def sequence(self) -> int | None:
        """Return the exchange's number of the update that the book stands at."""
        return self._book.last_sequence

    @property
    def verification(self) -> str:
        """Return what proves the book."""
        return self._book.verification

    def book_now(self, levels: int) -> L2Update | None:
        """Copy the best levels of a verified book; None while it is not. Call it in the websocket thread."""
        if not self.verified:
            return None
        book, contract = self._book, self.topic.contract
        numbers = tuple(book.book.top(max(levels, TOTAL_LEVELS)))
        return L2Update(
            exchange=self.key.exchange,
            symbol=self.key.symbol,
            exchange_ms=book.exchange_ms,
            received_at_ns=self.last_update_at_ns,
            channel=self.key.channel,
            sequence=book.last_sequence,
            segment_id=self._segment_id,
            shown=book.known_levels(levels),
            ten_known=book.known_levels(TOTAL_LEVELS) >= TOTAL_LEVELS,
            numbers=numbers if contract is None else contract.levels_in_base(numbers),
        )

    def _publish_update(self, received_at_ns: int, ten_known: bool, numbers: tuple[float, ...]) -> None:
        """Tell of the state that the book is in; what it was before is that of the row before."""
        exchange, symbol, channel = self.key
        segment_id, before, contract = self._segment_id, self._top, self.topic.contract
        if contract is not None:
            numbers = contract.levels_in_base(numbers)
            before = None if before is None else contract.levels_in_base(before)
        self._events.publish(
            L2Update(
                exchange=exchange,
                symbol=symbol,
                exchange_ms=self._book.exchange_ms,
                received_at_ns=received_at_ns,
                channel=channel,
                sequence=self._book.last_sequence,
                segment_id=segment_id,
                shown=self._levels_shown,
                ten_known=ten_known,
                numbers=numbers,
                before=None if segment_id is None else before,
            )
        )

    def end_segment(self, cause: str, detail: str, alive_until_ns: int | None) -> None:
        """Close the segment that is open, unless the other connection's stream can continue it."""
        super().end_segment(cause, detail, alive_until_ns)
        self._lost_track()

    def _open_segment(self, start_ns: int, liveness: Liveness) -> int:
        self._top, self._began = None, self._position
        return super()._open_segment(start_ns, liveness)

    @abstractmethod
    def _lost_track(self) -> None:
        """Tell who compares the book with others that what it shows next does not follow what it showed."""

    @abstractmethod
    def _store(
        self, message: Snapshot | Delta, received: int, received_at_ns: int, liveness: Liveness
    ) -> None:
        """Store the state after a message, and publish it."""

    @abstractmethod
    def _row(self) -> Row:
        """Return the state of the book as it would be stored."""

    def _repeated(self, received: int) -> None:
        if self._held:  # what it repeats is not stored yet
            self._buffer.count_rejected(self.number, received, UNSYNCED)
        else:
            self._buffer.count_merged(self.number, received)

    def _begins_again(self, cause: str, detail: str) -> None:
        """End the segment, if this stream stores: the book was begun anew, and follows nothing."""
        self._leave_step()
        if self._beside is None:
            self.end_segment(cause, detail, alive_until_ns=None)
        elif self._segment_id is not None:
            self._close(cause, detail, alive_until_ns=None)
            self._lost_track()

    def _settle_beside(
        self,
        stands: StoredUntil,
        message: Snapshot | Delta,
        received_at_ns: int,
        liveness: Liveness,
    ) -> None:
        """Settle a state that the other connection's stream stored or may still store."""
        received = self._count_held_before()
        if self._beside is None and self._standby:
            self._buffer.count_rejected(self.number, received, UNSYNCED)
            return
        position = self._position
        is_owner, is_first = self._segment_id is not None, self._nobody_stores
        is_next = self._at_head and not position.is_number  # to the state that is stored last: it is new
        place = Place.AHEAD if is_first or is_next else stands.place(position, self._book.book)
        if place is Place.BEFORE:
            self._buffer.count_rejected(self.number, received, "stale")
        elif place in {Place.BEHIND, Place.SAME}:
            self._buffer.count_merged(self.number, received)
            self._meets(place)
        elif is_owner or is_first or (self._joined and self._at_head and not self._held):
            self._store(message, received, received_at_ns, liveness)
            if self._segment_id is not None:  # there was room for it
                self._stored_until(position, begins=is_first)
        else:
            self._hold(HeldState(received_at_ns, message, position, self._row()))

    def _stored_until(self, position: Position, *, begins: bool) -> None:
        """Note where the stored rows stand now: at this stream's book."""
        other = self._beside
        if other is None:
            self._stands = None  # caught up, and alone
            return
        assert isinstance(other, PairedBook)  # noqa: S101  (a stream is replaced by one of its kind)
        assert self._stands is not None  # noqa: S101  (both have it until they part)
        self._stands.moved_to(position, self._book.book, begins=begins)
        self._at_head = True
        other._at_head = position.is_number

    def _meets(self, place: Place) -> None:
        """Note that this book is within what is stored, or at its end."""
        self._joined = True
        self._at_head = place is Place.SAME or self._position.is_number
        if self._at_head and self._stands is not None:
            while self._held:
                held = cast("HeldState", self._held.popleft())
                if self._stands.may_precede(held.position):
                    self._reject(self._receive(), UNSYNCED)
                else:
                    self._buffer.count_merged(self.number, self._receive())

    @property
    def _position(self) -> Position:
        sequence = None if self.verification == "none" else self._book.last_sequence
        if sequence is not None:
            return Position(sequence, is_number=True)
        return Position(self._book.exchange_ms, is_number=False)

    @property
    def _is_fed(self) -> bool:
        return self.verified

    def _share(self, other: PairedStream) -> None:
        """Share with the other connection's stream where the stored rows stand."""
        assert isinstance(other, PairedBook)  # noqa: S101  (a stream is replaced by one of its kind)
        first = None if other._segment_id is None else other._began
        self._stands = other._stands = StoredUntil(other._position, other._book.book, first)
        other._at_head = True

    def part(self) -> None:
        """Go on without the other connection's stream."""
        other, stands = self._beside, self._stands
        super().part()
        for one in (self, other):
            if stands is None or not isinstance(one, PairedBook) or one._standby:
                continue
            place = stands.place(one._position, one._book.book)
            if not one.verified or place in {Place.SAME, Place.AHEAD}:  # else it has to catch up
                one._stands = None

    def _compare(self, liveness: Liveness) -> None:
        """Count what was stored meanwhile, and find where this book stands beside it."""
        other, stands = self._beside, self._stands
        if not self.verified or stands is None or not isinstance(other, PairedBook):
            return
        self._count_held()
        place = stands.place(self._position, self._book.book)
        if place is Place.AHEAD and not self._position.is_number:
            last_ns = max(self.last_update_at_ns, other.last_update_at_ns)
            if liveness.heard_ns - last_ns > SILENT_NS and stands.is_like(self._book.book):
                place = Place.SAME  # nothing is under way
        if place in {Place.BEHIND, Place.SAME}:
            self._meets(place)

    def _count_held(self) -> None:
        """Count as merged what the other stream stored meanwhile."""
        stands = self._stands
        while self._held and stands is not None:
            if not stands.has(cast("HeldState", self._held[0]).position):
                return
            self._held.popleft()
            self._joined = True
            self._buffer.count_merged(self.number, self._receive())

    def _store_held(self, held: Held) -> None:
        """Store a state that waited. Nobody is told: by now there may be a newer one."""
        state = cast("HeldState", held)
        exchange_ms, sequence, known_levels, levels = state.row
        received, at_ns = self._receive(), state.received_at_ns
        segment_id = self._segment_for_a_row(received, at_ns, self._liveness)
        if segment_id is None:
            return
        stored = self._buffer.append(
            self.number, received, at_ns, exchange_ms, sequence, segment_id, known_levels, levels
        )
        self._stored(stored, at_ns)
        self._top = levels

    def _leave_step(self) -> None:
        super()._leave_step()
        self._at_head = False

    def _go_on_alone(self, after_ns: int) -> None:
        had_held = bool(self._held)
        super()._go_on_alone(after_ns)
        if had_held and self._segment_id is not None:
            self._stored_until(self._position, begins=True)

    def _take_segment_of(self, other: PairedStream, liveness: Liveness) -> None:
        assert isinstance(other, PairedBook)  # noqa: S101  (a stream is replaced by one of its kind)
        super()._take_segment_of(other, liveness)
        self._top, self._began = other._top, other._began
        self._lost_track()
        other._lost_track()
