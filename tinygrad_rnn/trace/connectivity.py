"""Connectivity: how much each output feels each input, |d output(t') / dx_t|."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.sweep import sweep, tape
from ..engine.tensor import Tensor, seed_of
from .measure import norms_over
from .uses import leads_to

Array = npt.NDArray[Any]


def connectivity(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> Array:
    """The norms |d outputs[t'] / d inputs[t]|, (outputs, inputs), all in one backward sweep; nan where no path leads.

    They are plain numbers: a 0 may have underflowed, and so may any below the smallest normal number of their dtype,
    1.2e-38 in float32; an inf may have overflowed. `tg.trace_gradient(output, to=x).log10_norms()`
    tells.

    outputs: one number each, such as the logit of the target at each step. inputs: the tensor at each step.
    A picture of it shows how far a trained model reads back (Madsen 2019, «Visualizing memorization in RNNs», Distill).
    """
    for what, given in (("outputs", outputs), ("inputs", inputs)):
        is_list = isinstance(given, (list, tuple)) and len(given) > 0
        if not is_list or not all(isinstance(one, Tensor) for one in given):
            raise TypeError(f"connectivity takes a list of Tensors as its {what}, one for each step; got {given!r:.60}")
    for y in outputs:
        seed_of(y, None)
    untracked = [x.name or k for k, x in enumerate(inputs) if not x.tracked]
    if untracked:
        raise RuntimeError(
            f"inputs {untracked} require no gradient: make them with tg.Tensor(x, requires_grad=True) before computing"
        )
    table = np.full((len(outputs), len(inputs)), np.nan)
    order = tape(outputs, inputs)
    seeds: dict[int, Array] = {}
    for row, y in enumerate(outputs):
        if y.index in order:
            seeds.setdefault(y.index, np.zeros((len(outputs), *y.shape), y.dtype))[row] = 1.0
    found = sweep(order, seeds, [x.index for x in inputs if x.index in order])
    reach = leads_to(order, outputs)
    for column, x in enumerate(inputs):
        if x.index in found:
            rows = np.array([bool(reach[x.index] >> row & 1) for row in range(len(outputs))])
            table[rows, column] = norms_over(found[x.index], 1)[rows]
    if np.isnan(table).all():
        raise RuntimeError("no output was computed from any of these inputs: no path leads there")
    return table
