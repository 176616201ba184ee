"""Find what other distributions bring, by entry points, and load only what is asked for by its name."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collector.errors import UserError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_NAME = re.compile(r"[a-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Plugin:
    """One that was loaded."""

    group: str
    name: str
    origin: str  # the distribution and its version


class Plugins:
    """The plug-ins of one group of entry points. What they are made into is their taker's affair.

    The installed distributions are read when a name is first asked for, and each plug-in is loaded once. One
    that cannot be loaded, or that is refused, is a problem of its own name and of no other.
    """

    def __init__(self, group: str, take: Callable[[str, object], None]) -> None:
        self.group = group
        self.loaded: list[Plugin] = []
        self._take = take  # registers what a name was loaded as; raises UserError with what is wrong with it
        self._installed: dict[str, list[EntryPoint]] | None = None
        self._problems: dict[str, str] = {}
        self._asked: set[str] = set()

    def problem(self, name: str) -> str | None:
        """Load the plug-in of a name, if there is one; return what is wrong with it."""
        if name not in self._asked and _NAME.fullmatch(name):
            self._asked.add(name)
            self._load(name)
        return self._problems.get(name)

    def names(self) -> list[str]:
        """Return the names of all that are installed; nothing is loaded."""
        return sorted(self._found())

    def forget(self) -> None:
        """Look at the installed distributions again."""
        self._installed = None
        self._asked.clear()
        self._problems.clear()
        self.loaded.clear()

    def _load(self, name: str) -> None:
        found = self._found().get(name, [])
        if not found:
            return
        where = f"the plug-in {name!r} of {' and '.join(sorted(map(_origin, found)))}"
        if len(found) > 1:
            self._problems[name] = f"{where}: {len(found)} have this name, expected one: uninstall the others"
            return
        try:
            self._take(name, found[0].load())
        except UserError as error:
            self._problems[name] = f"{where} is refused: {error}"
        except (Exception, SystemExit) as error:  # noqa: BLE001  (whatever it is, it is the plug-in's own)
            self._problems[name] = f"{where} cannot be loaded: {error!r}"
        else:
            self.loaded.append(Plugin(self.group, name, _origin(found[0])))

    def _found(self) -> "dict[str, list[EntryPoint]]":
        if self._installed is None:
            from importlib.metadata import entry_points  # noqa: PLC0415  (costs what it imports)

            self._installed = {}
            for one in set(entry_points(group=self.group)):
                self._installed.setdefault(one.name, []).append(one)
        return self._installed


def _origin(one: "EntryPoint") -> str:
    return f"{one.dist.name} {one.dist.version}" if one.dist is not None else one.value
