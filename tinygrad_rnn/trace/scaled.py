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
from .automaton import Paths
from .measure import norms_over

Array = npt.NDArray[Any]


def scaled_contributions(paths: Paths) -> dict[int | None, tuple[Array, int]]:
    """What the uses of the source at each step contribute to the sum of the losses: (m, e), that is m 2^-e.

    A use outside any step has the key None.
    """
    exponents: dict[int | None, int] = {loss.place.step: 0 for loss in paths.losses}
    found: dict[int | None, tuple[Array, int]] = {}

    def rescale(consumer: Any, slot: int, part: Array) -> Array | None:
        producer, here = consumer.inputs[slot], consumer.place.step
        if producer is paths.source:
            so_far = found.get(here, (np.zeros(part.shape), 0))[0]
            found[here] = so_far + part, exponents[here]
            return None
        there = producer.place.step
        if there == here or not part.any():
            return part
        if there not in exponents:
            exponents[there] = exponents[here] - math.frexp(float(np.max(np.abs(part))))[1]
        return np.asarray(np.ldexp(part, exponents[there] - exponents[here]))

    hooks: dict[int, AtEdge] = dict.fromkeys(paths.order, rescale)
    seeds = {index: seed[0] for index, seed in paths.seeds(1).items()}
    sweep(paths.order, seeds, keep=(), at_edge=hooks)
    return found


def log10_norms(paths: Paths) -> dict[int | None, float]:
    """log10 of the norm of the contribution of each step, exact also where the norm itself underflows.

    -inf stands for a contribution that is exactly 0.
    """
    logs: dict[int | None, float] = {}
    for step, (part, exponent) in scaled_contributions(paths).items():
        norm = float(norms_over(part[None], 1)[0])
        logs[step] = math.log10(norm) - exponent * math.log10(2) if norm else -math.inf
    return dict(sorted(logs.items(), key=lambda item: (item[0] is None, item[0] or 0)))
