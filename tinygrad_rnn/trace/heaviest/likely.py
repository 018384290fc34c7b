"""Likely completions: what a beam goes by, and the scale of all numbers in a search.

From each stop one completion to the source: that which is heaviest among those that go on as is likely from the next
stop. What it carries says how large numbers are there. So the cotangents at each stop are counted in a unit of their
own, a power of two, in which a path of 10^-300 is searched for as one of 1 would be; scaling by powers of two is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from . import blocks
from .factors import Factors
from .segments import Segments, Stop

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Likely:
    """By stop: the completion, as a matrix about as long as 1 that stretches cotangents about as its Jacobian does, and
    by which power of two that was divided."""

    completions: dict[Stop, Array]
    exponents: dict[Stop, int]


def likely_completions(segments: Segments, factors: Factors) -> Likely:
    found = Likely({}, {})
    for stop in segments.ways:  # earlier nodes first: completions lead back in time
        ways: list[tuple[float, Array, int]] = []
        for x in segments.ways[stop].following:
            way = blocks.product(factors.following[stop][x], found.completions[x])
            ways.append((_log2(way) + found.exponents[x], way, found.exponents[x]))
        if stop in factors.ends:
            ways.append((_log2(factors.ends[stop].matrix), factors.ends[stop].matrix, 0))
        _, way, exponent = max(ways, key=lambda item: item[0])
        # However small that completion is, no factor may be so large in these units that products of them overflow.
        largest = [_exponent(factors.following[stop][x]) + found.exponents[x] for x in segments.ways[stop].following]
        largest += [_exponent(factors.ends[stop].matrix)] if stop in factors.ends else []
        found.exponents[stop] = max(exponent + _exponent(way), *(each - 64 for each in largest))
        found.completions[stop] = blocks.reduced(np.ldexp(way, exponent - found.exponents[stop]))
    return found


def _log2(matrix: Array) -> float:
    length = float(blocks.lengths(matrix.reshape((1, matrix.size)))[0])
    return math.log2(length) if length else -math.inf


def _exponent(matrix: Array) -> int:
    """Of the power of two that is just larger than every element."""
    return int(np.frexp(np.abs(matrix).max(initial=0.0))[1])


def count_in_units(factors: Factors, exponents: dict[Stop, int]) -> None:
    """Make the factors such as lead between cotangents that are counted in units of their stops, 2^-exponent."""
    for stop, following in factors.following.items():
        for earlier, matrix in following.items():
            following[earlier] = np.ldexp(matrix, exponents[earlier] - exponents[stop])
    for stop, end in factors.ends.items():
        factors.ends[stop] = replace(end, matrix=np.ldexp(end.matrix, -exponents[stop]))
