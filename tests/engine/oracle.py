"""A tiny oracle for random programs: forward mode, on dual numbers, with the engine's conventions at ties and kinks.

It shares nothing with the engine: no rule is transposed, no broadcasting undone, nothing recorded. A value carries how
it moves with each element of the inputs, on a leading axis. It also runs on complex numbers, so that the complex step
through it gives second derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tests.engine.libraries import NUMPY
from tests.engine.programs import Array, Library, Program, loss_of, values_of


class Dual(NamedTuple):
    value: Array
    moves: Array  # (elements of all inputs, *shape of the value)


def gradients(program: Program, inputs: list[Array]) -> list[Array]:
    """The gradients of the loss by each input."""
    count = sum(x.size for x in inputs)
    rows = np.split(np.eye(count), np.cumsum([x.size for x in inputs])[:-1], axis=1)
    duals = [Dual(x, row.reshape((count, *x.shape))) for x, row in zip(inputs, rows, strict=True)]
    moves = loss_of(program, ORACLE, duals).moves
    return [
        m.reshape(x.shape)
        for m, x in zip(np.split(moves, np.cumsum([x.size for x in inputs])[:-1]), inputs, strict=True)
    ]


def moved_along(program: Program, inputs: list[Array], directions: list[Array]) -> list[Array]:
    """How every value of the program moves when the inputs move along these directions."""
    duals = [Dual(x, d[None]) for x, d in zip(inputs, directions, strict=True)]
    return [value.moves[0] for value in values_of(program, ORACLE, duals)]


def hessian_times(program: Program, inputs: list[Array], directions: list[Array]) -> list[Array]:
    """The Hessian of the loss times a direction, by the complex step through the gradients.

    The square of the step underflows to 0, so that real parts, which decide at kinks, stay exactly as they are.
    """
    moved = [x + 1e-200j * d for x, d in zip(inputs, directions, strict=True)]
    return [g.imag / 1e-200 for g in gradients(program, moved)]


def _each(f: Callable[..., Array], *moves: Array) -> Array:
    """f of every row."""
    rows = [f(*row) for row in zip(*moves, strict=True)]
    return np.array(rows) if rows else np.zeros((0, *np.shape(f(*[np.zeros(m.shape[1:]) for m in moves]))))


def _scaled(factor: Array, moves: Array) -> Array:
    """The moves of a factor times a value, broadcast against each other."""
    added = max(np.ndim(factor) - (moves.ndim - 1), 0)
    return factor * moves.reshape((len(moves), *[1] * added, *moves.shape[1:]))


def elementwise(f: Callable[[Array], Array], slope: Callable[[Array], Any]) -> Callable[..., Dual]:
    return lambda x: Dual(f(x.value), _scaled(slope(x.value), x.moves))


def pairwise(
    f: Callable[[Array, Array], Array], by_a: Callable[..., Any], by_b: Callable[..., Any]
) -> Callable[..., Dual]:
    def dual(a: Dual, b: Dual) -> Dual:
        y = np.asarray(f(a.value, b.value))
        ones = np.ones(y.shape)  # so that both sets of moves have the shape of the result
        moves = _scaled(by_a(a.value, b.value) * ones, a.moves) + _scaled(by_b(a.value, b.value) * ones, b.moves)
        return Dual(y, moves)

    return dual


def linear_map(name: str) -> Callable[..., Dual]:
    """An operation that is linear in all its operands taken together moves as its operands do."""

    def dual(*xs: Dual, **how: Any) -> Dual:
        f = NUMPY[name]
        straight = {**how, "value": 0.0} if "value" in how else how
        return Dual(
            np.asarray(f(*[x.value for x in xs], **how)),
            _each(lambda *row: f(*row, **straight), *[x.moves for x in xs]),
        )

    return dual


def product(name: str) -> Callable[..., Dual]:
    """An operation that is linear in each of its operands: the sum of what happens when each one moves."""

    def dual(*xs: Dual, **how: Any) -> Dual:
        values = [x.value for x in xs]
        moves = [
            _each(lambda row, k=k: np.asarray(NUMPY[name](*values[:k], row, *values[k + 1 :], **how)), x.moves)
            for k, x in enumerate(xs)
        ]
        return Dual(np.asarray(NUMPY[name](*values, **how)), np.sum(moves, axis=0))

    return dual


def weighted_sum(weights: Callable[..., Array], value: Callable[..., Array]) -> Callable[..., Dual]:
    """A reduction whose derivative is known: it moves by the weighted sum of its elements' moves."""

    def dual(x: Dual, axis: Any, keepdims: bool) -> Dual:
        w = weights(x.value, axis)
        moves = _each(lambda row: np.asarray(np.sum(w * row, axis=axis, keepdims=keepdims)), x.moves)
        return Dual(np.asarray(value(x.value, axis, keepdims)), moves)

    return dual


def _shares(best: Callable[..., Array]) -> Callable[..., Array]:
    def weights(x: Array, axis: Any) -> Array:
        hit = x.real == best(x.real, axis=axis, keepdims=True)
        return hit / hit.sum(axis=axis, keepdims=True)

    return weights


# The real part is chosen exactly, so that ties stay ties; the imaginary part, of the complex step, is shared out.


def _best(best: Callable[..., Array], x: Array, axis: Any, keepdims: bool) -> Any:
    y = best(x.real, axis=axis, keepdims=keepdims)
    if not np.iscomplexobj(x):
        return y
    return y + 1j * np.sum(_shares(best)(x, axis) * x.imag, axis=axis, keepdims=keepdims)


