"""Segments: the ways from one stop of a path to the next, added up.

A path is cut into segments at its crossings (unit "state") or at its landmarks (unit "landmark"); unnamed parallel ways
within a segment are one. What is here is found without any number: which stops there are, which segments lead where.
Then one sweep over the tape of a stop carries any number of cotangents along all segments that begin there.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ...engine.sweep import AtEdge, sweep
from ..automaton import Reading, mover
from ..route import accepts

Array = npt.NDArray[Any]
Stop = tuple[int, tuple[int, ...]]  # where segments meet: the index of a node, the states in which paths get there
Unit = Literal["state", "landmark"]
Edge = tuple[int, int]  # the index of a consumer, the slot
PRODUCTS = {"linear", "matmul", "einsum"}


@dataclass(frozen=True)
class Ways:
    """All segments that begin at one stop.

    tape: the nodes on them, from the next stops on, without the source. following: those stops.
    exits: the edges to them, each with the states in which paths arrive there. uses: the edges from the source, each
    with the states of its consumer in which a path that begins there belongs to the route. watched: the consumers at
    whose edges something happens to what passes.
    """

    tape: dict[int, Any]
    following: tuple[Stop, ...]
    exits: dict[Edge, tuple[int, ...]]
    uses: dict[Edge, tuple[int, ...]]
    watched: frozenset[int]


@dataclass(frozen=True)
class Segments:
    """The graph that is searched: its nodes are stops, its edges segments.

    begins: the stops at the losses, each with how many losses end there. ways: by stop, from which the source is
    reached; in the order of their nodes, so that completions, which lead back in time, come first.
    """

    reading: Reading
    begins: dict[Stop, int]
    ways: dict[Stop, Ways]
    shapes: dict[Stop, tuple[int, int, int]] = field(default_factory=dict)

    def words(self) -> int:
        """How many paths there are, as they are listed: by their stops."""
        onward: dict[Stop, int] = {}
        for stop, ways in self.ways.items():
            onward[stop] = bool(ways.uses) + sum(onward[earlier] for earlier in ways.following)
        return sum(onward[stop] for stop in self.begins)

    def shape(self, stop: Stop) -> tuple[int, int, int]:
        """(rows, states, elements): how the cotangent of a stop is laid out.

        Rows of the first axis come first, since those of a batch may turn out to have nothing to do with one another.
        """
        if stop not in self.shapes:
            node = self.reading.paths.order[stop[0]]
            rows = node.shape[0] if node.ndim > 1 and node.shape[0] else 1
            self.shapes[stop] = rows, len(stop[1]), node.size // rows
        return self.shapes[stop]

    def size(self, stop: Stop) -> int:
        """The elements of its cotangent: a stop has some for each state, since paths of one word may be in several."""
        return math.prod(self.shape(stop))

    def widest(self, stop: Stop) -> int:
        """The elements of the largest of the cotangents on the way from a stop to the next."""
        return len(self.reading.states) * max(int(node.size) for node in self.ways[stop].tape.values())

    def work(self, stop: Stop) -> int:
        """About how many multiplications it takes to carry one cotangent along the segments that begin here."""
        ways, paths = self.ways[stop], self.reading.paths
        nodes = [ways.tape[index] for index in ways.tape if index not in {s for s, _ in ways.following}]
        return len(self.reading.states) * sum(work_of(node, paths.order) for node in nodes)


def segments_of(reading: Reading, unit: Unit) -> Segments:
    """The stops between which segments lead, from the losses back to the source."""
    paths = reading.paths
    begins: dict[Stop, int] = Counter((loss.index, (0,)) for loss in paths.losses if loss.index in paths.order)
    accepting = {q for q, state in enumerate(reading.states) if accepts(state)}
    found: dict[Stop, Ways] = {}
    waiting = list(begins)
    while waiting:
        stop = waiting.pop()
        if stop not in found:
            found[stop] = _ways(reading, stop, unit, accepting)
            waiting.extend(found[stop].following)
    ways: dict[Stop, Ways] = {}
    for stop in sorted(found):  # only those from which a path of the route still leads to the source
        following = tuple(earlier for earlier in found[stop].following if earlier in ways)
        if following or found[stop].uses:
            ways[stop] = replace(found[stop], following=following)
    return Segments(reading, {stop: losses for stop, losses in begins.items() if stop in ways}, ways)


def _ways(reading: Reading, stop: Stop, unit: Unit, accepting: set[int]) -> Ways:
    """Followed from consumers to producers, later nodes first: all that leads to a node is known when it is met."""
    paths, (begin, begun) = reading.paths, stop
    arrives: dict[int, set[int]] = {begin: set(begun)}  # by node: the states in which a way from here gets there
    reached: dict[int, set[int]] = {}  # the same, where segments end
    exits, uses = dict[Edge, tuple[int, ...]](), dict[Edge, tuple[int, ...]]()
    tape, watched, waiting = dict[int, Any](), set[int](), [-begin]
    while waiting:
        consumer = paths.order[-heapq.heappop(waiting)]
        tape[consumer.index] = consumer
        if consumer.primitive is None:
            continue
        for slot, x in enumerate(consumer.inputs):
            edge = consumer.index, slot
            if x.index not in paths.order or consumer.primitive.rules[slot] is None:
                continue
            if edge in paths.cut or edge in reading.moves:
                watched.add(consumer.index)
            if edge in paths.cut:
                continue
            after = _after(reading, edge, arrives[consumer.index])
            if x is paths.source:
                uses[edge] = tuple(q for q in sorted(after) if after[q] in accepting)
            elif after and paths.marks(consumer, x)[unit == "state"] is not None:
                exits[edge] = tuple(sorted(set(after.values())))
                watched.add(consumer.index)
                reached.setdefault(x.index, set()).update(after.values())
            elif after:
                if x.index not in arrives:
                    heapq.heappush(waiting, -x.index)
                arrives.setdefault(x.index, set()).update(after.values())
    tape |= {index: paths.order[index] for index in reached}
    following = tuple((index, tuple(sorted(states))) for index, states in reached.items())
    accepted = {edge: states for edge, states in uses.items() if states}
    return Ways(dict(sorted(tape.items())), following, exits, accepted, frozenset(watched))


def _after(reading: Reading, edge: Edge, states: set[int]) -> dict[int, int]:
    """From state to state over an edge, where the automaton goes on."""
    if edge not in reading.moves:
        return {q: q for q in states}
    return {q: after for q, after in zip(*reading.moves[edge], strict=True) if q in states}


def work_of(node: Any, order: Mapping[int, Any]) -> int:
    """About how many multiplications the rules of an operation take; (a, b) by (b, c) is the root of ab bc ac."""
    if node.primitive is None:
        return 0
    if node.primitive.name not in PRODUCTS:
        return int(node.size)
    sizes = [x.size for x in node.inputs[:2]]
    slots = sum(x.index in order for x in node.inputs[:2])
    return slots * math.isqrt(node.size * math.prod(sizes)) + int(node.size)


def carried(segments: Segments, stop: Stop, cotangents: Array) -> tuple[dict[Stop, Array], dict[Edge, Array]]:
    """Cotangents, (k, *shape of the stop), along all segments that begin there, in one sweep.

    -> what arrives at the next stops, likewise; and at each use of the source the cotangent of its consumer, (k, *its
    shape), from the paths of the route.
    """
    reading, ways, (begin, begun) = segments.reading, segments.ways[stop], stop
    shape, k, move = ways.tape[begin].shape, len(cotangents), mover(reading)
    rows, _, elements = segments.shape(stop)
    arrived: dict[int, dict[int, Array]] = {}  # by node and state

    def cut(consumer: Any, slot: int, part: Array) -> Array | None:
        moved: Array | None = move(consumer, slot, part)
        states = ways.exits.get((consumer.index, slot))
        if states is None or moved is None:
            return moved
        so_far = arrived.setdefault(consumer.inputs[slot].index, {})
        for q in states:
            so_far[q] = so_far[q] + moved[q] if q in so_far else moved[q]
        return None

    seed = np.zeros((len(reading.states), k, *shape))
    for s, state in enumerate(begun):
        seed[state] = cotangents[:, :, s].reshape((k, *shape))
    hooks: dict[int, AtEdge] = dict.fromkeys(ways.watched, cut)
    found = sweep(ways.tape, {begin: seed}, {consumer for consumer, _ in ways.uses}, hooks)
    following = {}
    for earlier in ways.following:
        (rows, _, elements), by_state = segments.shape(earlier), arrived[earlier[0]]
        following[earlier] = np.stack([by_state[q].reshape((k, rows, elements)) for q in earlier[1]], axis=2)
    return following, {edge: sum_of(found[edge[0]], states) for edge, states in ways.uses.items()}


def sum_of(by_state: Array, states: tuple[int, ...]) -> Array:
    return np.asarray(by_state[states[0]] if len(states) == 1 else by_state[list(states)].sum(axis=0))


def contributions(segments: Segments, at_uses: Mapping[Edge, Array]) -> Array:
    """What the uses of the source contribute to it, (k, its elements), from the cotangents of their consumers."""
    source, order = segments.reading.paths.source, segments.reading.paths.order
    total: Any = None
    for (index, slot), cotangents in at_uses.items():
        tape = {source.index: source, index: order[index]}

        def only(consumer: Any, at: int, part: Array, slot: int = slot) -> Array | None:
            return part if at == slot else None

        part = sweep(tape, {index: cotangents}, [source.index], {index: only})[source.index]
        total = part if total is None else total + part
    return np.asarray(total).reshape((len(total), source.size))
