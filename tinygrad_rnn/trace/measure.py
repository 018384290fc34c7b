"""Sizes of gradients: norms, which do not add up, and shares, which do."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def norms_over(parts: Array, table_axes: int) -> Array:
    """The Euclidean norm of each entry of a table whose first `table_axes` axes are the table's own.

    Scaled by the largest element before squaring: a norm of 1e-200 is not 0.
    """
    flat = np.abs(parts.reshape((*parts.shape[:table_axes], math.prod(parts.shape[table_axes:]))))
    largest = flat.max(axis=-1, initial=0.0, keepdims=True)
    scale = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
    return np.asarray((scale * np.sqrt(np.square(flat / scale).sum(axis=-1, keepdims=True)))[..., 0])


def shares_of(parts: Array, whole: Array) -> Array:
    """<part, whole> / <whole, whole> for each entry of a table of parts, each of the shape of `whole`.

    The shares of parts that sum to the whole add up to 1. All are nan where the whole is exactly 0, or not finite.
    """
    table = parts.shape[: parts.ndim - whole.ndim]
    largest = np.max(np.abs(whole), initial=0.0)
    if not 0 < largest < math.inf:
        return np.full(table, np.nan)
    unit = (whole / largest).ravel()
    return np.asarray((parts.reshape((*table, whole.size)) / largest) @ unit / (unit @ unit))


def has_a_norm(part: Array) -> bool:
    """Whether a number holds the norm, with all its digits: it is not 0, and did not underflow or overflow."""
    return bool(np.finfo(part.dtype).tiny <= norms_over(part[None], 1)[0] < math.inf)


def percent(share: float, log10: float | None = None) -> str:
    """A share as reports print it: 12.34%, 3e-09 where percents would round to 0, 0 where it is exactly that.

    «none» where there is no gradient to have a share of. log10: of the norm of what a share of 0 belongs to: where
    that is not 0 in truth, it underflowed.
    """
    if share == 0 and log10 is not None and log10 > -math.inf:
        return "underflowed"
    if share == 0 or math.isnan(share):
        return "none" if share else "0"
    return f"{share:.2%}" if not abs(share) < 5e-5 else f"{share:.0e}"


def magnitude(norm: float, log10: float | None = None) -> str:
    """A norm as reports print it, in which what underflowed is never taken for 0, nor what overflowed for infinite.

    log10: of the true norm; None where that is not known, and then neither is which of the two a 0 or an inf is.
    """
    if log10 == -math.inf and not norm > 0:  # nan is what infinity makes of 0 on the way
        return "0 exactly"
    if not math.isfinite(norm) and log10 is not None and math.isfinite(log10):
        return f"10^{log10:.0f} overflowed"
    if math.isnan(norm):
        return "not a number"
    if norm == math.inf:
        return "inf or overflowed" if log10 is None else "infinite"
    if log10 is not None and norm < sys.float_info.min:  # of which few digits are left, if any
        return f"10^{log10:.0f} underflowed"
    return f"{norm:.3g}" if norm != 0 else "0 or underflowed"


def is_beyond(norm: float) -> bool:
    """Whether a norm does not tell the size: it is 0, has lost digits or is not finite, for the range of numbers."""
    return not sys.float_info.min <= norm < math.inf