def _beats(a: Array, b: Array) -> Array:
    """1 where a is larger, 0 where b is, 1/2 at a tie."""
    return 0.5 + 0.5 * np.sign(a.real - b.real)


def _shared(a: Array, b: Array, by_a: Array) -> Array:
    y = np.where(by_a > 0.5, a.real, b.real)
    return y + 1j * (by_a * a.imag + (1 - by_a) * b.imag) if np.iscomplexobj(a) or np.iscomplexobj(b) else y


def _softmax(x: Array, axis: Any) -> Array:
    e = np.exp(x)
    return e / e.sum(axis=axis, keepdims=True)


def _chosen(a: Dual, b: Dual, condition: Array) -> Dual:
    y = np.where(condition, a.value, b.value)
    return Dual(y, _each(lambda p, q: np.where(condition, p, q), a.moves, b.moves))


def _where_greater(a: Dual, b: Dual) -> Dual:
    return _chosen(a, ORACLE["square"](b), a.value.real > b.value.real)


def _along(f: Callable[..., Array], moved: Callable[..., Array]) -> Callable[..., Dual]:
    def dual(x: Dual, axis: int) -> Dual:
        p = _softmax(x.value, axis)
        return Dual(f(p), _each(lambda row: moved(p, row - np.sum(p * row, axis=axis, keepdims=True)), x.moves))

    return dual


def _clipped(x: Dual, low: float, high: float) -> Dual:
    r = x.value.real
    y = np.where(r < low, low, np.where(r > high, high, x.value))
    return Dual(y, _scaled((r >= low) & (r <= high), x.moves))


def _powered(x: Dual, number: float) -> Dual:
    slope = number * x.value ** (number - 1) if number else np.zeros(x.value.shape)
    return Dual(x.value**number, _scaled(slope, x.moves))


def _affine(x: Dual, w: Dual, *b: Dual) -> Dual:
    y = product("linear")(x, w)
    return ORACLE["add"](y, b[0]) if b else y


ORACLE: Library = {
    "named": lambda x: x,
    "negative": elementwise(np.negative, lambda x: -1.0),
    "exp": elementwise(np.exp, np.exp),
    "expm1": elementwise(lambda x: np.exp(x) - 1, np.exp),
    "log": elementwise(np.log, lambda x: 1 / x),
    "log1p": elementwise(lambda x: np.log(1 + x), lambda x: 1 / (1 + x)),
    "sqrt": elementwise(np.sqrt, lambda x: 0.5 * x**-0.5),
    "square": elementwise(lambda x: x * x, lambda x: 2 * x),
    "sin": elementwise(np.sin, np.cos),
    "cos": elementwise(np.cos, lambda x: -np.sin(x)),
    "tanh": elementwise(np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "sigmoid": elementwise(lambda x: 1 / (1 + np.exp(-x)), lambda x: 0.25 / np.cosh(x / 2) ** 2),
    "softplus": elementwise(lambda x: np.log(1 + np.exp(x)), lambda x: 1 / (1 + np.exp(-x))),
    "abs": elementwise(lambda x: x * np.sign(x.real), lambda x: np.sign(x.real)),
    "relu": elementwise(lambda x: x * (x.real > 0), lambda x: x.real > 0),
    "clip": _clipped,
    "add": pairwise(np.add, lambda a, b: 1.0, lambda a, b: 1.0),
    "subtract": pairwise(np.subtract, lambda a, b: 1.0, lambda a, b: -1.0),
    "multiply": pairwise(np.multiply, lambda a, b: b, lambda a, b: a),
    "divide": pairwise(np.divide, lambda a, b: 1 / b, lambda a, b: -a / (b * b)),
    "power": pairwise(np.power, lambda a, b: b * a ** (b - 1), lambda a, b: a**b * np.log(a)),
    "maximum": pairwise(lambda a, b: _shared(a, b, _beats(a, b)), lambda a, b: _beats(a, b), lambda a, b: _beats(b, a)),
    "minimum": pairwise(lambda a, b: _shared(a, b, _beats(b, a)), lambda a, b: _beats(b, a), lambda a, b: _beats(a, b)),
    "power_of_number": _powered,
    "number_minus": lambda x, number: Dual(number - x.value, -x.moves),
    "where": _chosen,
    "where_greater": _where_greater,
    "max": weighted_sum(_shares(np.max), lambda *args: _best(np.max, *args)),
    "min": weighted_sum(_shares(np.min), lambda *args: _best(np.min, *args)),
    "logsumexp": weighted_sum(
        _softmax, lambda x, axis, keepdims: np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))
    ),
    "softmax": _along(lambda p: p, lambda p, row: p * row),
    "log_softmax": _along(np.log, lambda p, row: row),
    "weighted": lambda x, weights: Dual(x.value * weights, _scaled(weights, x.moves)),
    "linear": _affine,
    **{name: product(name) for name in ["matmul", "dot", "outer", "einsum"]},
    **{
        name: linear_map(name)
        for name in [
            *["sum", "mean", "cumsum", "reshape", "transpose", "swapaxes", "moveaxis", "expand_dims", "squeeze"],
            *["broadcast_to", "concatenate", "stack", "split", "pad", "slice", "gather", "embedding"],
        ]
    },
}
