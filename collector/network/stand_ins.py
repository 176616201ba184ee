"""Import a module without some packages that it uses only in case: they are imported when it does.

ccxt imports what signs requests with private keys (8 MB), and requests what guesses the encoding of a page
(4 MB, all codecs of Python among them); public market data needs neither. During the import, names of these
packages are stand-ins. The first use of one imports the real package, and puts the real things in the place
of all stand-ins that the module holds.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from pkgutil import resolve_name
from threading import RLock, get_ident
from types import ModuleType
from typing import Any


@contextmanager
def standing_in(user: ModuleType, packages: Sequence[str]) -> Iterator[None]:
    """Have this thread's imports within the block find stand-ins, except of what is imported already.

    `user` is the module that is being imported.
    """
    finder = _Finder(user, [name for name in packages if name not in sys.modules])
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        finder.is_over = True
        sys.meta_path.remove(finder)
        for name, module in list(sys.modules.items()):
            if isinstance(module, StandInModule) and name.partition(".")[0] in packages:
                del sys.modules[name]  # who imports it from now on gets the real one


class _Finder(MetaPathFinder, Loader):
    """Finds stand-ins for some packages and all modules in them."""

    def __init__(self, user: ModuleType, packages: Sequence[str]) -> None:
        self.is_over = False  # the import is: who asks for something now uses it
        self._user = user
        self._packages = packages
        self._thread = get_ident()
        self._one_at_a_time = RLock()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a stand-in for one of the packages."""
        del path, target
        if fullname.partition(".")[0] in self._packages and get_ident() == self._thread:
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Make a stand-in."""
        return StandInModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Tell it who made it."""
        module.__dict__["_finder"] = self

    def real(self, path: str) -> Any:
        """Import what a stand-in stands for, and put it and its like where the user looks for them."""
        with self._one_at_a_time:
            found = resolve_name(path)
            for name, value in list(vars(self._user).items()):
                if isinstance(value, StandIn):
                    setattr(self._user, name, resolve_name(value._path))  # noqa: SLF001
        return found


class StandInModule(ModuleType):
    """A module that is imported when something of it is used."""

    _finder: _Finder

    def __getattr__(self, name: str) -> Any:
        """Return a stand-in during the import; what the module has later."""
        if name == "__version__":
            return version(self.__name__)
        if name.startswith("__"):
            raise AttributeError(name)
        if self._finder.is_over:
            return getattr(import_module(self.__name__), name)
        return StandIn(self._finder, f"{self.__name__}.{name}")


class StandIn:
    """Something in such a module, whatever it is."""

    def __init__(self, finder: _Finder, path: str) -> None:
        self._finder = finder
        self._path = path

    def __getattr__(self, name: str) -> Any:
        """Return a stand-in during the import; what the real thing has later."""
        if not self._finder.is_over and not name.startswith("__"):
            return StandIn(self._finder, f"{self._path}.{name}")
        return getattr(self._finder.real(self._path), name)

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Call the real thing."""
        return self._finder.real(self._path)(*args, **named)
