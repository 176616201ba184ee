"""Read the configuration: typed, frozen, with all mistakes reported at once.

Call `load_settings`. Most sections are classes of the parts that use them, which import nothing from here.
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
