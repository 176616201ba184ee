"""Alembic's own command finds the migrations, for whoever writes the next one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(
        ROOT / "migrations", tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path


def alembic(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "alembic", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_new_revision_follows_the_newest(project: Path) -> None:
    done = alembic(project, "revision", "--rev-id", "9999", "-m", "what it does")
    assert done.returncode == 0, done.stderr
    text = (project / "migrations" / "versions" / "9999_what_it_does.py").read_text()
    newest = max(path.name[:4] for path in (ROOT / "migrations" / "versions").glob("[0-9]*.py"))
    assert f"down_revision = '{newest}'" in text
    compile(text, "9999_what_it_does.py", "exec")


def test_a_database_is_not_migrated_that_way(project: Path) -> None:
    done = alembic(project, "upgrade", "head")
    assert done.returncode != 0
    assert "python run.py migrate up --db URL" in done.stderr
