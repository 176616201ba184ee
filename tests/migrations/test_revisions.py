"""Which revisions there are is told without Alembic, and as Alembic tells it."""

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.util import CommandError

from collector.database import revisions, upgrade
from collector.resources import migrations_path

TEXT = '''"""A revision."""

revision = {revision}
down_revision = {before}
'''


def write_revisions(folder: Path, files: dict[str, tuple[str, str]]) -> str:
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text("")
    for name, (revision, before) in files.items():
        (folder / "versions" / f"{name}.py").write_text(TEXT.format(revision=revision, before=before))
    return str(folder)


def test_the_files_say_what_alembic_says() -> None:
    folder = migrations_path()
    written = revisions._as_written(folder / "versions")
    assert written is not None
    assert written == revisions._as_alembic_reads_them(str(folder))
    assert (written.head in written.known, "0001" in written.known) == (True, True)


def test_annotated_names_are_read_as_well(tmp_path: Path) -> None:
    folder = write_revisions(tmp_path, {"a": ("'a'", "None"), "b": ("'b'", "'a'")})
    path = tmp_path / "versions" / "b.py"
    path.write_text(path.read_text().replace("revision =", "revision: str | None ="))
    assert revisions._as_written(tmp_path / "versions") == ("b", {"a", "b"})
    assert revisions._revisions_in(folder) == ("b", {"a", "b"})


@pytest.mark.parametrize(
    "files",
    [
        {"a": ("'a'", "None"), "b": ("'b'", "('a',)")},  # not the plain name of one
        {"a": ("'a'", "None"), "b": ("'b'", "'a' + ''")},  # computed
        {
            "a": ("'a'", "None"),
            "b": ("'b'", "'a'"),
            "c": ("'c'", "'a'"),
            "d": ("'d'", "('b', 'c')"),
        },  # joined
    ],
)
def test_what_is_not_plain_is_left_to_alembic(tmp_path: Path, files: dict[str, tuple[str, str]]) -> None:
    folder = write_revisions(tmp_path, files)
    assert revisions._as_written(tmp_path / "versions") is None
    assert revisions._revisions_in(folder) == (max(files), set(files))


def test_two_newest_ones_are_an_error_as_ever(tmp_path: Path) -> None:
    folder = write_revisions(tmp_path, {"a": ("'a'", "None"), "b": ("'b'", "'a'"), "c": ("'c'", "'a'")})
    with pytest.raises(CommandError, match="multiple head"):
        revisions._revisions_in(folder)


PROGRAM = """
import sys
from collector.lean import this_process_is_ours
this_process_is_ours()
import sqlalchemy as sa
from collector.database import bring_to_head

for path in sys.argv[1:]:
    changed = bring_to_head(sa.create_engine("sqlite:///" + path), "hot", allow=True)
    print(changed, *(name in sys.modules for name in ("alembic", "mako", "pygments")))
"""


def test_only_a_change_of_tables_takes_alembic(tmp_path: Path) -> None:
    """And that without what Mako would colour its own errors with."""
    new, old = str(tmp_path / "new.db"), str(tmp_path / "old.db")
    older = sa.create_engine(f"sqlite:///{old}")
    upgrade(older, "hot", "0011")
    older.dispose()
    asked = [sys.executable, "-c", PROGRAM, new, new, old, old]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "True False False False",  # made at once
        "False False False False",
        "True True True False",
        "False True True False",
    ]
