"""Read what the package's modules import of each other."""

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "collector"


def module_files(package: Path = PACKAGE) -> dict[str, Path]:
    """Return the package's files by module name, `collector.book.order_book` for one."""
    files = sorted(path for path in package.rglob("*.py") if "_bundled" not in path.parts)
    return {_name(path, package.parent): path for path in files}


@cache
def _import_statements(path: Path) -> list[ast.Import | ast.ImportFrom]:
    """Return every import statement of a file, wherever in it one stands: no expression holds any."""
    found: list[ast.Import | ast.ImportFrom] = []
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.append(node)
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, name, ())
            if isinstance(inner, list):  # what a conditional expression has under these names is no list
                waiting += inner
    return found


@cache
def imported_names(path: Path) -> set[str]:
    """Return every name that a file imports, anywhere in it: `a`, and `a.b` of `from a import b`."""
    names: set[str] = set()
    for node in _import_statements(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imports_between(files: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return which of the modules each of them imports."""
    found: dict[str, set[str]] = {}
    for module, path in files.items():
        modules = {name if name in files else name.rpartition(".")[0] for name in imported_names(path)}
        found[module] = {one for one in modules if one in files and one != module}
    return found


def modules_named(path: Path, files: Mapping[str, Path]) -> set[str]:
    """Return the modules that a file's imports name: not those behind the names that a package offers."""
    named = {
        f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}" in files else node.module
        for node in _import_statements(path)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    return named & set(files)


def face_of(importer: str, module: str, packages: Iterable[str]) -> str:
    """Return the outermost package that holds the module but not the importer; or else the module."""
    own = (importer if importer in packages else importer.rpartition(".")[0]).split(".")
    parts = module.split(".")
    shared = next(
        (n for n, (a, b) in enumerate(zip(own, parts, strict=False)) if a != b), min(len(own), len(parts))
    )
    outermost = ".".join(parts[: shared + 1])
    return outermost if outermost in packages else module


def circles(imports: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return the groups of modules that import each other in a circle."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = lowest[module] = len(order)
        path.append(module)
        for other in imports.get(module, ()):
            if other not in order:
                visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in path:
                lowest[module] = min(lowest[module], order[other])
        if lowest[module] == order[module]:
            group = path[path.index(module) :]
            del path[path.index(module) :]
            if len(group) > 1:
                found.append(sorted(group))

    for module in imports:
        if module not in order:
            visit(module)
    return found


def _name(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
