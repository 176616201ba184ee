"""Read stored rows, and return holes as holes."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.query.audit import run_audit
    from collector.query.between import union
    from collector.query.chart import has_windows, plot
    from collector.query.covered import coverage, gaps, holes
    from collector.query.covered_spans import CoveredSpan, spans_covered
    from collector.query.database import (
        Database,
        as_stored,
        distinct_values,
        extra,
        has_table,
        located,
        needed,
        reading,
    )
    from collector.query.day_quality import (
        day_text,
        days_due,
        kept_days,
        kept_quality,
        quality,
        quality_of_day,
    )
    from collector.query.evidence import blocks, chance, independent, interval
    from collector.query.fast import (
        LONG_ROWS,
        Engine,
        Reader,
        can_be_fast,
        checked_engine,
        reading_beside,
        started,
    )
    from collector.query.identity import (
        database_identity,
        nothing_yet,
        sessions,
        status,
        summed_accounting,
    )
    from collector.query.instants import DAY_NS, Instant, Span, duration_ns, instant_ns, shown
    from collector.query.labelling import labels
    from collector.query.loaders import iter_features, load_features, load_levels, load_ohlcv, load_trades
    from collector.query.missing_streams import missing
    from collector.query.names import filters_named, value_named
    from collector.query.overlaps import overlapping
    from collector.query.pages import (
        FEATURES,
        MOST_ROWS,
        MOST_SEGMENTS,
        READ_LIMIT_S,
        TRADES,
        Asked,
        CoverageAsked,
        Cursor,
        Page,
        ShortReads,
        bars_page,
        coverage_page,
        events_page,
        intervals_stored,
        last_states,
        latest_trade,
        rows_page,
        sessions_page,
        stored_streams,
    )
    from collector.query.rows import (
        ASIDE,
        CATEGORIES,
        CHUNK_ROWS,
        NO_INT,
        Archive,
        Array,
        Chunk,
        MixedRowsError,
        Part,
        Series,
        StoredStream,
        Value,
        archived,
        beside,
        even,
        following,
        joined,
        kind_of,
        length,
        markets_in,
        merged,
        picked,
        places,
        set_aside,
    )
    from collector.query.session_state import SessionState, sessions_now
    from collector.query.stored_symbols import symbols
    from collector.query.tail import Tail, Wanted
    from collector.query.training import book_tensor, windows
    from collector.query.universe_before import last_universe
    from collector.query.upkeep_state import archive_troubles, failing_chores, job_runs, last_job_runs
else:
    __getattr__, __dir__ = face(__name__, __file__)
