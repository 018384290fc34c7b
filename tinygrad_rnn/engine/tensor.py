"""Tensor: an array that remembers which operation made it, from what, and where.

A method is the definition of its operation; ``tg.tanh`` and ``np.tanh`` are the same function, spelled differently.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NoReturn, TypeAlias, TypeGuard, Union

import numpy as np

from . import indexing, numpy_protocol
from . import primitives as p
from .annotate import HERE, Place, here
from .arguments import (
    Axis,
    a_name,
    fitting,
    laid_out_like,
    negative_axes,
    negative_axis,
    own_copy,
    real,
    shortened,
    whole,
)
from .numpy_protocol import spelled
from .primitives import Array, Primitive
from .sweep import describe, sweep, tape, value_of

TensorLike: TypeAlias = Union["Tensor", Array, float, Sequence[Any]]

_next_index: Callable[[], int] = itertools.count().__next__  # one C call, so threads never get the same number
_NO_PARAMS: dict[str, Any] = {}


def _in_place(sign: str, operation: Callable[..., Any]) -> Any:
    """`y += x` is y = y + x; of a leaf that requires a gradient it would make its name that of a result."""

    def operator(self: Tensor, other: TensorLike) -> Any:
        if self.tracked and self.primitive is None:
            raise TypeError(
                f"{describe(self)}, is a leaf, which w {sign}= x does not change: w would be the name of a result. To "
                f"train it write w.data = w.data {sign} x, or use nn.SGD; for a result write y = w {sign} x"
            )
        return operation(self, other)

    return operator


def _no_operator(sign: str, instead: str) -> Any:
    def operator(self: Tensor, *other: Any) -> NoReturn:
        raise TypeError(f"a Tensor has no operator {sign}: write {instead}")

    return operator


class Tensor(p.Recorded):
    """An n-dimensional array of numbers that records what is computed from it.

    data: numbers, nested lists or an array; it is copied. Floats are float64 unless the array says otherwise.
    requires_grad: whether gradients with respect to this tensor will be asked for; needs a float dtype.
    name: what pictures, traces and messages call it.
    dtype: converts the data, as in NumPy.
    """

    __slots__ = (
        "__weakref__",
        "_grad",
        "born",
        "index",
        "inputs",
        "name",
        "params",
        "place",
        "primitive",
        "tracked",
        "value",
    )

    value: Array  # the array itself, for the engine's own eyes; users read `data`
    index: int  # creation order, which is a topological order; new when the data is replaced
    born: int  # the first index
    primitive: Primitive | None
    inputs: tuple[Tensor, ...]
    params: Mapping[str, Any]
    place: Place
    name: str | None
    tracked: bool
    _grad: Array | None

    def __init__(
        self, data: TensorLike, requires_grad: bool = False, name: str | None = None, dtype: Any = None
    ) -> None:
        self.value = own_copy(data, dtype)
        self.index = self.born = _next_index()
        self.primitive = None
        self.inputs = ()
        self.params = _NO_PARAMS
        self.place = HERE.get()
        self.name = None if name is None else a_name(name, 'tg.Tensor(data, name="w")')
        self.tracked = False
        self._grad = None
        if requires_grad is not False:
            self.requires_grad = requires_grad

    # The array -----------------------------------------------------------------------------------------------------

    @property
    def data(self) -> Array:
        """The values as a read-only array, without gradient. Assign a new array to a leaf to replace its values.

        ``W.data -= lr * W.grad`` meets NumPy's "output array is read-only": write ``W.data = W.data - lr * W.grad``, or
        let an optimiser do it, such as nn.SGD.
        """
        # A view that NumPy refuses to make writable: what the tape relies on cannot be changed through it.
        return np.asarray(self.value.data.toreadonly())

    @data.setter
    def data(self, data: TensorLike) -> None:
        if self.primitive is not None:
            raise ValueError(
                f"the data of {describe(self)}, is computed and cannot be replaced: make a new tensor, tg.Tensor(array)"
            )
        value = fitting(data, self.dtype, describe(self))
        if value.shape != self.shape:
            raise ValueError(f"new data for {describe(self)}, has shape {value.shape}; give an array of the same shape")
        self.index = _next_index()  # first, so that a tape that used the old data never takes the new for it
        self.value = laid_out_like(self.value, value)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def size(self) -> int:
        return self.value.size

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.value.dtype

    def item(self) -> float | int | bool:
        """The one number inside, without gradient. Raises ValueError if there is not exactly one."""
        if self.size != 1:
            raise ValueError(f"item() is for a tensor with one element; {describe(self)}, has {self.size}: use .data")
        return self.value.item()  # type: ignore[no-any-return]

    def detach(self) -> Tensor:
        """The same values as a new leaf, through which no gradient flows."""
        return constant(self.value, self.name)

    def named(self, name: str) -> Tensor:
        """This tensor, called `name`: a landmark of the paths that lead through it.

        A tensor that already has a name keeps it: the answer is then a new tensor with the same values.
        """
        result = self if self.name is None else record(p.identity, (self,))
        result.name = a_name(name, '.named("h")')
        return result

    # Gradients -----------------------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this tensor. Can be set on leaves."""
        return self.tracked

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if not isinstance(wanted, (bool, np.bool_)):
            raise TypeError(
                f"requires_grad is True or False; got {shortened(wanted)}. A dtype and a name are given by "
                'their names, as in tg.Tensor(data, dtype=np.float32, name="w")'
            )
        if self.primitive is not None:
            raise ValueError(f"requires_grad can be set on leaves only, not on {describe(self)}; see .detach()")
        if wanted and self.dtype.kind != "f":
            raise TypeError(
                f"{describe(self)}, holds {self.dtype}, and a gradient exists only for floating-point numbers: "
                "write 1.0 for 1, or pass dtype=float"
            )
        if wanted and not self.tracked:
            self.index = _next_index()  # what was computed from it until now did not track it, so it is not its input
        self.tracked = bool(wanted)

    @property
    def grad(self) -> Array | None:
        """The gradients that `backward` has added up here so far, an array of the tensor's shape; None before.

        Raises RuntimeError on a tensor whose gradient `backward` did not keep.
        """
        if self._grad is None and self.primitive is not None and self.tracked:
            raise RuntimeError(
                f"no gradient is kept at {describe(self)}: backward() keeps those of leaves. "
                'Call backward(keep="named") or backward(keep="all"), or ask for it: tg.grad(loss, tensor)'
            )
        return self._grad

    @grad.setter
    def grad(self, grad: TensorLike | None) -> None:
        if grad is not None:
            grad = fitting(grad, self.dtype, f"the gradient of {describe(self)}")
            if grad.shape != self.shape:
                raise ValueError(f"a gradient of shape {grad.shape} does not fit {describe(self)}")
        self._grad = grad

    def backward(self, gradient: TensorLike | None = None, keep: Literal["leaves", "named", "all"] = "leaves") -> None:
        """Add the gradient of this tensor into ``.grad`` of every leaf that requires one and that it depends on.

        gradient: the cotangent to start from, of this tensor's shape; not needed where that is a single number.
        keep: "named" keeps the gradients of named tensors too, "all" those of every tensor on the way.
        Either every ``.grad`` is updated or, if an exception passes, none. The tape stays as it is.
        """
        if keep not in ("leaves", "named", "all"):
            raise ValueError(f'keep is "leaves", "named" or "all"; got {keep!r}')
        order = tape([self])
        seed = seed_of(self, gradient)
        kept = [x for x in order.values() if x.primitive is None or keep == "all" or (keep == "named" and x.name)]
        gradients = sweep(order, {self.index: seed}, [x.index for x in kept])
        reached = [x for x in kept if x.index in gradients]
        with _adding:
            totals = [
                gradients[x.index] if x._grad is None else np.asarray(x._grad + gradients[x.index]) for x in reached
            ]
            deque(map(_set_grad, reached, totals), maxlen=0)  # one C call: no interrupt comes between two of them

    # Elementwise ---------------------------------------------------------------------------------------------------

    @spelled(np.add)
    def add(a: TensorLike, b: TensorLike) -> Tensor:
        """a + b; shapes broadcast as in NumPy."""
        return record(p.add, pair(a, b))

    @spelled(np.subtract)
    def subtract(a: TensorLike, b: TensorLike) -> Tensor:
        """a - b."""
        return record(p.subtract, pair(a, b))

    @spelled(np.multiply)
    def multiply(a: TensorLike, b: TensorLike) -> Tensor:
        """a * b, element by element."""
        return record(p.multiply, pair(a, b))

    @spelled(np.divide)
    def divide(a: TensorLike, b: TensorLike) -> Tensor:
        """a / b, element by element."""
        return record(p.divide, pair(a, b))

    @spelled(np.negative)
    def negative(x: TensorLike) -> Tensor:
        """-x."""
        return record(p.negative, (x,))

    @spelled(np.power)
    def power(a: TensorLike, b: TensorLike) -> Tensor:
        """a ** b. At b = 0 the derivative by a is 0, also at a = 0; at a = 0 the derivative by b is 0."""
        return record(p.power, pair(a, b))

    @spelled(np.exp)
    def exp(x: TensorLike) -> Tensor:
        """The exponential function."""
        return record(p.exp, (x,))

    @spelled(np.expm1)
    def expm1(x: TensorLike) -> Tensor:
        """exp(x) - 1, accurate near 0."""
        return record(p.expm1, (x,))

    @spelled(np.log)
    def log(x: TensorLike) -> Tensor:
        """The natural logarithm."""
        return record(p.log, (x,))

    @spelled(np.log1p)
    def log1p(x: TensorLike) -> Tensor:
        """log(1 + x), accurate near 0."""
        return record(p.log1p, (x,))

    @spelled(np.sqrt)
    def sqrt(x: TensorLike) -> Tensor:
        """The square root; its derivative at 0 is infinite."""
        return record(p.sqrt, (x,))

    @spelled(np.square)
    def square(x: TensorLike) -> Tensor:
        """x * x, as one operation."""
        return record(p.square, (x,))

    @spelled(np.abs)
    def abs(x: TensorLike) -> Tensor:
        """The absolute value; its derivative at 0 is taken to be 0."""
        return record(p.absolute, (x,))

    @spelled(np.sign)
    def sign(x: TensorLike) -> Tensor:
        """-1, 0 or 1. A piecewise constant: no gradient flows."""
        return record(p.sign, (x,))

    @spelled(np.sin)
    def sin(x: TensorLike) -> Tensor:
        """The sine."""
        return record(p.sin, (x,))

    @spelled(np.cos)
    def cos(x: TensorLike) -> Tensor:
        """The cosine."""
        return record(p.cos, (x,))

    @spelled(np.tanh)
    def tanh(x: TensorLike) -> Tensor:
        """The hyperbolic tangent."""
        return record(p.tanh, (x,))

    def sigmoid(x: TensorLike) -> Tensor:
        """The logistic function 1 / (1 + exp(-x)), without overflow for any x."""
        return record(p.sigmoid, (x,))

    def relu(x: TensorLike) -> Tensor:
        """max(x, 0); its derivative at 0 is taken to be 0."""
        return record(p.relu, (x,))

    def softplus(x: TensorLike) -> Tensor:
        """log(1 + exp(x)), without overflow for any x."""
        return record(p.softplus, (x,))

    @spelled(np.maximum)
    def maximum(a: TensorLike, b: TensorLike) -> Tensor:
        """The larger of each two elements; where they tie, each gets half of the gradient."""
        return record(p.maximum, pair(a, b))

    @spelled(np.minimum)
    def minimum(a: TensorLike, b: TensorLike) -> Tensor:
        """The smaller of each two elements; where they tie, each gets half of the gradient."""
        return record(p.minimum, pair(a, b))

    @spelled(np.clip)
    def clip(x: TensorLike, a_min: float | None = None, a_max: float | None = None) -> Tensor:
        """x, but at least `a_min` and at most `a_max`, two numbers; at those two values the gradient still passes."""
        low = -np.inf if a_min is None else real(a_min, "clip: the bound a_min (for an array use tg.maximum)")
        high = np.inf if a_max is None else real(a_max, "clip: the bound a_max (for an array use tg.minimum)")
        return record(p.clip, tensors(x), {"low": low, "high": high})

    def astype(x: TensorLike, dtype: Any) -> Tensor:
        """The same numbers in another dtype. Through a dtype that is not a float no gradient flows."""
        (x,) = tensors(x)
        dtype = np.dtype(dtype)
        if dtype.kind not in "fiub" and not (dtype.kind == "c" and not x.tracked):
            raise TypeError(
                f"astype: {describe(x)}, cannot become {dtype} ({HERE.get()}): its gradient is of real numbers"
            )
        if dtype.kind != "f":
            return constant(x.value.astype(dtype), x.name)
        return record(p.astype, (x,), {"dtype": dtype})

    # Comparisons: recorded, and no gradient flows ---------------------------------------------------------------------

    @spelled(np.greater)
    def __gt__(a: TensorLike, b: TensorLike) -> Tensor:
        return record(p.greater, pair(a, b))

    @spelled(np.greater_equal)
    def __ge__(a: TensorLike, b: TensorLike) -> Tensor:
        return record(p.greater_equal, pair(a, b))

    @spelled(np.less)
    def __lt__(a: TensorLike, b: TensorLike) -> Tensor:
        return record(p.less, pair(a, b))

    @spelled(np.less_equal)
    def __le__(a: TensorLike, b: TensorLike) -> Tensor:
        return record(p.less_equal, pair(a, b))

    @spelled(np.equal)
    def __eq__(a: TensorLike, b: TensorLike) -> Tensor:  # type: ignore[override]  # elementwise, as in NumPy
        return record(p.equal, pair(a, b))

    @spelled(np.not_equal)
    def __ne__(a: TensorLike, b: TensorLike) -> Tensor:  # type: ignore[override]  # elementwise, as in NumPy
        return record(p.not_equal, pair(a, b))

    __hash__ = object.__hash__

    # Reductions ----------------------------------------------------------------------------------------------------

    @spelled(np.sum)
    def sum(x: TensorLike, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
        """The sum over one axis, several, or (None) all."""
        (x,) = tensors(x)
        return record(p.total, (x,), {"axis": negative_axes(axis, x.ndim, "sum"), "keepdims": keepdims})

    @spelled(np.mean)
    def mean(x: TensorLike, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
        """The mean over one axis, several, or (None) all."""
        (x,) = tensors(x)
        count = math.prod(x.shape[a] for a in negative_axes(axis, x.ndim, "mean"))
        return x.sum(axis, keepdims=keepdims) / count

    @spelled(np.var)
    def var(x: TensorLike, axis: Axis = None, *, ddof: int = 0, keepdims: bool = False) -> Tensor:
        """The mean square of the distances from the mean; their sum is divided by their number less `ddof`.

        The default is NumPy's; PyTorch's is ddof=1.
        """
        (x,) = tensors(x)
        count = math.prod(x.shape[a] for a in negative_axes(axis, x.ndim, "var"))
        distances = x - x.mean(axis, keepdims=True)
        return distances.square().sum(axis, keepdims=keepdims) / max(count - whole(ddof, "var: ddof"), 0)

    @spelled(np.std)
    def std(x: TensorLike, axis: Axis = None, *, ddof: int = 0, keepdims: bool = False) -> Tensor:
        """The square root of `var`; it has no derivative where all elements are equal, which gives nan."""
        return Tensor.var(x, axis, ddof=ddof, keepdims=keepdims).sqrt()

    @spelled(np.max, np.amax)
    def max(x: TensorLike, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
        """The largest element; elements that tie share the gradient equally."""
        (x,) = tensors(x)
        return record(p.largest, (x,), {"axis": negative_axes(axis, x.ndim, "max"), "keepdims": keepdims})

    @spelled(np.min, np.amin)
    def min(x: TensorLike, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
        """The smallest element; elements that tie share the gradient equally."""
        (x,) = tensors(x)
        return record(p.smallest, (x,), {"axis": negative_axes(axis, x.ndim, "min"), "keepdims": keepdims})

    def logsumexp(x: TensorLike, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
        """log(sum(exp(x))), without overflow."""
        (x,) = tensors(x)
        return record(p.logsumexp, (x,), {"axis": negative_axes(axis, x.ndim, "logsumexp"), "keepdims": keepdims})

    def softmax(x: TensorLike, axis: int = -1) -> Tensor:
        """exp(x) / sum(exp(x)) along an axis, without overflow."""
        (x,) = tensors(x)
        return record(p.softmax, (x,), {"axis": negative_axis(axis, x.ndim, "softmax")})

    def log_softmax(x: TensorLike, axis: int = -1) -> Tensor:
        """log(softmax(x)) along an axis, accurate where the softmax itself underflows."""
        (x,) = tensors(x)
        return record(p.log_softmax, (x,), {"axis": negative_axis(axis, x.ndim, "log_softmax")})

    @spelled(np.cumsum)
    def cumsum(x: TensorLike, axis: int | None = None) -> Tensor:
        """Running sums along an axis; of all elements in order where `axis` is None."""
        (x,) = tensors(x)
        x = x.reshape(-1) if axis is None else x
        return record(p.cumsum, (x,), {"axis": negative_axis(0 if axis is None else axis, x.ndim, "cumsum")})

    # Shapes --------------------------------------------------------------------------------------------------------

    @spelled(np.reshape)
    def reshape(x: TensorLike, *sizes: Any, shape: Any = None) -> Tensor:
        """The same elements, in order, in another shape: x.reshape(2, 3), x.reshape((2, 3)), x.reshape(2, -1)."""
        (x,) = tensors(x)
        sizes = (shape,) if shape is not None else sizes
        sizes = sizes[0] if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
        try:
            settled = np.empty(x.shape, np.bool_).reshape(sizes).shape
        except (TypeError, ValueError):
            raise ValueError(
                f"reshape: {describe(x)}, has {x.size} elements, which do not fill {sizes} ({HERE.get()}); sizes are "
                "whole numbers, at most one of them -1"
            ) from None
        return record(p.reshape, (x,), {"shape": settled})

    @spelled(np.transpose)
    def transpose(x: TensorLike, *order: Any, axes: Any = None) -> Tensor:
        """The axes in another order, x.transpose(1, 0) or x.transpose((1, 0)); reversed where none is given."""
        (x,) = tensors(x)
        order = (axes,) if axes is not None else order
        order = order[0] if len(order) == 1 and not isinstance(order[0], int) else order
        settled = negative_axes(tuple(order), x.ndim, "transpose") if order else tuple(range(-1, -x.ndim - 1, -1))
        if len(settled) != x.ndim:
            raise ValueError(
                f"transpose: {describe(x)}, needs all its {x.ndim} axes in their new order; got {order} ({HERE.get()})"
            )
        return record(p.transpose, (x,), {"axes": settled})

    @property
    def T(self) -> Tensor:
        """The axes in reverse order."""
        return self.transpose()

    @spelled(np.swapaxes)
    def swapaxes(x: TensorLike, axis1: int, axis2: int) -> Tensor:
        """Two axes exchanged."""
        (x,) = tensors(x)
        order = list(range(-x.ndim, 0))
        a, b = (negative_axis(axis, x.ndim, "swapaxes") for axis in (axis1, axis2))
        order[a], order[b] = b, a
        return x.transpose(order)

    @spelled(np.moveaxis)
    def moveaxis(x: TensorLike, source: int | tuple[int, ...], destination: int | tuple[int, ...]) -> Tensor:
        """Axes moved to other places, the others keeping their order."""
        (x,) = tensors(x)
        starts = negative_axes(source, x.ndim, "moveaxis")
        ends = [a + x.ndim for a in negative_axes(destination, x.ndim, "moveaxis")]
        if len(starts) != len(ends):
            raise ValueError(
                f"moveaxis: as many destinations as sources; got {source} and {destination} ({HERE.get()})"
            )
        rest = [a for a in range(-x.ndim, 0) if a not in starts]
        for end, start in sorted(zip(ends, starts, strict=True)):
            rest.insert(end, start)
        return x.transpose(rest)

    @spelled(np.expand_dims)
    def expand_dims(x: TensorLike, axis: int | tuple[int, ...]) -> Tensor:
        """New axes of length 1 at the places `axis` of the result."""
        (x,) = tensors(x)
        new = axis if isinstance(axis, tuple) else (axis,)
        negative_axes(new, x.ndim + len(new), "expand_dims")
        return x.reshape(np.expand_dims(x.value, axis).shape)

    @spelled(np.squeeze)
    def squeeze(x: TensorLike, axis: Axis = None) -> Tensor:
        """Without its axes of length 1, or without those named in `axis`."""
        (x,) = tensors(x)
        gone = negative_axes(axis, x.ndim, "squeeze")
        if axis is not None and any(x.shape[a] != 1 for a in gone):
            raise ValueError(f"squeeze: axis {axis} of {describe(x)}, is not of length 1 ({HERE.get()})")
        return x.reshape([n for a, n in enumerate(x.shape) if n != 1 or a - x.ndim not in gone])

    @spelled(np.broadcast_to)
    def broadcast_to(x: TensorLike, shape: int | tuple[int, ...]) -> Tensor:
        """Repeated along new axes and along axes of length 1, to this shape."""
        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        return record(p.broadcast_to, tensors(x), {"shape": sizes})

    @spelled(np.pad)
    def pad(x: TensorLike, pad_width: Any, mode: str = "constant", constant_values: float = 0.0) -> Tensor:
        """Surrounded by a constant: `pad_width` is a number, (before, after), or one such pair for each axis."""
        (x,) = tensors(x)
        if mode != "constant":
            raise ValueError(f'pad: mode is "constant", not {mode!r}; build others with tg.concatenate ({HERE.get()})')
        try:
            pairs = np.broadcast_to(np.array(pad_width), (x.ndim, 2))
        except ValueError:
            pairs = np.array([[-1, -1]])
        if pairs.dtype.kind not in "iu" or (pairs < 0).any():
            raise ValueError(
                f"pad: pad_width is a number, (before, after), or such a pair for each of the {x.ndim} axes, whole "
                f"numbers from 0; got {shortened(pad_width)} for {describe(x)} ({HERE.get()})"
            )
        widths = tuple((int(a), int(b)) for a, b in pairs)
        return record(p.pad, (x,), {"widths": widths, "value": real(constant_values, "pad: constant_values")})

    @spelled(np.flip)
    def flip(x: TensorLike, axis: Axis = None) -> Tensor:
        """Back to front along one axis, several, or (None) all."""
        (x,) = tensors(x)
        turned = negative_axes(axis, x.ndim, "flip")
        return x[tuple(slice(None, None, -1 if a in turned else None) for a in range(-x.ndim, 0))]

    @spelled(np.split)
    def split(x: TensorLike, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
        """Cut along an axis into so many equal parts, or at these indices."""
        (x,) = tensors(x)
        asked, axis = axis, negative_axis(axis, x.ndim, "split")
        length = x.shape[axis]
        if not isinstance(indices_or_sections, (list, tuple, np.ndarray)):
            indices_or_sections = whole(indices_or_sections, "split: the number of parts")
            if indices_or_sections <= 0 or length % indices_or_sections:
                raise ValueError(
                    f"split: axis {asked} of {describe(x)}, cannot be cut into {indices_or_sections} equal parts "
                    f"({HERE.get()})"
                )
            size = length // indices_or_sections
            cuts = [size * k for k in range(1, indices_or_sections)]
        else:
            cuts = [whole(c, "split: an index to cut at") for c in indices_or_sections]
        starts, ends = [0, *cuts], [*cuts, length]
        return [x[p.along(axis, slice(a, b))] for a, b in zip(starts, ends, strict=True)]

    def __getitem__(self, index: Any) -> Tensor:
        """x[...]: ints, slices, None, ..., boolean and integer arrays, as in NumPy.

        An element of a stack is the very tensor that was stacked, so that paths do not fork at a stack of states.
        """
        if self.primitive is p.stack and HERE.get().recording and (found := self._unstacked(index)) is not None:
            return found
        try:
            is_gather, settled = indexing.parse(index, self.value.shape)
        except IndexError as error:
            raise IndexError(f"{error}. Indexed was {describe(self)} ({HERE.get()})") from None
        return record(p.gather if is_gather else p.take_slice, (self,), {"index": settled})

    def _unstacked(self, index: Any) -> Tensor | None:
        """What `index` takes of the one stacked tensor that it names, if it names one that is still as it was."""
        items, axis = index if type(index) is tuple else (index,), self.params["axis"] + self.ndim
        before, at, rest = items[:axis], items[axis : axis + 1], items[axis + 1 :]
        if not at or not isinstance(at[0], (int, np.integer)) or isinstance(at[0], bool):
            return None
        if any(not isinstance(item, slice) or item != slice(None) for item in before):
            return None
        if not all(item is None or item is Ellipsis or type(item) in (int, slice) for item in rest):
            return None  # beside an array an int counts as one, which may change the order of the axes
        if not -len(self.inputs) <= at[0] < len(self.inputs):
            return None
        stacked = self.inputs[at[0]]
        if stacked.index > self.index or stacked.dtype != self.dtype:
            return None
        return stacked[before + rest] if rest else stacked

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            raise TypeError(f"{describe(self)}, is a single number and cannot be iterated over")
        return (self[t] for t in range(len(self)))

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError(f"{describe(self)}, is a single number and has no length")
        return self.shape[0]

    # Products ------------------------------------------------------------------------------------------------------

    @spelled(np.matmul)
    def matmul(a: TensorLike, b: TensorLike) -> Tensor:
        """a @ b: matrices in the last two axes, batches (which broadcast) before them; 1-d operands are vectors."""
        return record(p.matmul, pair(a, b))

    @spelled(np.dot)
    def dot(a: TensorLike, b: TensorLike) -> Tensor:
        """NumPy's dot: over the last axis of `a` and the last but one of `b` (the only one, of a vector)."""
        a, b = pair(a, b)
        if a.ndim == 0 or b.ndim == 0:
            return a * b
        if b.ndim <= 2:
            return a @ b
        if a.shape[-1] != b.shape[-2]:
            raise ValueError(f"dot: {_HINTS['matmul']} ({HERE.get()}); got {describe(a)} and {describe(b)}")
        rows, columns = "abcdefghij"[: a.ndim - 1], "klmnopqrst"[: b.ndim - 1]
        subscripts = f"{rows}z,{columns[:-1]}z{columns[-1]}->{rows}{columns}"
        return record(p.einsum, (a, b), {"subscripts": subscripts})

    @spelled(np.outer)
    def outer(a: TensorLike, b: TensorLike) -> Tensor:
        """The products of every element of `a` with every element of `b`, as a matrix."""
        a, b = tensors(a, b)
        return a.reshape(-1, 1) * b.reshape(1, -1)

    # Operators -----------------------------------------------------------------------------------------------------

    __add__, __sub__, __mul__, __truediv__, __pow__, __matmul__ = add, subtract, multiply, divide, power, matmul
    __neg__, __abs__ = negative, abs

    def __pos__(self) -> Tensor:
        return self

    def __radd__(self, other: TensorLike) -> Tensor:
        return Tensor.add(other, self)

    def __rsub__(self, other: TensorLike) -> Tensor:
        return Tensor.subtract(other, self)

    def __rmul__(self, other: TensorLike) -> Tensor:
        return Tensor.multiply(other, self)

    def __rtruediv__(self, other: TensorLike) -> Tensor:
        return Tensor.divide(other, self)

    def __rpow__(self, other: TensorLike) -> Tensor:
        return Tensor.power(other, self)

    def __rmatmul__(self, other: TensorLike) -> Tensor:
        return Tensor.matmul(other, self)

    __iadd__, __isub__ = _in_place("+", add), _in_place("-", subtract)
    __imul__, __itruediv__ = _in_place("*", multiply), _in_place("/", divide)
    __ipow__, __imatmul__ = _in_place("**", power), _in_place("@", matmul)

    __and__ = __rand__ = _no_operator("&", "(x.data > 0) & (x.data < 1)")
    __or__ = __ror__ = _no_operator("|", "(x.data < 0) | (x.data > 1)")
    __xor__ = __rxor__ = _no_operator("^", "(x.data < 0) ^ (x.data > 1)")
    __invert__ = _no_operator("~", "~(x.data > 0)")
    __floordiv__ = __rfloordiv__ = _no_operator("//", "x.data // 2")
    __mod__ = __rmod__ = _no_operator("%", "x - x.data // 2 * 2")

    # Python and NumPy ------------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return numpy_protocol.call_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return numpy_protocol.call_function(function, args, kwargs)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if self.tracked:
            raise TypeError(
                f"making an array of {describe(self)}, would lose its gradient. To leave it behind on purpose "
                "use .data; to join tensors use tg.stack or tg.concatenate"
            )
        if copy is False:
            raise ValueError("an array made of a Tensor is always a copy; to look at its values without one read .data")
        return np.array(self.value, dtype=dtype)

    def __float__(self) -> float:
        return float(self._number("float"))

    def __int__(self) -> int:
        return int(self._number("int"))

    def __index__(self) -> int:
        if self.ndim or self.dtype.kind not in "iu":
            raise TypeError(
                f"{describe(self)}, of {self.dtype} is not a whole number, so it cannot be an index or a count"
            )
        return int(self.value)

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(
                f"{describe(self)}, is not one yes or no: reduce its values first, as in (x.data > 0).all(), or choose "
                "element by element with tg.where"
            )
        return bool(self.value)

    def _number(self, kind: str) -> Any:
        if self.tracked:
            raise TypeError(
                f"{kind}() of {describe(self)}, would lose its gradient; to leave it behind on purpose use .item()"
            )
        return self.item()

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def __repr__(self) -> str:
        inside = np.array2string(self.value, separator=", ", threshold=20, edgeitems=2, prefix="Tensor(")
        notes = [f"name={self.name!r}"] if self.name else []
        if self.primitive is not None:
            notes.append(
                f"made by {self.primitive.name}" + (f" at {self.place}" if self.place[:2] != Place()[:2] else "")
            )
        notes += [f"dtype={self.dtype}"] if self.dtype not in (np.float64, np.int64, np.bool_) else []
        notes += ["requires_grad=True"] if self.tracked and self.primitive is None else []
        return f"Tensor({', '.join([inside, *notes])})"

    def __reduce__(self) -> tuple[Any, ...]:
        """For copy.deepcopy: a leaf is copied with its values; a computed tensor cannot leave its tape."""
        if self.primitive is not None:
            raise TypeError(f"{describe(self)}, is part of a tape and cannot be copied; copy .detach() or .data")
        return type(self), (np.array(self.value), self.tracked, self.name)

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise TypeError(
            "a Tensor is not changed in place, since the tape relies on it: use tg.where(mask, new, old), or "
            "tg.concatenate of its parts"
        )

    def __delitem__(self, index: Any) -> NoReturn:
        self[index] = None


_adding = threading.Lock()  # two threads may go backward to the same leaves
_new, _ndarray = object.__new__, np.ndarray  # looked up once, since every operation asks
_set_grad = Tensor.__dict__["_grad"].__set__


def record(primitive: Primitive, inputs: tuple[Any, ...], params: dict[str, Any] = _NO_PARAMS) -> Tensor:
    """Compute an operation and put it on the tape, at the place where it is made.

    inputs: Tensors; what is not becomes one.
    Raises what NumPy raises, naming the operation, its operands and the place.
    """
    try:
        # Written out for one and two inputs: before Python 3.12 a comprehension is a function, made and called.
        if len(inputs) == 1:
            x = inputs[0].value
            value = primitive.forward(x, **params) if params else primitive.forward(x)
        elif len(inputs) == 2 and not params:
            value = primitive.forward(inputs[0].value, inputs[1].value)
        else:
            value = primitive.forward(*map(value_of, inputs), **params)
    except (ValueError, IndexError, TypeError) as error:
        raise _explained(error, primitive, inputs, params) from error
    except AttributeError:  # rather than a look at every input of every operation
        if all(isinstance(x, Tensor) for x in inputs):
            raise
        return record(primitive, tensors(*inputs), params)
    place = here()
    result: Tensor = _new(Tensor)
    result.value = value if type(value) is _ndarray else np.asarray(value)
    result.index = result.born = _next_index()
    result.place = place
    result.name = result._grad = None
    if place.recording:
        for x in inputs:
            if x.tracked:
                result.primitive, result.inputs, result.params = primitive, inputs, params
                result.tracked = primitive.differentiable
                return result
    result.tracked = False
    if primitive is p.concatenate and place.step is not None and place.recording and _are_leaves(inputs):
        # [h, x] of a first step, whose h is a constant: so that this step has the same graph as every other.
        result.primitive, result.inputs, result.params = primitive, inputs, params
    else:
        result.primitive, result.inputs, result.params = None, (), _NO_PARAMS
    return result


def _are_leaves(inputs: Sequence[Tensor]) -> bool:
    """So that no chain of constants, each joined to the one before, is kept."""
    return all(x.primitive is None for x in inputs)


Tensor.record = staticmethod(record)  # type: ignore[method-assign, assignment]


def tensors(*xs: TensorLike) -> tuple[Tensor, ...]:
    """All as Tensors. A Python number takes the dtype of its companions, as in NumPy."""
    for x in xs:
        if not isinstance(x, Tensor):
            break
    else:
        return xs  # type: ignore[return-value]
    for x in xs:
        if holds_tensors(x):
            raise TypeError(
                f"a {type(x).__name__} of {len(x)} Tensors is not one Tensor ({HERE.get()}). A layer returns its "
                "output and its state, output, state = lstm(x); to join tensors use tg.stack or tg.concatenate"
            )
    arrays = [
        x.value if isinstance(x, Tensor) else x if isinstance(x, (int, float, complex)) else own_copy(x) for x in xs
    ]
    dtype = np.result_type(*[a if isinstance(a, (int, float, complex)) else a.dtype for a in arrays])
    return tuple(
        x if isinstance(x, Tensor) else constant(np.asarray(a, dtype if isinstance(a, (int, float, complex)) else None))
        for x, a in zip(xs, arrays, strict=True)
    )


def holds_tensors(x: Any) -> TypeGuard[Sequence[Any]]:
    """Whether it is a tuple or list with Tensors in it, which is not one Tensor."""
    return isinstance(x, (tuple, list)) and any(isinstance(part, Tensor) for part in x)


def pair(a: TensorLike, b: TensorLike) -> tuple[Tensor, ...]:
    """The quick cases of `tensors`: two of them, or one and a number or an array of floats."""
    if isinstance(a, Tensor):
        if isinstance(b, Tensor):
            return a, b
        if type(b) in _NUMBERS and a.value.dtype.kind == "f":
            return a, constant(np.array(b, a.value.dtype))
        if type(b) is np.ndarray and b.dtype.kind == "f":
            return a, constant(b.copy("K"))
    elif type(a) in _NUMBERS and isinstance(b, Tensor) and b.value.dtype.kind == "f":
        return constant(np.array(a, b.value.dtype)), b
    return tensors(a, b)


_NUMBERS = (float, int)


def seed_of(y: Tensor, cotangent: TensorLike | None) -> Array:
    """The cotangent that a backward sweep from `y` starts with."""
    if not y.tracked:
        raise RuntimeError(
            f"{describe(y)}, does not depend on any tensor that requires a gradient. Was requires_grad=True forgotten, "
            "or was it computed inside tg.no_grad() or from .data or .detach()?"
        )
    if cotangent is None:
        if y.size != 1:
            raise RuntimeError(
                f"{describe(y)}, is not a single number, so its gradient needs a direction: reduce it first, as in "
                "loss.sum().backward() or loss.mean().backward(), or give one, an array v of its shape: "
                "y.backward(gradient=v), tg.vjp(y, x, v). All directions at once are tg.jacobian(y, x)"
            )
        return np.ones(y.shape, y.dtype)
    seed = fitting(cotangent, y.dtype, describe(y))
    if seed.shape != y.shape:
        raise ValueError(f"the gradient passed for {describe(y)}, has shape {seed.shape}; give it the shape {y.shape}")
    return seed


def constant(value: Array, name: str | None = None) -> Tensor:
    """A constant of an array that nobody else can write to."""
    result: Tensor = _new(Tensor)
    result.value, result.place, result.name = value, HERE.get(), name
    result.index = result.born = _next_index()
    result.primitive, result.inputs, result.params, result.tracked, result._grad = None, (), _NO_PARAMS, False, None
    return result


def _from_the_front(axis: int | tuple[int, ...], ndim: int) -> int | tuple[int, ...]:
    """As users count axes."""
    return tuple(a + ndim for a in axis) if isinstance(axis, tuple) else axis + ndim


_HINTS = {
    "linear": "x is (..., inputs), w is (outputs, inputs) and b is (outputs,)",
    "matmul": "The last axis of the first and the last but one of the second must be equally long",
    "concatenate": "All must have the same shape but for the axis along which they are joined",
    "stack": "All must have the same shape",
    "broadcast_to": "Shapes broadcast from the right: a size stays, or grows from 1",
    "max": "Nothing is the largest element of an empty tensor",
    "min": "Nothing is the smallest element of an empty tensor",
    "logsumexp": "Along an axis of length 0 there is nothing to sum",
    "softmax": "Along an axis of length 0 there is nothing to compare",
    "log_softmax": "Along an axis of length 0 there is nothing to compare",
}


def _explained(error: Exception, primitive: Primitive, inputs: Sequence[Tensor], params: Any) -> Exception:
    """What is wrong with the operands, in our words where NumPy's are about its own insides."""
    kind = next(k for k in (IndexError, ValueError, TypeError) if isinstance(error, k))
    reason = _HINTS.get(primitive.name, str(error).strip().removesuffix("."))
    if primitive.name == "matmul" and any(x.ndim == 0 for x in inputs):
        reason = "A single number is multiplied by *"
    if "broadcast together" in reason:
        reason = "Shapes broadcast from the right: each two sizes must be equal, or one of them 1"
    operands = "; ".join(describe(x) for x in inputs)
    ndim = max((x.ndim for x in inputs), default=0) + (primitive is p.stack)
    settings = "".join(
        f", {name} {shortened(_from_the_front(value, ndim) if name == 'axis' else value)}"
        for name, value in params.items()
    )
    return kind(f"{primitive.name} cannot be computed ({HERE.get()}). {reason}. Operands: {operands}{settings}.")
