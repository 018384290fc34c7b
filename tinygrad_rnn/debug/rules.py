"""The rule of each operation as a formula, and the same formula with the numbers of one element put in.

In the formulas of elementwise operations every symbol is one element. dy is the cotangent of the result y, and dx what
the edge contributes to x; the derivative itself is dx without its factor dy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.primitives import Array, EverySlot
from ..engine.tensor import Tensor
from .linear import with_ones
from .terms import backward_terms, forward_terms, number, place


@dataclass(frozen=True, slots=True)
class Formula:
    """operands: their symbols; the last stands for all further ones. forward: y. backward: for each slot.

    derivatives: dy/dx for each slot. elementwise: whether each element of y comes from one element of each operand.
    """

    operands: tuple[str, ...]
    forward: str
    backward: tuple[str, ...]
    derivatives: tuple[str, ...]
    elementwise: bool = False

    def backward_at(self, slot: int) -> str:
        return self.backward[min(slot, len(self.backward) - 1)] if self.backward else "no gradient flows"

    def derivative_at(self, slot: int) -> str:
        return self.derivatives[min(slot, len(self.derivatives) - 1)] if self.derivatives else "0"

    def symbol_at(self, slot: int) -> str:
        symbol = self.operands[min(slot, len(self.operands) - 1)]
        return symbol if slot < len(self.operands) and symbol != "x_k" else f"x_{slot}"


def _each(forward: str, *derivatives: str) -> Formula:
    """Of an elementwise operation."""
    operands = {1: ("x",), 2: ("a", "b")}[max(1, len(derivatives))]
    backward = tuple(f"d{x} = {_times_dy(d)}" for x, d in zip(operands, derivatives, strict=True))
    return Formula(operands, f"y = {forward}", backward, derivatives, True)


def _times_dy(derivative: str) -> str:
    if derivative.startswith("-"):
        return "-" + _times_dy(derivative[1:])
    if derivative == "1":
        return "dy"
    if derivative.startswith("1 / "):
        return "dy / " + derivative.removeprefix("1 / ")
    outside = re.sub(r"\([^()]*\)", "", re.sub(r"\([^()]*\)", "", derivative))
    return f"dy * ({derivative})" if " - " in outside or " + " in outside else f"dy * {derivative}"


def _moved(forward: str, backward: str, derivative: str, operand: str = "x") -> Formula:
    return Formula((operand,), forward, (backward,), (derivative,))


_COMPARED = {"greater": ">", "greater_equal": ">=", "less": "<", "less_equal": "<=", "equal": "==", "not_equal": "!="}
_HALF = "1 where {0} comes out, 0.5 at a tie, else 0"

FORMULAS: dict[str, Formula] = {
    "identity": _each("x", "1"),
    "astype": _each("x in another dtype", "1"),
    "add": _each("a + b", "1", "1"),
    "subtract": _each("a - b", "1", "-1"),
    "multiply": _each("a * b", "b", "a"),
    "divide": _each("a / b", "1 / b", "-y / b"),
    "negative": _each("-x", "-1"),
    "power": _each("a ** b", "b * a ** (b - 1)", "y * log(a)"),
    "exp": _each("exp(x)", "y"),
    "expm1": _each("exp(x) - 1", "exp(x)"),
    "log": _each("log(x)", "1 / x"),
    "log1p": _each("log(1 + x)", "1 / (1 + x)"),
    "sqrt": _each("sqrt(x)", "1 / (2 * y)"),
    "square": _each("x * x", "2 * x"),
    "sin": _each("sin(x)", "cos(x)"),
    "cos": _each("cos(x)", "-sin(x)"),
    "sign": Formula(("x",), "y = sign(x)", (), (), True),
    "abs": _each("abs(x)", "sign(x)"),
    "tanh": _each("tanh(x)", "1 - y * y"),
    "sigmoid": _each("1 / (1 + exp(-x))", "y * (1 - y)"),
    "softplus": _each("log(1 + exp(x))", "1 / (1 + exp(-x))"),
    "relu": _each("max(x, 0)", "(1 if x > 0 else 0)"),
    **{name: Formula(("a", "b"), f"y = a {sign} b", (), (), True) for name, sign in _COMPARED.items()},
    "where": Formula(
        ("c", "a", "b"),
        "y = a if c else b",
        ("no gradient flows to a condition", "da = dy if c else 0", "db = 0 if c else dy"),
        ("0", "1 if c else 0", "0 if c else 1"),
        True,
    ),
    "maximum": Formula(
        ("a", "b"),
        "y = max(a, b)",
        ("da = dy where a comes out, dy / 2 at a tie", "db = dy where b comes out, dy / 2 at a tie"),
        (_HALF.format("a"), _HALF.format("b")),
    ),
    "minimum": Formula(
        ("a", "b"),
        "y = min(a, b)",
        ("da = dy where a comes out, dy / 2 at a tie", "db = dy where b comes out, dy / 2 at a tie"),
        (_HALF.format("a"), _HALF.format("b")),
    ),
    "clip": Formula(
        ("x",), "y = min(max(x, low), high)", ("dx = dy if low <= x <= high else 0",), ("1 inside, 0 outside",)
    ),
    "sum": _moved("y = sum of x over {axis}", "dx = dy, spread over {axis}", "1"),
    "max": _moved("y = max of x over {axis}", "dx = dy where x is the largest, in equal parts at ties", "1 at the max"),
    "min": _moved(
        "y = min of x over {axis}", "dx = dy where x is the smallest, in equal parts at ties", "1 at the min"
    ),
    "logsumexp": _moved("y = log(sum of exp(x) over {axis})", "dx = dy * exp(x - y)", "exp(x - y)"),
    "softmax": _moved(
        "y = exp(x) / sum of exp(x) over axis {axis}", "dx = y * (dy - sum of dy * y)", "diag(y) - y y^T"
    ),
    "log_softmax": _moved(
        "y = x - log(sum of exp(x) over axis {axis})", "dx = dy - exp(y) * sum of dy", "I - 1 exp(y)^T"
    ),
    "cumsum": _moved("y = running sums of x along axis {axis}", "dx = sums of dy from here to the end", "1 up to here"),
    "reshape": _moved("y = x in the shape {shape}", "dx = dy in the shape of x", "1"),
    "transpose": _moved("y = x with its axes in the order {axes}", "dx = dy with its axes back in order", "1"),
    "broadcast_to": _moved("y = x repeated to the shape {shape}", "dx = sum of dy over the repeats", "1"),
    "concatenate": _moved(
        "y = x_0, x_1, ... joined along axis {axis}", "dx_k = the part of dy that is x_k", "1", "x_k"
    ),
    "stack": _moved("y = x_0, x_1, ... stacked along axis {axis}", "dx_k = dy[k] along axis {axis}", "1", "x_k"),
    "pad": _moved("y = x with {value} around it, widths {widths}", "dx = dy without the border", "1"),
    "slice": _moved("y = x[{index}]", "dx[{index}] = dy, 0 elsewhere", "1"),
    "put_slice": _moved("y[{index}] = x, 0 elsewhere", "dx = dy[{index}]", "1"),
    "gather": _moved("y = x[{index}]", "dx[{index}] += dy, 0 elsewhere", "1"),
    "scatter_add": _moved("y[{index}] += x, 0 elsewhere", "dx = dy[{index}]", "1"),
    "matmul": Formula(("a", "b"), "y = a @ b", ("da = dy @ b^T", "db = a^T @ dy"), ("b^T", "a^T")),
    "linear": Formula(("x", "W", "b"), "y = x @ W^T + b", ("dx = dy @ W", "dW = dy^T @ x", "db = dy"), ("W", "x", "1")),
    "einsum": _moved(
        'y = einsum("{subscripts}", x_0, ...)', "dx_k = einsum of dy and the other x", "the other x", "x_k"
    ),
}


def formula_of(node: Tensor) -> Formula:
    """The rule of the operation that made a node. Raises ValueError for a leaf."""
    if node.primitive is None:
        raise ValueError("a leaf is given, and has no rule")
    name = node.primitive.name
    formula = FORMULAS.get(name) or Formula(("x_k",), f"y = {name}(x_0, ...)", (), ())
    if name == "linear" and len(node.inputs) == 2:
        formula = Formula(("x", "W"), "y = x @ W^T", formula.backward, formula.derivatives)
    settings = {key: _setting(key, value, node) for key, value in node.params.items()}
    if not settings:
        return formula
    return Formula(
        formula.operands,
        _filled(formula.forward, settings),
        tuple(_filled(text, settings) for text in formula.backward),
        formula.derivatives,
        formula.elementwise,
    )


def _filled(text: str, settings: Mapping[str, str]) -> str:
    for key, value in settings.items():
        text = text.replace("{" + key + "}", value)
    return text


def _setting(key: str, value: Any, node: Tensor) -> str:
    if key == "index":
        return ", ".join(map(_index_text, value))
    if key == "axis" and isinstance(value, tuple):
        whole = len(value) == node.inputs[0].value.ndim
        return "all elements" if whole else f"axis {', '.join(map(str, value))}"
    return str(value)


def _index_text(item: Any) -> str:
    if isinstance(item, slice):
        ends = ["" if end is None else str(end) for end in (item.start, item.stop)]
        return ":".join(ends) + ("" if item.step in (None, 1) else f":{item.step}")
    if item is Ellipsis:
        return "..."
    if isinstance(item, np.ndarray):
        return np.array2string(item, threshold=6, separator=", ")
    return str(item)


# With numbers -----------------------------------------------------------------------------------------------------


def forward_numbers(node: Tensor) -> str | None:
    """The formula of a node with the numbers of its most telling element; None where it is no matter of one line."""
    if node.value.size == 0:
        return None
    at = telling(node.value)
    formula = formula_of(node)
    operands = [x.value for x in node.inputs]
    if formula.elementwise:
        text = formula.forward.removeprefix("y = ")
        return f"y{place(at)}: {number(node.value[at])} = {_put_in(text, _elements(formula, node, operands, at))}"
    terms = forward_terms(node, at)
    return None if terms is None else f"y{place(at)}: {number(node.value[at])} = {terms}"


def backward_numbers(node: Tensor, slot: int, cotangent: Array, contribution: Array) -> str | None:
    """The rule at one slot with the numbers of the most telling element of what it contributes."""
    if contribution.size == 0:
        return None
    at = telling(contribution)
    formula = formula_of(node)
    operands = [x.value for x in node.inputs]
    symbol = f"d{formula.symbol_at(slot)}{place(at)}: {number(contribution[at])} = "
    if formula.elementwise and contribution.shape == node.value.shape:
        known = {**_elements(formula, node, operands, at), "y": node.value[at], "dy": cotangent[at]}
        return symbol + _put_in(formula.backward_at(slot).partition(" = ")[2], known)
    terms = backward_terms(node, slot, cotangent, at)
    return None if terms is None else symbol + terms


def telling(values: Array) -> tuple[int, ...]:
    """The index of the first NaN, else of the first Inf, else of the largest size."""
    sizes = np.abs(values) if values.dtype.kind != "b" else values
    flat = int(np.argmax(sizes))  # of the first NaN, if there is one, and an Inf is the largest
    return tuple(int(k) for k in np.unravel_index(flat, values.shape))


def _elements(formula: Formula, node: Tensor, operands: Sequence[Array], at: tuple[int, ...]) -> dict[str, Any]:
    spread = [np.broadcast_to(x, node.value.shape) for x in operands]
    return {symbol: x[at] for symbol, x in zip(formula.operands, spread, strict=False)}


def _put_in(text: str, known: Mapping[str, Any]) -> str:
    def one(match: re.Match[str]) -> str:
        if match.group() not in known:
            return match.group()
        shown = number(known[match.group()])
        return f"({shown})" if shown.startswith("-") else shown

    return re.sub(r"\(\((-[^()]+)\)\)", r"(\1)", re.sub(r"\b[a-z]\w*\b(?!\()", one, text))


def local_derivative(node: Tensor, slot: int) -> Array | None:
    """dy/dx of an elementwise operation, element by element, of the shape of y; None for all others."""
    if node.primitive is None or not FORMULAS[node.primitive.name].derivatives:
        return None
    names_of_maximum = ("maximum", "minimum", "clip")
    if not (FORMULAS[node.primitive.name].elementwise or node.primitive.name in names_of_maximum):
        return None
    rules: Any = node.primitive.rules
    if type(rules) is EverySlot or rules[slot] is None:
        return None
    return with_ones(node, slot)
