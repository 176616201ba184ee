from pathlib import Path

import pytest

from collector.database.url import database_url, shown, sqlite_path
from collector.errors import UserError


def test_a_path_and_a_url_of_one_file_are_the_same_database(tmp_path: Path) -> None:
    path = tmp_path / "live.db"
    assert database_url(str(path)) == database_url(f"sqlite:///{path}")
    assert sqlite_path(database_url(str(path))) == path


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sqlite_path(database_url("live.db")) == tmp_path / "live.db"
    assert sqlite_path(database_url("sqlite:///live.db")) == tmp_path / "live.db"


def test_the_home_folder_may_be_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sqlite_path(database_url("~/live.db")) == tmp_path / "live.db"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_postgresql_goes_through_psycopg(scheme: str) -> None:
    url = database_url(f"{scheme}://me:secret@host/db")
    assert url.drivername == "postgresql+psycopg"
    assert url.password == "secret"
    assert sqlite_path(url) is None


def test_a_driver_that_is_missing_is_told_with_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("collector.database.url.find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"this needs psycopg.*`pip install -e '\.\[postgres\]'`"):
        database_url("postgresql://me@host/db")


def test_a_password_is_not_shown() -> None:
    assert shown(database_url("postgresql://me:secret@host/db")) == "postgresql+psycopg://me:***@host/db"


@pytest.mark.parametrize(
    ("text", "what_is_wrong"),
    [
        ("mysql://me:secret@host/db", "'mysql' are not supported"),
        ("postgresql+psycopg2://me:secret@host/db", "not supported"),
        ("postgresql://me:secret@host:port/db", "cannot be understood"),
        ("://me:secret@host", "cannot be understood"),
        ("", "can keep"),
        (":memory:", "can keep"),
        ("sqlite://", "can keep"),
        ("sqlite:///file:x?mode=memory&uri=true", "can keep"),
        ("sqlite:////tmp/x.db?mode=memory", "'mode' is not supported"),
        ("/nowhere/at/all/live.db", "folder /nowhere/at/all .* does not exist; create it"),
        ("/tmp", "is a folder"),
    ],
)
def test_what_cannot_be_used_is_refused_without_its_password(text: str, what_is_wrong: str) -> None:
    with pytest.raises(UserError, match=what_is_wrong) as caught:
        database_url(text)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
