"""Whatever the OpenAPI document allows, and much that it does not, is answered without a fault of ours."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from schemathesis.generation import GenerationMode

sys.path.insert(0, str(Path(__file__).parent))
from api_rig import get, serving_database
from serve_rig import TOKEN

EXAMPLE = Path(__file__).parents[2] / "trading_bot_live.db.example"
ENDLESS = "/api/stream"
FEW, MANY = 4, 100


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    path = shutil.copy(EXAMPLE, tmp_path_factory.mktemp("example") / "live.db")
    with serving_database(Path(path), token=SecretStr(TOKEN)) as port:
        yield port


def ask_everything(port: int, examples: int, *modes: GenerationMode) -> set[str]:
    """Ask each path in ways that are made up, right ones and wrong ones; returns the paths."""
    document = get(port, "/openapi.json")
    del document["paths"][ENDLESS]
    schema = schemathesis.openapi.from_dict(document)
    operations = [one.ok() for one in schema.get_all_operations()]
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        for operation in operations:
            cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in modes))

            @settings(
                max_examples=examples,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=cases)
            def ask(case: Any) -> None:
                answer = case.call(base_url=f"http://127.0.0.1:{port}", session=session)
                assert answer.status_code < 500, (case.as_curl_command(), answer.content)
                assert answer.headers["content-type"] == ["application/json"]

            ask()
    return {operation.path for operation in operations}


def test_no_question_is_a_fault(port: int) -> None:
    assert "/api/features/{symbol}" in ask_everything(port, FEW, GenerationMode.POSITIVE)


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_no_question_of_many_is_a_fault(port: int) -> None:
    assert ask_everything(port, MANY, GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
