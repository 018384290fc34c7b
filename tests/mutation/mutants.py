"""Mutants: one small mistake each, made in the syntax tree of a module.

Constants, signs, operators, comparisons, swapped operands and arguments, dropped terms and factors, another variable,
another function, conditions turned round, statements left out, and results off by a millionth.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

A_MILLIONTH = ast.Constant(1 + 1e-6)
Path = tuple[tuple[str, int | None], ...]  # (field, position in it) from the root of the tree down


class Mutant(NamedTuple):
    module: str
    where: str  # the function or, in the table, the primitive
    before: str
    after: str
    number: int  # which of those that read alike
    path: Path
    replacement: ast.AST

    def __str__(self) -> str:
        return f"{self.where}: {self.before}  ->  {self.after}" + (f"  ({self.number})" if self.number > 1 else "")


def mutants_of(module: str, wanted: tuple[str, ...] = (), unwanted: tuple[str, ...] = ()) -> list[Mutant]:
    """All mutants of some functions of a module (of all but the unwanted ones, if none is named)."""
    tree = parsed(module)
    found: list[Mutant] = []
    seen: Counter[str] = Counter()
    for where, path, node in sites(tree):
        if where in unwanted or (wanted and where not in wanted):
            continue
        for there, replacement in edits(node, path, context(node)):
            before, after = shown_with(tree, there, replacement)
            if before != after:
                seen[f"{where}{before}{after}"] += 1
                found.append(Mutant(module, where, before, after, seen[f"{where}{before}{after}"], there, replacement))
    return found


def parsed(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(importlib.import_module(module)))


@contextmanager
def changed(tree: ast.Module, path: Path, replacement: ast.AST) -> Iterator[None]:
    """The tree with one node replaced, for a while."""
    parent: Any = tree
    for field, at in path[:-1]:
        parent = getattr(parent, field) if at is None else getattr(parent, field)[at]
    field, at = path[-1]
    owner, put = (parent, setattr) if at is None else (getattr(parent, field), list.__setitem__)
    before = getattr(parent, field) if at is None else owner[at]
    key: Any = field if at is None else at
    put(owner, key, ast.copy_location(replacement, before))
    try:
        yield
    finally:
        put(owner, key, before)


def sites(tree: ast.Module) -> Iterator[tuple[str, Path, ast.AST]]:
    """The functions, methods and definitions of primitives, by name."""
    for k, node in enumerate(tree.body):
        here: Path = (("body", k),)
        if isinstance(node, ast.FunctionDef):
            yield node.name, here, node
        elif isinstance(node, ast.ClassDef):
            for j, member in enumerate(node.body):
                if isinstance(member, ast.FunctionDef):
                    yield f"{node.name}.{member.name}", (*here, ("body", j)), member
        elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            call = node.value
            if isinstance(call.func, ast.Name) and call.func.id == "define":
                name = ast.literal_eval(call.args[0])
                for j in range(1, len(call.args)):
                    yield name, (*here, ("value", None), ("args", j)), call.args[j]
                for j, keyword in enumerate(call.keywords):
                    yield name, (*here, ("value", None), ("keywords", j), ("value", None)), keyword.value


def shown_with(tree: ast.Module, path: Path, replacement: ast.AST) -> tuple[str, str]:
    """What stands at a place, before and after."""
    before = shown(tree, path)
    with changed(tree, path, replacement):
        return before, shown(tree, path)


def shown(tree: ast.Module, path: Path) -> str:
    """The innermost statement, condition or rule around a place, as text."""
    nodes: list[Any] = [tree]
    for field, at in path:
        nodes.append(getattr(nodes[-1], field) if at is None else getattr(nodes[-1], field)[at])
    for child, (field, _), node in zip(nodes[:0:-1], path[::-1], nodes[-2::-1], strict=True):
        if isinstance(node, ast.Lambda) and field == "body":
            return ast.unparse(child)
        if isinstance(node, ast.If | ast.While) and field == "test":
            return f"if {ast.unparse(child)}"
        if isinstance(node, ast.With) and field == "items":
            return f"with {ast.unparse(child)}"
        if isinstance(node, ast.For) and field == "iter":
            return f"for in {ast.unparse(child)}"
        if isinstance(child, ast.stmt):
            text = ast.unparse(child)
            return text.splitlines()[0] if hasattr(child, "body") else text
    return ast.unparse(nodes[-1]).splitlines()[0]


# Edits ------------------------------------------------------------------------------------------------------------


def context(site: ast.AST) -> list[str]:
    """The variables of a function, in order of appearance."""
    names = [
        a.arg for node in ast.walk(site) if isinstance(node, ast.arguments) for a in [*node.args, *node.kwonlyargs]
    ]
    names += [n.id for n in ast.walk(site) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    return [name for name in dict.fromkeys(names) if name not in ("self", "_")]


LEFT_OUT = {"annotation", "returns", "decorator_list", "type_comment", "type_params", "defaults", "kw_defaults", "args"}


def edits(node: ast.AST, path: Path, variables: list[str]) -> Iterator[tuple[Path, ast.AST]]:
    """Every (place, replacement) in a tree."""
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert | ast.Constant) and not is_number(node):
        return
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if isinstance(node, ast.keyword) and node.arg in WITHOUT_EFFECT:
        return
    for replacement in replacements(node, variables):
        yield path, replacement
    for field, value in ast.iter_fields(node):
        if field in LEFT_OUT and isinstance(node, ast.FunctionDef | ast.Lambda | ast.AnnAssign):
            continue
        for at, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST):
                yield from edits(child, (*path, (field, at)), variables)


def is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float)


_PAIRS = [(ast.Add, ast.Sub), (ast.Mult, ast.Div), (ast.BitAnd, ast.BitOr)]
OPERATORS: dict[type, type] = dict([*_PAIRS, *[(b, a) for a, b in _PAIRS]])
OPERATORS |= {ast.Pow: ast.Mult, ast.MatMult: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult}
_OPPOSITES = [(ast.Lt, ast.Gt), (ast.LtE, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot), (ast.In, ast.NotIn)]
_EDGES = [(ast.Lt, ast.LtE), (ast.Gt, ast.GtE)]
_COMPARISONS = [*_OPPOSITES, *_EDGES]
COMPARISONS: dict[type, list[type]] = {
    kind: [b for a, b in [*_COMPARISONS, *[(b, a) for a, b in _COMPARISONS]] if a is kind]
    for pair in _COMPARISONS
    for kind in pair
}
# Functions and methods that one may take for each other.
_ALIKE = """exp expm1, log log1p, sin cos, tanh sigmoid, relu tanh, maximum minimum, max min, add subtract, sqrt square,
    multiply divide, greater greater_equal, less less_equal, equal not_equal, lead_last lead_first, any all, sum max,
    abs negative, sign abs, put_slice scatter_add, gather take_slice, zeros ones, concatenate stack, power multiply"""
OTHERS = {b: a for a, b in (pair.split() for pair in _ALIKE.split(","))}
OTHERS |= dict(pair.split() for pair in _ALIKE.split(","))
# Calls that one may forget: f(x) becomes x.
_METHODS = (
    "swapaxes transpose reshape cumsum reversed sorted tanh sigmoid relu squeeze kept lead_last lead_first behind"
)
LEFT_AWAY = {*_METHODS.split(), "_reversed", "_inverse", "log", "linear"}
SYMMETRIC = {"maximum", "minimum", "swapaxes", "add", "multiply"}  # of whose arguments the order does not matter
WITHOUT_EFFECT = {"strict", "optimize"}  # keywords that guard against mistakes, or choose the quicker of two ways


def replacements(node: ast.AST, variables: list[str]) -> Iterator[ast.AST]:
    if isinstance(node, ast.Lambda) and not isinstance(node.body, ast.Lambda) and "g" in variables:
        yield copied(node, body=ast.BinOp(node.body, ast.Mult(), A_MILLIONTH))
    if isinstance(node, ast.Return) and node.value is not None and "g" in variables:
        yield ast.Return(ast.BinOp(node.value, ast.Mult(), A_MILLIONTH))
    yield from _expressions(node, variables)
    yield from _calls(node)
    yield from _statements(node)


def copied(node: ast.AST, **fields: Any) -> Any:
    return type(node)(**{**dict(ast.iter_fields(node)), **fields})


def _expressions(node: ast.AST, variables: list[str]) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp):
        yield copied(node, op=OPERATORS[type(node.op)]())
        if not isinstance(node.op, ast.Add | ast.Mult):
            yield copied(node, left=node.right, right=node.left)
        yield node.left
        yield node.right
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for other in COMPARISONS[type(node.ops[0])]:
            yield copied(node, ops=[other()])
    elif isinstance(node, ast.BoolOp):
        yield copied(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        yield from node.values
    elif isinstance(node, ast.IfExp):
        yield node.body
        yield node.orelse
    elif is_number(node):
        yield from _numbers(node.value)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in variables and len(variables) > 1:
        yield ast.Name(variables[(variables.index(node.id) + 1) % len(variables)], ast.Load())
    elif isinstance(node, ast.Tuple | ast.List) and len(node.elts) > 1:
        for k in range(len(node.elts) - 1):
            yield copied(node, elts=[*node.elts[:k], node.elts[k + 1], node.elts[k], *node.elts[k + 2 :]])
    elif isinstance(node, ast.Slice):
        for bound in ("lower", "upper", "step"):
            if getattr(node, bound) is not None:
                yield copied(node, **{bound: None})
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield copied(node, ifs=[])


def _numbers(value: Any) -> Iterator[ast.AST]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
        yield ast.Constant(value - 1)
    else:
        yield ast.Constant(value + 1.0)
        if value:
            yield ast.Constant(value * (1 + 1e-6))


def _calls(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Attribute):
        if node.attr in OTHERS:
            yield copied(node, attr=OTHERS[node.attr])
        if node.attr == "T":
            yield node.value
    elif isinstance(node, ast.Name) and node.id in OTHERS and isinstance(node.ctx, ast.Load):
        yield ast.Name(OTHERS[node.id], ast.Load())
    if not isinstance(node, ast.Call):
        return
    plain = [k for k, arg in enumerate(node.args) if not isinstance(arg, ast.Starred)]
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    for j, k in itertools.pairwise([] if called in SYMMETRIC else plain):
        args = list(node.args)
        args[j], args[k] = args[k], args[j]
        yield copied(node, args=args)
    for k in range(len(node.keywords)):
        if node.keywords[k].arg in WITHOUT_EFFECT:
            continue
        yield copied(node, keywords=[*node.keywords[:k], *node.keywords[k + 1 :]])
    if called in LEFT_AWAY and isinstance(node.func, ast.Attribute) and not is_numpy(node.func.value):
        yield node.func.value
    elif called in LEFT_AWAY and node.args:
        yield node.args[-1] if called == "behind" else node.args[0]


def is_numpy(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "np"


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.If | ast.While):
        yield copied(node, test=ast.UnaryOp(ast.Not(), node.test))
    if isinstance(node, ast.AugAssign):
        yield copied(node, op=OPERATORS[type(node.op)]())
        yield ast.Assign([node.target], node.value)
    if isinstance(node, ast.Expr | ast.Continue | ast.Break):
        yield ast.Pass()
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript | ast.Attribute):
        yield ast.Pass()
    if isinstance(node, ast.If) and not node.orelse:
        yield ast.Pass()
