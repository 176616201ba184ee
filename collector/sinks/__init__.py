"""Store write sets: one contract, one registry, a folder or file for each kind of sink."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.sinks.avro import Assembler, HealthPart, Heartbeat, OpenPart, encoded_heartbeat
    from collector.sinks.contract import (
        AccountingState,
        Capabilities,
        Examined,
        Receipt,
        Rows,
        SegmentState,
        SessionState,
        Sink,
        Store,
        Value,
        WriteSet,
    )
    from collector.sinks.given_up import as_rejected, ended_before, storable, without_rows
    from collector.sinks.nowhere import Nowhere
    from collector.sinks.options import SinkOptions, StreamOptions, UpkeepOptions
    from collector.sinks.put_counts import PutCounts, Puts
    from collector.sinks.registry import (
        PLUGINS,
        expected_of_follower,
        expected_of_store,
        follower_problem,
        is_follower,
        is_store,
        make_follower,
        make_store,
        register_sink,
        scheme_of,
        store_problem,
        unregister,
    )
    from collector.sinks.sql import (
        Chore,
        Loss,
        ShardPosition,
        Slice,
        SqlSink,
        StreamStore,
        empty_log,
        keep_quality,
        prune_batches,
        prune_events,
        prune_rejected,
        tidy_sqlite,
    )
else:
    __getattr__, __dir__ = face(__name__, __file__)
