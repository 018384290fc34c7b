"""The question «how does the gradient of these losses get to this tensor?», from which the answers follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.sweep import describe, sweep, tape
from ..engine.tensor import Tensor, seed_of
from .ledger import Ledger, ledger_of


@dataclass(frozen=True)
class GradientTrace:
    """What `trace_gradient` returns: the gradient of the sum of `losses` by `source`, to be taken apart."""

    losses: tuple[Tensor, ...]
    source: Tensor

    @cached_property
    def total(self) -> npt.NDArray[Any]:
        """The gradient itself, of the source's shape: what `tg.grad` gives."""
        order = tape(self.losses, [self.source])
        seeds: dict[int, npt.NDArray[Any]] = {}
        for loss in self.losses:
            seeds[loss.index] = seeds.get(loss.index, 0.0) + np.ones(loss.shape, loss.dtype)
        return np.asarray(sweep(order, seeds, [self.source.index])[self.source.index])

    def ledger(self) -> Ledger:
        """What each use of the source, at each time step, contributes to each loss."""
        return self._ledger

    @cached_property
    def _ledger(self) -> Ledger:
        return ledger_of(self.losses, self.source)


def trace_gradient(loss: Tensor | Sequence[Tensor], to: Tensor) -> GradientTrace:
    """Ask how the gradient of a loss gets to a tensor.

    loss: a Tensor with one element, or a list of them (one for each time step, say).
    to: the tensor at the other end: a shared weight, an input, a state.
    Raises RuntimeError where no path leads from `to` to any of the losses.
    """
    losses = tuple(loss) if isinstance(loss, (list, tuple)) else (loss,)
    if not losses:
        raise ValueError("trace_gradient needs a loss, or a list of at least one")
    for one in losses:
        if not isinstance(one, Tensor):
            raise TypeError(f"a loss is a Tensor; got {type(one).__name__}: pass the loss itself, not its .item()")
        seed_of(one, None)  # complains about a loss that is not one number, or that tracks no gradient
    if not isinstance(to, Tensor):
        raise TypeError(f"to= is the Tensor whose gradient is asked for; got {type(to).__name__}")
    trace = GradientTrace(losses, to)
    if not tape(losses, [to]) or not to.tracked:
        reason = "it does not require a gradient" if not to.tracked else "no loss was computed from it"
        raise RuntimeError(f"no path leads from {describe(to)}, to the loss: {reason}")
    return trace
