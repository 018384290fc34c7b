"""The sweep that keeps paths apart: one row of the cotangent for each state of a deterministic automaton.

Read from the loss back, each edge of a path is an event: perhaps a landmark, perhaps a crossing. The state after a
suffix of a path is a function of that suffix, so row q of the cotangent at a node is the sum over exactly those
suffixes that lead to q: no path is counted twice, none is missed, and the rows add up to the plain cotangent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.sweep import AtEdge, sweep
from ..engine.tensor import Tensor
from .expression import Mark

Array = npt.NDArray[Any]
State = Hashable
# (state, the landmark that an edge comes from, the crossing that it is) -> the next state, or None to drop the paths.
Advance = Callable[[Any, Mark | None, Mark | None], State | None]


def crosses(producer: Any, consumer: Any) -> bool:
    """Whether an edge leads from one time step to another; what is at no step never does."""
    here, there = producer.place.step, consumer.place.step
    return here is not None and there is not None and here != there


@dataclass(frozen=True)
class Paths:
    """All paths from a source to some losses, but for those over an edge that is cut.

    order: the nodes on them, as `tape` gives them. cut: the edges, by (index of the consumer, slot).
    """

    losses: tuple[Tensor, ...]
    source: Tensor
    order: dict[int, Any] = field(repr=False)
    cut: frozenset[tuple[int, int]] = frozenset()

    def edges(self) -> Iterator[tuple[Any, int, Any]]:
        """(consumer, slot, producer) for every edge that gradient can flow along, later consumers first."""
        for node in reversed(self.order.values()):
            if node.primitive is not None:
                for slot, x in enumerate(node.inputs):
                    there_is_a_rule = x.index in self.order and node.primitive.rules[slot] is not None
                    if there_is_a_rule and (node.index, slot) not in self.cut:
                        yield node, slot, x

    def marks(self, consumer: Any, producer: Any) -> tuple[Mark | None, Mark | None]:
        """What an edge reads as for `along`, and for `across`.

        The source is not a landmark of its paths, but leaving it for another step is a crossing.
        """
        is_landmark = producer.name is not None and producer is not self.source
        is_crossing = crosses(producer, consumer)
        if not is_crossing and not is_landmark:
            return None, None
        mark = Mark(producer.name or "_", producer.place.scope, producer.place.step, consumer.place.step)
        return (mark if is_landmark else None), (mark if is_crossing else None)

    def seeds(self, rows: int) -> dict[int, Array]:
        """The cotangents to start from: 1 for each loss in the first of so many rows."""
        found: dict[int, Array] = {}
        for loss in self.losses:
            if loss.index in self.order:
                found.setdefault(loss.index, np.zeros((rows, *loss.shape), loss.dtype))[0] += 1.0
        return found


@dataclass(frozen=True)
class Reading:
    """What an automaton makes of paths: its states, and how edges move them; over all other edges they stay."""

    paths: Paths
    states: list[State]
    moves: dict[tuple[int, int], tuple[list[int], list[int]]] = field(repr=False)  # (consumer, slot) -> from, to
    at: dict[int, frozenset[int]] = field(repr=False)  # by node: the states that some suffix of a path has there


class TooManyStatesError(ValueError):
    """An automaton grew beyond its limit."""


def read(paths: Paths, start: State, advance: Advance, limit: float = math.inf) -> Reading:
    """Run the automaton over the graph, before any number is computed. TooManyStatesError beyond `limit` states."""
    number: dict[State, int] = {start: 0}
    states: list[State] = [start]

    def following(q: int, landmark: Mark | None, crossing: Mark | None) -> int | None:
        state = advance(states[q], landmark, crossing)
        if state is not None and state not in number:
            if len(states) >= limit:
                raise TooManyStatesError(f"more than {limit} states")
            number[state] = len(states)
            states.append(state)
        return None if state is None else number[state]

    at: dict[int, frozenset[int]] = dict.fromkeys(paths.order, frozenset())
    at.update((loss.index, frozenset([0])) for loss in paths.losses if loss.index in paths.order)

    def reach(index: int, there: frozenset[int]) -> None:
        at[index] = there if at[index] <= there else at[index] | there  # mostly the very set of the node before

    moves: dict[tuple[int, int], tuple[list[int], list[int]]] = {}
    known: dict[Any, dict[int, int | None]] = {}  # by event, which names the step of the consumer: from state to state
    now = None
    for consumer, slot, producer in paths.edges():
        landmark, crossing = event = paths.marks(consumer, producer)
        if event == (None, None):
            reach(producer.index, at[consumer.index])
            continue
        if consumer.place.step != now:
            now = consumer.place.step
            known.clear()
        go, here = known.setdefault(event, {}), at[consumer.index]
        go.update((q, following(q, landmark, crossing)) for q in sorted(here - go.keys()))
        kept = {q: after for q in sorted(here) if (after := go[q]) is not None}
        if len(kept) < len(here) or any(q != after for q, after in kept.items()):
            moves[consumer.index, slot] = list(kept), list(kept.values())
            reach(producer.index, frozenset(kept.values()))
        else:
            reach(producer.index, here)
    return Reading(paths, states, moves, at)


def uses_on(reading: Reading, accepts: Callable[[Any], bool]) -> set[tuple[int, int]]:
    """The edges, as (consumer, slot), that lie on some path which arrives in an accepting state, if only carrying 0."""
    paths, every = reading.paths, range(len(reading.states))
    leads: dict[int, set[int]] = {index: set() for index in paths.order}  # by node: the states from which it goes on
    leads[paths.source.index] = {q for q in reading.at[paths.source.index] if accepts(reading.states[q])}
    found: set[tuple[int, int]] = set()
    for consumer, slot, producer in reversed(list(paths.edges())):
        before, after = reading.moves.get((consumer.index, slot), (every, every))
        going = {q for q, r in zip(before, after, strict=True) if r in leads[producer.index]}
        if going := going & reading.at[consumer.index]:
            found.add((consumer.index, slot))
            leads[consumer.index] |= going
    return found


def split(reading: Reading) -> dict[State, Array]:
    """The gradient of the sum of the losses by the source, apart by the state in which a path arrives there."""
    return _swept(reading, reading.paths.seeds(len(reading.states)), ())


def split_jacobian(reading: Reading) -> dict[State, Array]:
    """The Jacobian of the one output of the paths by the source, (*output.shape, *source.shape), apart likewise."""
    (output,), rows = reading.paths.losses, len(reading.states)
    seed = np.zeros((rows, output.size, *output.shape), output.dtype)
    seed[0] = np.eye(output.size, dtype=output.dtype).reshape((output.size, *output.shape))
    shape = (*output.shape, *reading.paths.source.shape)
    found = _swept(reading, {output.index: seed}, (output.size,))
    return {state: part.reshape(shape) for state, part in found.items()}


def _swept(reading: Reading, seeds: dict[int, Array], lead: tuple[int, ...]) -> dict[State, Array]:
    paths, source, move = reading.paths, reading.paths.source, mover(reading)
    hooks: dict[int, AtEdge] = {consumer: move for consumer, _ in reading.moves.keys() | paths.cut}
    found = sweep(paths.order, seeds, [source.index], at_edge=hooks)
    whole = found.get(source.index, np.zeros((len(reading.states), *lead, *source.shape), source.dtype))
    return {reading.states[q]: whole[q] for q in sorted(reading.at[source.index])}


def every_path(paths: Paths) -> Reading:
    """The automaton that accepts them all: of one state."""
    return read(paths, True, lambda state, *_: state)


def mover(reading: Reading) -> AtEdge:
    """What an edge does to the rows: row q goes where the automaton goes from state q."""

    def move(consumer: Any, slot: int, part: Array) -> Array | None:
        if (consumer.index, slot) in reading.paths.cut:
            return None
        if (consumer.index, slot) not in reading.moves:
            return part
        before, after = reading.moves[consumer.index, slot]
        if not before:
            return None
        moved = np.zeros_like(part)
        if len(set(after)) == len(after):
            moved[after] = part[before]
        else:
            np.add.at(moved, after, part[before])
        return moved

    return move
