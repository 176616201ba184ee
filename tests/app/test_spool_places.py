"""Where the spools of a database are: the same wherever the process runs and however its URL is spelt."""

import sys
from pathlib import Path

import pytest

from collector.app.spool_places import follower_places_of, owner_of, places_of, state_folder, waiting
from collector.sinks.sql.sink import SqlSink
from collector.spool.owner import SpoolOwner

sys.path.insert(0, str(Path(__file__).parents[1]))
from left_spool import leave_rows

URL = "postgresql://user:secret@host/name"
NEVER = SpoolOwner("", lambda: "", lambda _sessions: False).knows


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return {"XDG_STATE_HOME": str(tmp_path / "state")}


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"STATE_DIRECTORY": "/var/lib/collector:/var/lib/more", "HOME": "/h"}, "/var/lib/collector"),
        ({"XDG_STATE_HOME": "/state", "HOME": "/h"}, "/state/collector"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/h"}, "/h/.local/state/collector"),
        ({"HOME": "/h"}, "/h/.local/state/collector"),
    ],
)
def test_the_folder_of_what_outlives_a_process(environ: dict[str, str], folder: str) -> None:
    assert state_folder(environ) == Path(folder)


@pytest.mark.parametrize(
    "spelt",
    [
        "postgresql://user:another@host/name",
        "postgresql://host/name",
        "postgres://user@HOST:5432/name",
        "postgresql+psycopg://other@host:5432/name?connect_timeout=3",
        "postgresql://user@/name?host=host",
    ],
)
def test_the_spelling_of_a_url_does_not_matter(spelt: str, environ: dict[str, str]) -> None:
    assert places_of(None, SqlSink(spelt), environ).own == places_of(None, SqlSink(URL), environ).own


@pytest.mark.parametrize("other", ["postgresql://host/other", "postgresql://host:5433/name"])
def test_another_database_has_another_name(other: str, environ: dict[str, str]) -> None:
    assert set(places_of(None, SqlSink(other), environ).own).isdisjoint(
        places_of(None, SqlSink(URL), environ).own
    )


def test_a_server_s_is_in_the_state_folder_and_in_the_working_directory_only_where_that_cannot_be(
    environ: dict[str, str], tmp_path: Path
) -> None:
    own = places_of(None, SqlSink(URL), environ).own
    assert [path.parent for path in own] == [tmp_path / "state" / "collector"] * 9 + [tmp_path / "cwd"] * 9


def test_what_an_older_version_left_in_the_working_directory_is_found_by_its_name(
    environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "cwd" / "collector-32febe1a-spool").touch()
    (tmp_path / "cwd" / "collector-00000000-spool-2").touch()
    places = places_of(None, SqlSink(URL), environ)
    assert [path.name for path in places.found] == ["collector-00000000-spool-2", "collector-32febe1a-spool"]
    assert [path.name for path in places.found if path in places.named] == ["collector-32febe1a-spool"]


def test_a_file_s_is_beside_it_whatever_name_leads_there(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link.db").symlink_to(tmp_path / "data" / "live.db")
    for name in (
        "data/live.db-spool-2",
        "data/live.db-spool-2-wal",
        "data/live.db-spool.damaged-7",
        "link.db-spool",
    ):
        (tmp_path / name).touch()
    (tmp_path / "data" / "live.db-spool-follower-00000000").touch()
    places = places_of(None, SqlSink(str(tmp_path / "link.db")), environ)
    assert places.own[0] == tmp_path / "data" / "live.db-spool"
    assert set(places.found) == {tmp_path / "data" / "live.db-spool-2", tmp_path / "link.db-spool"}


def test_one_that_is_told_is_the_first_to_be_written_and_its_folder_is_looked_through(
    environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "other.spool").touch()
    (tmp_path / "live.db-spool").touch()
    places = places_of(str(tmp_path / "my.spool"), SqlSink(str(tmp_path / "live.db")), environ)
    assert places.own[:2] == [tmp_path / "my.spool", tmp_path / "my.spool-2"]
    assert set(places.found) == {tmp_path / "live.db-spool", tmp_path / "other.spool"}


def test_a_follower_s_is_beside_the_store_s(environ: dict[str, str], tmp_path: Path) -> None:
    beside = places_of(None, SqlSink(str(tmp_path / "live.db")), environ)
    places = follower_places_of(beside, SqlSink(str(tmp_path / "second.db")))
    assert len(set(places.own)) == len(beside.own)
    assert all(path.name.startswith("live.db-spool") for path in places.own)
    places.own[1].touch()
    assert follower_places_of(beside, SqlSink(str(tmp_path / "second.db"))).found == [places.own[1]]
    assert follower_places_of(beside, SqlSink(str(tmp_path / "third.db"))).found == []


def test_what_waits_for_one_table_of_books_waits_for_no_other(
    environ: dict[str, str], tmp_path: Path
) -> None:
    path = str(tmp_path / "live.db")
    sinks = [SqlSink(path, name, auto_migrate=True) for name in ("books", "other_books")]
    for sink in sinks:
        sink.open()
        sink.close()
    books, others = (owner_of(sink, sink) for sink in sinks)
    places = places_of(None, sinks[0], environ)
    leave_rows(places.own[0], owner=books)
    assert waiting(places, others) == []
    assert [one.rows for one in waiting(places, books)] == [2]


def test_nothing_waits_where_there_is_nothing(environ: dict[str, str], tmp_path: Path) -> None:
    places = places_of(None, SqlSink(str(tmp_path / "live.db")), environ)
    assert waiting(places, SpoolOwner(knows=NEVER)) == []
    assert not (tmp_path / "state").exists()
