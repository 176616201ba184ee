"""Turn the last check of a collector into metrics. Pure: nothing is counted here, it was before."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from collector.app import (
    DOWN,
    MISSING,
    SYNCING,
    VERIFIED,
    Checked,
    CommitMeasures,
    View,
)
from collector.clock import NS_A_SECOND, seconds_since
from collector.health import Health, MachineFacts, Verdict
from collector.histogram import Histogram
from collector.serve.metric_names import BY_NAME, METRICS, Metric
from collector.sinks import PutCounts
from collector.version import __version__
from collector.writer import BreakerState

STATES = (VERIFIED, SYNCING, DOWN, MISSING)
TERMS = ("received", "written", "merged", "sampled_out", "dropped")
OTHER = "other"
MOST_WORDS = 64  # reasons or causes of one metric: they are words of ours, and few
_WORD = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
_MAKE: Mapping[str, Callable[..., Family]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric, with the values of its labels."""

    metric: Metric
    labels: tuple[str, ...]
    value: float | Histogram


class Exposition:
    """Families of samples, in the order of the table of names."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []  # the same, one by one, for whom families are of no use
        self._families: dict[str, Family] = {}
        self._words: dict[str, set[str]] = {}

    def add(self, name: str, value: float | None, *labels: str) -> None:
        """Add a sample; None is not known and gives none."""
        if value is not None:
            family = self._family(BY_NAME[name], labels)
            assert not isinstance(family, HistogramMetricFamily)  # noqa: S101  (it takes buckets)
            family.add_metric(labels, float(value))
            self.samples.append(Sample(BY_NAME[name], labels, float(value)))

    def add_histogram(self, name: str, values: Histogram, *labels: str) -> None:
        """Add a histogram."""
        family = self._family(BY_NAME[name], labels)
        edges = [*map(_edge, values.edges), "+Inf"]
        buckets = list(zip(edges, map(float, accumulate(values.counts)), strict=True))
        assert isinstance(family, HistogramMetricFamily)  # noqa: S101  (nothing else takes buckets)
        family.add_metric(labels, buckets, values.total)
        self.samples.append(Sample(BY_NAME[name], labels, values))

    def word(self, name: str, text: str) -> str:
        """Return a label's value that came from elsewhere: a word of a bounded set, or `other`."""
        known = self._words.setdefault(name, set())
        if text in known or (_WORD.fullmatch(text) and len(known) < MOST_WORDS):
            known.add(text)
            return text
        return OTHER

    def collect(self) -> Iterator[Family]:
        """Yield the families that have samples; what prometheus_client asks a registry for."""
        return (self._families[one.name] for one in METRICS if one.name in self._families)

    def _family(self, metric: Metric, labels: tuple[str, ...]) -> Family:
        assert len(labels) == len(metric.labels), metric.name  # noqa: S101  (each by the labels that it names)
        if metric.name not in self._families:
            name = metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name
            self._families[metric.name] = _MAKE[metric.kind](name, metric.says, labels=metric.labels)
        return self._families[metric.name]


def _edge(value: float) -> str:
    return repr(value)


def metrics_of(checked: Checked | None) -> Exposition:
    """Return every metric; before the first check only what is known without one."""
    out = Exposition()
    out.add("collector_build_info", 1, __version__)
    if checked is None:
        out.add("collector_health_state", _number(Verdict.UNHEALTHY), "all")
        return out
    view = checked.view
    out.add("collector_last_check_timestamp_seconds", checked.at_ns / NS_A_SECOND)
    _add_identity(out, view)
    _add_streams(out, checked)
    _add_commits(out, view.commits)
    _add_writer(out, view)
    _add_whole(out, view, checked.health)
    _add_machine(out, checked.machine)
    return out


def _add_identity(out: Exposition, view: View) -> None:
    for one in view.streams:
        counts, key = one.counts, one.key
        for term in TERMS:
            out.add(f"messages_{term}_total", getattr(counts, term), *key)
        out.add("messages_carried_in", counts.carried_in, *key)
        out.add("messages_pending", counts.pending, *key)
        out.add("messages_unaccounted", counts.difference, *key)
        rejected: dict[str, int] = {}
        for reason, count in counts.rejected.items():
            word = out.word("reason", reason)
            rejected[word] = rejected.get(word, 0) + count
        for word, count in rejected.items():
            out.add("messages_rejected_total", count, *key, word)


def _add_streams(out: Exposition, checked: Checked) -> None:
    view = checked.view
    exchanges = dict.fromkeys(one.key.exchange for one in view.asked)
    for one in view.asked:
        out.add("collector_stream_verified", one.state == VERIFIED, *one.key)
    for exchange in exchanges:
        streams = [one for one in view.asked if one.key.exchange == exchange]
        for state in STATES:
            out.add("collector_streams", sum(one.state == state for one in streams), exchange, state)
        last_ns = max((one.glance.received_at_ns for one in streams if one.glance is not None), default=0)
        out.add("collector_last_message_age_seconds", seconds_since(last_ns, checked.at_ns), exchange)
    _add_by_word(out, "websocket_reconnection_count_total", view.reconnects)
    _add_by_word(out, "collector_holes_total", view.holes)
    for exchange, budgets in view.budgets.items():
        out.add("collector_request_budget_used_ratio", max(one.used_share for one in budgets), exchange)
        out.add("collector_request_waits_total", sum(one.waits for one in budgets), exchange)
        out.add("collector_request_waited_seconds_total", sum(one.waited_s for one in budgets), exchange)
        out.add("collector_request_pause_seconds", max(one.closed_for_s for one in budgets), exchange)
    out.add("collector_clock_steps_total", view.clock_steps)


