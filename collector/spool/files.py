"""Read what earlier sessions left in spools of their own, oldest first, and write into one.

Nothing is copied: each spool found is held until it is empty. Entries of the file that is written keep their
numbers; those of the others are made distinct by the place of their file.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from collector.errors import DatabaseAway, SpoolRefused
from collector.loggers import get_logger
from collector.sinks import WriteSet
from collector.spool.file import Entry, SpoolFile
from collector.spool.no_spool import NoSpool
from collector.spool.owner import SpoolOwner
from collector.spool.tables import is_spool

NUMBERS = 1 << 40  # more than one file ever has

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SpoolPlaces:
    """Where spools of a database are."""

    own: Sequence[Path]  # the first that can be had is written
    found: Sequence[Path] = ()  # others that are there, whether of this database or not
    named: frozenset[Path] = frozenset()  # whose name is made of the address of the database


class SpoolFiles:
    """A spool that is written, and others that are only emptied. For any thread, one at a time."""

    def __init__(
        self, places: SpoolPlaces, *, max_bytes: int, owner: SpoolOwner, synchronous: str = "FULL"
    ) -> None:
        self._places = places
        self._max_bytes = max_bytes
        self._owner = owner
        self._synchronous = synchronous
        self._own = self._file(places.own[0])
        self._is_open = False
        self._repairs_of_former = 0  # files that are empty and closed
        self._refused: set[Path] = set()  # told already
        self._left: dict[int, SpoolFile] = {}  # replaced as a whole: others read it
        self._began_ns: dict[
            int, tuple[int, int]
        ] = {}  # of the oldest entry: its number, when its session began

    @property
    def path(self) -> Path:
        """Return the file that is written."""
        return self._own.path

    @property
    def entries(self) -> int:
        """Return how many batches wait, in all files."""
        return sum(file.entries for file in self._files())

    @property
    def bytes(self) -> int:
        """Return how large they are."""
        return sum(file.bytes for file in self._files())

    @property
    def last_number(self) -> int:
        """Return the largest number in the file that is written."""
        return self._own.last_number

    @property
    def repairs(self) -> int:
        """Return how often a file was damaged, and replaced by what could be read."""
        return self._repairs_of_former + sum(file.repairs for file in self._files())

    def open(self) -> None:
        """Open the file to write, and all others that hold rows of this database. Idempotent.

        Raises DatabaseAway where there is no room for it now, SpoolRefused where waiting does not help.
        """
        if self._is_open:
            return
        self._own = self._opened_first()
        left: dict[int, SpoolFile] = {}
        for path in self._places.found:
            if path != self._own.path and path not in self._refused:
                file = self._found(path)
                if file is not None:
                    left[len(left) + 1] = file
        self._left = left
        self._is_open = True

    def append(self, number: int, write_set: WriteSet) -> None:
        """Store a batch durably. Raises SpoolError, or UnfitError for values that cannot be encoded."""
        self._own.append(number, write_set)

    def first(self) -> Entry | None:
        """Return the oldest entry: of the session that began first, then by number."""
        waiting = [place for place, file in self._by_place() if file.entries]
        if not waiting:
            return None
        place = waiting[0] if len(waiting) == 1 else min(waiting, key=self._began)
        entry = self._at(place).first()
        return entry and replace(entry, number=place * NUMBERS + entry.number)

    def heads(self) -> Iterator[WriteSet]:
        """Yield each batch without its rows; batches whose bytes are damaged are left out."""
        for file in self._files():
            yield from file.heads()

    def numbers(self) -> list[int]:
        """Return the numbers of all entries."""
        return [place * NUMBERS + one for place, file in self._by_place() for one in file.numbers()]

    def remove(self, number: int) -> None:
        """Delete a batch that is in the database."""
        place, number = divmod(number, NUMBERS)
        self._at(place).remove(number)
        self._let_go(place)

    def set_aside(self, number: int, reason: str) -> None:
        """Move an entry out of the way of the others, for a person to look at."""
        place, number = divmod(number, NUMBERS)
        self._at(place).set_aside(number, reason)
        self._let_go(place)

    def close(self) -> None:
        """Close all files, and remove those that are empty. Idempotent."""
        for file in self._files():
            file.close()
        self._is_open = False

    def _opened_first(self) -> SpoolFile:
        """Open the first file that can be had; say of those passed over that their rows wait."""
        refusals: list[SpoolRefused] = []
        for path in self._places.own:
            if path in self._places.named:  # a folder of our own choice; one that is told must be there
                with suppress(OSError):
                    path.parent.mkdir(parents=True, exist_ok=True)
            file = self._file(path)
            try:
                file.open()
            except SpoolRefused as error:
                refusals.append(error)
                if path == self._places.own[0] not in self._places.named and not error.held:
                    break  # it was asked for, and another name would hide what is wrong with it
            else:
                for refusal in refusals:
                    log.warning("spool.left_alone", reason=str(refusal))
                self._refused = set(self._places.own[: len(refusals)])
                return file
        passing = next((one for one in refusals if one.passing), None)
        if passing is not None:
            raise DatabaseAway(str(passing)) from passing
        raise refusals[0]

    def _found(self, path: Path) -> SpoolFile | None:
        """Open a spool that may hold rows of this database; None if there is nothing for us in it."""
        file = self._file(path, may_replace=path in self._places.named and is_spool(path))
        try:
            file.open()
        except SpoolRefused as error:
            log.warning("spool.left_alone", reason=str(error))
            return None
        if file.entries:
            return file
        file.close()
        return None

    def _file(self, path: Path, *, may_replace: bool = True) -> SpoolFile:
        return SpoolFile(
            path,
            max_bytes=self._max_bytes,
            synchronous=self._synchronous,
            owner=self._owner,
            by_name=path in self._places.named,
            may_replace=may_replace,
        )

    def _by_place(self) -> list[tuple[int, SpoolFile]]:
        return [(0, self._own), *self._left.items()]

    def _files(self) -> list[SpoolFile]:
        return [file for _, file in self._by_place()]

    def _at(self, place: int) -> SpoolFile:
        return self._left[place] if place else self._own

    def _began(self, place: int) -> int:
        """Return when the session of a file's oldest entry began; 0 where that cannot be read."""
        file = self._at(place)
        number = file.first_number()
        known = self._began_ns.get(place)
        if known is None or known[0] != number:
            entry = file.first()
            at_ns = entry.head.session.started_ns if entry is not None and entry.head is not None else 0
            known = self._began_ns[place] = number, at_ns
        return known[1]

    def _let_go(self, place: int) -> None:
        """Close a file that is empty: its name is free for others."""
        if place and not self._left[place].entries:
            file = self._left[place]
            self._repairs_of_former += file.repairs
            self._left = {one: left for one, left in self._left.items() if one != place}
            file.close()
            log.info("spool.brought_in", path=str(file.path))


AnySpool = SpoolFile | SpoolFiles | NoSpool
