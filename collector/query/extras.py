"""Import what comes with an extra, or say which one is missing."""

from importlib import import_module
from typing import Any

from collector.errors import MissingExtra


def extra(module: str, name: str) -> Any:
    """Return the module; MissingExtra names the extra that brings it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        package = {"sklearn": "scikit-learn"}.get(module.partition(".")[0], module.partition(".")[0])
        raise MissingExtra(package, name) from None
