"""Read many rows by a child process, which hands over arrays, where that pays."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.query.fast.engines import (
        LONG_ROWS,
        AboutToRead,
        Engine,
        can_be_fast,
        checked_engine,
        is_long,
        reader_of,
        reading_beside,
        started,
        tell_of,
        with_engine,
    )
    from collector.query.fast.reader import ChildFailed, Reader
else:
    __getattr__, __dir__ = face(__name__, __file__)
