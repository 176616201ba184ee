"""Read the rows of one stream from the table and from archive files."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.query.rows.archive_files import Archive, Part, archived, split_by_days
    from collector.query.rows.columns import (
        CATEGORIES,
        NO_INT,
        Array,
        Chunk,
        joined,
        kind_of,
        length,
        pandas_column,
        picked,
    )
    from collector.query.rows.fillings import FIRST, LAST, SIZE, Fillings, held, met
    from collector.query.rows.merging import even, merged
    from collector.query.rows.placing import PLACE, RECEIPT, place, place_name, places
    from collector.query.rows.raw_rows import CHUNK_ROWS, chunks
    from collector.query.rows.series import Series
    from collector.query.rows.stored_stream import (
        ALL,
        MixedRowsError,
        Origin,
        Source,
        StoredStream,
        Value,
        Wanted,
        find_stream,
    )
else:
    __getattr__, __dir__ = face(__name__, __file__)
