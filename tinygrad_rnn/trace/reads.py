"""What losses read of the steps: which of them, by which edges, and of which of these they make use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..engine.sweep import sweep
from ..engine.tensor import Tensor
from .automaton import crosses
from .directions import Edge

Array = npt.NDArray[Any]


def last_steps(order: dict[int, Any]) -> dict[int, int]:
    """For each node its own step; for one outside any step, the last of those that lead to it."""
    last: dict[int, int] = {}
    for index, node in order.items():
        if node.place.step is not None:
            last[index] = node.place.step
        elif earlier := [last[x.index] for x in node.inputs if x.index in last]:
            last[index] = max(earlier)
    return last


def reading_several(order: dict[int, Any], losses: Sequence[Tensor]) -> list[Tensor]:
    """The losses that are made of the results of several steps."""
    found = [loss for loss in losses if len(steps_read(order, loss)) > 1]
    unread = edges_unread(order, found) if found else set()
    return [loss for loss in found if len(steps_read(order, loss, unread)) > 1]


def steps_read(order: dict[int, Any], loss: Tensor, unread: Set[Edge] = frozenset()) -> set[int]:
    """The steps whose results a loss is made of directly, by nothing but operations outside any step.

    unread: edges that do not count.
    """
    if loss.place.step is not None:
        return {loss.place.step} if loss.index in order else set()
    read = {
        x.place.step
        for node in after_the_loop(order, loss)
        for slot, x in enumerate(node.inputs)
        if x.index in order and (node.index, slot) not in unread
    }
    return read - {None}


class Reading(NamedTuple):
    """Where a loss takes up the results of a step: by which edge; None for a loss that is itself at the step."""

    step: int
    edge: Edge | None


def readings_of(order: dict[int, Any], loss: Tensor, among: set[int]) -> list[Reading]:
    """Those of what is among these, and so of a direction: see `led_to_by`."""
    if loss.place.step is not None:
        return [Reading(loss.place.step, None)] if loss.index in among else []
    return [
        Reading(x.place.step, (node.index, slot))
        for node in after_the_loop(order, loss)
        for slot, x in enumerate(node.inputs)
        if x.index in among and x.place.step is not None
    ]


def after_the_loop(order: dict[int, Any], loss: Tensor) -> list[Any]:
    """The operations outside any step by which a loss is made of the results of steps."""
    return _of_its_step(order, loss) if loss.place.step is None else []


def _of_its_step(order: dict[int, Any], x: Any) -> list[Any]:
    """What x is made by at its own step, or outside any."""
    found: dict[int, Any] = {}
    waiting = [x]
    while waiting:
        node = waiting.pop()
        if node.index in order and node.index not in found and node.place.step == x.place.step:
            found[node.index] = node
            waiting.extend(node.inputs)
    return list(found.values())


def edges_unread(order: dict[int, Any], losses: Sequence[Tensor]) -> set[Edge]:
    """The edges by which losses take up steps of which they use nothing, such as those that a slice of all outputs
    leaves out; none, if they use nothing of any."""
    outside = {node.index: node for loss in losses for node in after_the_loop(order, loss)}
    read = _leaving(order, losses, outside)
    others = any(loss.index not in outside for loss in losses)
    return {edge for edge, some in read.items() if not some} if others or any(read.values()) else set()


def carries(order: dict[int, Any], x: Any) -> bool:
    """Whether any gradient of a result gets to what the operations of its step make it from."""
    return any(_leaving(order, [x], {n.index: n for n in _of_its_step(order, x) if n.primitive is not None}).values())


def _leaving(order: dict[int, Any], outputs: Sequence[Any], inside: dict[int, Any]) -> dict[Edge, bool]:
    """For each edge to what is not inside, whether any gradient of the outputs passes it."""
    found: dict[Edge, bool] = {}

    def note(consumer: Any, slot: int, part: Array) -> Array | None:
        if consumer.inputs[slot].index in inside:
            return part
        found[consumer.index, slot] = bool(part.any())
        return None

    used = {x.index: x for node in inside.values() for x in node.inputs if x.index in order}
    seeds = {y.index: np.ones(y.shape, y.dtype) for y in outputs if y.index in inside}
    sweep(dict(sorted((inside | used).items())), seeds, (), dict.fromkeys(inside, note))
    return found


def running_sums(order: dict[int, Any]) -> set[Edge]:
    """The edges by which something goes from step to step that looks like a loss to which every step adds: a number,
    or what has no name, that nothing takes up at any step but the sum it goes into."""
    adding = [
        (node.index, slot, x.index)
        for node in order.values()
        if node.primitive is not None and node.primitive.name == "add"
        for slot, x in enumerate(node.inputs)
        if x.index in order and crosses(x, node) and x.shape == node.shape and (x.ndim == 0 or x.name is None)
    ]
    if not adding:
        return set()
    used = Counter(x.index for node in order.values() if node.place.step is not None for x in node.inputs)
    return {(index, slot) for index, slot, producer in adding if used[producer] == 1}


def adds_up_numbers(order: dict[int, Any], loss: Tensor) -> bool:
    """Whether what a loss takes up from steps are single numbers, and so the losses of these steps."""
    taken = {
        x.index: x.size
        for node in after_the_loop(order, loss)
        for x in node.inputs
        if x.index in order and x.place.step is not None
    }
    return bool(taken) and set(taken.values()) == {1}
