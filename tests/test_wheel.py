"""The wheel holds all that the program needs, and works outside the tree."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("collector", "migrations", "schemas", "config"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    options = ["--wheel", "--no-isolation", "--outdir", str(folder)]
    command = [sys.executable, "-m", "build", *options, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_is_named_as_the_distribution_and_brings_the_command(wheel: Path) -> None:
    assert wheel.name.startswith("market_collector-")
    (info,) = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" in name}
    metadata = zipfile.ZipFile(wheel).read(f"{info}/METADATA").decode()
    assert "\nName: market-collector\n" in metadata
    # An extra that asked for `collector` would fetch somebody else's package.
    assert not re.search(r"^Requires-Dist: collector\b", metadata, re.MULTILINE)
    points = zipfile.ZipFile(wheel).read(f"{info}/entry_points.txt").decode()
    assert "collector = collector.cli:main" in points


def test_the_wheel_holds_migrations_defaults_and_types(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "collector/py.typed" in names
    assert {"index.html", "style.css", "vendor/uPlot.iife.min.js", "vendor/uPlot-LICENSE"} <= {
        name.removeprefix("collector/serve/page/static/") for name in names
    }
    assert "collector/_bundled/config/default.yaml" in names
    for migration in (ROOT / "migrations" / "versions").glob("*.py"):
        assert f"collector/_bundled/migrations/versions/{migration.name}" in names
    for schema in (ROOT / "schemas").rglob("*.avsc"):
        assert f"collector/_bundled/{schema.relative_to(ROOT)}" in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]


def test_the_wheel_collects_and_verifies_from_outside_the_tree(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    environ = {**os.environ, "PYTHONPATH": str(site)}
    program = (
        "import sys, collector; from collector.cli import main; sys.argv[0] = 'collector'\n"
        "print('found at', collector.__file__)\n"
        "for words in (['demo', '--seconds', '1', '--db', 'demo.db'], ['verify', '--db', 'demo.db']):\n"
        "    try: main(words)\n"
        "    except SystemExit as left: print('left with', left.code, flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    (where,) = re.findall(r"^found at (.*)$", done.stdout, re.MULTILINE)
    assert Path(where).is_relative_to(site)
    assert re.findall(r"left with (\d)", done.stdout) == ["0", "0"], done.stdout + done.stderr
