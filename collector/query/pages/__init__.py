"""Read stored rows page by page for whoever asks over HTTP: short transactions, bounded answers."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.query.pages.asked import MOST_ROWS, Asked, Cursor, Page
    from collector.query.pages.paged_bars import bars_page, intervals_stored
    from collector.query.pages.paged_coverage import ASKED_FOR, MOST_SEGMENTS, CoverageAsked, coverage_page
    from collector.query.pages.paged_lists import (
        events_page,
        latest_trade,
        sessions_page,
        stored_streams,
    )
    from collector.query.pages.paged_rows import FEATURES, TRADES, last_states, rows_page
    from collector.query.pages.short_reads import READ_LIMIT_S, ShortReads
else:
    __getattr__, __dir__ = face(__name__, __file__)