def _add_by_word(out: Exposition, name: str, counts: Mapping[tuple[str, str], int]) -> None:
    folded: dict[tuple[str, str], int] = {}
    for (exchange, text), count in counts.items():
        key = exchange, out.word(name, text)
        folded[key] = folded.get(key, 0) + count
    for key, count in folded.items():
        out.add(name, count, *key)


def _add_commits(out: Exposition, commits: CommitMeasures) -> None:
    out.add_histogram("collector_batch_rows", commits.batch_rows)
    out.add_histogram("collector_commit_seconds", commits.commit_s)
    for exchange, latency_s in commits.latency_s.items():
        out.add_histogram("message_processing_latency_seconds", latency_s, exchange)
    for exchange, lag_s in commits.lag_s.items():
        out.add_histogram("exchange_lag_seconds", lag_s, exchange)
    for exchange, least_s in commits.least_lag_s.items():
        out.add("collector_clock_offset_seconds", least_s, exchange)
    for table, rows in commits.rows.items():
        out.add("collector_rows_committed_total", rows, table)
    for exchange, (compared, differed) in commits.compared.items():
        out.add("collector_witness_comparisons_total", compared, exchange)
        out.add("collector_witness_mismatches_total", differed, exchange)


def _add_writer(out: Exposition, view: View) -> None:
    writer = view.writer
    out.add("collector_commit_retries_total", writer.retries)
    out.add("collector_last_commit_timestamp_seconds", writer.last_commit_ns / NS_A_SECOND)
    out.add("collector_buffer_rows", writer.buffer_rows)
    out.add("collector_buffer_capacity_rows", writer.buffer_max_rows)
    for state in BreakerState:
        out.add("collector_breaker_state", writer.breaker == state, state)
    out.add("collector_spool_rows", writer.spooled_rows)
    out.add("collector_spool_bytes", writer.spool_bytes)
    out.add("collector_spool_capacity_bytes", writer.spool_max_bytes)
    for one in view.followers:
        out.add("collector_follower_pending_rows", one.in_memory + one.spooled, one.name)
        out.add("collector_follower_dropped_rows_total", one.dropped + one.rejected, one.name)
        if one.puts is not None:
            _add_puts(out, one.name, one.puts)


def _add_puts(out: Exposition, follower: str, puts: PutCounts) -> None:
    out.add_histogram("collector_kinesis_batch_size", puts.batch_sizes, follower)
    out.add_histogram("collector_kinesis_put_seconds", puts.put_times_s, follower)
    out.add("collector_kinesis_records_total", puts.records, follower)
    out.add("collector_kinesis_rows_total", puts.rows, follower)
    out.add("collector_kinesis_bytes_total", puts.bytes, follower)
    out.add("collector_kinesis_partial_failures_total", puts.partial_failures, follower)
    out.add("collector_kinesis_throttles_total", puts.throttles, follower)
    out.add("collector_kinesis_errors_total", puts.errors, follower)
    out.add("collector_kinesis_dead_letters_total", puts.dead_letters, follower)


def _add_whole(out: Exposition, view: View, health: Health) -> None:
    out.add("collector_health_state", _number(health.state), "all")
    for part in health.parts:
        out.add("collector_health_state", _number(part.state), part.name)
    for job in view.jobs:
        out.add("collector_job_runs_total", job.runs, job.name)
        out.add("collector_job_failures_total", job.failures, job.name)
        out.add("collector_job_last_run_seconds", job.last_s, job.name)
        began_s = job.last_start_ns / NS_A_SECOND if job.last_start_ns else None
        out.add("collector_job_last_start_timestamp_seconds", began_s, job.name)
    for one in view.reports:
        out.add("collector_reports_sent_total", one.sent, one.name)
        out.add("collector_reports_failed_total", one.failed, one.name)
        out.add("collector_reports_refused_metrics_total", one.refused, one.name)
    out.add("collector_halts_total", view.halts)
    out.add("collector_loop_silent_seconds", view.loop_silent_s)
    out.add("collector_uptime_seconds", view.uptime_s)


def _add_machine(out: Exposition, machine: MachineFacts) -> None:
    out.add("process_resident_memory_bytes", machine.memory_bytes)
    out.add("process_cpu_seconds_total", machine.cpu_s)
    out.add("collector_disk_free_bytes", machine.disk_free_bytes)
    out.add("collector_network_receive_bytes_total", machine.network_received_bytes)
    out.add("collector_network_transmit_bytes_total", machine.network_sent_bytes)


def _number(state: Verdict) -> int:
    return tuple(Verdict).index(state)
