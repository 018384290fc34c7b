"""The closed table of operations: for each, how to compute it and one vjp rule for each of its inputs.

A rule maps the cotangent `g` of the result `y` to the contribution to one input:

    rule(g, y, *inputs, **params)        tanh: g * (1 - y * y)

Three laws hold for all of them, and the tests check each on the whole table.

- A rule is linear in `g` and accepts any number of extra *leading axes* on it; so axes are negative throughout.
- A rule is written in plain NumPy: it runs on arrays, and on Tensors where a gradient is differentiated again. A
  primitive called inside a rule therefore computes on arrays and records on Tensors.
- A rule need not undo broadcasting: its contribution may have the shape that the input was broadcast to.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from types import EllipsisType
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Rule = Callable[..., Any]
Index = tuple[Any, ...]


class Recorded:
    """What a primitive recognises a Tensor by."""

    __slots__ = ()

    @staticmethod
    def record(primitive: Primitive, inputs: Sequence[Any], params: dict[str, Any]) -> Any:
        raise NotImplementedError


class Primitive:
    """One operation of the table.

    name: unique, and what pictures and messages call it.
    forward: arrays -> array.
    rules: one vjp rule for each input slot, None where no gradient flows.
    differentiable: False for comparisons and the like, whose results never require a gradient.
    analytic: True if the forward function is complex-analytic, so that the complex step can check it.
    add_into: where a rule's contribution is mostly zeros (the vjp of a slice), how to add it into a buffer instead.
    """

    __slots__ = ("add_into", "analytic", "differentiable", "forward", "name", "rules")

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        rules: Sequence[Rule | None] | EverySlot,
        analytic: bool,
        add_into: Callable[..., None] | None,
    ) -> None:
        self.name = name
        self.forward = forward
        self.rules = rules
        self.differentiable = bool(rules)
        self.analytic = analytic
        self.add_into = add_into

    def __call__(self, *inputs: Any, **params: Any) -> Any:
        for x in inputs:
            if isinstance(x, Recorded):
                return x.record(self, inputs, params)
        return self.forward(*inputs, **params)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


class EverySlot:
    """The rules of an operation with any number of inputs: `rule(g, y, *inputs, **params)` maps a slot to its
    contribution, so that what the slots share is computed once."""

    __slots__ = ("rule",)

    def __init__(self, rule: Callable[..., Callable[[int], Any]]) -> None:
        self.rule = rule

    def __getitem__(self, slot: int) -> Rule:
        return lambda g, y, *inputs, **params: self.rule(g, y, *inputs, **params)(slot)


TABLE: dict[str, Primitive] = {}


def define(
    name: str,
    forward: Callable[..., Any],
    *rules: Rule | None,
    every_slot: Callable[..., Callable[[int], Any]] | None = None,
    analytic: bool = True,
    add_into: Callable[..., None] | None = None,
) -> Primitive:
    """Put an operation into the table. Raises ValueError if the name is taken: an operation has one rule a slot."""
    if name in TABLE:
        raise ValueError(f"the table already has a primitive called {name!r}; an operation is defined once")
    TABLE[name] = Primitive(name, forward, EverySlot(every_slot) if every_slot else rules, analytic, add_into)
    return TABLE[name]


# Where the leading axes are ---------------------------------------------------------------------------------------


def lead(g: Any, y: Any) -> Any:
    """How many leading axes the cotangent `g` of `y` has."""
    return g.ndim - y.ndim


def behind(axes: int, index: Index) -> Index:
    """The same index behind so many leading axes."""
    return (slice(None),) * axes + index


def lead_last(v: Any, axes: int) -> Any:
    return v.transpose((*range(axes, v.ndim), *range(axes))) if axes else v


def lead_first(v: Any, axes: int) -> Any:
    return v.transpose((*range(v.ndim - axes, v.ndim), *range(v.ndim - axes))) if axes else v


def along(axis: int, what: Any) -> tuple[EllipsisType | Any, ...]:
    """The index that takes `what` of a negative axis, and everything of the others."""
    return (Ellipsis, what) + (slice(None),) * (-axis - 1)


def kept(v: Any, y: Any, x: Any, axis: tuple[int, ...]) -> Any:
    """`v`, a value or cotangent of the reduction `y`, with the reduced axes of `x` back in place, of length 1."""
    shape = list(x.shape)
    for a in axis:
        shape[a] = 1
    return v.reshape((*v.shape[: lead(v, y)], *shape))


# Arithmetic -------------------------------------------------------------------------------------------------------

identity = define("identity", lambda x: x, lambda g, y, x: g)
astype = define("astype", lambda x, dtype: x.astype(dtype), lambda g, y, x, dtype: g, analytic=False)

add = define("add", np.add, lambda g, y, a, b: g, lambda g, y, a, b: g)
subtract = define("subtract", np.subtract, lambda g, y, a, b: g, lambda g, y, a, b: -g)
multiply = define("multiply", np.multiply, lambda g, y, a, b: g * b, lambda g, y, a, b: g * a)
divide = define("divide", np.divide, lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b)
negative = define("negative", np.negative, lambda g, y, x: -g)
# d a**b/da at b = 0 is 0, also at a = 0 where b a**(b-1) is 0 * inf; d a**b/db at a = 0 is 0. It is b - 1.0, since
# 0 - 1 of unsigned integers is a large number. The logarithm is in the precision of y, if a has less.
power = define(
    "power",
    np.power,
    lambda g, y, a, b: g * (b * a ** where(a == 0, where(b == 0, 1, b - 1.0), b - 1.0)),
    lambda g, y, a, b: g * (where(a == 0, 0.0, y) * log(where(a == 0, y.dtype.type(1), a))),
)

exp = define("exp", np.exp, lambda g, y, x: g * y)
expm1 = define("expm1", np.expm1, lambda g, y, x: g * exp(x))
log: Primitive = define("log", np.log, lambda g, y, x: g / x)
log1p = define("log1p", np.log1p, lambda g, y, x: g / (1 + x))
sqrt = define("sqrt", np.sqrt, lambda g, y, x: g / (2 * y))
square = define("square", np.square, lambda g, y, x: g * (2 * x))
sin = define("sin", np.sin, lambda g, y, x: g * cos(x))
cos: Primitive = define("cos", np.cos, lambda g, y, x: -g * sin(x))
sign = define("sign", np.sign, analytic=False)
absolute = define("abs", np.abs, lambda g, y, x: g * sign(x), analytic=False)

# Squashing functions ----------------------------------------------------------------------------------------------


# By the letter of a dtype: 1, and nearly the largest x whose exp(x) is finite. As 0-d arrays, since NumPy converts a
# number at every use, which takes as long as adding sixteen elements.
_ONE = {c: np.ones((), c) for c in "efdgFDG"}
_LARGEST_EXPONENT = {c: np.asarray(np.log(np.finfo(c).max) - 1, c) for c in _ONE}


def _floats(x: Array) -> Array:
    """Whole numbers as floats: of small ones a difference wraps around, and NumPy takes exp in half precision."""
    return x if x.dtype.char in _ONE else x.astype(np.float64)


def _sigmoid(x: Array) -> Any:
    """1 / (1 + exp(-x)), as exp(x) / (1 + exp(x)): that keeps its relative accuracy on the left until exp(x) itself
    underflows (a forget gate at x = -40 is 4e-18, not 0), and on the right no exp(x) needs to be larger than the
    largest number, since the quotient is 1 long before."""
    kind = x.dtype.char
    if kind not in _ONE:
        return _sigmoid(_floats(x))
    e = np.exp(np.minimum(x, _LARGEST_EXPONENT[kind]))
    return e / (_ONE[kind] + e)


def _softplus(x: Array) -> Array:
    """log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))."""
    x = _floats(x)
    return np.where(x > 0, x, 0.0) + np.log1p(np.exp(np.where(x > 0, -x, x)))


tanh = define("tanh", np.tanh, lambda g, y, x: g * (_ONE[y.dtype.char] - y * y))
sigmoid = define("sigmoid", _sigmoid, lambda g, y, x: g * (y - y * y))
softplus = define("softplus", _softplus, lambda g, y, x: g * sigmoid(x))
relu = define("relu", lambda x: np.maximum(x, 0), lambda g, y, x: where(x <= 0, 0.0, g), analytic=False)

# Choosing: a `where` selects and never multiplies, since inf * False is nan ---------------------------------------

greater = define("greater", np.greater)
greater_equal = define("greater_equal", np.greater_equal)
less = define("less", np.less)
less_equal = define("less_equal", np.less_equal)
equal = define("equal", np.equal)
not_equal = define("not_equal", np.not_equal)


def _winner(g: Any, y: Any, mine: Any, other: Any) -> Any:
    """All of the gradient where an operand is what came out (a NaN, too), half of it at a tie."""
    came_out = where(mine == y, True, mine != mine)
    return where(mine == other, g * 0.5, where(came_out, g, 0.0))


where: Primitive = define(
    "where",
    np.where,
    None,
    lambda g, y, c, a, b: where(c, g, 0.0),
    lambda g, y, c, a, b: where(c, 0.0, g),
)
maximum = define(
    "maximum",
    np.maximum,
    lambda g, y, a, b: _winner(g, y, a, b),
    lambda g, y, a, b: _winner(g, y, b, a),
    analytic=False,
)
minimum = define(
    "minimum",
    np.minimum,
    lambda g, y, a, b: _winner(g, y, a, b),
    lambda g, y, a, b: _winner(g, y, b, a),
    analytic=False,
)
# At the two edges the gradient passes, as in PyTorch.
clip = define(
    "clip",
    lambda x, low, high: np.clip(x, low, high),
    lambda g, y, x, low, high: where(x < low, 0.0, where(x > high, 0.0, g)),
    analytic=False,
)

# Reductions: `axis` is a tuple of negative axes --------------------------------------------------------------------


def _sum_rule(g: Any, y: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    return broadcast_to(kept(g, y, x, axis), shape=(*g.shape[: lead(g, y)], *x.shape))


def _extreme_rule(g: Any, y: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """Equal parts to all elements that tie; all of it to a NaN, since that is what came out."""
    hit = where(x == x, x == kept(y, y, x, axis), True)
    return where(hit, kept(g, y, x, axis) / hit.sum(axis=axis, keepdims=True), 0.0)


def _logsumexp(x: Array, axis: tuple[int, ...], keepdims: bool) -> Any:
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)  # all -inf: log(0) is the answer, not nan
    with np.errstate(divide="ignore"):
        y = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return y if keepdims else np.squeeze(y, axis)


def _softmax(x: Array, axis: int) -> Any:
    x = _floats(x)
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _log_softmax(x: Array, axis: int) -> Any:
    x = _floats(x)
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


total = define("sum", lambda x, axis, keepdims: x.sum(axis=axis, keepdims=keepdims), _sum_rule)
largest = define("max", lambda x, axis, keepdims: x.max(axis=axis, keepdims=keepdims), _extreme_rule, analytic=False)
smallest = define("min", lambda x, axis, keepdims: x.min(axis=axis, keepdims=keepdims), _extreme_rule, analytic=False)
logsumexp = define(
    "logsumexp",
    _logsumexp,
    lambda g, y, x, axis, keepdims: kept(g, y, x, axis) * exp(x - kept(y, y, x, axis)),
)
softmax = define("softmax", _softmax, lambda g, y, x, axis: y * (g - (g * y).sum(axis=axis, keepdims=True)))
log_softmax = define("log_softmax", _log_softmax, lambda g, y, x, axis: g - exp(y) * g.sum(axis=axis, keepdims=True))
cumsum = define(
    "cumsum",
    lambda x, axis: x.cumsum(axis=axis),
    lambda g, y, x, axis: _reversed(_reversed(g, axis).cumsum(axis=axis), axis),
)


def _reversed(v: Any, axis: int) -> Any:
    return v[along(axis, slice(None, None, -1))]


# Shapes -----------------------------------------------------------------------------------------------------------


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axes.index(a) - len(axes) for a in range(-len(axes), 0))


reshape = define(
    "reshape",
    lambda x, shape: x.reshape(shape),
    lambda g, y, x, shape: g.reshape((*g.shape[: lead(g, y)], *x.shape)),
)
transpose = define(
    "transpose",
    lambda x, axes: x.transpose(axes),
    lambda g, y, x, axes: g.transpose((*range(lead(g, y)), *_inverse(axes))),
)
broadcast_to = define("broadcast_to", lambda x, shape: np.broadcast_to(x, shape), lambda g, y, x, shape: g)


def _concatenate_rule(g: Any, y: Any, *xs: Any, axis: int) -> Callable[[int], Any]:
    ends = list(itertools.accumulate(x.shape[axis] for x in xs))
    return lambda slot: g[along(axis, slice(ends[slot] - xs[slot].shape[axis], ends[slot]))]


def _pad_rule(g: Any, y: Any, x: Any, widths: tuple[tuple[int, int], ...], value: float) -> Any:
    return g[behind(lead(g, y), tuple(slice(a, a + n) for (a, _), n in zip(widths, x.shape, strict=True)))]


concatenate = define("concatenate", lambda *xs, axis: np.concatenate(xs, axis), every_slot=_concatenate_rule)
stack = define(
    "stack",
    lambda *xs, axis: np.stack(xs, axis),
    every_slot=lambda g, y, *xs, axis: lambda slot: g[along(axis, slot)],
)
pad = define("pad", lambda x, widths, value: np.pad(x, widths, constant_values=value), _pad_rule)

# Indexing: a slice (ints, slices, None) and a gather (with integer arrays) are two primitives, each with its
# transpose, which puts what was taken back into zeros --------------------------------------------------------------


def _slice_into(buffer: Array, g: Array, axes: int, index: Index) -> None:
    index = behind(axes, index) if axes else index
    part = buffer[index]
    if part.ndim:  # a view: added to where it is, without NumPy's writing it back into the buffer
        part += g
    else:
        buffer[index] += g


def _put_slice(v: Array, shape: tuple[int, ...], index: Index, axes: int) -> Array:
    out = np.zeros(v.shape[:axes] + shape, v.dtype)
    out[behind(axes, index)] = v
    return out


def _gather_into(buffer: Array, g: Array, axes: int, index: Index) -> None:
    # NumPy puts the axes of separated index arrays first: with the leading axes last they cannot be in the way.
    np.add.at(lead_last(buffer, axes), index, lead_last(g, axes))


def _scatter_add(v: Array, shape: tuple[int, ...], index: Index, axes: int) -> Array:
    out = np.zeros(v.shape[:axes] + shape, v.dtype)
    _gather_into(out, v, axes, index)
    return out


def _gather_behind(g: Any, axes: int, index: Index) -> Any:
    return lead_first(gather(lead_last(g, axes), index=index), axes)


take_slice = define(
    "slice",
    lambda x, index: x[index],
    lambda g, y, x, index: put_slice(g, shape=x.shape, index=index, axes=lead(g, y)),
    add_into=_slice_into,
)
put_slice: Primitive = define(
    "put_slice",
    _put_slice,
    lambda g, y, v, shape, index, axes: g[behind(lead(g, y) + axes, index)],
)
gather = define(
    "gather",
    lambda x, index: x[index],
    lambda g, y, x, index: scatter_add(g, shape=x.shape, index=index, axes=lead(g, y)),
    add_into=_gather_into,
)
scatter_add: Primitive = define(
    "scatter_add",
    _scatter_add,
    lambda g, y, v, shape, index, axes: _gather_behind(g, lead(g, y) + axes, index),
)

# Products ---------------------------------------------------------------------------------------------------------


def _matmul_left(g: Any, y: Any, a: Any, b: Any) -> Any:
    if b.ndim == 1:
        return g[..., None] * b
    if a.ndim == 1:
        return (b @ g[..., None])[..., 0]
    return g @ b.swapaxes(-1, -2)


def _matmul_right(g: Any, y: Any, a: Any, b: Any) -> Any:
    if a.ndim == 1:
        return g[..., None] * a if b.ndim == 1 else a[:, None] * g[..., None, :]
    if b.ndim == 1:
        return (a.swapaxes(-1, -2) @ g[..., None])[..., 0]
    return a.swapaxes(-1, -2) @ g


_MANY = 10**6  # multiplications, from which on it is worth asking how a matrix lies in memory


def _times(a: Any, w: Any) -> Any:
    """a @ w, where w is a matrix. `dot` is the quicker spelling for what needs no broadcasting."""
    if a.ndim > 2:
        return a @ w
    if len(a) * w.size < _MANY or isinstance(w, Recorded) or not w.flags.fnc:
        return a.dot(w)
    # BLAS takes up to twice as long for a w that lies column by column, but not for the product of the transposes.
    return np.ascontiguousarray(w.T.dot(a.T).T)


def _linear(x: Array, w: Array, b: Array | None = None) -> Array:
    if w.ndim != 2 or not x.ndim:  # NumPy would multiply these otherwise; that the sizes fit it sees itself
        raise ValueError
    y: Array = _times(x, w.T)
    if b is None:
        return y
    if b.ndim != 1 or len(b) != len(w):
        raise ValueError
    if y.dtype is not b.dtype:
        return y + b
    rows = y[0] if y.ndim == 2 and len(y) == 1 else y  # NumPy takes twice as long where it broadcasts
    rows += b  # in place, since nobody else has seen the product yet
    return y


def _linear_weight(g: Any, y: Any, x: Any, w: Any, *bias: Any) -> Any:
    if x.ndim == g.ndim == 2:
        return g.T.dot(x)
    if x.ndim == 1:
        return g[..., None] * x
    rows = math.prod(x.shape[:-1])
    columns = g.reshape((*g.shape[: lead(g, y)], rows, g.shape[-1])).swapaxes(-1, -2)
    return columns @ x.reshape((rows, x.shape[-1]))


matmul = define("matmul", np.matmul, _matmul_left, _matmul_right)
linear = define("linear", _linear, lambda g, y, x, w, *bias: _times(g, w), _linear_weight, lambda g, y, x, w, b: g)

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _einsum(*xs: Array, subscripts: str) -> Array:
    return np.asarray(np.einsum(subscripts, *xs, optimize=len(xs) > 2 or _is_large(subscripts, xs)))


_LARGE_EINSUM = 50_000  # multiplications


def _is_large(subscripts: str, xs: Sequence[Array]) -> bool:
    """Whether it is worth looking for a way to compute it by matrix products, which takes as long as a small einsum."""
    sizes: dict[str, int] = {
        c: n
        for term, x in zip(subscripts.split("->")[0].split(","), xs, strict=False)
        for c, n in zip(term, x.shape, strict=False)
    }
    return math.prod(sizes.values()) > _LARGE_EINSUM


def _einsum_rule(g: Any, y: Any, *xs: Any, subscripts: str) -> Callable[[int], Any]:
    return lambda slot: _einsum_slot(g, y, *xs, subscripts=subscripts, slot=slot)


def _einsum_slot(g: Any, y: Any, *xs: Any, subscripts: str, slot: int) -> Any:
    """An einsum of g with the other operands; what only this operand has was summed over, and is broadcast again."""
    terms, out = subscripts.split("->")[0].split(","), subscripts.split("->")[1]
    ahead = "".join([c for c in LETTERS if c not in subscripts][: lead(g, y)])
    others = [*terms[:slot], *terms[slot + 1 :]]
    here = "".join(c for c in terms[slot] if c in out or any(c in term for term in others))
    contribution = einsum(
        g, *xs[:slot], *xs[slot + 1 :], subscripts=",".join([ahead + out, *others]) + "->" + ahead + here
    )
    front, sizes = contribution.shape[: len(ahead)], dict(zip(here, contribution.shape[len(ahead) :], strict=True))
    whole = tuple(n if sizes.get(c, 1) == 1 else sizes[c] for c, n in zip(terms[slot], xs[slot].shape, strict=True))
    if whole == contribution.shape[len(ahead) :]:
        return contribution
    spread = contribution.reshape((*front, *(sizes.get(c, 1) for c in terms[slot])))
    return broadcast_to(spread, shape=(*front, *whole))


einsum = define("einsum", _einsum, every_slot=_einsum_rule)  # a letter occurs once in a term, and there is no "..."
