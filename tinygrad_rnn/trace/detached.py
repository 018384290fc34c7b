"""The expected gradient where the tensors of a landmark are detached at random (h-detach: Arpit et al. 2018).

A path with k crossings in the landmark is kept with probability p^k, so it is the polynomial

    sum over k of p^k C_k,    C_k the gradient through the paths with exactly k crossings

C_k may overflow and p^k C_k be 1: then each C_k has its scale, and so has p^k, until all is added up.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .automaton import Paths, Reading, read, split
from .crossings import crossing_letter, number_of_crossings
from .measure import has_a_norm, smallest
from .parts import Part
from .scaled import arrived, log10_of, moved

Array = npt.NDArray[Any]


def expected_detached(paths: Paths, name: str, keep: float, whole: Array) -> Part:
    """keep: the probability that one is kept. whole: the gradient through all paths."""
    reading = read(paths, 0, number_of_crossings(crossing_letter(paths, name)))
    with np.errstate(over="ignore", invalid="ignore"):
        found = {k: part for k, part in split(reading).items() if keep or not k}
        pieces = [keep**k * part for k, part in found.items()]  # type: ignore[operator]
        gradient, log10 = np.asarray(sum(pieces, np.zeros_like(whole))), None
    smallest_power = keep ** max(found, default=0)  # type: ignore[type-var, operator]
    if not has_a_norm(gradient) or smallest_power < smallest(whole.dtype):
        gradient, log10 = _in_scales(reading, keep)
    called = f"expected, {name} kept with probability {keep:g}"
    return Part(called, gradient, whole, log10=None if has_a_norm(gradient) else log10)


def _in_scales(reading: Reading, keep: float) -> tuple[Array, float]:
    """The sum, and log10 of its norm; -inf where it is exactly 0."""
    parts, exponents = arrived(reading)
    kept = [q for q, k in enumerate(reading.states) if keep or not k]
    by, powers = np.transpose([_power(keep, reading.states[q]) for q in kept])  # type: ignore[arg-type]
    by = by.astype(parts.dtype).reshape((-1,) + (1,) * (parts.ndim - 1))
    scaled = parts[kept] * by, exponents[kept] - powers.astype(np.int64)
    total, (exponent,) = moved(scaled, np.zeros(len(kept), np.intp), 1)
    with np.errstate(over="ignore", under="ignore"):
        gradient = np.ldexp(total[0], -int(exponent))
    return gradient, float(log10_of([(total, np.array([exponent]))])[0])


def _power(p: float, k: int) -> tuple[float, int]:
    """p^k = m 2^e, as (m, e)."""
    m, e = 1.0, 0
    for _ in range(k):
        m, by = math.frexp(m * p)
        e += by
    return m, e
