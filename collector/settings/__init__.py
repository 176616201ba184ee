"""Read the configuration: typed, frozen, every mistake told at once.

`load_settings` is the way in; `Settings` and its parts are what the rest of the program is handed.
"""

from collector.settings.load import DEFAULT_ENV_FILE, Loaded, load_settings, load_with_notes
from collector.settings.model import (
    BufferSettings,
    DatabaseSettings,
    EndpointSettings,
    ExchangeSettings,
    IntegritySettings,
    LoggingSettings,
    Settings,
    ShutdownSettings,
    StorageSettings,
    StreamSettings,
    WriterSettings,
)
from collector.settings.plain import Notes

__all__ = [
    "DEFAULT_ENV_FILE",
    "BufferSettings",
    "DatabaseSettings",
    "EndpointSettings",
    "ExchangeSettings",
    "IntegritySettings",
    "Loaded",
    "LoggingSettings",
    "Notes",
    "Settings",
    "ShutdownSettings",
    "StorageSettings",
    "StreamSettings",
    "WriterSettings",
    "load_settings",
    "load_with_notes",
]
