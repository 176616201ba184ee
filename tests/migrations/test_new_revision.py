"""Alembic's own command finds the migrations, for whoever writes the next one."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.config import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(
        ROOT / "migrations", tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path


@pytest.fixture
def alembic(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[str | int | None, str]]:
    """Run the command in a folder of the project; return its exit code or last word, and its errors."""
    monkeypatch.chdir(project)

    def run(*words: str) -> tuple[str | int | None, str]:
        code: str | int | None = 0
        try:
            main(list(words), prog="alembic")
        except SystemExit as ended:
            code = ended.code
        return code, capsys.readouterr().err

    return run


def test_a_new_revision_follows_the_newest(
    project: Path, alembic: Callable[..., tuple[str | int | None, str]]
) -> None:
    code, said = alembic("revision", "--rev-id", "9999", "-m", "what it does")
    assert code == 0, said
    text = (project / "migrations" / "versions" / "9999_what_it_does.py").read_text()
    newest = max(path.name[:4] for path in (ROOT / "migrations" / "versions").glob("[0-9]*.py"))
    assert f"down_revision = '{newest}'" in text
    compile(text, "9999_what_it_does.py", "exec")


def test_a_database_is_not_migrated_that_way(alembic: Callable[..., tuple[str | int | None, str]]) -> None:
    code, _ = alembic("upgrade", "head")
    assert "python run.py migrate up --db URL" in str(code)  # which Python writes, and ends with 1
