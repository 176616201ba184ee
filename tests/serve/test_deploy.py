"""Dashboard and alerts speak of metrics and labels that there are."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from collector.serve.metric_names import BY_NAME, METRICS

DEPLOY = Path(__file__).parents[2] / "deploy"
SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("",), "gauge": ("",)}
EXPOSED = {one.name + suffix: one for one in METRICS for suffix in SUFFIXES[one.kind]}
OF_PROMETHEUS = {"up"}
WORDS = {
    *("sum", "min", "max", "count", "by", "on", "and", "or", "rate", "increase", "deriv", "abs", "time"),
    *("histogram_quantile", "label_values"),
}
COUNTED = {"rate", "increase"}  # what takes a counter, or a histogram's, and nothing else
TEXTS = re.compile(r'"[^"]*"|\[[^\]]*\]')
NAMES = re.compile(r"(?<![\w$.])[a-zA-Z_]\w*")


def alert_rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((DEPLOY / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "grafana" / "collector.json").read_text(encoding="utf-8"))
    return found


def expressions() -> Iterator[tuple[str, str]]:
    for rule in alert_rules():
        yield f"alert {rule['alert']}", rule["expr"]
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            yield f"panel {panel['title']} {target['refId']}", target["expr"]
    yield "variable instance", dashboard()["templating"]["list"][1]["query"]["query"]


def names_in(expression: str) -> tuple[set[str], set[str]]:
    """Return the metrics and the labels that an expression names."""
    plain = TEXTS.sub("", expression)
    selectors = ", ".join(re.findall(r"\{([^}]*)\}", plain))
    groupings = ", ".join(re.findall(r"\b(?:by|on) \(([^)]*)\)", plain))
    labels = set(NAMES.findall(f"{selectors} {groupings}"))
    rest = re.sub(r"\{[^}]*\}|\b(?:by|on) \([^)]*\)", "", plain)
    rest = rest.replace(", instance)", ")")  # of label_values
    return set(NAMES.findall(re.sub(r"\b\d[\de.]*", "", rest))) - WORDS, labels


@pytest.mark.parametrize(
    ("where", "expression"), list(expressions()), ids=[where for where, _ in expressions()]
)
def test_an_expression_names_what_is_exposed(where: str, expression: str) -> None:
    metrics, labels = names_in(expression)
    assert metrics, where
    assert metrics - OF_PROMETHEUS <= EXPOSED.keys()
    had = {label for name in metrics - OF_PROMETHEUS for label in EXPOSED[name].labels}
    assert labels <= had | {"instance", "job", "le"}
    assert expression.count("(") == expression.count(")")


@pytest.mark.parametrize(
    ("where", "expression"), list(expressions()), ids=[where for where, _ in expressions()]
)
def test_a_rate_is_taken_of_counters_only(where: str, expression: str) -> None:
    for function, name in re.findall(r"\b(rate|increase|deriv)\((\w+)", expression):
        assert (EXPOSED[name].kind != "gauge") == (function in COUNTED), where


def test_a_name_that_is_not_there_is_seen() -> None:
    metrics, labels = names_in(
        'sum by (instance, sort) (rate(messages_gone_total{reason="x"}[5m])) > 0.5 and on (le) up'
    )
    assert metrics == {"messages_gone_total", "up"}
    assert labels == {"instance", "sort", "reason", "le"}


def test_every_metric_has_its_place() -> None:
    """What nobody looks at and nothing alarms on need not be measured."""
    shown = {EXPOSED[name].name for _, text in expressions() for name in names_in(text)[0] - OF_PROMETHEUS}
    assert BY_NAME.keys() - shown <= {"messages_carried_in"}


def test_panels_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_every_alert_says_how_grave_it_is_and_what_to_do() -> None:
    for rule in alert_rules():
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        assert set(rule["annotations"]) == {"summary", "what_next"}, rule["alert"]
    assert len({rule["alert"] for rule in alert_rules()}) == len(alert_rules())
