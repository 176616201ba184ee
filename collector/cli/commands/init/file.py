"""Write a file whole, or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from collector.errors import UserError


def check_place(path: Path) -> None:
    """Raise UserError where no file can be written."""
    if path.is_dir():
        raise UserError(f"{path} is a folder, expected the name of a file for --output")
    if not path.parent.is_dir():
        raise UserError(f"the folder {path.parent} for --output does not exist; create it first")


def exists_error(path: Path) -> UserError:
    """Return the error for a file that must not be replaced."""
    return UserError(f"{path} exists and is left as it is: --force replaces it, --output names another file")


@contextmanager
def written_aside(path: Path, text: str) -> Iterator[Path]:
    """Write a temporary file beside its place, and remove it at the end whatever happens."""
    aside = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        with _errors_of(path):
            aside.write_text(text, encoding="utf-8")
        yield aside
    finally:
        aside.unlink(missing_ok=True)


def put_in_place(aside: Path, path: Path, *, replace: bool) -> None:
    """Rename the file into place in one step; without `replace`, never over another that came meanwhile."""
    with _errors_of(path):
        if replace:
            aside.replace(path)
            return
        try:
            path.hardlink_to(aside)
        except FileExistsError:
            raise exists_error(path) from None
        except OSError:  # a file system without hard links
            if path.exists():
                raise exists_error(path) from None
            aside.replace(path)


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error
