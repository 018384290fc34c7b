"""`p c[3] * 2`: expressions on the tensors of a tape, read as a syntax tree and computed by hand.

No text is ever run: there are names, indices, arithmetic, and the few functions below.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import numpy as np

from ..engine.tensor import Tensor
from .labels import Labels, array_text, norm
from .lines import NOT_RECORDED, line_of
from .stop import Stop

MOST_ELEMENTS = 10_000_000

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow, ast.MatMult: operator.matmul, ast.Mod: operator.mod, ast.FloorDiv: operator.floordiv,
}  # fmt: skip
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "norm": norm, "abs": np.abs, "min": np.min, "max": np.max, "sum": np.sum, "mean": np.mean, "exp": np.exp,
    "log": np.log, "sqrt": np.sqrt, "tanh": np.tanh, "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "isnan": np.isnan, "isfinite": np.isfinite, "argmax": np.argmax, "argmin": np.argmin,
}  # fmt: skip
_SHAPES = {"shape", "ndim", "size", "dtype", "T"}
_NOTES = {"name", "step", "scope", "line", "op", "grad"}
WORDS = ("result", "operands", "cotangent", "contribution", "derivative", "total", "share")


# `grad h[3]` without brackets: of a name, in quotes or not, or of #41, with an index.
_GRAD = re.compile(r"""\bgrad\s+((?:event\(\d+\)|[A-Za-z_]\w*|'[^']*'|"[^"]*")(?:\[[^\]]*\])*)""")


class ReadingError(ValueError):
    """What was asked for cannot be read, is not there, or is not there yet."""


class Several(list[Tensor]):
    """All nodes of one name. variable: what is called so where the program stands, if that is a tensor."""

    def __init__(self, nodes: Iterable[Tensor], variable: Tensor | None, labels: Labels) -> None:
        super().__init__(nodes)
        self.variable, self.labels = variable, labels

    def one(self) -> Tensor:
        """The variable of the program. Raises ReadingError where there is none."""
        return self.variable if self.variable is not None else self.none()

    def none(self) -> NoReturn:
        """Raises ReadingError, which says how to say which is meant."""
        raise ReadingError(f"{len(self)} tensors are called {self[0].name}: {self.labels.which(self)}")


def shown(text: str, stop: Stop, variables: Mapping[str, Any]) -> str:
    """What `p` prints. Raises ReadingError."""
    value = read(text, stop, variables)
    if isinstance(value, Several):
        rows = [f"{len(value)} tensors are called {value[0].name}:"]
        for node in value[:40]:
            made = _made(node, stop)
            what = array_text(node.value) if made else "not made yet"
            rows.append(f"    {stop.labels.label(node):<10} {what}")
        rows += ["    ..."] * (len(value) > 40)
        if value.variable is not None:
            rows.append(f"in the program {value[0].name} is now {_one(value.variable, stop)}")
        return "\n".join(rows)
    if isinstance(value, Tensor):
        array = value.value
        return f"{stop.labels.label(value)}, shape {array.shape}:{_block(array)}"
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        return f"shape {array.shape}:{_block(array)}" if array.ndim else _plain(array)
    if isinstance(value, (tuple, list)) and any(isinstance(item, (Tensor, np.ndarray)) for item in value):
        return "\n".join(f"{k}: {_one(item, stop)}" for k, item in enumerate(value))
    return "None" if value is None else str(value)


def _one(item: Any, stop: Stop) -> str:
    return f"{stop.labels.label(item)}: {array_text(item.value)}" if isinstance(item, Tensor) else str(item)


def _plain(array: Any) -> str:
    return f"{array[()]:.10g}" if array.dtype.kind in "fiu" else str(array[()])


def _block(array: Any) -> str:
    text = np.array2string(array, precision=6, threshold=100, edgeitems=3, max_line_width=100)
    return f"\n{text}" if "\n" in text else f" {text}"


def read(text: str, stop: Stop, variables: Mapping[str, Any]) -> Any:
    """The value of an expression: a Tensor, an array, a number, or all tensors of a name."""
    asked = text.strip()
    text = re.sub(r"#(\d+)", r"event(\1)", text.strip())
    scoped: dict[str, list[Tensor]] = {}

    def place(match: re.Match[str]) -> str:
        found = stop.labels.find(match.group())
        if not found:
            return match.group()
        scoped[f"scoped_name_{len(scoped)}"] = found
        return f"scoped_name_{len(scoped) - 1}"

    text = re.sub(r"[A-Za-z_]\w*(?:/[A-Za-z_]\w*)+", place, text)
    text = _GRAD.sub(r"grad(\1)", text)
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        detail = error.msg if isinstance(error, SyntaxError) else str(error)
        detail = "nothing can be set here" if re.search(r"[^=<>!]=[^=]", text) else detail
        raise ReadingError(
            f"cannot read «{asked}»: {detail.rstrip('?.')}. Try p h[3], p grad W, p norm(c[3] - c[2])"
        ) from None
    try:
        with np.errstate(all="ignore"):
            return _Reader(stop, variables, scoped).value(tree)
    except ReadingError:
        raise
    except RecursionError:
        raise ReadingError("this is nested too deeply to be read") from None
    except (IndexError, ValueError, TypeError, ArithmeticError, MemoryError, AttributeError) as error:
        raise ReadingError(f"{type(error).__name__}: {error}") from None


def _made(node: Tensor, stop: Stop) -> bool:
    return stop.timeline.made_at(node.index) < stop.position


class _Reader:
    def __init__(self, stop: Stop, variables: Mapping[str, Any], scoped: Mapping[str, list[Tensor]]) -> None:
        self.stop, self.variables, self.scoped = stop, variables, scoped

    def value(self, tree: ast.expr) -> Any:
        if isinstance(tree, ast.Constant):
            if isinstance(tree.value, str):
                return self.named(tree.value)
            if isinstance(tree.value, (int, float, bool)) or tree.value is None:
                return tree.value
        if isinstance(tree, ast.Name):
            return self.named(tree.id)
        if isinstance(tree, ast.Subscript):
            return self.item(tree)
        if isinstance(tree, ast.Attribute):
            return self.attribute(tree)
        if isinstance(tree, ast.BinOp) and type(tree.op) in _BINARY:
            left, right = self.array(tree.left), self.array(tree.right)
            if isinstance(tree.op, ast.Pow):
                left = np.asarray(left, np.float64)  # a power of whole numbers could take for ever
            if np.size(left) * np.size(right) > MOST_ELEMENTS:
                raise ReadingError("that is too large to be computed here")
            return _BINARY[type(tree.op)](left, right)
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, (ast.USub, ast.UAdd)):
            operand = self.array(tree.operand)
            return -operand if isinstance(tree.op, ast.USub) else operand
        if isinstance(tree, ast.Compare) and len(tree.ops) == 1 and type(tree.ops[0]) in _COMPARE:
            return _COMPARE[type(tree.ops[0])](self.array(tree.left), self.array(tree.comparators[0]))
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and len(tree.args) == 1 and not tree.keywords:
            return self.call(tree.func.id, tree.args[0])
        if isinstance(tree, ast.Tuple):
            return tuple(self.value(item) for item in tree.elts)
        raise ReadingError(
            f"{type(tree).__name__.lower()} cannot be used here: there are names, indices, + - * / ** @, comparisons, "
            f"grad(...), {', '.join(f'{f}(...)' for f in _FUNCTIONS)} and .shape"
        )

    def array(self, tree: ast.expr) -> Any:
        value = self.value(tree)
        if isinstance(value, Several):
            value = value.one()
        return self.made(value).value if isinstance(value, Tensor) else value

    def made(self, node: Tensor) -> Tensor:
        if not _made(node, self.stop):
            at = self.stop.timeline.made_at(node.index)
            raise ReadingError(
                f"{self.stop.labels.label(node)} is not made yet: that is event {at + 1}, and this is the moment "
                f"after event {self.stop.position} (goto {at + 1})"
            )
        return node

    def named(self, name: str) -> Any:
        found = self.scoped.get(name) or self.stop.labels.find(name)
        if len(found) == 1:
            return self.made(found[0])
        if found:
            variable = self.variables.get(name)
            return Several(found, variable if isinstance(variable, Tensor) else None, self.stop.labels)
        if name in self.variables and isinstance(self.variables[name], (Tensor, np.ndarray, np.generic, int, float)):
            return self.variables[name]
        if name in WORDS:
            return self.said(name)
        if name == "grad" or name in _FUNCTIONS:
            raise ReadingError(f"{name} of what? As in p {name}{' W' if name == 'grad' else '(W)'}")
        raise ReadingError(f"nothing here is called «{name}»{self.stop.labels.nearest(name, self.stop.labels.named)}")

    def said(self, word: str) -> Any:
        """Of the stop."""
        found = self.stop.value if word == "result" else getattr(self.stop, word)
        if found is None or (isinstance(found, tuple) and not found):
            only = ": only backward events have one" * (
                word not in ("result", "total") and self.stop.kind != "backward"
            )
            raise ReadingError(f"there is no {word} at this event{only}")
        return found

    def item(self, tree: ast.Subscript) -> Any:
        name = getattr(tree.value, "id", getattr(tree.value, "value", None))  # h or 'h'
        if isinstance(name, str):  # `x[3]` of a landmark is the one at step 3, also where there is but one
            found = self.scoped.get(name) or self.stop.labels.find(name)
            at = self.index(tree.slice)
            if found and isinstance(at, int) and any(node.place.step is not None for node in found):
                there = [node for node in found if node.place.step == at]
                if not there:
                    raise ReadingError(f"there is no {name} at step {at}; {self.stop.labels.steps(found)}")
                if len(there) == 1:
                    return self.made(there[0])
                Several(there, None, self.stop.labels).none()
        value = self.value(tree.value)
        if isinstance(value, Several):
            value.none()
        value = self.made(value).value if isinstance(value, Tensor) else value
        return value[self.index(tree.slice)]

    def index(self, tree: ast.expr) -> Any:
        if isinstance(tree, ast.Slice):
            return slice(*[None if end is None else self.index(end) for end in (tree.lower, tree.upper, tree.step)])
        if isinstance(tree, ast.Tuple):
            return tuple(self.index(item) for item in tree.elts)
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
            return -self.index(tree.operand)
        if isinstance(tree, ast.Constant) and (type(tree.value) is int or tree.value in (None, Ellipsis)):
            return tree.value
        raise ReadingError("an index is a whole number or a slice, as in h[3], W[0, 1:3]")

    def attribute(self, tree: ast.Attribute) -> Any:
        value = self.value(tree.value)
        if isinstance(value, Several):
            value = value.one()
        if isinstance(value, Tensor):
            if tree.attr == "grad":
                return self.gradient(value)
            if tree.attr in _NOTES:
                place = value.place
                known: dict[str, Any] = {"name": value.name, "step": place.step, "scope": place.scope}
                known |= {"line": line_of(value), "op": value.primitive and value.primitive.name}
                if tree.attr == "line" and known["line"] is None:
                    raise ReadingError(f"its line is {NOT_RECORDED}")
                return known[tree.attr]
            value = value.value
        if tree.attr in _SHAPES and isinstance(value, (np.ndarray, np.generic)):
            return getattr(value, tree.attr)
        raise ReadingError(f"there is no .{tree.attr} here; there are {', '.join(sorted(_SHAPES | _NOTES))}")

    def call(self, name: str, argument: ast.expr) -> Any:
        if name == "grad":
            value = self.value(argument)
            if isinstance(value, Several):
                value = value.one()
            if not isinstance(value, Tensor) and isinstance(argument, ast.Subscript):
                return self.call("grad", argument.value)[self.index(argument.slice)]
            if not isinstance(value, Tensor):
                raise ReadingError("a gradient is that of a tensor, as in grad W or grad h[3]")
            return self.gradient(value)
        if name == "event":
            number = self.value(argument)
            made = self.stop.timeline.made
            if not isinstance(number, int) or not 1 <= number <= len(made):
                raise ReadingError(f"#k is the result of forward event k, from 1 to {len(made)}")
            return self.made(self.stop.timeline.order[made[number - 1]])
        if name == "shape":
            return np.shape(self.array(argument))
        if name in _FUNCTIONS:
            return _FUNCTIONS[name](self.array(argument))
        raise ReadingError(f"there is no function {name}; there are grad, shape, {', '.join(_FUNCTIONS)}")

    def gradient(self, node: Tensor) -> Any:
        stop, line = self.stop, self.stop.timeline
        if not line.seeds:
            raise ReadingError("there is no backward pass here, so there are no gradients")
        total = line.total(node.index, stop.position)
        if total is not None:
            return total
        label = stop.labels.label(node)
        edges = line.edges_into(node.index)
        if edges or node.index in line.seeds:
            first = line.forward_end if node.index in line.seeds else edges[0]
            raise ReadingError(f"nothing has arrived at {label} yet; the first does at event {first + 1} (goto it)")
        why = "it requires none" if not node.tracked else "no path leads from it to the loss"
        raise ReadingError(f"{label} gets no gradient: {why}")
