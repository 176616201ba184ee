"""Distributions of the tests' own, installed as pip leaves them: a package and its metadata on the path."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from collector import exchanges, sinks

EXCHANGE = """
from dataclasses import replace
from collector.exchanges import exchange_of

OWN = replace(
    exchange_of("bybit"), name="{name}", summary="of one's own", package="{package}", ccxt_id="bybit"
)
"""
OF_BYBIT = "from collector.exchanges.bybit.{module} import *\n"
SINK = """
import json
from pathlib import Path
from collector.sinks import Capabilities, Receipt


class Counting:
    capabilities = Capabilities(transactions=True, idempotent=True)
    file = None

    def __init__(self, url, options):
        self.name, self.path = url, Path(url.partition("://")[2])
        self.table_name = options.table_name

    def open(self):
        self.path.touch()

    def write(self, write_set):
        with self.path.open("a") as file:
            file.write(json.dumps([self.table_name, write_set.batch_id, write_set.row_count]) + "\\n")
        return Receipt()

    def refuses(self, rows):
        return None

    def abort(self):
        pass

    def close(self):
        pass
"""


class Installed:
    """A folder on the path into which distributions are installed."""

    def __init__(self, site: Path) -> None:
        self.site = site
        site.mkdir()

    def add(self, distribution: str, entry_points: Mapping[str, str], files: Mapping[str, str]) -> None:
        """Install a distribution: `entry_points` has its lines by group."""
        metadata = self.site / f"{distribution.replace('-', '_')}-1.2.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        lines = [f"[{group}]\n{line}\n" for group, line in entry_points.items()]
        (metadata / "entry_points.txt").write_text("\n".join(lines))
        for name, text in files.items():
            (self.site / name).parent.mkdir(exist_ok=True)
            (self.site / name).write_text(text)
        self.look_again()

    def add_exchange(self, name: str, package: str, *, entry: str | None = None, **files: str) -> None:
        """Install an exchange that is Bybit under another name; `files` replace those of its package."""
        modules = {module: OF_BYBIT.format(module=module) for module in ("frames", "rule", "history")}
        texts = {"__init__": EXCHANGE.format(name=name, package=package), **modules, **files}
        self.add(
            f"dist-{package}",
            {"collector.exchanges": f"{entry or name} = {package}:OWN"},
            {f"{package}/{module}.py": text for module, text in texts.items()},
        )

    def look_again(self) -> None:
        """Let the collector see what is installed now."""
        exchanges.PLUGINS.forget()
        sinks.PLUGINS.forget()

    def leave(self) -> None:
        """Forget what was loaded of here."""
        for name, one in list(exchanges.EXCHANGES.items()):
            if one.package:
                exchanges.unregister_exchange(name)
        for plugin in sinks.PLUGINS.loaded:
            sinks.unregister(plugin.name)
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(str(self.site)):
                del sys.modules[name]
        self.look_again()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    """A folder on the path; what is loaded of it is forgotten in the end."""
    monkeypatch.syspath_prepend(tmp_path / "site")
    made = Installed(tmp_path / "site")
    yield made
    made.leave()
