"""Flow: the share of the gradient on every edge, conserved like a current.

The flow on an edge is the share of all paths through it: <contribution, du> / |g|, du the tangent of its producer when
the source moves along its own normalised gradient g / |g|. What flows into a node flows out of it (Kirchhoff), and
across every cut between source and losses flows the whole.

No rules for tangents are needed. The gradient is linear in the contribution C of each edge, so the part of it through
that edge is <C, d<g, u>/dC>: one backward sweep is recorded, and a second goes back through the first. With the
leading axis of a route's automaton the same two sweeps give the flow of the paths of a route.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.primitives import identity
from ..engine.sweep import AtEdge, describe, sweep, tape
from ..engine.tensor import Tensor, constant, record
from .automaton import Paths, Reading, crosses, read, uses_on
from .measure import percent
from .reading import read_route
from .route import Route, accepts
from .scaled import log10_of_route

Array = npt.NDArray[Any]
Use = tuple[int, int]  # the index of the consumer, and the slot


@dataclass(frozen=True, slots=True)
class Boundary:
    """What crosses from one time step to the next.

    after: the step before the boundary. shares: by the name of what crosses (_ if it has none) the signed share.
    """

    after: int
    shares: Mapping[str, float]

    @property
    def net(self) -> float:
        """The sum: where nothing leads back in time, the share of the gradient that comes from before the boundary.

        In a bidirectional net both directions are in it.
        """
        return math.fsum(self.shares.values())

    @property
    def gross(self) -> float:
        """The sum of sizes; above |net| where some of it cancels."""
        return math.fsum(map(abs, self.shares.values()))


@dataclass(frozen=True, repr=False)
class Flow:
    """The share of the gradient on every edge between a source and the losses.

    shares: by (index of the consumer, slot): signed, 1.0 is the whole gradient. An edge that is not in it lies on no
        path. Empty where the gradient is exactly 0, underflowed or is not finite: then nothing has a share.
    total: the share that flows in all, 1.0, or that of the route.
    source: what it is called in reports. source_index, loss_indices: on the tape. route: None stands for all paths.
    norm: of the whole gradient. missing: why nothing has a share of it, in words; empty where there are shares.
    boundaries: what crosses from step to step, in order; an edge over several steps crosses each boundary between.
    """

    shares: Mapping[Use, float] = field(repr=False)
    total: float
    source: str
    source_index: int
    loss_indices: tuple[int, ...]
    route: str | None
    norm: float
    boundaries: tuple[Boundary, ...]
    missing: str = ""

    def __str__(self) -> str:
        """A row for each boundary between steps: the net share across, its parts by name, and the gross."""
        along = f" on the paths of {self.route}" if self.route else ""
        if not self.shares:
            why = f"the gradient {self.missing}" if self.missing else "there is no path"
            return f"Flow to {self.source}{along}: nothing flows, {why}."
        names = sorted({name for boundary in self.boundaries for name in boundary.shares})
        lines = [f"Flow to {self.source}{along}: {percent(self.total)} of the gradient in all."]
        lines.append(f"{'from step to step':>17} {'net':>9}" + "".join(f"{n:>9}" for n in names) + f"{'gross':>9}")
        for b in self.boundaries:
            cells = "".join(f"{percent(b.shares[n]) if n in b.shares else '-':>9}" for n in names)
            lines.append(f"{f'{b.after} to {b.after + 1}':>17} {percent(b.net):>9}{cells}{percent(b.gross):>9}")
        return "\n".join(lines)

    __repr__ = __str__


def flow_of(paths: Paths, whole: Array, route: Route | None = None) -> Flow:
    """The flow of all paths, or of those of a route. whole: the gradient through all paths."""
    if route is None:
        reading, accepted = _all_of(paths), lambda _: True
    else:
        reading, accepted = read_route(paths, route), accepts
    largest = float(np.max(np.abs(whole), initial=0.0))
    some = 0 < largest < math.inf
    found = _shares(reading, accepted, whole / largest, largest) if some else {}
    return Flow(
        shares=found,
        total=math.fsum(found[use] for use in _uses(paths) if use in found) if some else math.nan,
        source=describe(paths.source),
        source_index=paths.source.index,
        loss_indices=tuple(loss.index for loss in paths.losses),
        route=None if route is None else str(route),
        norm=largest * float(np.linalg.norm(np.ravel(whole / largest))) if some else largest,
        boundaries=_boundaries(paths, found),
        missing="" if some else _why_there_are_no_shares(paths, largest),
    )


def _all_of(paths: Paths) -> Reading:
    return read(paths, 0, lambda state, *_: state)


def _why_there_are_no_shares(paths: Paths, largest: float) -> str:
    if largest != 0:
        return "is not finite"
    log10 = log10_of_route(_all_of(paths), lambda _: True)
    return "is exactly 0" if log10 == -math.inf else f"underflowed: it is about 10^{log10:.0f}, too small for a number"


def _uses(paths: Paths) -> list[Use]:
    return [(c.index, slot) for c, slot, x in paths.edges() if x is paths.source]


def _shares(reading: Reading, accepted: Callable[[Any], bool], direction: Array, largest: float) -> dict[Use, float]:
    """direction: the gradient divided by its largest element, so that a gradient of 1e-170 has shares too."""
    paths, rows, on = reading.paths, len(reading.states), uses_on(reading, accepted)
    contributions: dict[Use, Tensor] = {}

    def note(consumer: Any, slot: int, part: Tensor) -> Tensor | None:
        use = consumer.index, slot
        if use not in on:
            return None
        if use in reading.moves:
            before, after = reading.moves[use]
            move = np.zeros((rows, rows), part.dtype)
            move[after, before] = 1.0
            part = (constant(move) @ part.reshape((rows, -1))).reshape(part.shape)
        # A node of its own: a rule may hand one array to two edges.
        contributions[use] = record(identity, (part,))
        return contributions[use]

    hooks: dict[int, AtEdge] = {node.index: note for node in paths.order.values() if node.primitive is not None}
    seeds = {index: Tensor(seed, requires_grad=True) for index, seed in paths.seeds(rows).items()}
    arrived = sweep(paths.order, seeds, [paths.source.index], hooks, create_graph=True).get(paths.source.index)
    if arrived is None:
        return {}
    ends = np.array([accepted(state) for state in reading.states], direction.dtype)
    order = tape([arrived], contributions.values())
    back = {arrived.index: np.multiply.outer(ends, direction)}
    moves = sweep(order, back, [part.index for part in contributions.values()])
    squared = float(np.vdot(direction, direction))
    return {
        use: float(np.vdot(part.value / largest, moves[part.index])) / squared for use, part in contributions.items()
    }


def _boundaries(paths: Paths, shares: Mapping[Use, float]) -> tuple[Boundary, ...]:
    across: dict[int, dict[str, float]] = {}
    for consumer, slot, producer in paths.edges():
        use = consumer.index, slot
        if use in shares and crosses(producer, consumer):
            near, far = sorted((producer.place.step, consumer.place.step))
            for step in range(near, far):
                named = across.setdefault(step, {})
                named[producer.name or "_"] = named.get(producer.name or "_", 0.0) + shares[use]
    return tuple(Boundary(step, across[step]) for step in sorted(across))
