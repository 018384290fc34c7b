"""Sizes of gradients: norms, which do not add up, and shares, which do; and what no number can tell.

A norm below the smallest normal number of its dtype has underflowed, whatever its bits. Below that digits are lost one
by one, and what is halved again and again need not come to 0: 0.6 times 5e-324 rounds to 5e-324.
"""

from __future__ import annotations

import math
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


def spectral_norms(matrices: Array) -> Array:
    """The largest singular value of each matrix, (k, n, m) -> (k,): the most by which it stretches a vector.

    The root of the largest eigenvalue of M M', which takes a fraction of the time of a singular value decomposition and
    is as exact. inf where a number is not finite.
    """
    if not matrices.size:
        return np.zeros(len(matrices))
    if 1 in matrices.shape[1:]:
        return norms_over(matrices, 1)
    largest = np.abs(matrices).max(axis=(1, 2))
    if not np.isfinite(largest).all():
        return np.full(len(matrices), np.inf)
    scaled = matrices / np.where(largest > 0, largest, 1.0)[:, None, None]
    across = scaled.swapaxes(1, 2)
    gram = scaled @ across if matrices.shape[1] <= matrices.shape[2] else across @ scaled
    return np.asarray(largest * np.sqrt(np.linalg.eigvalsh(gram)[:, -1].clip(0.0)))


def shares_of(parts: Array, whole: Array, dtype: Any = None) -> Array:
    """<part, whole> / <whole, whole> for each entry of a table of parts, each of the shape of `whole`.

    The shares of parts that sum to the whole add up to 1. All are nan where the whole has none.
    dtype: in which they were computed, where that is not that of the whole.
    """
    table = parts.shape[: parts.ndim - whole.ndim]
    if not has_shares(whole, dtype):
        return np.full(table, np.nan)
    largest = np.max(np.abs(whole))
    unit = (whole / largest).ravel()
    return np.asarray((parts.reshape((*table, whole.size)) / largest) @ unit / (unit @ unit))


def smallest(dtype: Any = np.float64) -> float:
    """The smallest number of this dtype that has all its digits."""
    return float(np.finfo(dtype).tiny)


def is_beyond(norm: float, dtype: Any = np.float64) -> bool:
    """Whether a norm does not tell the size: it is 0, has lost digits or is not finite, for the range of numbers."""
    return not smallest(dtype) <= norm < math.inf


def has_a_norm(part: Array) -> bool:
    """Whether a number holds the norm, with all its digits: it is not 0, and did not underflow or overflow."""
    return not is_beyond(float(norms_over(part[None], 1)[0]), part.dtype)


def has_shares(whole: Array, dtype: Any = None) -> bool:
    """Whether there are shares of this gradient: it is not 0, did not underflow, and all of its elements are finite.

    dtype: in which it was computed, where that is not its own.
    """
    return bool(np.isfinite(whole).all() and norms_over(whole[None], 1)[0] >= smallest(dtype or whole.dtype))


def power_of_ten(log10: float) -> str:
    """10^-324, and 10^0 whether from above or below."""
    return f"10^{round(log10)}"


def percent(share: float, log10: float | None = None) -> str:
    """A share as reports print it: 12.34%, 3e-09 where percents would round to 0, 0 where it is exactly that.

    «none» where there is no gradient to have a share of. log10: of the norm of what the share belongs to, where that
    is beyond the range of numbers: a share of what underflowed is not 0 in truth, nor what its bits say.
    """
    if math.isnan(share):
        return "none"
    if log10 is not None and -math.inf < log10 < 0:
        return "underflowed"
    if share == 0:
        return "0"
    return f"{share:.2%}" if not abs(share) < 5e-5 else f"{share:.0e}"


def magnitude(norm: float, log10: float | None = None, dtype: Any = np.float64) -> str:
    """A norm as reports print it, in which what underflowed is never taken for 0, nor what overflowed for infinite.

    log10: of the true norm; None where that is not known, and then neither is which of the two a 0 or an inf is.
    dtype: of what it is the norm of.
    """
    if log10 == -math.inf and not norm >= smallest(dtype):  # nan is what infinity makes of 0 on the way
        return "0 exactly"
    if not math.isfinite(norm) and log10 is not None and math.isfinite(log10):
        return f"{power_of_ten(log10)} overflowed"
    if math.isnan(norm):
        return "not a number"
    if norm == math.inf:
        return "inf or overflowed" if log10 is None else "infinite"
    if norm < smallest(dtype):
        return "0 or underflowed" if log10 is None else f"{power_of_ten(log10)} underflowed"
    return f"{norm:.3g}"
