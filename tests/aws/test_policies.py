"""The policies allow what the code calls, and nothing that the service does not know."""

import gzip
import json
import re
from pathlib import Path

import botocore
import pytest

from collector.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
CALLED = re.compile(r"client\.((?:put|get|list|describe|subscribe)_\w+)\(")


def actions_of(name: str) -> set[str]:
    policy = json.loads((ROOT / "deploy" / "aws" / name).read_text(encoding="utf-8"))
    assert policy["Version"] == "2012-10-17"
    found: set[str] = set()
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        assert "*" not in json.dumps(statement)
        action = statement["Action"]
        found |= {action} if isinstance(action, str) else set(action)
    return found


@pytest.mark.parametrize("name", ["producer-policy.json", "consumer-policy.json"])
def test_the_service_knows_every_action(name: str) -> None:
    (file,) = (Path(botocore.__file__).parent / "data" / "kinesis").glob("*/service-2.json.gz")
    operations = json.loads(gzip.decompress(file.read_bytes()))["operations"]
    assert {one.removeprefix("kinesis:") for one in actions_of(name)} <= set(operations)


def test_the_producer_may_what_the_sink_calls() -> None:
    files = (ROOT / "collector" / "sinks" / "kinesis").glob("*.py")
    called = {name for file in files for name in CALLED.findall(file.read_text(encoding="utf-8"))}
    assert {"kinesis:" + name.title().replace("_", "") for name in called} == actions_of(
        "producer-policy.json"
    )


def test_metrics_may_be_put_into_their_namespace_and_nothing_else() -> None:
    (statement,) = json.loads((ROOT / "deploy/aws/cloudwatch-policy.json").read_text(encoding="utf-8"))[
        "Statement"
    ]
    default = Settings().metrics.cloudwatch.namespace
    assert statement["Condition"] == {"StringEquals": {"cloudwatch:namespace": default}}
    file = ROOT / "collector" / "serve" / "cloudwatch" / "calls.py"
    (called,) = CALLED.findall(file.read_text(encoding="utf-8"))
    assert statement["Action"] == "cloudwatch:" + called.title().replace("_", "")
