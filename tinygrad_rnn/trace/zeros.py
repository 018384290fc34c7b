"""Where a gradient that is exactly 0 became 0: a path is there, and carries nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..engine.sweep import AtEdge, describe, sweep
from .measure import power_of_ten, smallest
from .printed import Listed

FLAT = {"relu", "sign", "floor", "ceil", "round", "clip", "maximum", "minimum", "abs", "where"}
SATURATING = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}


@dataclass(frozen=True)
class Zero:
    """An edge into which a cotangent that is not 0 flows, and of which nothing comes out, or less than a number holds.

    at: the operation. of: the operand that gets nothing. why: in words.
    """

    at: str
    of: str
    why: str

    def __str__(self) -> str:
        return f"nothing gets from {self.at} to {self.of}: {self.why}"


MOST = 20  # edges that are looked into


def zeros(losses: Sequence[Any], order: Mapping[int, Any]) -> list[Zero]:
    """The edges where it happens, nearest to the losses first, up to `MOST` of them. order: the tape to look at."""
    reached = {loss.index for loss in losses}
    found: list[tuple[Any, int]] = []

    def note(consumer: Any, slot: int, part: Any) -> Any:
        if not np.abs(part).max(initial=0.0) < smallest(part.dtype):
            reached.add(consumer.inputs[slot].index)
        elif consumer.index in reached and len(found) < MOST:
            found.append((consumer, slot))
        return part

    hooks: dict[int, AtEdge] = {node.index: note for node in order.values() if node.primitive is not None}
    seeds = {loss.index: np.ones(loss.shape, loss.dtype) for loss in losses if loss.index in order}
    kept = sweep(dict(order), seeds, [], hooks)
    if found:
        kept = sweep(dict(order), seeds, {consumer.index for consumer, _ in found})
    return Listed(
        Zero(describe(consumer), describe(consumer.inputs[slot]), _why(consumer, slot, kept[consumer.index]))
        for consumer, slot in found
    )


def _why(consumer: Any, slot: int, cotangent: Any) -> str:
    operation, y, x = consumer.primitive.name, consumer.value, consumer.inputs[slot]
    scaled = np.ldexp(cotangent, -int(np.frexp(np.max(np.abs(cotangent)))[1]))  # to the order of 1
    end = SimpleNamespace(index=x.index, value=x.value, primitive=None)
    only: dict[int, AtEdge] = {consumer.index: lambda _, at, part: part if at == slot else None}
    carried = sweep({x.index: end, consumer.index: consumer}, {consumer.index: scaled}, [x.index], only)
    if x.index in carried and carried[x.index].any():
        size = math.log10(float(np.max(np.abs(cotangent))))
        return f"it underflowed: the gradient is about {power_of_ten(size)} there, and no slope is 0 (see log10_norms)"
    if operation in SATURATING and np.isin(y, SATURATING[operation]).all():
        return f"{operation} is saturated: its slope rounds to 0 there, and is not 0 in truth"
    if operation in FLAT:
        return f"{operation} is flat there"
    for other in (one for k, one in enumerate(consumer.inputs) if k != slot):
        if not other.value.any():
            return f"it is multiplied by {describe(other)}, which is 0"
    return f"the derivative of {operation} is 0 there"
