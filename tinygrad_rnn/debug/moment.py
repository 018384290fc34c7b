"""A tape as it is at one moment, for a picture: what has been made by then, and the gradients that have arrived."""

from __future__ import annotations

import numpy as np

from ..engine.tensor import Tensor
from .timeline import Timeline


def copied(timeline: Timeline, position: int) -> list[Tensor]:
    """Copies of the nodes that nothing uses yet, from which the whole tape up to here can be reached.

    The user's own tensors, and their gradients, are not touched.
    """
    copies: dict[int, Tensor] = {}
    used: set[int] = set()
    for node in timeline.order.values():
        if timeline.made_at(node.index) >= position:
            break
        for x in node.inputs:
            copies.setdefault(x.index, _leaf(x))
        used.update(x.index for x in node.inputs)
        copies[node.index] = _copy(node, copies)
        total = timeline.total(node.index, position) if timeline.seeds else None
        copies[node.index]._grad = None if total is None else np.array(total)
    return [copy for index, copy in copies.items() if copy.primitive is not None and index not in used]


def _leaf(node: Tensor) -> Tensor:
    copy = _copy(node, {})
    copy.primitive, copy.inputs = None, ()
    return copy


def _copy(node: Tensor, copies: dict[int, Tensor]) -> Tensor:
    copy: Tensor = object.__new__(Tensor)
    copy.value, copy.index, copy.born, copy.place, copy.name = node.value, node.index, node.born, node.place, node.name
    copy.primitive, copy.params, copy.tracked, copy._grad = node.primitive, node.params, node.tracked, None
    copy.inputs = tuple(copies[x.index] for x in node.inputs) if copies or not node.inputs else ()
    return copy
