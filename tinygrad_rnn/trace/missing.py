"""Why a gradient has no shares, in words: exactly 0, underflowed, overflowed and not finite are different answers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .automaton import Paths, every_path
from .measure import has_shares
from .route import accepts
from .scaled import log10_of_route


def log10_of_whole(paths: Paths) -> float:
    """log10 of the norm of the whole gradient, also where no number can hold it; -inf where it is exactly 0."""
    return log10_of_route(every_path(paths), accepts)


def why_no_shares(paths: Paths, whole: npt.NDArray[Any]) -> str:
    """What the gradient does or is, as in «is exactly 0»; empty where it has shares.

    whole: the gradient through all paths.
    """
    if has_shares(whole, paths.source.dtype):
        return ""
    finite = bool(np.isfinite(whole).all())
    log10 = log10_of_whole(paths)
    if finite:
        below = f"underflowed: it is about 10^{log10:.0f}, too small for a number"
        return "is exactly 0" if log10 == -math.inf else below
    if not math.isfinite(log10):
        return "is not finite"
    return f"overflowed: it is about 10^{log10:.0f}" + (", too large for a number" if log10 > 38 else " in truth")
