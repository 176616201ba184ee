"""A package offers names of its modules, and imports a module only when its name is asked for."""

import rlcompleter
import sys
from importlib import import_module
from pathlib import Path

import pytest

import collector

INIT = '''"""A package."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from {package}.light import number
    from {package}.heavy import Thing, make
else:
    __getattr__, __dir__ = face(__name__, __file__)
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"faced_{abs(hash(tmp_path))}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text(INIT.format(package=name))
    (folder / "light.py").write_text("number = 7\n")
    (folder / "heavy.py").write_text("class Thing: ...\n\ndef make(): return Thing()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_a_name_is_imported_when_it_is_asked_for_and_nothing_else_is(package: str) -> None:
    found = __import__(package)
    assert {name for name in sys.modules if name.startswith(package)} == {package}
    assert found.number == 7
    assert f"{package}.heavy" not in sys.modules
    assert type(found.make()) is found.Thing
    assert vars(found)["Thing"] is sys.modules[f"{package}.heavy"].Thing  # found at once from now on


def test_what_is_offered_is_listed(package: str) -> None:
    found = __import__(package)
    assert dir(found) == ["Thing", "make", "number"]
    names: dict[str, object] = {}
    exec(f"from {package} import *", names)
    assert {"Thing", "make", "number"} <= set(names)


def test_a_name_that_is_not_offered_is_told_with_the_package(package: str) -> None:
    with pytest.raises(AttributeError, match=rf"^module '{package}' has no attribute 'numbr'$"):
        _ = __import__(package).numbr


def test_a_module_can_be_imported_by_its_own_name(package: str) -> None:
    names: dict[str, object] = {}
    exec(f"from {package} import heavy", names)
    assert names["heavy"] is sys.modules[f"{package}.heavy"]


LOADERS = ["load_features", "load_levels", "load_ohlcv", "load_settings", "load_trades"]
ROOT = Path(collector.__file__).parent
FACED = [
    ".".join(path.parent.relative_to(ROOT.parent).parts)
    for path in sorted(ROOT.rglob("__init__.py"))
    if "face(__name__" in path.read_text(encoding="utf-8")
]


def test_every_package_lists_what_it_offers_and_nothing_else() -> None:
    assert "collector.query" in FACED
    for name in FACED:
        found = import_module(name)
        listed = dir(found)
        assert set(listed) == set(found.__all__) - {"__version__"}, name
        assert not {"Any", "TYPE_CHECKING", "face"} & set(listed), name


def test_a_terminal_completes_the_names_of_a_package() -> None:
    completer = rlcompleter.Completer({"collector": collector})
    found = [completer.complete("collector.load", place) for place in range(len(LOADERS) + 1)]
    assert [str(one).removeprefix("collector.").rstrip("(") for one in found] == [*LOADERS, "None"]


def test_a_notebook_completes_the_names_of_a_package() -> None:
    completing = pytest.importorskip("IPython.core.completer")
    completer = completing.IPCompleter(namespace={"collector": collector}, global_namespace={})
    for uses_jedi in (True, False):
        completer.use_jedi = uses_jedi
        with completing.provisionalcompleter():
            found = [one.text.lstrip(".") for one in completer.completions("collector.load", 14)]
        assert found == LOADERS
