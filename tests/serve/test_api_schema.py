"""Whatever the OpenAPI document allows, and much that it does not, is answered without a fault of ours."""

import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

sys.path.insert(0, str(Path(__file__).parent))
from api_rig import asked, get, serving_collector
from serve_rig import TOKEN

from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parents[1] / "whole_path"))
from rig import BTC, Rig, wait_until

ENDLESS = "/api/stream"
BEARER = f"Authorization: Bearer {TOKEN}"
TEXTS = {"/metrics"}
FEW, SOME, MANY = 2, 25, 100
RIGHT, WRONG = "positive", "negative"  # the library's words for questions


def ask_everything(port: int, examples: int, *modes: str, most_unavailable: int = 0) -> set[str]:
    """Ask each path in ways that are made up, right ones and wrong ones; returns the paths.

    So many answers may be that it cannot be said now.
    """
    import schemathesis  # noqa: PLC0415  (half a second in each process that collects tests)
    from schemathesis.generation import GenerationMode  # noqa: PLC0415

    document = get(port, "/openapi.json")
    del document["paths"][ENDLESS]
    schema = schemathesis.openapi.from_dict(document)
    operations = [one.ok() for one in schema.get_all_operations()]
    unavailable: list[str] = []
    with requests.Session() as session:
        session.headers["Authorization"] = BEARER.partition(": ")[2]
        for operation in operations:
            cases = st.one_of(
                *(operation.as_strategy(generation_mode=GenerationMode(mode)) for mode in modes)
            )

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
                if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
                    unavailable.append(case.as_curl_command())
                else:
                    assert answer.status_code < 500, (case.as_curl_command(), answer.content)
                has_text = answer.status_code == HTTPStatus.OK and case.operation.path in TEXTS
                content = "text/plain" if has_text else "application/json"
                assert answer.headers["content-type"][0].startswith(content)

            ask()
    assert len(unavailable) <= most_unavailable, unavailable
    return {operation.path for operation in operations}


def test_no_question_is_a_fault(stored_port: int) -> None:
    assert "/api/features/{symbol}" in ask_everything(stored_port, FEW, RIGHT)


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_no_question_of_many_is_a_fault(stored_port: int) -> None:
    assert ask_everything(stored_port, MANY, RIGHT, WRONG)


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_no_question_of_a_running_collector_is_a_fault_and_it_goes_on(tmp_path: Path) -> None:
    with Simulator(updates_per_s=20.0) as simulator:
        rig = Rig(
            simulator, str(tmp_path / "live.db"), [BTC], exchanges__bybit__channels=["book.50", "trade"]
        )
        with serving_collector(rig, token=SecretStr(TOKEN)) as port:
            rig.collector.start()
            try:
                rig.wait_until_verified()
                wait_until(lambda: get(port, "/api/overview")["streams"], "something to tell")
                modes = RIGHT, WRONG
                paths = ask_everything(port, SOME, *modes, most_unavailable=SOME)
                assert paths >= {"/health", "/metrics", "/api/books/{symbol}", "/api/symbols/{symbol}"}
                # BTCUSDT, which the document has as its example, was among what was to be left.
                assert asked(port, "/api/symbols/BTCUSDT", BEARER, method="POST").status == HTTPStatus.OK
                written = rig.written(BTC)
                wait_until(lambda: rig.written(BTC) > written, "rows after all that")
                wait_until(
                    lambda: asked(port, "/health").json["status"] == "healthy", "healthy after all that"
                )
            finally:
                report = rig.collector.stop()
        assert (report.good, report.problems) == (True, ())
