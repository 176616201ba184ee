"""Read the settings as the options of a command change them."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collector.settings import Settings


def configured(
    config: Path | None,
    *,
    exchange: str | None = None,
    symbols: str | None = None,
    channels: str | None = None,
    db: str | None = None,
) -> "Settings":
    """Return the settings; with `exchange` of that one only, as configured or as the other options say."""
    from collector.errors import UserError  # noqa: PLC0415
    from collector.settings import load_settings  # noqa: PLC0415

    overrides: dict[str, object] = {}
    if db is not None:
        overrides["database.url"] = db
    if exchange is not None:
        for key, text in (("symbols", symbols), ("channels", channels)):
            if text is not None:
                overrides[f"exchanges.{exchange}.{key}"] = text
        settings = load_settings(config, overrides=overrides)
        if exchange not in settings.exchanges:
            raise UserError(
                f"exchange {exchange!r} is not configured: name its markets with --symbols, "
                f"or exchanges.{exchange}.symbols in a file for --config"
            )
        return settings.model_copy(update={"exchanges": {exchange: settings.exchanges[exchange]}})
    if symbols is not None:
        overrides["symbols"] = symbols
    if channels is not None:
        for name in load_settings(config, overrides=overrides).exchanges:
            overrides[f"exchanges.{name}.channels"] = channels
    return load_settings(config, overrides=overrides)
