"""What users hand in: copied where the tape will rely on it, and explained where it is not what is needed."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .annotate import HERE

Array = npt.NDArray[Any]
Axis: TypeAlias = int | tuple[int, ...] | None


def own_copy(data: Any, dtype: Any = None) -> Array:
    """An array of our own: what the user does to hers later must not change what the tape relies on.

    Raises TypeError for what does not hold numbers, ValueError for nested lists whose rows differ in length.
    """
    if isinstance(data, np.ma.MaskedArray):
        raise TypeError("a masked array would lose its mask here; pass array.filled(value), or use tg.where")
    if data is None:
        raise TypeError("a Tensor holds numbers; got None. Whether there is a tensor is asked by `x is None`")
    try:
        value = np.array(data)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        if isinstance(data, tuple) and len(data) == 2 and isinstance(data[0], int):
            raise ValueError(f"this is a pair {shortened(data)}: was `for t, x in tg.steps(xs)` meant?") from None
        raise ValueError(
            f"the rows of {shortened(data)} have different lengths; pad them to one length, or keep a list of Tensors"
        ) from None
    if value.dtype.kind not in "fiubc":
        raise TypeError(f"a Tensor holds numbers; got {type(data).__name__} {shortened(data)}")
    return value if dtype is None else value.astype(_numeric(dtype), copy=False)


def fitting(data: Any, dtype: np.dtype[Any], what: str) -> Array:
    """Like `own_copy`, of this dtype. Raises TypeError where the numbers would lose their fraction."""
    value = own_copy(data)
    if not np.can_cast(value.dtype, dtype, "same_kind"):
        raise TypeError(f"{what}, holds {dtype}, into which data of dtype {value.dtype} does not fit")
    return value.astype(dtype, copy=False)


def laid_out_like(old: Array, new: Array) -> Array:
    """`new` in the order in memory that `old` has: row by row or, where that was chosen, column by column."""
    return np.asfortranarray(new) if old.flags.fnc else new


def _numeric(dtype: Any) -> np.dtype[Any]:
    settled: np.dtype[Any] = np.dtype(dtype)
    if settled.kind not in "fiubc":
        raise TypeError(f"a Tensor holds numbers; {shortened(dtype)} is no dtype of numbers")
    return settled


def negative_axes(axis: Axis, ndim: int, operation: str) -> tuple[int, ...]:
    """As negative numbers, which mean the same behind leading axes; None stands for all."""
    if axis is None:
        return tuple(range(-ndim, 0))
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    return tuple(_one_axis(a, given, ndim, operation) for a in given)


def negative_axis(axis: int, ndim: int, operation: str) -> int:
    """The same for an operation along one axis."""
    return _one_axis(axis, (axis,), ndim, operation)


def _one_axis(axis: Any, given: Sequence[Any], ndim: int, operation: str) -> int:
    settled = whole(axis, f"{operation}: an axis")
    if not -ndim <= settled < ndim:
        known = f"axes go from {-ndim} to {ndim - 1}" if ndim else "a single number has no axes"
        raise np.exceptions.AxisError(
            f"{operation}: axis {settled} is out of range for a tensor with {ndim} axes ({HERE.get()}): {known}"
        )
    settled = settled if settled < 0 else settled - ndim
    if [a if a < 0 else a - ndim for a in given].count(settled) > 1:
        raise ValueError(f"{operation}: axis {axis} is named twice in {tuple(given)} ({HERE.get()})")
    return settled


def whole(number: Any, what: str) -> int:
    """A whole number as an int; a float or a tuple is refused rather than rounded or cut."""
    try:
        return operator.index(number)
    except TypeError:
        raise TypeError(f"{what} is a whole number; got {shortened(number)} ({HERE.get()})") from None


def real(number: Any, what: str) -> float:
    """One real number as a float."""
    try:
        return float(number)
    except (TypeError, ValueError):
        raise TypeError(f"{what} is a number; got {shortened(number)} ({HERE.get()})") from None


def a_name(name: Any, example: str) -> str:
    """A name of a tensor or scope."""
    if not isinstance(name, str) or not name:
        raise ValueError(f"a name is a non-empty string, as in {example}; got {name!r}")
    return name


def shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
