"""What several collectors left is read as one, oldest first; what belongs to others is left where it is."""

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from collector.errors import DatabaseAway, SpoolRefused
from collector.spool.file import SpoolFile
from collector.spool.files import SpoolFiles, SpoolPlaces
from collector.spool.owner import SpoolOwner

sys.path.insert(0, str(Path(__file__).parents[1]))
from left_spool import leave_rows, left_in, left_write_set

OURS = SpoolOwner("here", lambda: "ours", lambda sessions: "known" in sessions)
THEIRS = SpoolOwner("there", lambda: "theirs", lambda _sessions: False)
NOBODY_S = SpoolOwner()
OpenFiles = Callable[..., SpoolFiles]


@pytest.fixture
def open_files(tmp_path: Path) -> Iterator[OpenFiles]:
    opened: list[SpoolFiles] = []

    def open_them(*own: str, found: tuple[str, ...] = (), named: tuple[str, ...] = ()) -> SpoolFiles:
        places = SpoolPlaces(
            [tmp_path / name for name in own or ("own",)],
            [tmp_path / name for name in found],
            frozenset(tmp_path / name for name in named),
        )
        files = SpoolFiles(places, max_bytes=1 << 24, owner=OURS, synchronous="OFF")
        opened.append(files)
        files.open()
        return files

    yield open_them
    for files in opened:
        files.close()


def brought_in(files: SpoolFiles) -> list[str]:
    found = []
    while (entry := files.first()) is not None:
        found.append(entry.batch_id)
        files.remove(entry.number)
    assert files.entries == files.bytes == 0
    return found


def test_the_oldest_session_comes_first_and_each_keeps_its_order(
    open_files: OpenFiles, tmp_path: Path
) -> None:
    def sets(session: str, started_ns: int, count: int) -> list[object]:
        return [left_write_set(n, session=session, started_ns=started_ns) for n in range(count)]

    leave_rows(tmp_path / "a", *sets("first", 10, 2), *sets("fourth", 40, 2), owner=OURS)  # type: ignore[arg-type]
    leave_rows(tmp_path / "b", *sets("third", 30, 3), owner=OURS)  # type: ignore[arg-type]
    leave_rows(tmp_path / "own", *sets("second", 20, 2), owner=OURS)  # type: ignore[arg-type]
    files = open_files(found=("a", "b", "own"))
    files.open()
    files.append(files.last_number + 1, left_write_set(0, session="now", started_ns=50))
    assert files.entries == len(files.numbers()) == len(list(files.heads())) == 10
    assert brought_in(files) == [
        *("first-0", "first-1", "second-0", "second-1", "third-0", "third-1", "third-2"),
        *("fourth-0", "fourth-1", "now-0"),
    ]
    assert not (tmp_path / "a").exists()  # its name is free for others at once
    files.close()
    assert list(tmp_path.iterdir()) == []


def test_what_was_brought_in_halfway_goes_on_where_it_was(open_files: OpenFiles, tmp_path: Path) -> None:
    leave_rows(tmp_path / "a", *[left_write_set(n) for n in range(4)], owner=OURS)
    first = open_files(found=("a",))
    entry = first.first()
    assert entry is not None
    first.remove(entry.number)
    first.close()
    assert brought_in(open_files(found=("a",))) == ["left-1", "left-2", "left-3"]


def test_another_database_s_is_told_and_left_alone(open_files: OpenFiles, tmp_path: Path) -> None:
    leave_rows(tmp_path / "a", owner=THEIRS)
    with capture_logs() as logs:
        files = open_files(found=("a",))
    assert files.entries == 0
    (told,) = [one for one in logs if one["event"] == "spool.left_alone"]
    for word in (str(tmp_path / "a"), "there", "theirs", "here", "ours", "move the file away"):
        assert word in told["reason"]
    assert left_in(tmp_path / "a") == ["left-1"]


def test_the_one_that_was_asked_for_is_refused_for_another_database(
    open_files: OpenFiles, tmp_path: Path
) -> None:
    leave_rows(tmp_path / "own", owner=THEIRS)
    with pytest.raises(SpoolRefused, match=r"own holds 1 batches for another database, there .*spool\.path"):
        open_files()
    assert left_in(tmp_path / "own") == ["left-1"]


def test_a_name_of_ours_that_holds_another_database_s_rows_is_passed_over(
    open_files: OpenFiles, tmp_path: Path
) -> None:
    leave_rows(tmp_path / "own", owner=THEIRS)
    files = open_files("own", "own-2", named=("own", "own-2"))
    assert files.path == tmp_path / "own-2"


def of_table(table: str) -> SpoolOwner:
    return SpoolOwner("here", lambda: "ours", lambda _sessions: True, table)


def test_rows_for_another_table_of_books_are_left_to_who_collects_into_that(tmp_path: Path) -> None:
    """A row in a spool does not say of which table it is: whoever brings it in writes it to his own."""
    leave_rows(tmp_path / "spool", owner=of_table("books"))
    own = SpoolFiles(SpoolPlaces([tmp_path / "spool"]), max_bytes=1 << 24, owner=of_table("others"))
    told = r"another table of this database, books; this one is others: .*spool\.path"
    with pytest.raises(SpoolRefused, match=told):
        own.open()
    places = SpoolPlaces([tmp_path / "own"], [tmp_path / "spool"], frozenset([tmp_path / "spool"]))
    others = SpoolFiles(places, max_bytes=1 << 24, owner=of_table("others"))
    with capture_logs() as logs:
        others.open()
    assert [(one["event"], "another table" in one["reason"]) for one in logs] == [("spool.left_alone", True)]
    assert others.entries == 0
    others.close()
    books = SpoolFiles(places, max_bytes=1 << 24, owner=of_table("books"))
    books.open()
    assert brought_in(books) == ["left-1"]
    books.close()


