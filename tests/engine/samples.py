"""Samples of every primitive: inputs, how a user computes it, and the same by plain NumPy.

The tests of the engine's laws run over all of them. Values are distinct and lie away from kinks (ties and edges have
tests of their own, in test_conventions.py), so that every derivative exists and can be measured.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import tinygrad_rnn as tg
from tests.engine import cases
from tests.engine.cases import Case, Shape
from tinygrad_rnn.engine import indexing
from tinygrad_rnn.engine import primitives as p


class Sample(NamedTuple):
    """``f(*tensors, **how)`` is a Tensor whose last operation is `primitive`; ``reference(*arrays, **how)`` is the
    same by plain NumPy."""

    primitive: str
    f: Callable[..., Any]
    reference: Callable[..., Any]
    inputs: tuple[np.ndarray, ...]
    how: dict[str, Any]
    note: str = ""

    def __str__(self) -> str:
        how = ", ".join(f"{k}={v!r}".replace("\n", "") for k, v in self.how.items())
        return " ".join(filter(None, [self.primitive, *[str(x.shape) for x in self.inputs], how, self.note]))


class Operation(NamedTuple):
    """How the samples of a primitive are made: values between `low` and `high`, in the shapes of the cases."""

    f: Callable[..., Any]
    reference: Callable[..., Any]
    cases: list[Case]
    low: float = -2.1
    high: float = 2.1


def tensors_of(sample: Sample, dtype: Any = np.float64) -> list[tg.Tensor]:
    return [tg.Tensor(a, requires_grad=True, dtype=dtype) for a in sample.inputs]


def node_of(sample: Sample, dtype: Any = np.float64) -> tg.Tensor:
    """The node of the sample's primitive, recorded."""
    return sample.f(*tensors_of(sample, dtype), **sample.how)


@functools.cache
def samples_of(name: str) -> tuple[Sample, ...]:
    """The samples of one primitive, the same in every run."""
    rng = generator(name)
    f, reference, listed, low, high = OPERATIONS[name]
    drawn = [Sample(name, f, reference, tuple(spread(rng, low, high, *shapes)), how) for shapes, how in listed]
    return (*drawn, *_special(name, rng))


def every_sample() -> Iterator[Sample]:
    for name in OPERATIONS:
        yield from samples_of(name)


def generator(text: str) -> np.random.Generator:
    """Random numbers that differ from text to text, but not from run to run."""
    return np.random.default_rng(zlib.crc32(text.encode()))


