"""Imports run one way, and the libraries stay where they belong."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "collector"
ORDER = ["stream", "exchanges", "book", "buffer", "features", "writer", "sinks"]
# What each part may import of ours. The path runs downwards; the rest stands beside it.
LEAVES = {"bell", "errors", "clock", "retry", "ids", "resources"}
ALLOWED = {
    **{part: {*ORDER[place:], *LEAVES, "events"} for place, part in enumerate(ORDER)},
    "events": set(),
    **{leaf: set() for leaf in LEAVES},
    "resources": {"errors"},
    "log_file": {"errors"},
    "settings": {"settings", "exchanges", "sinks", "errors"},
    "housekeeping": {"sinks", "settings", "archive", "errors"},
    "logs": {"settings", "events", "errors", "log_file"},
    "view": {"events", "sinks"},
    "halts": {"events"},
    "ticks": {"events", "errors"},
    "export": {"export", "query", "sinks", "errors", "__init__"},
    "archive": {"archive", "export", "query", "sinks", "settings", "errors"},
    "query": {"query", "sinks", "features", "errors"},
    "simulator": {"simulator", "errors"},
}
WIRING = {"app", "claims", "assembly", "cli", "factory", "ingestor", "__init__", "__main__"}
ONLY = {
    "ccxt": {"stream", "backfill"},
    "sqlalchemy": {"sinks", "query", "export", "archive", "backfill"},
    "alembic": {"sinks"},
}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "_bundled" not in path.parts)


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_down_the_path_only(path: Path) -> None:
    part = part_of(path)
    if part in WIRING:
        return
    allowed = ALLOWED[part] | {part}
    ours = {name.split(".")[1] for name in imported(path) if name.startswith("collector.")}
    assert ours <= allowed, f"{part} may not import {sorted(ours - allowed)}"


@pytest.mark.parametrize("library", ONLY)
def test_a_library_is_known_in_its_own_folders_only(library: str) -> None:
    users = {
        part_of(path) for path in modules() if library in {name.split(".")[0] for name in imported(path)}
    }
    assert users <= ONLY[library] | ({"cli"} if library == "sqlalchemy" else set())
