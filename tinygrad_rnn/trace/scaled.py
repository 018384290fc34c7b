"""Norms far below what a number can hold: 10^-6800 is not 0.

The cotangents of a time step are kept as m 2^-e with one integer exponent e for the step, chosen where the sweep first
enters it. A step is entered by edges that cross, so scaling there by powers of two, which is exact, keeps every sum
aligned. While nothing underflows the answer has the same bits as that of the plain sweep.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.sweep import AtEdge, sweep
from ..engine.tensor import Tensor
from .automaton import Paths
from .measure import norms_over

Array = npt.NDArray[Any]


class Exponents:
    """The integer exponent of each time step: cotangents there are kept as m 2^-e."""

    def __init__(self, losses: tuple[Tensor, ...]) -> None:
        self._of: dict[int | None, int] = {loss.place.step: 0 for loss in losses}

    def __getitem__(self, step: int | None) -> int:
        return self._of[step]

    def carry(self, part: Array, here: int | None, there: int | None) -> Array:
        """A contribution at step `here`, in the scale of the step `there` that it flows to."""
        if there == here or not part.any():
            return part
        if there not in self._of:
            self._of[there] = self._of[here] - math.frexp(float(np.max(np.abs(part))))[1]
        return np.asarray(np.ldexp(part, self._of[there] - self._of[here]))


def log10_of(parts: list[Array], exponent: int) -> float:
    """log10 of the norm of all parts together, times 2^-exponent; -inf where all are exactly 0."""
    norm = float(norms_over(np.concatenate([part.ravel() for part in parts])[None], 1)[0])
    return math.log10(norm) - exponent * math.log10(2) if norm else -math.inf


def scaled_contributions(paths: Paths) -> dict[int | None, tuple[Array, int]]:
    """What the uses of the source at each step contribute to the sum of the losses: (m, e), that is m 2^-e.

    A use outside any step has the key None.
    """
    exponents = Exponents(paths.losses)
    found: dict[int | None, tuple[Array, int]] = {}

    def rescale(consumer: Any, slot: int, part: Array) -> Array | None:
        producer, here = consumer.inputs[slot], consumer.place.step
        if producer is paths.source:
            so_far = found.get(here, (np.zeros(part.shape), 0))[0]
            found[here] = so_far + part, exponents[here]
            return None
        return exponents.carry(part, here, producer.place.step)

    hooks: dict[int, AtEdge] = dict.fromkeys(paths.order, rescale)
    seeds = {index: seed[0] for index, seed in paths.seeds(1).items()}
    sweep(paths.order, seeds, keep=(), at_edge=hooks)
    return found


def log10_norms(paths: Paths) -> dict[int | None, float]:
    """log10 of the norm of the contribution of each step, exact also where the norm itself underflows.

    -inf stands for a contribution that is exactly 0.
    """
    found = scaled_contributions(paths)
    logs = {step: log10_of([part], exponent) for step, (part, exponent) in found.items()}
    return dict(sorted(logs.items(), key=lambda item: (item[0] is None, item[0] or 0)))
