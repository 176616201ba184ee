"""Export a database as files, one for each day of a symbol; files of unchanged days are kept."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from collector.database import DEFAULT_TABLE_NAME
from collector.errors import QueryError, UserError
from collector.export.card import write_card
from collector.export.cut import STATES, Cut, refuse_other_cut
from collector.export.day_file import FORMATS, sha256, whole_file, write_day
from collector.export.day_rows import LEFT_OUT
from collector.export.hftbacktest import ENDING as HFTBACKTEST_ENDING
from collector.export.hftbacktest import FORM as HFTBACKTEST
from collector.export.hftbacktest import KINDS as HFTBACKTEST_KINDS
from collector.export.hftbacktest import joined_days, write_events
from collector.export.states import write_states
from collector.export.stored_days import parts_of, stored_days
from collector.export.utc_days import KINDS, Day, table_of
from collector.export.workers import done_by
from collector.nearest import did_you_mean
from collector.query import (
    LONG_ROWS,
    Archive,
    Database,
    Engine,
    Instant,
    Reader,
    as_stored,
    can_be_fast,
    checked_engine,
    coverage,
    extra,
    filters_named,
    has_table,
    located,
    markets_in,
    reading,
    reading_beside,
)
from collector.version import __version__

MANIFEST = "manifest.json"
FORMAT_VERSION = 3
_FEWEST_ROWS = 20_000  # of a day: fewer are read as soon as a child is asked
FORMS = (*FORMATS, HFTBACKTEST)


@dataclass(frozen=True, slots=True)
class Exported:
    """The result of an export."""

    folder: Path
    files: int
    written: int
    rows: int


@dataclass(frozen=True, slots=True)
class _Task:
    url: str
    table_name: str
    folder: Path
    form: str
    day: Day
    sources: tuple[Day, ...]  # what its file is made of
    cut: Cut
    engine: Engine

    @property
    def rows(self) -> int:
        """Return how many rows are to be read at most."""
        return sum(day.rows for day in self.sources)


def export(
    db: Database,
    folder: str | Path,
    *,
    form: str = "parquet",
    kinds: Sequence[str] = KINDS,
    symbol: str | None = None,
    exchange: str | None = None,
    start: Instant = None,
    end: Instant = None,
    depth: int | None = None,
    every: str | None = None,
    jobs: int = 1,
    engine: Engine = "auto",
    on_progress: Callable[[int, int], None] | None = None,
    table_name: str = DEFAULT_TABLE_NAME,
) -> Exported:
    """Write what is stored to `folder/<kind>/exchange=../symbol=../date=../`, with coverage and a card.

    With form="hftbacktest" a file has the events of books and trades of a day, and `kinds` says of what it is
    made. Each file appears whole. One whose day has not changed is kept, so that an export which was
    interrupted, or is run every day, continues where it stopped. `jobs` processes read at the same time.

    Where many rows are to be read, each of these has a child to read them (`engine`, as of the loaders).

    `start` and `end` choose rows as those of the loaders do, bars by when they began, `depth` rows of books.
    With `every` states at even instants (`load_features`) stand in the place of features, as kind `states`.
    A folder holds files of one such choice.
    """
    cut = Cut.of(start, end, depth, every)
    if cut.mark and form == HFTBACKTEST:
        raise QueryError("hftbacktest's files are of whole days; leave out start, end, depth and every")
    if form not in FORMS:
        hint = did_you_mean(form, FORMS)
        raise QueryError(f"the format is {form!r}; expected one of {', '.join(FORMS)}{hint}")
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        hint = did_you_mean(unknown[0], KINDS)
        raise QueryError(f"there is no {unknown[0]!r} to export; expected {', '.join(KINDS)}{hint}")
    extra("pyarrow", "parquet")
    checked_engine(engine)
    target = _made(Path(folder))
    known = _manifest(target)
    refuse_other_cut(known.values(), cut)
    symbol, exchange = _named(db, table_name, symbol, exchange)
    found = _found(db, table_name, form, kinds, symbol, exchange, cut)
    if not found:
        raise _nothing(cut)
    url = located(db).render_as_string(hide_password=False)
    stale = [
        _Task(url, table_name, target, form, day, sources, cut, engine)
        for day, sources in found.items()
        if not _is_current(target, known, day, form, cut)
    ]
    done = len(found) - len(stale)
    rows = written = 0
    for entries in done_by(_export_day, stale, jobs, url if _pays(db, stale, engine) else None):
        if entries:  # of a day of which something was wanted
            rows, written = rows + entries[0]["rows"], written + 1
            _replace(target, known, entries)
        done += 1
        _write_manifest(target, known)
        if on_progress is not None:
            on_progress(done, len(found))
    if not known:
        raise _nothing(cut)
    segments = coverage(db, table_name=table_name)
    for name, value in (("symbol", symbol), ("exchange", exchange)):
        segments = segments[segments[name] == value] if value is not None else segments
    arrow, parquet = extra("pyarrow", "parquet"), extra("pyarrow.parquet", "parquet")
    with whole_file(target / "coverage.parquet") as path:
        parquet.write_table(arrow.Table.from_pandas(segments, preserve_index=False), path, compression="zstd")
    _write_manifest(target, known)
    write_card(target, known, segments, form)
    return Exported(target, len(known), written, rows)


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        words = f"{folder} cannot be a folder to write to: {error.strerror}; choose another"
        raise UserError(words) from None
    return folder


def _named(
    db: Database, table_name: str, symbol: str | None, exchange: str | None
) -> tuple[str | None, str | None]:
    """Return the names that are meant; raise QueryError where nothing is stored of one."""
    if symbol is exchange is None:
        return None, None
    stored: set[tuple[str, str]] = set()
    with reading(db, table_name) as (connection, tables):
        for table in (tables.hot, tables.levels, tables.trades, tables.ohlcv):
            if has_table(connection, table):
                stored |= markets_in(connection, table, Archive.read(connection, tables, table))
    return filters_named(stored, symbol, exchange, "the database")


def _found(
    db: Database,
    table_name: str,
    form: str,
    kinds: Sequence[str],
    symbol: str | None,
    exchange: str | None,
    cut: Cut,
) -> dict[Day, tuple[Day, ...]]:
    wanted = [kind for kind in kinds if form != HFTBACKTEST or kind in HFTBACKTEST_KINDS]
    with reading(db, table_name) as (connection, tables):
        found = [day for kind in wanted for day in stored_days(connection, tables, kind, symbol, exchange)]
    if form == HFTBACKTEST:
        return joined_days(found)
    return {day: (day,) for day in found if cut.of_day(day) is not None}


def _nothing(cut: Cut) -> QueryError:
    asked = ", ".join(name.removesuffix("_ns") for name in cut.mark)
    among = f" of what was asked for ({asked})" if asked else ""
    return QueryError(f"there is nothing to export{among}; symbols() lists what is stored")


def _pays(db: Database, tasks: Sequence[_Task], engine: Engine) -> bool:
    """Return whether a child reads these days at less cost."""
    return can_be_fast(db, engine) and (engine != "auto" or sum(task.rows for task in tasks) >= LONG_ROWS)


def _export_day(task: _Task, reader: Reader | None) -> list[dict[str, Any]]:
    """Write the files of a day, nearly always one, and return their entries in the manifest."""
    own = reader if task.rows >= _FEWEST_ROWS or task.engine != "auto" else None
    with reading_beside(own, task.url, task.table_name) as (connection, tables):
        if task.form == HFTBACKTEST:
            told = list(write_events(connection, tables, task.sources, lambda part: _path(task, part)))
            return [_entry(task, part, {"facts": facts}) for part, facts in enumerate(told)]
        if not task.cut.makes_states(task.day):
            parts = parts_of(connection, tables, task.day)
            table = as_stored(connection, table_of(tables, task.day.kind))
            rows = write_day(
                connection, table, task.day, _path(task, 0), task.form, LEFT_OUT, parts, cut=task.cut
            )
            return _entries(task, rows)
    states = write_states(
        task.url, task.table_name, task.day, task.cut, _path(task, 0), task.form, task.engine
    )
    return _entries(task, states)


def _entries(task: _Task, rows: int) -> list[dict[str, Any]]:
    """Return the entry of the file; none of one in which nothing came, which is removed."""
    if task.cut.mark and not rows:
        _path(task, 0).unlink()
        return []
    return [{**_entry(task, 0, {}), "rows": rows}]


def _placed(day: Day, cut: Cut) -> Day:
    """Return the day as its file is called."""
    return replace(day, kind=STATES) if cut.makes_states(day) else day


def _told(day: Day, cut: Cut) -> dict[str, Any]:
    """Return what a file was made of: where it changes, the file is made anew."""
    mark = {**_placed(day, cut).mark, "code": __version__, "format": FORMAT_VERSION}
    if not cut.mark:
        return mark
    day_rows = mark.pop("rows")  # the file may have fewer
    return {**mark, "cut": {"of": cut.mark, "day_rows": day_rows}}


def _path(task: _Task, part: int) -> Path:
    return task.folder / _placed(task.day, task.cut).path(_ending(task.form), part)


def _entry(task: _Task, part: int, facts: dict[str, Any]) -> dict[str, Any]:
    path = _path(task, part)
    return {
        "path": str(path.relative_to(task.folder).as_posix()),
        **task.day.mark,
        **_told(task.day, task.cut),
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
        **facts,
    }


def _replace(folder: Path, known: dict[str, dict[str, Any]], entries: Sequence[dict[str, Any]]) -> None:
    """Put the entries of a day in the place of those it had, and remove files that it has no more."""
    for path in [path for path in known if _is_beside(path, entries[0]["path"])]:
        del known[path]
        if all(path != entry["path"] for entry in entries):
            (folder / path).unlink(missing_ok=True)
    known.update({entry["path"]: entry for entry in entries})


def _is_beside(path: str, other: str) -> bool:
    return PurePosixPath(path).parent == PurePosixPath(other).parent


def _ending(form: str) -> str:
    return HFTBACKTEST_ENDING if form == HFTBACKTEST else form


def _is_current(folder: Path, known: dict[str, dict[str, Any]], day: Day, form: str, cut: Cut) -> bool:
    first = _placed(day, cut).path(_ending(form))
    made_by = _told(day, cut)
    return first in known and all(
        {**entry, **made_by} == entry
        and (folder / path).is_file()
        and (folder / path).stat().st_size == entry["bytes"]
        for path, entry in known.items()
        if _is_beside(path, first)
    )


def _manifest(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["files"]
        return {entry["path"]: entry for entry in entries}
    except (ValueError, KeyError, TypeError):
        return {}  # written by something else: every file is made again


def _write_manifest(folder: Path, known: dict[str, dict[str, Any]]) -> None:
    listed = {"files": [known[path] for path in sorted(known)]}
    with whole_file(folder / MANIFEST) as path:
        path.write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
