"""Read a small text file, whatever may be wrong with it."""

from pathlib import Path

MOST_BYTES = 1_000_000


class UnreadableError(Exception):
    """A file that cannot be read; the text says why and what was expected."""


def read_small_text(path: Path, expected: str) -> str:
    """Return the text of `path`, or raise UnreadableError. A missing file is a FileNotFoundError."""
    try:
        if path.exists() and not path.is_file():  # a folder, or a pipe that would never end
            raise UnreadableError(f"found something that is not a file, expected {expected}")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise UnreadableError(f"found more than {MOST_BYTES} bytes, expected {expected}")
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableError(f"cannot be read ({error.strerror}), expected {expected}") from error
    except UnicodeDecodeError as error:
        raise UnreadableError(f"found bytes that are not UTF-8, expected {expected}") from error
    except ValueError as error:  # a path with a NUL in it
        raise UnreadableError(f"found a path that no file can have, expected {expected}") from error
