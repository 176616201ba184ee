"""/metrics says what the table of names says, in the forms of Prometheus; the identity balances in it."""

import re
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_strictly
from prometheus_client.parser import text_string_to_metric_families as parse

from collector.app.monitor import Checked
from collector.app.view import StreamView
from collector.serve.exposition import MOST_WORDS, metrics_of
from collector.serve.metric_names import BY_NAME, METRICS, markdown
from collector.serve.metric_routes import choose_encoder
from collector.sinks.contract import AccountingState

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "whole_path"))
from rig import BTC, ETH, running, wait_until
from serve_rig import KEY, MadeUp, ask, everything, serving

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
Samples = dict[str, dict[tuple[str, ...], float]]


def text_of(checked: Checked | None, accept: str = "") -> str:
    encode, _ = choose_encoder(accept)
    return encode(metrics_of(checked)).decode()


def samples(text: str) -> Samples:
    found: Samples = defaultdict(dict)
    for family in parse(text):
        for sample in family.samples:
            labels = BY_NAME.get(sample.name)
            names = sample.labels if labels is None else labels.labels
            found[sample.name][tuple(sample.labels[name] for name in names)] = sample.value
    return found


@pytest.mark.parametrize("strict", [False, True])
def test_every_name_is_exposed_with_its_type_labels_and_words(strict: bool) -> None:
    text = text_of(everything(), OPENMETRICS if strict else "")
    families = {family.name: family for family in (parse_strictly(text) if strict else parse(text))}
    named = {one.name.removesuffix("_total") if one.kind == "counter" else one.name: one for one in METRICS}
    assert families.keys() == named.keys()
    for name, family in families.items():
        one = named[name]
        assert (family.type, family.documentation) == (one.kind, one.says)
        for sample in family.samples:
            assert tuple(label for label in sample.labels if label != "le") == tuple(
                sorted(one.labels, key=list(sample.labels).index)
            )


def test_values_are_those_of_the_check() -> None:
    found = samples(text_of(everything()))
    assert found["messages_received_total"] == {tuple(KEY): 10.0}
    assert found["messages_rejected_total"] == {(*KEY, "stale"): 2.0}
    assert found["messages_unaccounted"] == {tuple(KEY): 0.0}
    assert found["websocket_reconnection_count_total"] == {("bybit", "transient"): 3.0}
    assert found["collector_request_budget_used_ratio"] == {("bybit",): 1.0}
    assert found["collector_request_waits_total"] == {("bybit",): 4.0}
    assert found["collector_request_waited_seconds_total"] == {("bybit",): 3.5}
    assert found["collector_request_pause_seconds"] == {("bybit",): 7.0}
    assert found["collector_breaker_state"] == {("closed",): 0.0, ("open",): 0.0, ("half_open",): 1.0}
    assert found["collector_last_message_age_seconds"] == {("bybit",): 1.0}
    assert found["collector_last_commit_timestamp_seconds"] == {(): 7.0}
    assert found["exchange_lag_seconds_count"] == {("bybit",): 3.0}
    assert found["exchange_lag_seconds_bucket"] == {
        ("bybit", "0.1"): 1,
        ("bybit", "1.0"): 2,
        ("bybit", "+Inf"): 3,
    }
    assert found["collector_follower_dropped_rows_total"] == {("./second.db",): 11.0}
    put = {
        name: values[("./second.db",)]
        for name, values in found.items()
        if name.endswith("_total") and "kinesis" in name
    }
    assert put == {
        "collector_kinesis_records_total": 7.0,
        "collector_kinesis_rows_total": 70.0,
        "collector_kinesis_bytes_total": 8.0,
        "collector_kinesis_partial_failures_total": 9.0,
        "collector_kinesis_throttles_total": 10.0,
        "collector_kinesis_errors_total": 12.0,
        "collector_kinesis_dead_letters_total": 11.0,
    }
    assert found["collector_kinesis_batch_size_count"] == {("./second.db",): 3.0}
    assert found["collector_health_state"][("all",)] == 0.0
    jobs = {name: values[("tidy",)] for name, values in found.items() if name.startswith("collector_job_")}
    assert jobs == {
        "collector_job_runs_total": 14.0,
        "collector_job_failures_total": 15.0,
        "collector_job_last_run_seconds": 0.7,
        "collector_job_last_start_timestamp_seconds": 7.5,
    }


def test_before_the_first_check_little_is_known_and_that_is_said() -> None:
    assert samples(text_of(None)).keys() == {"collector_build_info", "collector_health_state"}
    assert samples(text_of(None))["collector_health_state"] == {("all",): 2.0}


