"""Everything that happens to a tape, in order: each operation forward, the seed, each edge backward.

A position is how many events have happened; the state at a position is a function of it, so that going back is not
undoing, and nothing can be half done. The cotangents are those of the one real sweep (`engine/sweep.py`), kept; what an
edge contributes and what a node has received so far are the same sweep again, on that edge alone.

Memory: two numbers an event, one array for each node (as much again as the tape holds), and at most `MOST_KEPT` bytes
of running totals. Time: one backward sweep in all; after it one rule for an edge, and about sqrt(n) rules for the
running total of a weight that is used n times.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final, overload

import numpy as np

from ..engine.annotate import Place
from ..engine.primitives import Array, EverySlot
from ..engine.sweep import sweep, tape
from ..engine.tensor import Tensor, seed_of

Kind = Literal["forward", "seed", "backward"]

MOST_KEPT = 64 * 2**20  # bytes of running totals that are kept for going back
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happens. Plain data: nodes are given by their index on the tape.

    position: how many events happened before this one.
    kind: "forward", the node is made; "seed", its cotangent is given, from outside; "backward", its cotangent goes
        through the edge at input `slot`, and is added to what `producer` has received.
    place: the scope and the step of the node.
    """

    position: int
    kind: Kind
    node: int
    slot: int | None
    producer: int | None
    place: Place


class End:
    """A node beyond which a sweep of one edge does not go."""

    __slots__ = ("index", "value")
    primitive = None

    def __init__(self, node: Any) -> None:
        self.index, self.value = node.index, node.value


