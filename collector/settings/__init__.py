"""Read the configuration: typed, frozen, every mistake told at once.

`load_settings` is the way in. Most sections are of classes that the parts own and import from here nothing.
"""

from collector.settings.load import DEFAULT_ENV_FILE, Loaded, load_settings, load_with_notes
from collector.settings.model import DatabaseSettings, ExchangeSettings, Settings, ShutdownSettings
from collector.settings.plain import Notes

__all__ = [
    "DEFAULT_ENV_FILE",
    "DatabaseSettings",
    "ExchangeSettings",
    "Loaded",
    "Notes",
    "Settings",
    "ShutdownSettings",
    "load_settings",
    "load_with_notes",
]
