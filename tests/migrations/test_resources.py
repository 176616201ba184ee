"""The files that travel with the code are found in a source tree and in an installed package."""

import shutil
import subprocess
import sys
from pathlib import Path

import collector
from collector.resources import migrations_path

PACKAGE = Path(collector.__file__).parent

MIGRATE = """
import sys
sys.path.insert(0, sys.argv[1])
import collector.resources
from collector.database.url import database_url
from collector.database.engine import make_engine
from collector.database.migrate import bring_to_head
engine = make_engine(database_url(sys.argv[2]))
assert bring_to_head(engine, "books", allow=False)
engine.dispose()
print(collector.resources.migrations_path())
"""


def test_in_a_source_tree_they_stand_beside_the_package() -> None:
    assert migrations_path() == PACKAGE.parent / "migrations"
    assert (migrations_path() / "env.py").is_file()


def test_an_installed_package_migrates_with_what_it_brought_along(tmp_path: Path) -> None:
    site = tmp_path / "100% site"
    skip = shutil.ignore_patterns("_bundled")
    shutil.copytree(PACKAGE, site / "collector", ignore=skip)
    bundled = site / "collector" / "_bundled"
    shutil.copytree(PACKAGE.parent / "migrations", bundled / "migrations", ignore=skip)
    (site / "migrations").mkdir()  # another package's
    command = [sys.executable, "-c", MIGRATE, str(site), str(tmp_path / "live.db")]
    output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert output.splitlines()[-1] == str(bundled / "migrations")
