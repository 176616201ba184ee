"""Find the spools of a database, wherever the process runs and however the URL is spelt."""

import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

from collector.database import address_of
from collector.errors import SinkError, SpoolRefused
from collector.sinks import Sink, SqlSink, Store
from collector.spool import SpoolLook, SpoolOwner, SpoolPlaces, is_of, look_at

SPOOLS = 9  # for so many collectors on one server
FOLLOWER = "-follower-"
KNOWN = ".known"  # a note of the database
DEAD_LETTERS = "-dead-letters.jsonl"
NO_SPOOLS = ("-wal", "-shm", "-journal", ".salvaging", KNOWN)  # what stands beside one
FINISHED = ".salvaged"  # takes the place of a damaged one at its next opening


def address(sink: Sink) -> str:
    """Return where a sink keeps its rows, without user and password."""
    return address_of(sink.url) if isinstance(sink, SqlSink) else _former_address(sink)


def places_of(told: str | None, store: Sink, environ: Mapping[str, str] = os.environ) -> SpoolPlaces:
    """Return where the store's spools are: what is told, or beside a file, or in the folder of our state."""
    names = [f"collector-{_mark(address(store))}-spool{suffix}" for suffix in _suffixes()]
    folders = [state_folder(environ), Path.cwd()]
    former = f"collector-{_mark(_former_address(store))}-spool"  # of older versions, where they were started
    if store.file is not None:
        file = Path(os.path.realpath(store.file))
        default = [file.with_name(f"{file.name}-spool{suffix}") for suffix in _suffixes()]
        beside = [one.parent.glob(f"{one.name}-spool*") for one in dict.fromkeys((file, store.file))]
        found = _spools(path for paths in beside for path in paths)
        named = [path.with_name(path.name) for path in found]
    else:
        default = [folder / name for folder in dict.fromkeys(folders) for name in names]
        found = _spools(path for folder in folders for path in folder.glob("collector-*-spool*"))
        named = [path for path in found if path.name.startswith((former, names[0]))]
    own = default
    if told is not None:
        path = Path(told).expanduser().absolute()
        own = [path.with_name(f"{path.name}{suffix}") for suffix in _suffixes()]
        found += _spools([*path.parent.glob("*spool*"), *(one for one in own if one.exists())])
    found = [path for path in dict.fromkeys(found) if FOLLOWER not in path.name]
    return SpoolPlaces(own, found, frozenset((*default, *named)))


def follower_places_of(beside: SpoolPlaces, sink: Sink) -> SpoolPlaces:
    """Return where a follower's spools are: beside the store's."""
    marks = list(dict.fromkeys((_mark(address(sink)), _mark(_former_address(sink)))))
    own = [path.with_name(f"{path.name}{FOLLOWER}{marks[0]}") for path in beside.own]
    folders = dict.fromkeys(path.parent for path in (*beside.own, *beside.found))
    patterns = [f"*{FOLLOWER}{mark}*" for mark in marks]
    found = _spools(path for folder in folders for pattern in patterns for path in folder.glob(pattern))
    return SpoolPlaces(own, found, frozenset((*own, *found)))


def dead_letters_place(places: SpoolPlaces) -> Path:
    """Return the file for what followers refuse for good: beside the store's spool."""
    return places.own[0].with_name(places.own[0].name.removesuffix("-spool") + DEAD_LETTERS)


def note_places(places: SpoolPlaces) -> list[Path]:
    """Return where the database of the store's spools is noted: the first that can be written."""
    name = places.own[0].name.removesuffix("-spool") + KNOWN
    return [folder / name for folder in dict.fromkeys(path.parent for path in places.own)]


def owner_of(store: Store[object], sink: Sink, identity: Callable[[], str] | None = None) -> SpoolOwner:
    """Return to whom the spool of a sink belongs: rows come from the store's database, and go to the sink."""
    table = sink.table_name if isinstance(sink, SqlSink) else ""
    return SpoolOwner(address(sink), identity or (lambda: store.identity), _asked(store), table)


def waiting(places: SpoolPlaces, owner: SpoolOwner) -> list[SpoolLook]:
    """Return the spools of a database in which rows wait, or which cannot be read. Changes nothing."""
    looks = [look_at(path) for path in dict.fromkeys((*places.own, *places.found)) if path.exists()]
    return [
        one
        for one in looks
        if one is not None
        and not one.held
        and (one.batches or one.problem)
        and is_of(owner, one.stamp, one.sessions, by_name=one.path in places.named)
    ]


def age_s(one: SpoolLook) -> float | None:
    """Return how long the oldest rows of a spool have waited."""
    return None if one.oldest_ns is None else max(0.0, (time.time_ns() - one.oldest_ns) / 1e9)


def state_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder for what must outlive a process: the service manager's, or the user's."""
    told = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if told:
        return Path(told)
    base = environ.get("XDG_STATE_HOME", "")
    if not Path(base).is_absolute():  # empty as well: the standard says to ignore it
        base = str(Path(environ.get("HOME") or "~").expanduser() / ".local" / "state")
    return Path(base) / "collector"


def _suffixes() -> Iterator[str]:
    yield ""
    yield from (f"-{number}" for number in range(2, SPOOLS + 1))


def _spools(paths: Iterable[Path]) -> list[Path]:
    found = []
    for path in paths:
        if path.name.endswith(NO_SPOOLS) or ".damaged-" in path.name:
            continue
        found.append(path.with_name(path.name.removesuffix(FINISHED)))
    return sorted(dict.fromkeys(found))


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _former_address(sink: Sink) -> str:
    return sink.name.replace(":***@", "@")  # whether there is a password or not


def _asked(store: Store[object]) -> Callable[[Collection[str]], bool]:
    def knows(sessions: Collection[str]) -> bool:
        try:
            return store.knows(sessions)
        except SinkError as error:
            raise SpoolRefused(f"the database does not say whose spool it is: {error}") from error

    return knows
