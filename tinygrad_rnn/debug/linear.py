"""The backward pass of a tape as data: for every edge its local derivative, a linear map, as compact as it is.

With these maps anyone who can multiply and add can ask for gradients, routes and flow again without this library; the
page does so in the browser. A map takes the cotangent `g` of the consumer, flattened, to the contribution to the
producer. It is a list whose first entry says which kind it is; arrays are given by their number in `Arrays`:

    ["sparse", o, i, d]            part[i[k]] += g[o[k]] * d[k]; None for o or i: k itself; None for d: 1
    ["times", m, r, n, k, turned]  part (r, k) = g (r, n) @ M (n, k); turned: M is stored as (k, n)
    ["outer", x, r, n, k, turned]  part (n, k) = g.T (n, r) @ X (r, k); turned: part is (k, n)
    ["rows", d, u, v, m]           in each row of m: part = d * g + u * (v . g); None for d or v: 1
    ["dense", j]                   part = g @ J, J of shape (size of the consumer, size of the producer)
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.sweep import sweep

Array = npt.NDArray[Any]
Map = list[Any]

MOST_DENSE = 16_384  # elements of one Jacobian that is written out
MOST_BYTES = 24_000_000  # of all arrays together

ELEMENTWISE = frozenset({
    *("identity", "astype", "add", "subtract", "multiply", "divide", "negative", "power", "exp", "expm1", "log"),
    *("log1p", "sqrt", "square", "sin", "cos", "abs", "tanh", "sigmoid", "softplus", "relu", "where", "maximum"),
    *("minimum", "clip"),
})  # fmt: skip
MOVING = frozenset({
    *("slice", "put_slice", "gather", "reshape", "transpose", "broadcast_to", "concatenate", "stack", "pad"),
})  # fmt: skip
REDUCING = frozenset({"sum", "max", "min", "logsumexp"})


class Arrays:
    """Arrays by number; equal ones are kept once, as a weight is that every step uses."""

    def __init__(self) -> None:
        self._number: dict[tuple[str, bytes], int] = {}
        self._parts: dict[str, list[bytes]] = {"f": [], "i": []}
        self._counts = {"f": 0, "i": 0}
        self.table: list[tuple[str, int, int]] = []  # kind ("f" or "i"), first element, number of elements
        self.bytes = 0

    def floats(self, array: Array) -> int:
        """The number of an array of float64."""
        return self._add("f", np.ascontiguousarray(array, "<f8").reshape(-1))

    def integers(self, array: Array) -> int:
        """The number of an array of int32."""
        return self._add("i", np.ascontiguousarray(array, "<i4").reshape(-1))

    def _add(self, kind: str, flat: Array) -> int:
        content = flat.tobytes()
        number = self._number.setdefault((kind, content), len(self.table))
        if number == len(self.table):
            self.table.append((kind, self._counts[kind], flat.size))
            self._counts[kind] += flat.size
            self._parts[kind].append(content)
            self.bytes += len(content)
        return number

    def base64(self) -> dict[str, str]:
        """All of them, little-endian: "f" of float64, "i" of int32."""
        return {kind: base64.b64encode(b"".join(parts)).decode("ascii") for kind, parts in self._parts.items()}


def map_of(consumer: Any, slot: int, arrays: Arrays) -> Map | None:
    """The local derivative of one edge. None where it is too big to be written out."""
    producer = consumer.inputs[slot]
    if producer.value.dtype.kind != "f" or consumer.value.dtype.kind != "f" or arrays.bytes > MOST_BYTES:
        return None
    name = consumer.primitive.name
    find: Callable[[Any, int, Arrays], Map | None]
    if name in ELEMENTWISE:
        find = _elementwise
    elif name in MOVING:
        find = _moving
    elif name in REDUCING:
        find = _reducing
    else:
        find = {"linear": _linear, "matmul": _matmul, "softmax": _softmax, "log_softmax": _softmax}.get(name, _dense)
    return find(consumer, slot, arrays)


def on_other_operands(consumer: Any, operands: Sequence[Array]) -> Array:
    """The operation computed on other operands, with nothing around what it moves."""
    params = consumer.params | ({"value": 0} if consumer.primitive.name == "pad" else {})
    return np.asarray(consumer.primitive.forward(*operands, **params))


def with_ones(consumer: Any, slot: int) -> Array:
    """What the rule makes of a cotangent of ones: the factors of an elementwise operation."""
    values = [x.value for x in consumer.inputs]
    ones = np.ones(consumer.value.shape, consumer.value.dtype)
    with np.errstate(all="ignore"):
        return np.asarray(consumer.primitive.rules[slot](ones, consumer.value, *values, **consumer.params))


def _factors(d: Array, arrays: Arrays) -> int | None:
    if d.size and np.all(d == d.flat[0]):
        return None if d.flat[0] == 1 else arrays.floats(d.reshape(-1)[:1])
    return arrays.floats(d)


def _elementwise(consumer: Any, slot: int, arrays: Arrays) -> Map:
    y, x = consumer.value, consumer.inputs[slot].value
    at = None
    if x.shape != y.shape:
        at = arrays.integers(np.broadcast_to(np.arange(x.size).reshape(x.shape), y.shape))
    return ["sparse", None, at, _factors(np.broadcast_to(with_ones(consumer, slot), y.shape), arrays)]


def _moving(consumer: Any, slot: int, arrays: Arrays) -> Map:
    """Which element of the input each element of the result is, found by moving numbers about: 0 is none, 1 the first.

    Of one input of many, as of a stack, only those elements of the result are listed that come from it.
    """
    numbers = [np.zeros(x.value.shape, np.int64) for x in consumer.inputs]
    numbers[slot] = np.arange(1, numbers[slot].size + 1).reshape(numbers[slot].shape)
    moved = on_other_operands(consumer, numbers).reshape(-1)
    of = np.flatnonzero(moved)
    at = moved[of] - 1
    return ["sparse", _listed(of, moved.size, arrays), _listed(at, numbers[slot].size, arrays), None]


def _listed(numbers: Array, size: int, arrays: Arrays) -> int | None:
    """None where they are 0, 1, 2 ... in order, all of `size`."""
    in_order = numbers.size == size and np.array_equal(numbers, np.arange(size))
    return None if in_order else arrays.integers(numbers)


def _reducing(consumer: Any, slot: int, arrays: Arrays) -> Map:
    y, x, axis = consumer.value, consumer.inputs[slot].value, consumer.params["axis"]
    kept = [1 if k - x.ndim in axis else n for k, n in enumerate(x.shape)]
    of = np.broadcast_to(np.arange(y.size).reshape(kept), x.shape)
    return ["sparse", arrays.integers(of), None, _factors(with_ones(consumer, slot), arrays)]


def _linear(consumer: Any, slot: int, arrays: Arrays) -> Map:
    x, w = consumer.inputs[0].value, consumer.inputs[1].value
    (n, k), rows = w.shape, int(np.prod(x.shape[:-1]))
    if slot == 2:
        return ["sparse", None, arrays.integers(np.tile(np.arange(n), rows)), None]
    if slot == 0:
        return ["times", arrays.floats(w), rows, n, k, False]
    return ["outer", arrays.floats(x), rows, n, k, False]


def _matmul(consumer: Any, slot: int, arrays: Arrays) -> Map | None:
    a, b = consumer.inputs[0].value, consumer.inputs[1].value
    if a.ndim > 2 or b.ndim > 2:
        return _dense(consumer, slot, arrays)
    k = a.shape[-1]
    rows, n = a.shape[0] if a.ndim == 2 else 1, b.shape[1] if b.ndim == 2 else 1
    if slot == 0:
        return ["times", arrays.floats(b), rows, n, k, True]
    return ["outer", arrays.floats(a), rows, n, k, True]


def _softmax(consumer: Any, slot: int, arrays: Arrays) -> Map | None:
    y = consumer.value
    if consumer.params["axis"] not in (-1, y.ndim - 1):
        return _dense(consumer, slot, arrays)
    if consumer.primitive.name == "softmax":
        return ["rows", arrays.floats(y), arrays.floats(-y), arrays.floats(y), y.shape[-1]]
    return ["rows", None, arrays.floats(-np.exp(y)), None, y.shape[-1]]


def _dense(consumer: Any, slot: int, arrays: Arrays) -> Map | None:
    """Any rule, by its leading axis: a row for each element of the result."""
    y, x = consumer.value, consumer.inputs[slot]
    if y.size * x.value.size > MOST_DENSE:
        return None
    seed = np.eye(y.size, dtype=y.dtype).reshape((y.size, *y.shape))
    order = {x.index: x, consumer.index: consumer}
    only_here = {consumer.index: lambda _, at, part: part if at == slot else None}
    found = sweep(order, {consumer.index: seed}, [x.index], at_edge=only_here)
    return ["dense", arrays.floats(found.get(x.index, np.zeros((y.size, x.value.size))))]
