"""Read the rows of one stream from the table and from archive files."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.query.rows.archive_files import (
        ASIDE,
        Archive,
        Part,
        archived,
        beside,
        ends_of,
        following,
        holding,
        set_aside,
        split_by_days,
    )
    from collector.query.rows.columns import (
        CATEGORIES,
        MOST_VALUES,
        NO_INT,
        SMALLER,
        Array,
        Chunk,
        Kind,
        gathered,
        joined,
        kind_of,
        length,
        pandas_column,
        picked,
    )
    from collector.query.rows.file_rows import chunks_of
    from collector.query.rows.fillings import FIRST, LAST, SIZE, Fillings, held, met
    from collector.query.rows.merging import even, merged
    from collector.query.rows.placing import ORIGIN, PLACE, RECEIPT, TOLD, place, place_name, places
    from collector.query.rows.raw_rows import CHUNK_ROWS, chunks
    from collector.query.rows.series import Series
    from collector.query.rows.stored_stream import (
        ALL,
        Depth,
        MixedRowsError,
        Origin,
        Source,
        StoredStream,
        Value,
        Wanted,
        find_stream,
        first_row,
        markets_in,
        stored_market,
    )
else:
    __getattr__, __dir__ = face(__name__, __file__)
