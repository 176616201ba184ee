"""Offer the names of a package's modules from the package itself, each loaded when it is first asked for.

A package's `__init__.py` lists what is meant for others, once, where type checkers read it:

    if TYPE_CHECKING:
        from collector.query.loaders import load_features as load_features
    else:
        __getattr__, __dir__ = face(__name__, __file__)

So `from collector.query import load_features` imports that module and what it needs, and nothing else of the
package.
"""

import ast
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any


def face(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for the package whose `__init__.py` is `file`."""

    @cache
    def homes() -> dict[str, str]:
        return offered(Path(file).read_text(encoding="utf-8"))

    def load(name: str) -> Any:
        if name == "__all__":
            return list(homes())
        if name not in homes():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(homes()[name]), name)
        setattr(sys.modules[package], name, found)  # so that it is found at once from now on
        return found

    return load, lambda: sorted(homes())


def offered(text: str) -> dict[str, str]:
    """Return the module that each offered name is imported from, in the order of the names."""
    found: dict[str, str] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for line in node.body:
                if isinstance(line, ast.ImportFrom) and line.module is not None:
                    found |= {alias.name: line.module for alias in line.names}
    return dict(sorted(found.items()))
