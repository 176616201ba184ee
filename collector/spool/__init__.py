"""Keep batches in files while their database takes none: in order, durable, mended when damaged."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.spool.codec import DamagedError, UnfitError, body_of
    from collector.spool.file import Entry, SpoolFile
    from collector.spool.files import NUMBERS, AnySpool, SpoolFiles, SpoolPlaces
    from collector.spool.look import SpoolLook, look_at
    from collector.spool.no_spool import NoSpool
    from collector.spool.owner import SpoolOwner, is_of
else:
    __getattr__, __dir__ = face(__name__, __file__)
