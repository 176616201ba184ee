"""Whatever a file or the environment holds, the answer is settings or a SettingsError."""

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector.errors import SettingsError
from collector.settings import load_settings
from collector.settings.keys import KEYS, SECTIONS

FEW, MANY = 25, 150
Check = Callable[[Path, Any], None]


def of_any(strategy: st.SearchStrategy[Any], *always: object) -> Callable[[Check], Callable[..., None]]:
    """Make a test that holds for a few values of a strategy, and for some always; for many under proof."""

    def made(check: Check) -> Callable[..., None]:
        @pytest.mark.parametrize("examples", [FEW, pytest.param(MANY, marks=pytest.mark.proof)])
        def test(tmp_path: Path, examples: int) -> None:
            @settings(max_examples=examples, deadline=None)
            @given(strategy)
            def held(value: Any) -> None:
                check(tmp_path, value)

            for value in always:
                held = example(value)(held)
            held()

        return test

    return made


names = st.sampled_from(
    sorted({str(name) for path in (*KEYS, *SECTIONS) for name in path} | {"bybit", "kraken"})
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**300, max_value=10**400),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["book.50", "BTC/USDT:USDT", "ws://h", "://", "http://[", "ws://h:99999", "testnet", "@:@"]
    ),
)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(names | st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


def loads_or_says_why(path: Path | None, **kwargs: object) -> None:
    try:
        load_settings(path, **({"environ": {}, "env_file": None} | kwargs))
    except SettingsError as error:
        problems = error.problems
    else:
        return
    assert problems
    for problem in problems:
        assert problem.isprintable(), problem
        assert len(problem) < 1000


@of_any(
    st.binary(max_size=200),
    b"",
    b"\x00",
    b"!!python/object/apply:os.system [ls]",
    b"? [a]\n: b",
    b"<<: {a: 1}",
    b"a: !!timestamp 99",
    b"!!set {a}",
    b"a: !!binary '?'",
    b"%YAML 9.9\n---\n",
    b"%TAG ! x\n--- !y z",
)
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.yaml"
    path.write_bytes(content)
    loads_or_says_why(path)


@of_any(st.text(alphabet=string.printable + "é\u2028", max_size=200))
def test_any_text(tmp_path: Path, content: str) -> None:
    path = tmp_path / "any.yaml"
    path.write_text(content, newline="")
    loads_or_says_why(path)


@of_any(st.dictionaries(names, trees, max_size=6))
def test_any_values_under_true_keys(tmp_path: Path, tree: dict[str, object]) -> None:
    path = tmp_path / "any.yaml"
    path.write_text(yaml.safe_dump(tree, allow_unicode=False))
    loads_or_says_why(path)


@of_any(
    st.dictionaries(st.sampled_from([path for path in KEYS if path[0] != "exchanges"]), scalars, max_size=6)
)
def test_any_value_of_any_key(tmp_path: Path, values: dict[tuple[str, ...], object]) -> None:
    del tmp_path
    loads_or_says_why(None, overrides={".".join(path): value for path, value in values.items()})


@of_any(st.dictionaries(names, trees, max_size=4))
def test_any_exchange(tmp_path: Path, tree: dict[str, object]) -> None:
    del tmp_path
    loads_or_says_why(None, overrides={"exchanges.bybit": tree})


@of_any(
    st.dictionaries(
        st.sampled_from(
            ["COLLECTOR_" + "__".join(path).upper().replace("*", "BYBIT") for path in KEYS]
            + [
                "SYMBOLS",
                "BYBIT_API_KEY",
                "COLLECTOR___",
                "COLLECTOR_EXCHANGES__",
                "COLLECTOR_EXCHANGES____A",
            ]
        ),
        st.text(max_size=20),
        max_size=6,
    )
)
def test_any_variables(tmp_path: Path, environ: dict[str, str]) -> None:
    del tmp_path
    loads_or_says_why(None, environ=environ)


@of_any(st.text(max_size=100))
def test_any_dotenv(tmp_path: Path, content: str) -> None:
    path = tmp_path / "any.env"
    path.write_text(content, errors="replace")
    loads_or_says_why(None, env_file=path)


@pytest.mark.parametrize(
    "text", ["writer: {batch_rows: " + "9" * 10_000 + "}", "writer: {interval_s: 1e999}"]
)
def test_numbers_without_end(tmp_path: Path, text: str) -> None:
    path = tmp_path / "any.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(path, environ={}, env_file=None)
    assert len(str(caught.value)) < 300
