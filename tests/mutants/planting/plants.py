"""Find every fault that could be planted in a file, and write the file with one of them. Pure."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from planting.operators import changes

_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
_NOT_LOOKED_AT = ("annotation", "returns", "type_params", "format_spec")


@dataclass(frozen=True, slots=True)
class Plant:
    """One fault at one place."""

    module: str  # path from the root
    scope: str  # dotted name of the function or class around it; "" at the top
    operator: str
    before: str  # the statement, or the head of a compound one, in one line, the place within it «marked»
    after: str  # what stands at that place then
    lines: tuple[int, ...]  # the statement's
    runs_at_import: bool
    start: int  # in bytes
    end: int
    replacement: str

    @property
    def key(self) -> tuple[str, ...]:
        """Tell it from all others, also after lines were added elsewhere in the file."""
        return self.module, self.scope, self.operator, self.before, self.after

    @property
    def place(self) -> tuple[str, int, int]:
        """Name the node: several faults may be possible at one."""
        return self.module, self.start, self.end

    def planted(self, source: str) -> str:
        """Return the source with the fault in it."""
        raw = source.encode()
        return (raw[: self.start] + self.replacement.encode() + raw[self.end :]).decode()


@dataclass(frozen=True, slots=True)
class _Where:
    """What stands around a node."""

    scope: tuple[str, ...] = ()
    in_function: bool = False
    returns_bool: bool = False


def plants_of(module: str, source: str) -> list[Plant]:
    """List the faults that could be planted in a file, in the order of their places."""
    return list(_File(module, source).plants())


def is_another_program(plant: Plant, source: str) -> bool:
    """Say whether what comes of a plant is a program at all, and not the same one."""
    planted = plant.planted(source)
    try:
        compile(planted, "planted", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return ast.dump(ast.parse(planted)) != ast.dump(ast.parse(source))


class _File:
    def __init__(self, module: str, source: str) -> None:
        self._module = module
        self._raw = source.encode()
        self._tree = ast.parse(source)
        starts = [0]
        for line in self._raw.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        self._line_starts = starts

    def plants(self) -> Iterator[Plant]:
        yield from self._block(self._tree.body, _Where())

    def _block(self, statements: Sequence[ast.AST], where: _Where) -> Iterator[Plant]:
        for statement in statements:
            if not _is_left_alone(statement):
                yield from self._statement(statement, where)

    def _statement(self, statement: ast.AST, where: _Where) -> Iterator[Plant]:
        inner = _inside(statement, where)
        blocks = [block for name in _BLOCKS if (block := getattr(statement, name, None))]
        first_inside = min((_first_line(block[0]) for block in blocks), default=None)
        head = self._head(statement, first_inside)
        for node, is_condition in _nodes(statement):
            for change in changes(node, is_condition=is_condition, returns_bool=where.returns_bool):
                if (
                    where.in_function or change.operator != "swapped"
                ):  # a table's columns: nothing would begin
                    yield self._plant(node, change.operator, change.wrong, head, where)
        for block in blocks:
            yield from self._block(block, inner)

    def _head(self, statement: ast.AST, first_inside: int | None) -> tuple[int, int]:
        """Return the first line and the one after the last: of all, or of what stands before its block."""
        first, last = _first_line(statement), getattr(statement, "end_lineno", None) or _first_line(statement)
        return first, last + 1 if first_inside is None else max(first_inside, first + 1)

    def _plant(
        self, node: ast.AST, operator: str, wrong: ast.AST, head: tuple[int, int], where: _Where
    ) -> Plant:
        text = ast.unparse(ast.fix_missing_locations(wrong))
        replacement = f"({text})" if isinstance(wrong, ast.expr) else text
        start, end = self._span(node)
        head_start, head_end = self._line_starts[head[0] - 1], self._line_starts[head[1] - 1]
        marked = self._raw[head_start:start] + "«".encode() + self._raw[start:end] + "»".encode()
        return Plant(
            self._module,
            ".".join(where.scope),
            operator,
            _one_line(marked + self._raw[end:head_end]),
            _one_line(text.encode()),
            tuple(range(*head)),
            not where.in_function,
            start,
            end,
            replacement,
        )

    def _span(self, node: Any) -> tuple[int, int]:
        """Return where a node stands, in bytes, as its columns are counted."""
        first, last = self._line_starts[node.lineno - 1], self._line_starts[node.end_lineno - 1]
        return first + node.col_offset, last + node.end_col_offset


def _nodes(statement: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """Give a statement's nodes, but not its blocks', and whether something is decided by them."""
    conditions = {id(getattr(statement, "test", None))}
    waiting = [statement]
    while waiting:
        node = waiting.pop(0)
        if hasattr(node, "lineno"):
            yield node, id(node) in conditions
        if isinstance(node, ast.IfExp):
            conditions.add(id(node.test))
        if isinstance(node, ast.comprehension):
            conditions.update(id(one) for one in node.ifs)
        if isinstance(node, ast.keyword) and node.arg == "strict":
            continue  # of `zip`: a check of what cannot be
        for name, value in ast.iter_fields(node):
            if name in _NOT_LOOKED_AT or (node is statement and name in _BLOCKS):
                continue
            if name == "decorator_list" and isinstance(node, ast.ClassDef):
                continue  # slots and the like
            children = value if isinstance(value, list) else [value]
            # The places of what stands within an f-string are wrong before Python 3.12.
            waiting += [
                one for one in children if isinstance(one, ast.AST) and not isinstance(one, ast.JoinedStr)
            ]


def _inside(statement: ast.AST, where: _Where) -> _Where:
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            returns = statement.returns
            is_bool = isinstance(returns, ast.Name) and returns.id == "bool"
            return _Where((*where.scope, statement.name), in_function=True, returns_bool=is_bool)
        case ast.ClassDef():
            return _Where((*where.scope, statement.name), in_function=where.in_function)
    return where


def _is_left_alone(statement: ast.AST) -> bool:
    """Say whether a fault here could not be one of the program: types, names of what is public, asserts."""
    match statement:
        case ast.Assert() | ast.Import() | ast.ImportFrom():
            return True
        case ast.Expr(value=ast.Constant()):
            return True  # a docstring
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__" | "__slots__" | "__hash__")]):
            return True
        case ast.Assign(value=ast.Call(func=ast.Name(id="TypeVar" | "NewType"))):
            return True
    return False


def _first_line(node: ast.AST) -> int:
    if isinstance(node, ast.match_case):
        return node.pattern.lineno
    decorators = getattr(node, "decorator_list", [])
    return decorators[0].lineno if decorators else node.lineno  # type: ignore[attr-defined, no-any-return]


def _one_line(text: bytes) -> str:
    return " ".join(text.decode().split())