@final
class Timeline(Sequence[Event]):
    """The events of a tape, and the arrays that go with them.

    order: the nodes by index, as `engine.sweep.tape` gives them.
    seeds: the cotangents of the outputs; none where only the forward pass is looked at.
    Leaves are given, and make no event.
    """

    def __init__(self, order: Mapping[int, Tensor], seeds: Mapping[int, Array]) -> None:
        self.order = dict(order)
        self.seeds = {index: np.array(seed) for index, seed in seeds.items() if index in self.order}
        self.made = [index for index, node in self.order.items() if node.primitive is not None]
        self.forward_end = len(self.made)
        self.backward_start = self.forward_end + len(self.seeds)
        self._consumers, self._slots = array("q"), array("q")  # the edges, in the order of the sweep
        self._into: dict[int, array[int]] = {}  # which of them lead into a node
        self._list_edges()
        self._finals: dict[int, Array] | None = None
        self._kept: dict[tuple[int, int], Array] = {}  # running totals: (node, how many edges into it) -> total
        self._last: dict[int, tuple[int, Array]] = {}  # the one asked for last, of each node with many edges
        self._strides: dict[int, int] | None = None
        self._nodes = [index for index in self.order if index in self.seeds or index in self._into]
        self._reached_and_last: tuple[Array, Array] | None = None

    def _list_edges(self) -> None:
        order, reached = self.order, set(self.seeds)
        for node in reversed(order.values()):
            if node.primitive is None or node.index not in reached:
                continue
            rules: Any = node.primitive.rules
            for slot, x in enumerate(node.inputs):
                if x.index in order and (type(rules) is EverySlot or rules[slot] is not None):
                    reached.add(x.index)
                    self._into.setdefault(x.index, array("q")).append(len(self._consumers))
                    self._consumers.append(node.index)
                    self._slots.append(slot)

    # The events ----------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self.backward_start + len(self._consumers)

    @overload
    def __getitem__(self, position: int) -> Event: ...
    @overload
    def __getitem__(self, position: slice) -> list[Event]: ...
    def __getitem__(self, position: int | slice) -> Event | list[Event]:
        if isinstance(position, slice):
            return [self[k] for k in range(*position.indices(len(self)))]
        if not -len(self) <= position < len(self):
            raise IndexError(f"there are {len(self)} events, numbered from 0; got {position}")
        k = position % len(self)
        if k < self.forward_end:
            index = self.made[k]
            return Event(k, "forward", index, None, None, self.order[index].place)
        if k < self.backward_start:
            index = list(self.seeds)[k - self.forward_end]
            return Event(k, "seed", index, None, None, self.order[index].place)
        index, slot = self._consumers[k - self.backward_start], self._slots[k - self.backward_start]
        node = self.order[index]
        return Event(k, "backward", index, slot, node.inputs[slot].index, node.place)

    def __iter__(self) -> Iterator[Event]:
        return (self[k] for k in range(len(self)))

    def made_at(self, index: int) -> int:
        """The position of the event that makes a node; -1 for a leaf, which is there from the start."""
        k = bisect_left(self.made, index)
        return k if k < len(self.made) and self.made[k] == index else -1

    def edges_into(self, index: int) -> list[int]:
        """The positions of the events that add to what a node receives, in order."""
        return [self.backward_start + k for k in self._into.get(index, ())]

    # The arrays ----------------------------------------------------------------------------------------------------

    def cotangents(self) -> dict[int, Array]:
        """Of every node that receives one, the whole: those of one real sweep. Do not write to them."""
        if self._finals is None:
            with np.errstate(all="ignore"):
                self._finals = sweep(self.order, self.seeds, self.order)
        return self._finals

    def contribution(self, position: int) -> Array:
        """What a backward event adds to its producer, of the producer's shape."""
        node, slot, x = self._edge(position)
        found: list[Array] = []

        def note(consumer: Any, at: int, part: Array) -> None:
            if at == slot:
                found.append(np.asarray(part))

        with np.errstate(all="ignore"):
            cotangent = self.cotangents()[node.index]
            sweep({x.index: End(x), node.index: node}, {node.index: cotangent}, (), {node.index: note})
        return found[0]

    def total(self, index: int, position: int) -> Array | None:
        """What a node has received before the event `position` (do not write to it); None where that is nothing yet."""
        edges = self._into.get(index, ())
        so_far = bisect_left(edges, position - self.backward_start)
        if so_far == len(edges) and position >= self.backward_start and (edges or index in self.seeds):
            return self.cotangents()[index]
        seeded = index in self.seeds and position > self.forward_end + list(self.seeds).index(index)
        if so_far == 0:
            return self.seeds[index] if seeded else None
        return self._running(index, so_far)

    def _running(self, index: int, so_far: int) -> Array:
        """The sum over the first `so_far` edges into a node, added up as the sweep does."""
        stride = self._stride(index)
        start = so_far - so_far % stride
        while start and (index, start) not in self._kept:
            start -= stride
        total = self._kept[index, start] if start else self.seeds.get(index)
        last, there = self._last.get(index, (0, None))
        if start < last <= so_far:
            start, total = last, there
        edges = self._into[index]
        for k in range(start, so_far):
            total = self._added(self.backward_start + edges[k], total)
            if (k + 1) % stride == 0:
                self._kept[index, k + 1] = total
        assert total is not None
        self._last[index] = so_far, total
        return total

    def _added(self, position: int, total: Array | None) -> Array:
        """A running total and one more contribution: the real sweep, on one edge."""
        node, slot, x = self._edge(position)
        seeds = {node.index: self.cotangents()[node.index]}
        if total is not None:
            seeds[x.index] = total
        alone = sum(one.index == x.index for one in node.inputs) == 1
        only = None if alone else {node.index: lambda consumer, at, part: part if at == slot else None}
        with np.errstate(all="ignore"):
            return np.asarray(sweep({x.index: End(x), node.index: node}, seeds, (x.index,), only)[x.index])

    def _edge(self, position: int) -> tuple[Tensor, int, Tensor]:
        k = position - self.backward_start
        if not 0 <= k < len(self._consumers):
            raise ValueError(f"event {position} is not one of the backward pass")
        node, slot = self.order[self._consumers[k]], self._slots[k]
        return node, slot, node.inputs[slot]

    def _stride(self, index: int) -> int:
        """After how many edges into a node its running total is kept: about sqrt(n), fewer where memory is short."""
        if self._strides is None:
            many = {i: len(edges) for i, edges in self._into.items() if len(edges) > 8}
            size = sum(math.isqrt(n) * self.order[i].value.nbytes for i, n in many.items())
            thinner = max(1.0, size / MOST_KEPT)
            self._strides = {i: math.ceil(math.sqrt(n) * thinner) for i, n in many.items()}
        return self._strides.get(index, 9)

    # The frontier --------------------------------------------------------------------------------------------------

    def frontier(self, position: int) -> list[int]:
        """The nodes that have received something and have not passed on all of it, by index; sources stay in it."""
        done = position - self.backward_start
        reached, last = self._spans()
        if done <= 0:
            return sorted(list(self.seeds)[: max(0, position - self.forward_end)])
        return sorted(self._nodes[k] for k in np.flatnonzero((reached < done) & (last >= done)))

    def _spans(self) -> tuple[Array, Array]:
        """For each node: the first edge into it (-1 for a seed) and its own last (a source has none), as numbers."""
        if self._reached_and_last is None:
            own = dict(zip(self._consumers, range(len(self._consumers)), strict=True))
            reached = np.array([-1 if i in self.seeds else self._into[i][0] for i in self._nodes], np.int64)
            last = np.array([own.get(i, NEVER) for i in self._nodes], np.int64)
            self._reached_and_last = reached, last  # at once: an interrupt must not come between the two
        return self._reached_and_last

    def pending(self, position: int) -> list[tuple[int, int]]:
        """The edges (consumer, slot) that the node at work has not come to yet, before the event `position`."""
        done = position - self.backward_start
        if not 0 < done < len(self._consumers) or self._consumers[done] != self._consumers[done - 1]:
            return []
        node = self._consumers[done]
        end = done
        while end < len(self._consumers) and self._consumers[end] == node:
            end += 1
        return [(node, self._slots[k]) for k in range(done, end)]


def timeline(outputs: Sequence[Tensor], targets: Sequence[Tensor] | None = None, backward: bool = True) -> Timeline:
    """What happens when these outputs are computed and then differentiated.

    outputs: mostly one loss; each a single number where `backward` is asked for.
    targets: tensors whose gradients are asked for; None stands for all leaves that require one.
    """
    seeds: dict[int, Any] = {}
    for y in outputs if backward else ():
        seeds[y.index] = seed_of(y, None) + seeds.get(y.index, 0.0)
    return Timeline(tape(outputs, targets), seeds)
