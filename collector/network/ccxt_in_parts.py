"""Import of ccxt only what is asked for: its packages import every exchange there is, three times over.

That takes a third of the time of a start, and 75 MB; what signs requests, and other things for which there
are stand-ins until they are used, takes 12 MB more. It concerns all that import ccxt in this process: for a
program that is ours alone.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from threading import RLock
from types import ModuleType
from typing import Any

from collector.network.stand_ins import standing_in

_BASES = {  # of each package: the module of the class that it calls Exchange
    "ccxt": "ccxt.base.exchange",
    "ccxt.async_support": "ccxt.async_support.base.exchange",
    "ccxt.pro": "ccxt.async_support.base.exchange",
}
_USER, _USED_IN_CASE = "ccxt.base.exchange", ("cryptography", "charset_normalizer")
_one_at_a_time = RLock()


def import_ccxt_in_parts() -> None:
    """Let ccxt be imported in parts, unless it is imported already."""
    if "ccxt" not in sys.modules and not any(isinstance(one, _Finder) for one in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def import_exchange(exchange_id: str) -> None:
    """Import an exchange of ccxt, if ccxt knows it: when it is first used, a connection waits for it."""
    for package in ("ccxt", "ccxt.pro"):
        getattr(importlib.import_module(package), exchange_id, None)


class _Finder(MetaPathFinder):
    """Find the packages that are to be imported in parts."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the package's own spec with another loader."""
        known = fullname == _USER or fullname in _BASES
        spec = PathFinder.find_spec(fullname, path, target) if known else None
        if spec is not None and spec.loader is not None:
            spec.loader = (_LoaderOfUser if fullname == _USER else _Loader)(spec.loader)
        return spec


class _Loader(Loader):
    """Make a package without running it."""

    def __init__(self, whole: Loader) -> None:
        self.whole = whole

    def exec_module(self, module: ModuleType) -> None:
        """Let the package look for what it is asked for."""
        module.__class__ = _Package


class _LoaderOfUser(Loader):
    """Load a module with stand-ins for what it uses only in case."""

    def __init__(self, whole: Loader) -> None:
        self.whole = whole

    def exec_module(self, module: ModuleType) -> None:
        """Run the module."""
        with standing_in(module, _USED_IN_CASE):
            self.whole.exec_module(module)


class _Package(ModuleType):
    """A package of ccxt: its exchanges are imported by their names, the whole of it for anything else."""

    def __getattr__(self, name: str) -> Any:
        """Return an exchange, an error, or the base class; else run the package after all."""
        if not name.startswith("_"):
            module = f"{self.__name__}.{name}"
            if find_spec(module) is not None:
                importlib.import_module(module)  # and __setattr__ below
                return vars(self)[name]
            for home in ("ccxt.base.errors", _BASES[self.__name__]):
                found = vars(importlib.import_module(home)).get(name)
                if getattr(found, "__module__", None) == home:
                    return found
        with _one_at_a_time:
            if type(self) is _Package:
                object.__setattr__(self, "__class__", ModuleType)
                self.__spec__.loader.whole.exec_module(self)  # type: ignore[union-attr]
        return getattr(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Keep the class of an exchange where importing its module would set the module, as ccxt does."""
        super().__setattr__(name, vars(value).get(name, value) if isinstance(value, ModuleType) else value)
