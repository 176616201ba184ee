"""Name every metric, once: its type, unit and labels, and what it says. docs/metrics.md is made of this."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
STREAM = ("exchange", "symbol", "channel")
BY_EXCHANGE = ("exchange",)
FOLLOWER = ("follower",)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. A counter's name ends in _total; seconds and bytes stand before that, or last."""

    name: str
    kind: Kind
    unit: str
    says: str
    labels: tuple[str, ...] = ()


METRICS: tuple[Metric, ...] = (
    # The identity: received + carried_in = written + merged + sampled_out + rejected + dropped + pending.
    Metric(
        "messages_received_total",
        "counter",
        "messages",
        "Events that came in and were mapped to a stream",
        STREAM,
    ),
    Metric(
        "messages_carried_in", "gauge", "messages", "Events that the spool held of earlier sessions", STREAM
    ),
    Metric("messages_written_total", "counter", "messages", "Events committed as a row of their own", STREAM),
    Metric("messages_merged_total", "counter", "messages", "Events that a stored row says already", STREAM),
    Metric("messages_sampled_out_total", "counter", "messages", "Events that sampling left out", STREAM),
    Metric(
        "messages_rejected_total",
        "counter",
        "messages",
        "Events that were refused, by reason",
        (*STREAM, "reason"),
    ),
    Metric(
        "messages_dropped_total", "counter", "messages", "Events that found no room, and are lost", STREAM
    ),
    Metric(
        "messages_pending", "gauge", "messages", "Events in the buffer, on their way or in the spool", STREAM
    ),
    Metric(
        "messages_unaccounted", "gauge", "messages", "What the identity lacks: 0, or a fault of ours", STREAM
    ),
    # On the way.
    Metric(
        "message_processing_latency_seconds", "histogram", "seconds", "Receipt to committed row", BY_EXCHANGE
    ),
    Metric("exchange_lag_seconds", "histogram", "seconds", "The exchange's own time to receipt", BY_EXCHANGE),
    Metric(
        "websocket_reconnection_count_total",
        "counter",
        "connections",
        "Connections and attempts that failed and are begun again, by class of the cause",
        (*BY_EXCHANGE, "cause"),
    ),
    Metric(
        "collector_last_message_age_seconds",
        "gauge",
        "seconds",
        "Since an exchange last said something new",
        BY_EXCHANGE,
    ),
    Metric("collector_stream_verified", "gauge", "0 or 1", "Whether a segment of a stream is open", STREAM),
    Metric(
        "collector_streams", "gauge", "streams", "Streams that are asked for, by state", ("exchange", "state")
    ),
    Metric(
        "collector_holes_total",
        "counter",
        "holes",
        "Segments that ended unasked, by cause",
        ("exchange", "cause"),
    ),
    Metric(
        "collector_witness_comparisons_total",
        "counter",
        "comparisons",
        "With something independent",
        BY_EXCHANGE,
    ),
    Metric(
        "collector_witness_mismatches_total",
        "counter",
        "comparisons",
        "Of these, those that differed",
        BY_EXCHANGE,
    ),
    Metric(
        "collector_request_budget_used_ratio",
        "gauge",
        "0 to 1",
        "Of the REST requests that we allow us",
        BY_EXCHANGE,
    ),
    Metric(
        "collector_request_waits_total",
        "counter",
        "requests",
        "Over REST, that had to wait for the budget",
        BY_EXCHANGE,
    ),
    Metric(
        "collector_request_waited_seconds_total",
        "counter",
        "seconds",
        "All these waits together",
        BY_EXCHANGE,
    ),
    Metric(
        "collector_request_pause_seconds",
        "gauge",
        "seconds",
        "For how long nothing is asked over REST, since the exchange refused; 0: it is asked",
        BY_EXCHANGE,
    ),
    Metric(
        "collector_clock_offset_seconds",
        "gauge",
        "seconds",
        "Least lag of the last batch: how far our clock is ahead, and the way; below 0 it is behind",
        BY_EXCHANGE,
    ),
    Metric("collector_clock_steps_total", "counter", "steps", "Jumps of the wall clock"),
    # Writing.
    Metric("collector_rows_committed_total", "counter", "rows", "Rows committed, by table", ("table",)),
    Metric("collector_batch_rows", "histogram", "rows", "Rows of a committed batch"),
    Metric("collector_commit_seconds", "histogram", "seconds", "How long a commit took"),
    Metric(
        "collector_commit_retries_total",
        "counter",
        "batches",
        "Batches that the database refused, tried again",
    ),
    Metric(
        "collector_last_commit_timestamp_seconds",
        "gauge",
        "seconds",
        "When the last commit ended; 0: none yet",
    ),
    Metric("collector_buffer_rows", "gauge", "rows", "Rows in memory that the writer has not taken"),
    Metric("collector_buffer_capacity_rows", "gauge", "rows", "How many there is room for"),
    Metric(
        "collector_breaker_state", "gauge", "0 or 1", "1 at the breaker's state, 0 at the others", ("state",)
    ),
    Metric("collector_spool_rows", "gauge", "rows", "Rows that wait on disk for the database"),
    Metric("collector_spool_bytes", "gauge", "bytes", "How large the spool is"),
    Metric("collector_spool_capacity_bytes", "gauge", "bytes", "How large it may become"),
    Metric(
        "collector_follower_pending_rows",
        "gauge",
        "rows",
        "Rows that a further sink has not taken",
        FOLLOWER,
    ),
    Metric("collector_follower_dropped_rows_total", "counter", "rows", "Rows it will never have", FOLLOWER),
    # What a further sink puts into a stream of Kinesis.
    Metric("collector_kinesis_batch_size", "histogram", "records", "Records of a PutRecords call", FOLLOWER),
    Metric("collector_kinesis_put_seconds", "histogram", "seconds", "How long such a call took", FOLLOWER),
    Metric(
        "collector_kinesis_records_total", "counter", "records", "Records that the stream has taken", FOLLOWER
    ),
    Metric("collector_kinesis_rows_total", "counter", "rows", "Rows in these", FOLLOWER),
    Metric("collector_kinesis_bytes_total", "counter", "bytes", "Bytes of these, with their keys", FOLLOWER),
    Metric(
        "collector_kinesis_partial_failures_total",
        "counter",
        "calls",
        "Calls of which the stream took only a part; the rest is sent again",
        FOLLOWER,
    ),
    Metric(
        "collector_kinesis_throttles_total",
        "counter",
        "calls",
        "Calls that were refused, whole or in part, for their rate",
        FOLLOWER,
    ),
    Metric(
        "collector_kinesis_errors_total",
        "counter",
        "calls",
        "Calls that failed as a whole for another reason",
        FOLLOWER,
    ),
    Metric(
        "collector_kinesis_dead_letters_total",
        "counter",
        "records",
        "Records that were refused for good and set aside",
        FOLLOWER,
    ),
    # Reports on all this to somewhere else.
    Metric(
        "collector_reports_sent_total",
        "counter",
        "reports",
        "Reports that have arrived, by kind",
        ("report",),
    ),
    Metric(
        "collector_reports_failed_total",
        "counter",
        "reports",
        "Reports that have not; what they would have said is in the next",
        ("report",),
    ),
    Metric(
        "collector_reports_refused_metrics_total",
        "counter",
        "metrics",
        "Metrics that were refused for what they are, and are left out since",
        ("report",),
    ),
    # What is done now and then.
    Metric("collector_job_runs_total", "counter", "runs", "Runs of a job that have ended", ("name",)),
    Metric(
        "collector_job_failures_total", "counter", "runs", "Those that failed or took too long", ("name",)
    ),
    Metric("collector_job_last_run_seconds", "gauge", "seconds", "How long the last one took", ("name",)),
    Metric(
        "collector_job_last_start_timestamp_seconds", "gauge", "seconds", "When the last one began", ("name",)
    ),
    # The whole.
    Metric(
        "collector_health_state",
        "gauge",
        "0, 1 or 2",
        "Healthy, degraded, unhealthy; the part `all` too",
        ("part",),
    ),
    Metric("collector_halts_total", "counter", "alarms", "PotentialHalt events"),
    Metric("collector_loop_silent_seconds", "gauge", "seconds", "Since the loop that collects last turned"),
    Metric("collector_last_check_timestamp_seconds", "gauge", "seconds", "When all these figures were taken"),
    Metric("collector_uptime_seconds", "gauge", "seconds", "Since the collector started"),
    Metric("collector_build_info", "gauge", "1", "Which version runs", ("version",)),
    # The machine.
    Metric("process_resident_memory_bytes", "gauge", "bytes", "Memory that the process takes"),
    Metric("process_cpu_seconds_total", "counter", "seconds", "Processor time that it took"),
    Metric("collector_disk_free_bytes", "gauge", "bytes", "Room on the fullest disk that is written"),
    Metric(
        "collector_network_receive_bytes_total",
        "counter",
        "bytes",
        "Received by all interfaces of the machine",
    ),
    Metric(
        "collector_network_transmit_bytes_total", "counter", "bytes", "Sent by all interfaces of the machine"
    ),
)
BY_NAME = {one.name: one for one in METRICS}


def markdown() -> str:
    """Return the table of docs/metrics.md."""
    lines = ["| metric | type | unit | labels | says |", "|---|---|---|---|---|"]
    for one in METRICS:
        labels = ", ".join(f"`{label}`" for label in one.labels)
        lines.append(f"| `{one.name}` | {one.kind} | {one.unit} | {labels} | {one.says} |")
    return "\n".join(lines) + "\n"
