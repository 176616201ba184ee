"""Copy the working tree to a scratch place, where faults are planted: never in the tree itself."""

import compileall
import py_compile
import shutil
from pathlib import Path

from planting.plants import Plant

_LEFT_BEHIND = shutil.ignore_patterns(
    ".git", ".venv", ".mutants", "__pycache__", ".*_cache", ".hypothesis", "build", "dist", "*.egg-info"
)


class Scratch:
    """One copy; the next fault is planted once the last is taken out."""

    def __init__(self, root: Path, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.tree = folder / "tree"
        self.temporary = folder / "tmp"
        shutil.copytree(root, self.tree, symlinks=True, ignore=_LEFT_BEHIND)
        self.temporary.mkdir()
        folder.chmod(0o755)  # a database server run by root becomes another user, who must get in
        self.temporary.chmod(0o755)
        recorded = root.parent / "shared"
        if recorded.exists():  # frames recorded elsewhere, which some tests look for beside the tree
            (folder / "shared").symlink_to(recorded.resolve())
        # Judged by their content: two faults of one size within a second would be mistaken for each other.
        mode = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(self.tree / "collector", quiet=2, invalidation_mode=mode)

    def plant(self, one: Plant) -> None:
        """Write a file with a fault in it."""
        path = self.tree / one.module
        path.write_text(one.planted(path.read_text(encoding="utf-8")), encoding="utf-8")

    def restore(self, one: Plant, root: Path) -> None:
        """Take the fault out."""
        shutil.copyfile(root / one.module, self.tree / one.module)
