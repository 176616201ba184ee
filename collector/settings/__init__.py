"""Read the configuration: typed, frozen, with all mistakes reported at once.

Call `load_settings`. Most sections are classes of the parts that use them, which import nothing from here.
"""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.settings.layers import listed, shown
    from collector.settings.load import DEFAULT_ENV_FILE, Loaded, load_settings, load_with_notes
    from collector.settings.model import (
        DatabaseSettings,
        ExchangeSettings,
        FollowerSettings,
        ServeSettings,
        Settings,
        ShutdownSettings,
    )
    from collector.settings.plain import Notes
else:
    __getattr__, __dir__ = face(__name__, __file__)
