"""Metrics in the log are documents of the embedded metric format, and say what /metrics says."""

import io
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog

from collector.app.reporting import Moment, Phase
from collector.app.view import StreamView
from collector.errors import UserError
from collector.events.batch import StreamKey
from collector.histogram import Histogram
from collector.log import LogOptions, set_up_logging
from collector.network.budget import BudgetNow
from collector.serve.cloudwatch.changes import Changes, dimensions_of, spread
from collector.serve.cloudwatch.documents import MetricsInLog, documents, drawn
from collector.serve.exposition import Sample
from collector.serve.metric_names import BY_NAME
from collector.sinks.contract import AccountingState

sys.path.insert(0, str(Path(__file__).parent))
from serve_rig import KEY, checked_of, everything

# From "Specification: Embedded metric format" of the CloudWatch user guide.
UNITS = {
    *("Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "Count/Second", "None"),
    *(
        f"{size}{what}{rate}"
        for size in ("", "Kilo", "Mega", "Giga", "Tera")
        for what in ("bytes", "bits")
        for rate in ("", "/Second")
    ),
    *("Bytes", "Bits", "Bytes/Second", "Bits/Second"),
}
MOST_BYTES = 256 * 1024
PLAIN = re.compile(r"[\x20-\x7e]+")  # of dimensions: ASCII without control characters


def check_document(text: str) -> dict[str, Any]:
    """Hold a line of the log against the specification; returns it."""
    assert "\n" not in text
    assert len(text.encode()) <= MOST_BYTES
    root = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert isinstance(root, dict)
    about = root["_aws"]
    assert set(about) == {"Timestamp", "CloudWatchMetrics"}  # no additional members
    assert isinstance(about["Timestamp"], int)
    assert about["CloudWatchMetrics"]
    for directive in about["CloudWatchMetrics"]:
        assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
        assert 1 <= len(directive["Namespace"]) <= 255
        assert len(directive["Metrics"]) <= 100
        assert directive["Dimensions"]
        for names in directive["Dimensions"]:
            assert len(names) == len(set(names)) <= 9
            for name in names:
                assert 1 <= len(name) <= 255
                assert isinstance(root[name], str)  # a dimension's target is text, and not nested
                assert PLAIN.fullmatch(root[name])
                assert root[name].strip()
                assert len(root[name]) <= 1024
        for metric in directive["Metrics"]:
            assert set(metric) <= {"Name", "Unit", "StorageResolution"}
            assert 1 <= len(metric["Name"]) <= 255
            assert metric.get("Unit", "None") in UNITS
            target = root[metric["Name"]]
            values = target if isinstance(target, list) else [target]
            assert 1 <= len(values) <= 100
            assert all(type(value) in (int, float) and abs(value) <= 2.0**360 for value in values)
    return root


def test_a_document_that_breaks_a_rule_is_seen() -> None:
    good = {
        "_aws": {
            "Timestamp": 1,
            "CloudWatchMetrics": [
                {"Namespace": "n", "Dimensions": [["d"]], "Metrics": [{"Name": "m", "Unit": "Count"}]}
            ],
        },
        "d": "x",
        "m": 1.0,
    }
    check_document(json.dumps(good))
    for wrong in ({"m": "1"}, {"m": [1.0] * 101}, {"m": []}, {"d": 1}, {"d": "\u00e9"}, {"m": True}):
        with pytest.raises(AssertionError):
            check_document(json.dumps({**good, **wrong}))


class Lines:
    """What was written into the log as metrics, document by document."""

    def __init__(self, **options: Any) -> None:
        self.texts: list[str] = []
        self.own = options.pop("dimensions", {"instance": "here"})
        changes = Changes(self.own, **options)
        self.report = MetricsInLog("Collector", changes, self.texts.append)

    def of(self, checked: Any) -> dict[tuple[str, ...], Any]:
        """Report, and return each value by name and values of the metric's own labels."""
        self.texts.clear()
        self.report(Moment(checked, 0.1, Phase.RUNNING))
        found: dict[tuple[str, ...], Any] = {}
        for text in self.texts:
            root = check_document(text)
            (directive,) = root["_aws"]["CloudWatchMetrics"]
            ((*names,),) = directive["Dimensions"]
            labels = tuple(root[name] for name in names if name not in self.own)
            for metric in directive["Metrics"]:
                assert (metric["Name"], *labels) not in found
                found[metric["Name"], *labels] = root[metric["Name"]]
        return found


MACHINE = {
    "process_cpu_seconds_total",
    "collector_network_receive_bytes_total",
    "collector_network_transmit_bytes_total",
}


def test_every_metric_is_there_under_its_name() -> None:
    lines = Lines()
    names = {name for name, *_ in lines.of(everything())}
    histograms = {one.name for one in BY_NAME.values() if one.kind == "histogram"}
    beside = {f"{name}_{what}" for name in histograms for what in ("count", "sum")}
    assert names == (BY_NAME.keys() - MACHINE) | beside
    # What counts from before the collector began is there from the second time on, by what came since.
    assert {name for name, *_ in lines.of(everything())} >= MACHINE


def test_a_gauge_is_what_it_is_and_a_counter_what_was_added() -> None:
    lines, one = Lines(), everything()
    first = lines.of(one)
    assert first["messages_received_total", *KEY] == 10.0
    assert first["messages_pending", *KEY] == 1.0
    assert first["collector_kinesis_records_total", "./second.db"] == 7.0
    (stream,) = one.view.streams
    more = replace(stream, counts=replace(stream.counts, received=17))
    second = lines.of(replace(one, view=replace(one.view, streams=(more,))))
    assert second["messages_received_total", *KEY] == 7.0
    assert second["messages_written_total", *KEY] == 0.0  # nothing came, and that is said
    assert second["messages_pending", *KEY] == 1.0
    assert not [name for name, *_ in second if name.startswith("exchange_lag_seconds")]  # no value came


def test_a_counter_that_begins_anew_counts_from_there() -> None:
    lines, one = Lines(), everything()
    lines.of(one)
    (stream,) = one.view.streams
    less = replace(stream, counts=replace(stream.counts, received=4))
    again = lines.of(replace(one, view=replace(one.view, streams=(less,))))
    assert again["messages_received_total", *KEY] == 4.0


def test_a_histogram_brings_the_values_since_their_count_and_their_sum() -> None:
    lines, one = Lines(), everything()
    first = lines.of(one)
    assert len(first["exchange_lag_seconds", "bybit"]) == first["exchange_lag_seconds_count", "bybit"] == 3.0
    assert sum(first["exchange_lag_seconds", "bybit"]) == pytest.approx(5.55)
    lags = one.view.commits.lag_s["bybit"].plus_all(np.full(1000, 0.6))
    commits = replace(one.view.commits, lag_s={"bybit": lags})
    second = lines.of(replace(one, view=replace(one.view, commits=commits)))
    assert second["exchange_lag_seconds_count", "bybit"] == 1000.0
    assert second["exchange_lag_seconds_sum", "bybit"] == pytest.approx(600.0)
    assert len(second["exchange_lag_seconds", "bybit"]) == 100
    assert second["exchange_lag_seconds", "bybit"] == pytest.approx([0.6] * 100)


@pytest.mark.parametrize(
    "values",
    [
        [0.05],
        [0.1],
        [0.0, 0.0],
        [0.05, 0.5, 0.7, 1.0],
        [5.0],
        [0.02, 3.0, 90.0],
        [1.0, 1.0000001],
        [0.1, 0.10001, 50.0],
    ],
)
def test_a_value_for_each_bucket_lies_in_it_and_their_sum_is_right(values: Sequence[float]) -> None:
    edges = (0.1, 1.0, 10.0)
    histogram = Histogram.of(edges).plus_all(np.array(values))
    found, counts, total = spread(histogram)
    assert sum(counts) == len(values)
    assert sum(value * count for value, count in zip(found, counts, strict=True)) == pytest.approx(total)
    again = Histogram.of(edges)
    for value, count in zip(found, counts, strict=True):
        again = again.plus_all(np.full(count, value))
    assert again.counts == pytest.approx(histogram.counts)


def test_of_many_values_some_are_drawn_evenly() -> None:
    assert drawn([1.0, 2.0], [1, 3]) == [1.0, 2.0, 2.0, 2.0]
    many = drawn([1.0, 2.0, 3.0], [500, 490, 10])
    assert [many.count(value) for value in (1.0, 2.0, 3.0)] == [50, 49, 1]


@pytest.mark.parametrize("count", [100, pytest.param(300, marks=pytest.mark.proof)])
def test_hundreds_of_streams_keep_within_the_limits(count: int) -> None:
    one = everything()
    keys = [StreamKey("bybit", f"C{number}/USDT:USDT", "book.50") for number in range(count)]
    reasons = {f"r{number}": 1 for number in range(60)}
    streams = tuple(
        StreamView(key, "verified", AccountingState("s", *key, 1, rejected=reasons), None, 0, "", 0)
        for key in keys
    )
    found = Lines().of(replace(one, view=replace(one.view, streams=streams)))
    assert sum(name == "messages_received_total" for name, *_ in found) == count
    assert sum(name == "messages_rejected_total" for name, *_ in found) == count * 60


def test_more_than_a_document_holds_goes_into_several() -> None:
    samples = [
        Sample(replace(BY_NAME["collector_buffer_rows"], name=f"rows_{n}"), (), 1.0) for n in range(250)
    ]
    lots = [
        Sample(
            replace(BY_NAME["exchange_lag_seconds"], name=f"lag_{'x' * 200}_{n}"),
            ("bybit",),
            Histogram.of((1.0,)).plus_all(np.full(200, 1 / 3)),
        )
        for n in range(300)
    ]
    texts = list(documents(Changes({}).since([*samples, *lots]), "Collector", 1_700_000_000_123_456_789))
    roots = [check_document(text) for text in texts]
    assert (
        max(map(len, texts)) < MOST_BYTES / 2
    )  # none larger can be: these names are longer than any of ours
    assert {root["_aws"]["Timestamp"] for root in roots} == {1_700_000_000_123}
    named = [metric["Name"] for root in roots for metric in root["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
    assert len(named) == len(set(named)) == 250 + 3 * 300


def test_only_the_names_that_are_asked_for() -> None:
    names = {
        name for name, *_ in Lines(only=["collector_kinesis_*_total", "messages_pending"]).of(everything())
    }
    assert names == {name for name in BY_NAME if re.fullmatch(r"collector_kinesis_\w+_total", name)} | {
        "messages_pending"
    }


def test_what_no_metric_may_hold_is_left_out() -> None:
    one = everything()
    commits = replace(one.view.commits, least_lag_s={"bybit": float("nan")})
    found = Lines().of(
        replace(
            one,
            view=replace(
                one.view, commits=commits, budgets={"bybit": (BudgetNow(2.0**361, 0.0, "", 0, 0, 0.0),)}
            ),
        )
    )
    assert not {"collector_clock_offset_seconds", "collector_request_budget_used_ratio"} & {
        n for n, *_ in found
    }


def test_dimensions_are_plain_and_hold_no_secret() -> None:
    one = everything()
    (follower,) = one.view.followers
    odd = replace(follower, name="postgresql://me:hidden-word@h\u00f6st/\n\u2603")
    lines = Lines(secrets=["hidden-word"], dimensions={"instance": "here", "empty": "", "team": "data"})
    lines.of(replace(one, view=replace(one.view, followers=(odd,))))
    text = "".join(lines.texts)
    assert "hidden-word" not in text
    assert r"postgresql://me:****@h\\xf6st/ \\u2603" in text
    assert '"team":"data"' in text
    assert '"empty"' not in text


@pytest.mark.parametrize("name", ["exchange", "follower", "messages_pending", "event", "timestamp"])
def test_a_dimension_by_the_name_of_something_else_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=rf"cloudwatch\.dimensions: found {name}, which metrics have"):
        dimensions_of(["team=data", f"{name}=x"], "host")


def test_a_dimension_is_named_once_and_instance_is_the_host_unless_it_is_told() -> None:
    assert dimensions_of(["team=a=b"], "host") == {"instance": "host", "team": "a=b"}
    assert dimensions_of(["instance=eu-1"], "host") == {"instance": "eu-1"}
    with pytest.raises(UserError, match="found team twice"):
        dimensions_of(["team=a", "team=b"], "host")


def test_with_all_dimensions_that_may_be_told_no_line_has_too_many() -> None:
    named = dimensions_of([f"d{number}=x" for number in range(4)], "host")
    assert len(Lines(dimensions=named).of(everything())) > 70


@pytest.mark.parametrize("level", ["info", "error"])
def test_they_stand_among_the_lines_of_the_log_as_they_are(level: Any) -> None:
    before = structlog.get_config()
    stream = io.StringIO()
    try:
        set_up_logging(LogOptions(format="json", level=level), stream)
        MetricsInLog("Collector", Changes({"instance": "here"}))(Moment(checked_of(), 0.1, Phase.RUNNING))
        structlog.get_logger().error("something.else")
    finally:
        structlog.configure(**before)
    *documents, other = stream.getvalue().splitlines()
    assert json.loads(other)["event"] == "something.else"
    assert {check_document(text)["event"] for text in documents} == {"metrics"}
    assert len(documents) > 3
