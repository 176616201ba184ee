"""Collect crypto market data that can be trusted: every update in, every hole known, every row right."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collector.query.coverage import coverage, gaps
    from collector.query.features import load_features

__version__ = "0.1.0"
__all__ = ["__version__", "coverage", "gaps", "load_features"]

# Loaded when first asked for: `python run.py --help` must not pay for pandas and SQLAlchemy.
_HOMES = {
    "coverage": "collector.query.coverage",
    "gaps": "collector.query.coverage",
    "load_features": "collector.query.features",
}


def __getattr__(name: str) -> Any:
    """Find a public name in the module that it lives in."""
    if name not in _HOMES:
        raise AttributeError(f"module 'collector' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(_HOMES[name]), name)
