"""Read the settings as the options of a command change them."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collector.settings import Loaded


def configured(
    config: Path | None,
    *,
    exchange: str | None = None,
    symbols: str | None = None,
    channels: str | None = None,
    db: str | None = None,
) -> "Loaded":
    """Return the settings; with `exchange` of that one only, as configured or as the other options say.

    Where no market is named anywhere, they are those of the default set-up.
    """
    from collector.settings import load_with_notes  # noqa: PLC0415

    overrides: dict[str, object] = {}
    if db is not None:
        overrides["database.url"] = db
    if exchange is not None:
        overrides["exchange"] = exchange
    if symbols is not None:
        overrides["symbols"] = symbols
    if channels is not None:
        overrides["channels"] = channels
    return load_with_notes(config, overrides=overrides, default_setup=True)