def test_words_from_elsewhere_are_bounded_and_cannot_break_a_line() -> None:
    """A reason or a cause is a word of ours; if ever one is not, it is counted as `other`."""
    evil = {f"r{number}": 1 for number in range(500)} | {'x"} 1\nfake_total 1': 5, "A": 1, "": 1, "a" * 99: 1}
    checked = everything()
    counts = AccountingState("s", *KEY, rejected=evil)
    stream = StreamView(KEY, "verified", counts, None, 0, "", 0)
    view = replace(checked.view, streams=(stream,), holes={("bybit", word): n for word, n in evil.items()})
    found = samples(text_of(replace(checked, view=view)))
    for name, before in (("messages_rejected_total", tuple(KEY)), ("collector_holes_total", ("bybit",))):
        assert len(found[name]) == MOST_WORDS + 1
        assert sum(found[name].values()) == sum(evil.values())
        assert found[name][*before, "other"] == sum(evil.values()) - MOST_WORDS
    assert "fake_total" not in found


def test_names_follow_the_rules_of_prometheus() -> None:
    assert len(BY_NAME) == len(METRICS)
    for one in METRICS:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", one.name)
        assert (one.kind == "counter") == one.name.endswith("_total"), one.name
        if one.unit in ("seconds", "bytes"):
            assert re.search(rf"_{one.unit}(_total)?$", one.name), one.name
        assert one.says
        assert "|" not in one.says + one.unit


def test_the_page_is_made_of_the_table() -> None:
    made = "python -c 'from collector.serve.metric_names import markdown; print(markdown())'"
    assert markdown() in PAGE.read_text(encoding="utf-8"), f"put into {PAGE.name} what this prints: {made}"


def test_a_hundred_scrapes_of_one_check_cost_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    def counted(checked: Checked | None) -> Any:
        made.append(checked)
        return metrics_of(checked)

    monkeypatch.setattr("collector.serve.metric_routes.metrics_of", counted)
    shown = MadeUp(latest=everything())
    with serving(shown) as port:
        first = [ask(port, "/metrics").body for _ in range(5)]
        strict = ask(port, "/metrics", f"Accept: {OPENMETRICS}")
        shown.latest = everything()
        ask(port, "/metrics")
    assert (len(made), len(set(first))) == (3, 1)
    assert strict.headers["content-type"].startswith("application/openmetrics-text")
    list(parse_strictly(strict.body.decode()))


TERMS = ("written", "merged", "sampled_out", "dropped")


def check_identity(found: Samples) -> float:
    """Hold the identity in what was scraped, stream by stream; returns how much was received."""
    for key, received in found["messages_received_total"].items():
        rejected = sum(
            count for labels, count in found["messages_rejected_total"].items() if labels[:3] == key
        )
        settled = sum(found[f"messages_{term}_total"][key] for term in TERMS) + rejected
        assert received + found["messages_carried_in"][key] == settled + found["messages_pending"][key], key
        assert found["messages_unaccounted"][key] == 0.0
    return sum(found["messages_received_total"].values())


def test_the_identity_balances_in_every_scrape_of_a_whole_path(tmp_path: Path) -> None:
    """With a cut and a doubtful book; and every symbol is one that is configured."""
    with running(tmp_path / "live.db", [BTC, ETH], health__every_s=0.1, stream__backoff_max_s=0.2) as rig:
        shown = MadeUp()
        with serving(shown) as port:

            def scrape() -> Samples:
                shown.latest = rig.collector.monitor.latest
                found = samples(ask(port, "/metrics").body.decode())
                check_identity(found)
                return found

            wait_until(lambda: scrape()["collector_rows_committed_total"].get(("book",), 0) > 50, "rows")
            before = scrape()
            rig.simulator.faults.gap("bybit", BTC)
            rig.simulator.faults.close("bybit")
            wait_until(lambda: scrape()["websocket_reconnection_count_total"], "a reconnect")
            wait_until(lambda: sum(scrape()["collector_stream_verified"].values()) == 2, "verified again")
            after = scrape()
            report = rig.collector.stop()
            rig.collector.monitor.check(rig.collector.view())
            last = scrape()
    assert set(after["websocket_reconnection_count_total"]) == {("bybit", "transient")}
    assert {labels[1] for labels in after["collector_holes_total"]} <= {"disconnect", "sequence_gap"}
    assert sum(after["messages_received_total"].values()) > sum(before["messages_received_total"].values())
    assert {labels[1] for labels in last["messages_received_total"]} <= {BTC, ETH, "_unknown"}
    assert check_identity(last) == sum(state.received for state in report.accounting) > 0
    rows = sum(state.written for state in report.accounting)
    assert (
        last["collector_rows_committed_total"][("book",)]
        == rows
        == last["exchange_lag_seconds_count"][("bybit",)]
    )
    assert last["message_processing_latency_seconds_count"][("bybit",)] == rows
