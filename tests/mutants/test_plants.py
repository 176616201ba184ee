"""What can be planted: every wrong form of a node, at its place, and nothing where no fault could be."""

import ast
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from planting.plants import Plant, is_another_program, plants_of


def forms(source: str) -> set[tuple[str, str, str]]:
    """Name the faults of a file: operator, marked statement, what stands there then."""
    return {(one.operator, one.before, one.after) for one in plants_of("m.py", source)}


def in_function(statement: str, returns: str = "int") -> set[tuple[str, str]]:
    """Plant in the only statement of a function; names operators and what stands there then."""
    indented = "\n".join(f"    {line}" for line in statement.splitlines())
    found = plants_of("m.py", f"def f(a, b, c) -> {returns}:\n{indented}\n")
    return {(one.operator, one.after) for one in found if one.scope == "f"}


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("x = a < b", {("comparison", "a <= b"), ("comparison", "a >= b")}),
        ("x = a is not b", {("comparison", "a is b")}),
        (
            "x = a <= b < c",
            {("comparison", f"a {one}") for one in ("< b < c", "> b < c", "<= b <= c", "<= b >= c")},
        ),
        ("x = a and b", {("and/or", "a or b"), ("dropped", "a"), ("dropped", "b")}),
        ("x = not a", {("not", "a")}),
        ("x = a + b", {("arithmetic", "a - b")}),
        ("x = a // b", {("arithmetic", "a * b")}),
        ("x = 'a' + b", set()),
        ("x = a + [b]", set()),
        ("a += b", {("arithmetic", "a -= b"), ("removed", "pass")}),
        ("x = 3", {("constant", "4"), ("constant", "2")}),
        ("x = 300.0", {("constant", "600.0"), ("constant", "150.0")}),
        ("x = True", {("constant", "False")}),
        ("x = 'text'", set()),
        ("x = f'{a + 1}'", set()),
        ("x: Literal[5] = a", set()),
        ("x = min(a)", {("opposite", "max(a)")}),
        ("x = g(a, b)", {("swapped", "g(b, a)")}),
        ("x = isinstance(a, b)", set()),
        ("x = zip(a, strict=True)", set()),
        ("g(a)", {("removed", "pass")}),
        ("await g(a)", {("removed", "pass")}),
        ("a.x = b", {("removed", "pass")}),
        ("x = b", set()),
        ("raise a", {("removed", "pass")}),
        ("return a", {("return", "return None")}),
        ("return None", set()),
        ("assert a < b", set()),
        ("'''words'''", set()),
        ("import a", set()),
        ("if a:\n    pass", {("condition", "not a")}),
        ("while a:\n    continue", {("condition", "not a"), ("jump", "break")}),
        ("x = [y for y in a if y]", {("condition", "not y")}),
        ("x = a if b else c", {("condition", "not b")}),
    ],
)
def test_each_node_has_its_wrong_forms(statement: str, expected: set[tuple[str, str]]) -> None:
    assert in_function(statement) == expected


def test_what_says_yes_or_no_says_the_opposite() -> None:
    assert in_function("return a", "bool") == {("return", "return not a")}


def test_the_place_is_marked_within_its_statement_and_a_block_is_not_shown() -> None:
    source = "def f(a):\n    if a.x(1) and (\n        a > 2\n    ):\n        return a\n"
    assert ("comparison", "if a.x(1) and ( «a > 2» ):", "a >= 2") in forms(source)
    assert ("return", "«return a»", "return None") in forms(source)


def test_the_fault_is_written_where_it_is_and_nowhere_else() -> None:
    source = 'WORD = "éü"; LIMIT = 5  # five\n\n\nclass C:\n    def m(self):\n        return self.é < 5\n'
    found = {one.planted(source) for one in plants_of("m.py", source) if one.operator == "comparison"}
    assert found == {source.replace("self.é < 5", f"(self.é {sign} 5)") for sign in ("<=", ">=")}


def test_a_plant_knows_its_scope_its_lines_and_when_it_runs() -> None:
    method = "    def m(self, a=8):\n        return g(\n            self,\n            9,\n        )\n"
    source = f"LIMIT = 5\n\nclass C:\n    most = 7\n\n{method}"
    known = {one.before: one for one in plants_of("m.py", source)}

    def told(statement: str) -> tuple[str, tuple[int, ...], bool]:
        one = known[statement]
        return one.scope, one.lines, one.runs_at_import

    assert told("LIMIT = «5»") == ("", (1,), True)
    assert told("most = «7»") == ("C", (4,), True)
    assert told("def m(self, a=«8»):") == ("C", (6,), True)
    assert told("return g( self, «9», )") == ("C.m", (7, 8, 9, 10), False)


def test_types_and_what_is_public_are_left_alone() -> None:
    source = "from typing import TYPE_CHECKING\n__all__ = ['a' + 'b']\nif TYPE_CHECKING:\n    LIMIT = 5\n"
    assert forms(source) == set()


def test_a_key_holds_when_lines_are_added_above() -> None:
    source = "def f(a):\n    return a < 5\n"
    moved = f"import os\n\n\n{source}"
    assert {one.key for one in plants_of("m.py", source)} == {one.key for one in plants_of("m.py", moved)}


def test_no_two_faults_of_a_file_have_the_same_key() -> None:
    path = Path(__file__).parent / "planting" / "plants.py"
    found: list[Plant] = plants_of("plants.py", path.read_text(encoding="utf-8"))
    assert len({one.key for one in found}) > 0.97 * len(found)
    assert all(ast.parse(one.planted(path.read_text(encoding="utf-8"))) for one in found[::20])


def test_what_is_no_program_or_the_same_one_is_seen() -> None:
    source = "def f(a):\n    while a:\n        break\n    return a > 0.0\n"
    known = {(one.before, one.after): one for one in plants_of("m.py", source)}
    assert is_another_program(known["return «a > 0.0»", "a >= 0.0"], source)
    assert not is_another_program(known["return a > «0.0»", "0.0"], source)
    assert not is_another_program(replace(known["«break»", "continue"], replacement="a b"), source)
