"""Why a gradient has no shares, in words: exactly 0, underflowed, overflowed and not finite are different answers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .automaton import Paths, every_path
from .measure import has_shares, power_of_ten
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
    finite, log10 = bool(np.isfinite(whole).all()), log10_of_whole(paths)
    if finite and log10 == -math.inf:
        return "is exactly 0"
    if not finite and not math.isfinite(log10):
        return "is not finite"
    lost, beyond, size = ("underflowed", log10 < -37, "small") if finite else ("overflowed", log10 > 38, "large")
    why = f", too {size} for a number" if beyond else " in truth, but left the range of numbers on the way back"
    return f"{lost}: it is about {power_of_ten(log10)}{why}"