@pytest.mark.parametrize("page", [0, 1, 2])
def test_whose_a_damaged_one_is_can_be_read_past_the_damage(tmp_path: Path, page: int) -> None:
    path = leave_rows(tmp_path / "spool", *map(left_write_set, range(9)), owner=of_table("books"))
    with path.open("r+b") as file:
        file.seek(page * 4096)
        file.write(b"\xff" * 4096)
    for _ in range(2):  # the damaged one, and the one that took its place
        with pytest.raises(SpoolRefused, match="9 batches for another table of this database, books"):
            SpoolFile(path, max_bytes=1 << 24, owner=of_table("others")).open()


def test_one_that_does_not_say_for_which_table_it_is_says_so_from_then_on(tmp_path: Path) -> None:
    leave_rows(tmp_path / "spool", owner=OURS)
    leave_rows(tmp_path / "spool", owner=of_table("books"))
    with pytest.raises(SpoolRefused, match="2 batches for another table of this database, books"):
        SpoolFile(tmp_path / "spool", max_bytes=1 << 24, owner=of_table("others")).open()


def test_an_empty_one_of_another_database_is_taken(open_files: OpenFiles, tmp_path: Path) -> None:
    spool = SpoolFile(tmp_path / "own", max_bytes=1 << 24, owner=THEIRS)
    spool.open()
    spool.append(1, left_write_set(1))
    connection = spool._connection
    assert connection is not None
    connection.execute("DELETE FROM spool")
    spool.close()
    assert (tmp_path / "own").exists()
    files = open_files()
    files.append(1, left_write_set(1))
    files.close()
    with pytest.raises(SpoolRefused, match="for another database, here"):
        SpoolFile(tmp_path / "own", max_bytes=1 << 24, owner=THEIRS).open()


@pytest.mark.parametrize(
    ("session", "named", "is_ours"),
    [("known", False, True), ("other", True, True), ("other", False, False)],
    ids=["a session of the database", "the name of the database", "neither"],
)
def test_one_of_an_older_version_is_adopted_when_session_or_name_say_so(
    open_files: OpenFiles, tmp_path: Path, session: str, named: bool, is_ours: bool
) -> None:
    path = leave_rows(tmp_path / "a", left_write_set(0, session=session), owner=NOBODY_S)
    spool = SpoolFile(path, max_bytes=1 << 24, by_name=True)
    spool.open()
    assert spool._connection is not None
    spool._connection.execute("DROP TABLE about")  # as older versions made it
    spool._connection.close()
    files = open_files(found=("a",), named=("a",) if named else ())
    assert brought_in(files) == ([f"{session}-0"] if is_ours else [])


def test_two_at_once_bring_each_in_once(open_files: OpenFiles, tmp_path: Path) -> None:
    leave_rows(tmp_path / "a", owner=OURS)
    first = open_files("own", "own-2", found=("a",))
    with capture_logs() as logs:
        second = open_files("own", "own-2", found=("a",))
    assert second.path == tmp_path / "own-2"
    assert [one["event"] for one in logs] == ["spool.left_alone"] * 2  # the first name, and the rows
    assert all("in use by another collector" in one["reason"] for one in logs)
    assert (first.entries, second.entries) == (1, 0)


def test_a_database_that_took_the_place_of_another_is_written_into_the_file(tmp_path: Path) -> None:
    identity = ["before"]
    owner = SpoolOwner("here", lambda: identity[0], lambda _sessions: False)
    spool = SpoolFile(tmp_path / "own", max_bytes=1 << 24, owner=owner)
    spool.open()
    spool.append(1, left_write_set(1))
    identity[0] = "after"
    spool.append(2, left_write_set(2))
    spool.close()
    after = SpoolFile(tmp_path / "own", max_bytes=1 << 24, owner=SpoolOwner("moved", lambda: "after"))
    after.open()
    assert after.entries == 2
    after.close()


def test_a_file_that_is_no_spool_is_left_alone(open_files: OpenFiles, tmp_path: Path) -> None:
    (tmp_path / "notes on the spool").write_text("mine" * 2000)
    files = open_files(found=("notes on the spool",))
    assert files.entries == 0
    assert (tmp_path / "notes on the spool").read_text() == "mine" * 2000


def test_so_is_one_whose_name_only_begins_like_that_of_a_spool(open_files: OpenFiles, tmp_path: Path) -> None:
    (tmp_path / "own-notes.txt").write_text("mine" * 2000)
    files = open_files("own", found=("own-notes.txt",), named=("own", "own-notes.txt"))
    assert files.entries == 0
    files.close()
    assert [one.name for one in tmp_path.iterdir()] == ["own-notes.txt"]
    assert (tmp_path / "own-notes.txt").read_text() == "mine" * 2000


def test_a_full_disk_at_opening_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = SpoolPlaces([tmp_path / "spool", tmp_path / "spool-2"])
    files = SpoolFiles(places, max_bytes=1 << 20, owner=SpoolOwner())

    def full(*_: object) -> None:
        with closing(sqlite3.connect(":memory:")) as disk:
            disk.execute("PRAGMA max_page_count = 1")
            disk.execute("CREATE TABLE one (number INTEGER)")

    with monkeypatch.context() as patch:
        patch.setattr("collector.spool.file.set_up", full)
        with pytest.raises(DatabaseAway, match="cannot be opened: database or disk is full"):
            files.open()
    files.open()
    files.close()
