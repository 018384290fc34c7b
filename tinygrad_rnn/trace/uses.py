"""The uses of a tensor, by time step, and the backward sweep in which they are not added up.

A path from the source to a loss belongs to the step of the first operation on it that has one: what operations outside
any step make of the source, such as a transposed weight, is still the source.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.sweep import AtEdge, sweep
from ..engine.tensor import Tensor

Array = npt.NDArray[Any]
Step = int | None


@dataclass(frozen=True)
class Uses:
    """Where a source enters the time loop.

    order: the tape from the source to the losses. outside: the indices of the source and of what operations outside
    any step make from it. users: by index, the operations at a step that use any of these. steps: of the uses, in
    order; None, always last, stands for those outside the loop.
    """

    losses: tuple[Tensor, ...]
    source: Tensor
    order: dict[int, Any] = field(repr=False)
    outside: frozenset[int] = field(repr=False)
    users: dict[int, Any] = field(repr=False)
    steps: tuple[Step, ...]

    def is_use(self, consumer: Any, producer: Any) -> bool:
        """Whether this edge is where a path from the source enters its first operation that has a step."""
        return producer.index in self.outside and consumer.index not in self.outside

    def count_by_step(self) -> Counter[Step]:
        """How many edges at each step are uses."""
        return Counter(user.place.step for user in self.users.values() for x in user.inputs if x.index in self.outside)


def uses_of(losses: Sequence[Tensor], source: Tensor, order: dict[int, Any]) -> Uses:
    """order: the tape from the source to the losses."""
    outside: set[int] = {source.index}
    users: dict[int, Any] = {}
    for index, node in order.items():
        for x in node.inputs:
            if x.index in outside:
                if node.place.step is None:
                    outside.add(index)
                else:
                    users[index] = node
                break
    steps: tuple[Step, ...] = tuple(sorted({user.place.step for user in users.values()}))
    if any(loss.index in outside for loss in losses):
        steps += (None,)
    return Uses(tuple(losses), source, order, frozenset(outside), users, steps)


def seeds_of(uses: Uses) -> dict[int, Array]:
    """1 for each loss, with a row for each; a single loss needs no axis of its own."""
    rows = (len(uses.losses),) if len(uses.losses) > 1 else ()
    seeds: dict[int, Array] = {}
    for row, loss in enumerate(uses.losses):
        if loss.index in uses.order:
            seeds.setdefault(loss.index, np.zeros((*rows, *loss.shape), loss.dtype))[(row,) if rows else ()] = 1.0
    return seeds


def sweep_uses(
    uses: Uses,
    seeds: Mapping[int, Any],
    receive: Callable[[Step, Any], None],
    at_edge: AtEdge | None = None,
    sweep: Callable[..., dict[int, Any]] = sweep,
    add: Callable[[Any, Any], Any] = operator.add,
) -> None:
    """One sweep; `receive` is given the contribution of each step's uses, with the leading axes of the seeds, as soon
    as it is complete, the last step first; nothing else is kept.

    at_edge: what every edge does to what passes over it, as in `sweep`. sweep, add: of what the cotangents are.
    """
    order, source = uses.order, uses.source
    prefix = {index: node for index, node in order.items() if index in uses.outside}
    to_come = uses.count_by_step()
    arrived: dict[Step, dict[int, Any]] = {}
    within: dict[int, AtEdge] = {} if at_edge is None else dict.fromkeys(prefix, at_edge)

    def complete(step: Step) -> None:
        parts = arrived.pop(step)
        found = sweep(prefix, parts, [source.index], within) if len(prefix) > 1 else parts
        if source.index in found:
            receive(step, found[source.index])

    def keep_apart(consumer: Any, slot: int, part: Any) -> Any:
        producer, step = consumer.inputs[slot], consumer.place.step
        passed = part if at_edge is None else at_edge(consumer, slot, part)
        if uses.is_use(consumer, producer):
            if passed is not None:
                so_far, here = arrived.setdefault(step, {}), producer.index
                so_far[here] = add(so_far[here], passed) if here in so_far else passed
            to_come[step] -= 1
            if not to_come[step] and step in arrived:
                complete(step)
        return None if producer is source else passed  # on: it may lead to earlier steps as well

    hooks: dict[int, AtEdge] = dict.fromkeys((*uses.outside, *uses.users) if at_edge is None else order, keep_apart)
    for loss in uses.losses:
        if loss.index in uses.outside and loss.index in seeds:
            arrived.setdefault(None, {})[loss.index] = seeds[loss.index]
    sweep(order, seeds, (), hooks)
    for step in list(arrived):  # those that an edge without a gradient led to as well
        complete(step)


def connected(uses: Uses) -> npt.NDArray[np.bool_]:
    """(losses, steps): to which losses each step has a path."""
    column = {step: k for k, step in enumerate(uses.steps)}
    bits = leads_to(uses.order, uses.losses)
    met = [0] * len(column)
    for index, user in uses.users.items():
        met[column[user.place.step]] |= bits[index]
    for row, loss in enumerate(uses.losses):
        if loss.index in uses.outside:
            met[column[None]] |= 1 << row
    return np.array([[bool(mine >> row & 1) for mine in met] for row in range(len(uses.losses))], np.bool_)


def leads_to(order: dict[int, Any], losses: Sequence[Tensor]) -> dict[int, int]:
    """For each node the losses that it leads to, a bit each, handed from consumers to producers."""
    bits = dict.fromkeys(order, 0)
    for row, loss in enumerate(losses):
        if loss.index in bits:
            bits[loss.index] |= 1 << row
    for index, node in reversed(order.items()):
        for x in node.inputs:
            if x.index in bits:
                bits[x.index] |= bits[index]
    return bits
