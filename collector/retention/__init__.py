"""Move old rows out of the database into files, verified before anything is deleted."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.retention.move import Retention, archive_slices
    from collector.retention.options import RetentionOptions
    from collector.retention.stopping import Stop
else:
    __getattr__, __dir__ = face(__name__, __file__)
