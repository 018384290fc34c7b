"""Where a gradient that is exactly 0 became 0: a path is there, and carries nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.sweep import AtEdge, describe, sweep
from .automaton import Paths

FLAT = {"relu", "sign", "floor", "ceil", "round", "clip", "maximum", "minimum", "abs", "where"}
SATURATING = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}


@dataclass(frozen=True)
class Zero:
    """An edge into which a cotangent that is not 0 flows, and of which nothing comes out.

    at: the operation. of: the operand that gets nothing. why: in words.
    """

    at: str
    of: str
    why: str

    def __str__(self) -> str:
        return f"nothing gets from {self.at} to {self.of}: {self.why}"


def zeros(paths: Paths) -> list[Zero]:
    """The edges where it happens, nearest to the losses first."""
    reached = {loss.index for loss in paths.losses}
    found: list[Zero] = []

    def note(consumer: Any, slot: int, part: Any) -> Any:
        if np.any(part):
            reached.add(consumer.inputs[slot].index)
        elif consumer.index in reached:
            producer = consumer.inputs[slot]
            found.append(Zero(describe(consumer), describe(producer), _why(consumer, slot)))
        return part

    hooks: dict[int, AtEdge] = {node.index: note for node in paths.order.values() if node.primitive is not None}
    sweep(paths.order, {index: seed[0] for index, seed in paths.seeds(1).items()}, keep=(), at_edge=hooks)
    return found


def _why(consumer: Any, slot: int) -> str:
    operation, y = consumer.primitive.name, consumer.value
    others = [x for k, x in enumerate(consumer.inputs) if k != slot]
    if operation in SATURATING and np.isin(y, SATURATING[operation]).all():
        return f"{operation} is saturated: its slope rounds to 0 there, and is not 0 in truth"
    if operation in FLAT:
        return f"{operation} is flat there"
    for x in others:
        if not x.value.any():
            return f"it is multiplied by {describe(x)}, which is 0"
    return f"the derivative of {operation} is 0 there"
