"""The expected gradient where the tensors of a landmark are detached at random (h-detach: Arpit et al. 2018).

A path with k crossings in the landmark is kept with probability p^k, so it is the polynomial

    sum over k of p^k C_k,    C_k the gradient through the paths with exactly k crossings

It is not added up so, since the C_k may be huge and cancel: every crossing in the landmark passes on p times what
arrives there, in one sweep.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .automaton import Paths
from .crossings import crossing_letter
from .measure import has_a_norm
from .parts import Part
from .scaled import Scaled, log10_of, sweep_scaled, unscaled

Array = npt.NDArray[Any]


def expected_detached(paths: Paths, name: str, keep: float, whole: Array) -> Part:
    """keep: the probability that one is kept. whole: the gradient through all paths."""
    letter, source = crossing_letter(paths, name), paths.source

    def thin(consumer: Any, slot: int, part: Scaled) -> Scaled:
        if (consumer.index, slot) in paths.cut:
            return np.zeros_like(part[0]), part[1]
        crossing = paths.marks(consumer, consumer.inputs[slot])[1]
        return (part[0] * keep, part[1]) if crossing is not None and letter.stands_for(crossing) else part

    found = sweep_scaled(paths.order, unscaled(paths.seeds(1)), [source.index], dict.fromkeys(paths.order, thin))
    none = np.zeros((1, *source.shape), source.dtype), np.zeros(1, np.int64)
    total, exponents = found.get(source.index, none)
    with np.errstate(over="ignore", under="ignore"):
        gradient = np.ldexp(total[0], -int(exponents[0]))
    log10 = None if has_a_norm(gradient) else float(log10_of([(total, exponents)])[0])
    return Part(f"expected, {name} kept with probability {keep:g}", gradient, whole, log10=log10)
