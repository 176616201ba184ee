"""Nothing is published, so nothing says to install by name; `collector` on PyPI is somebody else's."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = r"(?:market[-_.])?collector"
# A path (`-e .`, `/opt/collector/...`) is no name.
BY_NAME = re.compile(rf"\b(?:install|add|inject)\b[^`&|;]*?[\s'\"]{NAME}(?=$|[\s'\"`\[<>=~!,;.)])")
INSTALLERS = re.compile(r"\b(?:pip3?|pipx|uv|uvx|poetry|conda)\b[^\n]*")
EXTRA = re.compile(rf"(?<![-\w]){NAME}\[(?:parquet|postgres|research|dev)")


def files() -> list[Path]:
    """List what is in the tree, without what git does not keep."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:  # no clone: a source archive
        return [path for path in ROOT.rglob("*") if path.is_file() and not {".venv", "dist"} & {*path.parts}]
    return [path for name in listed.stdout.splitlines() if (path := ROOT / name).is_file()]


def told_to_install(text: str) -> list[str]:
    commands = [command for command in INSTALLERS.findall(text) if BY_NAME.search(command)]
    return commands + EXTRA.findall(text)


@pytest.mark.parametrize(
    "text",
    [
        "pip install " + "collector",
        "run `python -m pip install --quiet " + "market-collector`",
        "uv add '" + "collector>=0.1'",
        "pipx install " + "market_collector.",
        "needs " + "collector[parquet]",
    ],
)
def test_an_install_by_name_is_recognised(text: str) -> None:
    assert told_to_install(text)


@pytest.mark.parametrize(
    "text",
    [
        "pip install -e '.[dev]'",
        "pip uninstall collector",
        "sudo install -d /etc/collector",
        "pip install -e . && python run.py collect",
        "pip install /opt/collector/dist/wheel.whl",
    ],
)
def test_an_install_of_a_path_is_not(text: str) -> None:
    assert told_to_install(text) == []


def test_nothing_in_the_tree_says_to_install_by_name() -> None:
    found = []
    for path in files():
        if path == Path(__file__).resolve() or path.name == "pyproject.toml":
            continue
        text = path.read_bytes()[:1_000_000].decode("utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}: {command}" for command in told_to_install(text)]
    assert found == []


def test_the_distribution_and_its_extras_have_one_name() -> None:
    """An extra that asked for `collector` would fetch somebody else's package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "market-collector"
    assert project["scripts"] == {"collector": "collector.cli:main"}
    extras = [each for listed in project["optional-dependencies"].values() for each in listed]
    asked = [each for each in extras if re.match(rf"{NAME}\b", each)]
    assert asked
    assert all(each.startswith("market-collector[") for each in asked)


def test_the_changelog_says_to_uninstall_the_old_name() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "`pip uninstall collector` first" in text
