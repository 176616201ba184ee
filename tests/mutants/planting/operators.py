"""Say what can be wrong at one place of a program: each function gives the wrong forms of a node. Pure."""

import ast
import copy
from collections.abc import Iterator
from typing import NamedTuple

SMALL = 10  # numbers up to this are counts and places, wrong by one; larger ones are limits, wrong by half


class Change(NamedTuple):
    """One wrong form of a node."""

    operator: str
    wrong: ast.AST


COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
}
# Calls whose arguments may stand in any order, or whose other order nothing would begin with.
NOT_SWAPPED = {"min", "max", "isinstance", "cast", "getattr", "Column", "Table", "Index"}
OPPOSITES = {"min": "max", "max": "min", "any": "all", "all": "any"}


def changes(node: ast.AST, *, is_condition: bool, returns_bool: bool) -> Iterator[Change]:
    """Give every wrong form of a node. `is_condition`: an `if` or a `while` hangs on it."""
    if isinstance(node, ast.expr):
        yield from _of_expression(node, is_condition=is_condition)
    elif isinstance(node, ast.stmt):
        yield from _of_statement(node, returns_bool=returns_bool)


def _of_expression(node: ast.expr, *, is_condition: bool) -> Iterator[Change]:
    match node:
        case ast.Compare():
            yield from _comparisons(node)
        case ast.BoolOp():
            yield from _junctions(node)
        case ast.UnaryOp(op=ast.Not()):
            yield Change("not", node.operand)
        case ast.BinOp():
            yield from _arithmetic(node)
        case ast.Constant():
            yield from _constants(node)
        case ast.Call():
            yield from _calls(node)
    has_its_own = isinstance(node, ast.Compare | ast.BoolOp | ast.Constant)
    if is_condition and not has_its_own and not _is_not(node):
        yield Change("condition", ast.UnaryOp(ast.Not(), node))


def _of_statement(node: ast.stmt, *, returns_bool: bool) -> Iterator[Change]:
    match node:
        case ast.AugAssign():
            yield from _arithmetic(node)
        case ast.Continue():
            yield Change("jump", ast.Break())
        case ast.Break():
            yield Change("jump", ast.Continue())
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            wrong = ast.UnaryOp(ast.Not(), value) if returns_bool else ast.Constant(None)
            yield Change("return", ast.Return(wrong))
    if _can_be_left_out(node):
        yield Change("removed", ast.Pass())


def _comparisons(node: ast.Compare) -> Iterator[Change]:
    for place, operator in enumerate(node.ops):
        for other in COMPARISONS[type(operator)]:
            wrong = copy.copy(node)
            wrong.ops = [*node.ops[:place], other(), *node.ops[place + 1 :]]
            yield Change("comparison", wrong)


def _junctions(node: ast.BoolOp) -> Iterator[Change]:
    other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    yield Change("and/or", ast.BoolOp(other, node.values))
    for place in range(len(node.values)):
        left = [*node.values[:place], *node.values[place + 1 :]]
        yield Change("dropped", left[0] if len(left) == 1 else ast.BoolOp(node.op, left))


def _arithmetic(node: ast.BinOp | ast.AugAssign) -> Iterator[Change]:
    other = ARITHMETIC.get(type(node.op))
    if other is None or _is_no_number(node):
        return
    wrong = copy.copy(node)
    wrong.op = other()
    yield Change("arithmetic", wrong)


def _constants(node: ast.Constant) -> Iterator[Change]:
    value = node.value
    if isinstance(value, bool):
        yield Change("constant", ast.Constant(not value))
    elif isinstance(value, int) and abs(value) <= SMALL:
        yield from (Change("constant", ast.Constant(number)) for number in (value + 1, value - 1))
    elif isinstance(value, int | float):
        doubled = value * 2 if value else 1.0
        yield from (Change("constant", ast.Constant(number)) for number in (doubled, type(value)(value / 2)))


def _calls(node: ast.Call) -> Iterator[Change]:
    if isinstance(node.func, ast.Name) and node.func.id in OPPOSITES:
        wrong = copy.copy(node)
        wrong.func = ast.Name(OPPOSITES[node.func.id])
        yield Change("opposite", wrong)
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in NOT_SWAPPED:
        return
    for place, (one, two) in enumerate(zip(node.args, node.args[1:], strict=False)):
        if isinstance(one, ast.Starred) or isinstance(two, ast.Starred) or ast.dump(one) == ast.dump(two):
            continue
        wrong = copy.copy(node)
        wrong.args = [*node.args[:place], two, one, *node.args[place + 2 :]]
        yield Change("swapped", wrong)


def _can_be_left_out(node: ast.stmt) -> bool:
    """Say whether a program without the statement would still begin to run."""
    match node:
        case ast.Expr(value=ast.Call() | ast.Await() | ast.Yield() | ast.YieldFrom()):
            return True
        case ast.AugAssign() | ast.Delete() | ast.Raise():
            return True
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            return True
        case ast.AnnAssign(target=ast.Attribute() | ast.Subscript(), value=ast.expr()):
            return True
    return False


def _is_not(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _is_no_number(node: ast.BinOp | ast.AugAssign) -> bool:
    sides = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.value,)
    return any(
        isinstance(side, ast.JoinedStr | ast.List | ast.ListComp | ast.Tuple)
        or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in sides
    )
