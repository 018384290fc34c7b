"""An array in a few numbers, for a node of a picture. What is not there is never shown as 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Value:
    """What an array holds. low, high and mean are None where there is no number to give (no elements, only NaN)."""

    shape: tuple[int, ...]
    dtype: str
    low: float | None
    high: float | None
    mean: float | None
    nans: int


def summary(array: Any) -> Value:
    """The range and the mean of an array, its NaN counted and left out."""
    a = np.asarray(array)
    numbers = np.abs(a) if a.dtype.kind == "c" else a.astype(np.float64)
    nans = int(np.isnan(numbers).sum())
    there = numbers[~np.isnan(numbers)] if nans else numbers.reshape(-1)
    if there.size == 0:
        return Value(a.shape, str(a.dtype), None, None, None, nans)
    low, high = float(there.min()), float(there.max())
    return Value(a.shape, str(a.dtype), low, high, _mean(there, low, high), nans)


def _mean(numbers: Any, low: float, high: float) -> float:
    if not (np.isfinite(low) and np.isfinite(high)):
        return low + high  # inf, -inf, or nan where both are there
    scale = max(abs(low), abs(high)) or 1.0  # so that the sum of huge numbers does not overflow
    return float((numbers / scale).mean() * scale)


def norm(array: Any) -> float:
    """The Euclidean norm; neither underflows at 1e-170 nor overflows at 1e170."""
    a = np.abs(np.asarray(array)).astype(np.float64)
    if a.size == 0:
        return 0.0
    largest = float(a.max())
    if largest == 0 or not np.isfinite(largest):
        return largest
    return largest * float(np.sqrt(np.square(a / largest).sum()))


def number(x: float, digits: int = 3) -> str:
    """So many significant digits, with true minus signs, for readers: 0.0123, −1.5e−07, nan, inf."""
    return f"{x + 0.0:.{digits}g}".replace("-", "−")  # adding 0.0 turns -0.0 into 0.0


def shape_text(value: Value) -> str:
    """(2, 3), or `scalar` for shape ()."""
    return str(value.shape) if value.shape else "scalar"


def value_text(value: Value) -> str:
    """0.512 for one number, `−0.13 to 0.94` for more; what is missing is said."""
    if value.low is None or value.high is None:
        return f"only nan ({value.nans})" if value.nans else "no elements"
    if value.dtype == "bool":
        return "all true" if value.low else "all false" if not value.high else "true and false"
    one = number(value.low) if value.low == value.high else f"{number(value.low, 2)} to {number(value.high, 2)}"
    return one + (f", {value.nans} nan" if value.nans else "")


def gradient_text(gradient: float | None) -> str:
    """`|grad| 0.0123`, or `grad -` where none was kept."""
    return "grad -" if gradient is None else f"|grad| {number(gradient)}"