def spread(rng: np.random.Generator, low: float, high: float, *shapes: Shape) -> list[np.ndarray]:
    """Arrays whose values are all different, by at least half the mean distance, and not 0."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    gap = (high - low) / max(sum(sizes), 1)
    values = low + gap * (rng.permutation(sum(sizes)) + rng.uniform(0.25, 0.75, sum(sizes)))
    values += 0.02 * np.sign(values)
    pieces = np.split(values, np.cumsum(sizes)[:-1])
    arrays = [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]
    for array in arrays:
        array.flags.writeable = False  # they are shared by all tests
    return arrays


# References: the plainest NumPy, and where it can be, not the NumPy function that the primitive itself calls ------


def _reduced(ufunc: np.ufunc, x: np.ndarray, axis: Any, keepdims: bool) -> Any:
    return ufunc.reduce(x, axis=tuple(range(x.ndim)) if axis is None else axis, keepdims=keepdims)


def _clipped(x: np.ndarray, a_min: float = -9.0, a_max: float = 9.0) -> np.ndarray:
    return np.where(x < a_min, a_min, np.where(x > a_max, a_max, x))


def _chosen(a: np.ndarray, b: np.ndarray, chosen: Any) -> np.ndarray:
    return (np.asarray(chosen) != 0) * a + (np.asarray(chosen) == 0) * b


def _joined(*xs: np.ndarray, axis: int) -> np.ndarray:
    rows = [row for x in xs for row in np.moveaxis(x, axis, 0)]
    return np.moveaxis(np.array(rows), 0, axis) if rows else np.concatenate(xs, axis)


def _padded(x: np.ndarray, widths: Any, value: float) -> np.ndarray:
    before, after = np.broadcast_to(widths, (x.ndim, 2)).T
    out = np.full(before + x.shape + after, value)
    out[tuple(slice(a, a + n) for a, n in zip(before, x.shape, strict=True))] = x
    return out


def _taken(x: np.ndarray, index: Any) -> np.ndarray:
    places = np.asarray(np.arange(x.size).reshape(x.shape)[index])
    return np.array([x.flat[k] for k in places.flat]).reshape(places.shape)


def _put_back(v: np.ndarray, shape: Shape, index: Any, axes: int) -> np.ndarray:
    if axes:
        return np.array([_put_back(row, shape, index, axes - 1) for row in v])
    out = np.zeros(shape)
    for place, number in zip(np.asarray(np.arange(out.size).reshape(shape)[index]).flat, v.flat, strict=True):
        out.flat[place] += number
    return out


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if b.ndim == 1:
        return (a * b).sum(-1)
    if a.ndim == 1:
        return (a[:, None] * b).sum(-2)
    return (a[..., :, :, None] * b[..., None, :, :]).sum(-2)


def _affine(x: np.ndarray, w: np.ndarray, b: float | np.ndarray = 0.0) -> np.ndarray:
    return (x[..., None, :] * w).sum(-1) + b


def _put(name: str) -> Callable[..., tg.Tensor]:
    """The transposes of indexing are not public: they are recorded by the rules of `slice` and `gather`."""
    primitive = p.TABLE[name]

    def f(v: tg.Tensor, shape: Shape, index: Any, axes: int) -> tg.Tensor:
        return primitive(v, shape=shape, index=indexing.parse(index, shape)[1], axes=axes)

    return f


# The table ----------------------------------------------------------------------------------------------------------

OPERATIONS: dict[str, Operation] = {
    "identity": Operation(lambda x: x.named("u").named("v"), lambda x: x, cases.ONE),
    "astype": Operation(lambda x: x.astype("float64"), lambda x: x, cases.ONE),
    "negative": Operation(lambda x: -x, lambda x: 0 - x, cases.ONE),
    "exp": Operation(tg.exp, lambda x: np.e**x, cases.ONE),
    "expm1": Operation(tg.expm1, lambda x: np.exp(x) - 1, cases.ONE),
    "log": Operation(tg.log, lambda x: np.log2(x) * np.log(2), cases.ONE, 0.2, 4.0),
    "log1p": Operation(tg.log1p, lambda x: np.log(1 + x), cases.ONE, -0.8, 3.0),
    "sqrt": Operation(tg.sqrt, lambda x: x**0.5, cases.ONE, 0.2, 4.0),
    "square": Operation(tg.square, lambda x: x * x, cases.ONE),
    "sin": Operation(tg.sin, lambda x: np.exp(1j * x).imag, cases.ONE, -4.0, 4.0),
    "cos": Operation(tg.cos, lambda x: np.exp(1j * x).real, cases.ONE, -4.0, 4.0),
    "sign": Operation(tg.sign, lambda x: np.where(x > 0, 1.0, -1.0), cases.ONE),
    "abs": Operation(abs, lambda x: np.where(x > 0, x, -x), cases.ONE),
    "tanh": Operation(tg.tanh, lambda x: 1 - 2 / (np.exp(2 * x) + 1), cases.ONE),
    "sigmoid": Operation(tg.sigmoid, lambda x: 0.5 + 0.5 * np.tanh(x / 2), cases.ONE, -6.0, 6.0),
    "softplus": Operation(tg.softplus, lambda x: np.logaddexp(0, x), cases.ONE, -6.0, 6.0),
    "relu": Operation(tg.relu, lambda x: x * (x > 0), cases.ONE),
    "clip": Operation(tg.clip, _clipped, cases.CLIPPED),
    "add": Operation(tg.add, lambda a, b: a - (-b), cases.TWO),
    "subtract": Operation(tg.subtract, lambda a, b: a + (-b), cases.TWO),
    "multiply": Operation(tg.multiply, lambda a, b: a / (1 / b), cases.TWO),
    "divide": Operation(tg.divide, lambda a, b: a * (1 / b), cases.TWO, 0.3, 2.1),
    "power": Operation(tg.power, lambda a, b: np.exp(b * np.log(a)), cases.TWO, 0.3, 2.1),
    "maximum": Operation(tg.maximum, lambda a, b: np.where(a > b, a, b), cases.TWO),
    "minimum": Operation(tg.minimum, lambda a, b: np.where(a < b, a, b), cases.TWO),
    "greater": Operation(lambda a, b: a > b, lambda a, b: np.sign(a - b) == 1, cases.TWO),
    "greater_equal": Operation(lambda a, b: a >= b, lambda a, b: np.sign(a - b) != -1, cases.TWO),
    "less": Operation(lambda a, b: a < b, lambda a, b: np.sign(a - b) == -1, cases.TWO),
    "less_equal": Operation(lambda a, b: a <= b, lambda a, b: np.sign(a - b) != 1, cases.TWO),
    "equal": Operation(lambda a, b: a == b, lambda a, b: a - b == 0, cases.TWO),
    "not_equal": Operation(lambda a, b: a != b, lambda a, b: a - b != 0, cases.TWO),
    "where": Operation(lambda a, b, chosen: tg.where(chosen, a, b), _chosen, cases.CHOSEN),
    "sum": Operation(tg.sum, functools.partial(_reduced, np.add), cases.SUMMED),
    "max": Operation(tg.max, functools.partial(_reduced, np.maximum), cases.REDUCED),
    "min": Operation(tg.min, functools.partial(_reduced, np.minimum), cases.REDUCED),
    "logsumexp": Operation(tg.logsumexp, functools.partial(_reduced, np.logaddexp), cases.REDUCED),
    "softmax": Operation(tg.softmax, lambda x, axis: np.exp(x) / np.exp(x).sum(axis, keepdims=True), cases.ALONG),
    "log_softmax": Operation(
        tg.log_softmax, lambda x, axis: x - np.log(np.exp(x).sum(axis, keepdims=True)), cases.ALONG
    ),
    "cumsum": Operation(tg.cumsum, lambda x, axis: np.add.accumulate(x, axis), cases.ALONG),
    "reshape": Operation(
        lambda x, shape: x.reshape(shape), lambda x, shape: np.array(list(x.flat)).reshape(shape), cases.RESHAPED
    ),
    "transpose": Operation(
        lambda x, axes: x.transpose(*axes), lambda x, axes: np.moveaxis(x, axes, range(x.ndim)), cases.TRANSPOSED
    ),
    "broadcast_to": Operation(tg.broadcast_to, lambda x, shape: x + np.zeros(shape), cases.SPREAD),
    "concatenate": Operation(lambda *xs, axis: tg.concatenate(xs, axis=axis), _joined, cases.JOINED),
    "stack": Operation(
        lambda *xs, axis: tg.stack(xs, axis=axis), lambda *xs, axis: np.moveaxis(np.array(xs), 0, axis), cases.STACKED
    ),
    "pad": Operation(lambda x, widths, value: tg.pad(x, widths, constant_values=value), _padded, cases.PADDED),
    "slice": Operation(lambda x, index: x[index], _taken, cases.taken(cases.SLICES)),
    "gather": Operation(lambda x, index: x[index], _taken, cases.taken(cases.GATHERS)),
    "put_slice": Operation(_put("put_slice"), _put_back, cases.put_back(cases.SLICES)),
    "scatter_add": Operation(_put("scatter_add"), _put_back, cases.put_back(cases.GATHERS)),
    "matmul": Operation(tg.matmul, _products, cases.MATMULS),
    "linear": Operation(tg.linear, _affine, cases.LINEARS),
    "einsum": Operation(
        lambda *xs, subscripts: tg.einsum(subscripts, *xs),
        lambda *xs, subscripts: np.einsum(subscripts, *xs),
        cases.EINSUMS,
    ),
}
ELEMENTWISE = [name for name, operation in OPERATIONS.items() if operation.cases is cases.TWO]


def _special(name: str, rng: np.random.Generator) -> Iterator[Sample]:
    """What is not one function of several independent inputs: constants on either side, one tensor in two slots."""
    f, reference, _, low, high = OPERATIONS[name]
    x, column, square = spread(rng, low, high, (2, 2), (2, 1), (2, 2))
    make = functools.partial(Sample, name)
    if name in ELEMENTWISE:
        for b in (1.515, np.float64(0.525), column):
            yield make(
                lambda x, b=b: f(x, b), lambda x, b=b: reference(x, b), (x,), {}, f"{type(b).__name__} on the right"
            )
    if name in ("add", "subtract", "multiply", "divide", "power", "matmul"):
        yield make(lambda x: f(x, x), lambda x: reference(x, x), (x,), {}, "with itself")
        yield make(lambda x: f(square, x), lambda x: reference(square, x), (x,), {}, "ndarray on the left")
    if name == "power":
        base, exponent = np.array([0.4, 1.0, 2.5]), np.array([0.0, 0.0, 1.0])
        yield make(f, reference, (base, exponent), {}, "zeroth power")
        for n in (3, 2.0, 1, 0, -1, -2):
            yield make(lambda x, n: x**n, _repeated_product, (np.array([-1.5, -0.5, 0.7, 1.2]),), {"n": n})
    if name == "stack":
        yield make(lambda x: tg.stack([x, x]), lambda x: np.array([x, x]), (x,), {}, "the same twice")
    if name == "gather":
        ids = np.array([[0, 1], [1, 1]])
        yield make(lambda w: tg.embedding(w, ids), lambda w: _taken(w, ids), (x,), {}, "embedding")
    if name == "where":
        yield make(lambda x: tg.where(x > 0.1, x, -x), lambda x: x * np.sign(x - 0.1), (x,), {}, "x > 0.1")
    if name == "einsum":
        a, b = spread(rng, low, high, (2, 2, 3), (3, 3, 2))
        yield make(tg.dot, lambda a, b: np.tensordot(a, b, (2, 1)), (a, b), {}, "dot in three axes")


def _repeated_product(x: np.ndarray, n: float) -> np.ndarray:
    y = functools.reduce(np.multiply, [x] * int(abs(n)), np.ones_like(x))
    return y if n >= 0 else 1 / y
