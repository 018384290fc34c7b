"""Flow: the share of the gradient on every edge, conserved like a current.

The flow on an edge is the share of all paths through it: <contribution, du> / |g|, du the tangent of its producer when
the source moves along its own normalised gradient g / |g|. What flows into a node flows out of it (Kirchhoff), and
across every cut between source and losses flows the whole.

No rules for tangents are needed. The gradient is linear in the contribution C of each edge, so the part of it through
that edge is <C, d<g, u>/dC>: one backward sweep is recorded, and a second goes back through the first. With the
leading axis of a route's automaton the same two sweeps give the flow of the paths of a route. Where a share comes out
as 0, both sweeps are repeated with scaled numbers, which tell what underflowed from what is exactly 0.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..engine.primitives import identity
from ..engine.sweep import AtEdge, describe, sweep, tape
from ..engine.tensor import Tensor, constant, record
from .automaton import Paths, Reading, crosses, every_path, uses_on
from .expression import UNNAMED
from .measure import has_shares, percent, power_of_ten, smallest
from .missing import why_no_shares
from .reading import read_route
from .route import Route, accepts
from .scaled import Scaled, added, log10_of, log10_of_route, moved, over_edge, sweep_scaled, unscaled

Array = npt.NDArray[Any]
Use = tuple[int, int]  # the index of the consumer, and the slot
GROSS = "net: what crosses. gross: the sizes of its parts added up."
BACK = "back: from the later step to the earlier one; net is what crosses less what crosses back."
UNDERFLOWED = "A bare power such as 10^-400: the share underflowed, it is too small for a number. 0 is exactly 0."


class Crossing(NamedTuple):
    """What crosses boundaries. name: of the tensor, _ if it has none. is_back: from a later step to an earlier one."""

    name: str
    is_back: bool = False

    def __str__(self) -> str:
        return f"{self.name} back" if self.is_back else self.name


@dataclass(frozen=True, slots=True)
class Boundary:
    """What crosses from one time step to the next, and in a bidirectional net from the next to this one.

    after: the step before the boundary. crossings: by what crosses, and which way, the signed share.
    log10: where that is 0: log10 of the size of the largest that underflowed there; -inf for exactly 0.
    """

    after: int
    crossings: Mapping[Crossing, float]
    log10: Mapping[Crossing, float] = field(default_factory=dict)

    @property
    def shares(self) -> dict[str, float]:
        """By name, of what crosses from the earlier step to the later one."""
        return {crossing.name: share for crossing, share in self.crossings.items() if not crossing.is_back}

    @property
    def net(self) -> float:
        """What crosses less what crosses back: the share of the paths that begin before the boundary and end after it,
        less that of those that begin after it and end before."""
        return math.fsum(-share if crossing.is_back else share for crossing, share in self.crossings.items())

    @property
    def gross(self) -> float:
        """The sum of sizes; above |net| where some of it cancels."""
        return math.fsum(map(abs, self.crossings.values()))

    @property
    def log10_gross(self) -> float:
        """Where all shares are 0: log10 of the size of the largest that underflowed; -inf for exactly 0."""
        return -math.inf if self.gross else max(self.log10.values(), default=-math.inf)

    def cells(self, columns: Iterable[Crossing], no_path: str = "-") -> list[str]:
        """Net, the share of each of these, and gross, as reports print them."""
        net, gross = (share_or_power(share, self.log10_gross) for share in (self.net, self.gross))
        found = self.crossings
        parts = [share_or_power(found[c], self.log10.get(c)) if c in found else no_path for c in columns]
        return [net, *parts, gross]


@dataclass(frozen=True, repr=False)
class Flow:
    """The share of the gradient on every edge between a source and the losses.

    shares: by (index of the consumer, slot): signed, 1.0 is the whole gradient. An edge that is not in it lies on no
        path. Empty where the gradient is exactly 0, underflowed or is not finite: then nothing has a share.
    total: the share that flows in all, 1.0, or that of the route. log10_total: of its size, where it is 0; and
        where nothing has a share, of the norm of what flows in all: finite where that underflowed or overflowed.
    source: what it is called in reports. source_index, loss_indices: on the tape. route: None stands for all paths.
    norm: of the whole gradient. missing: why nothing has a share of it, in words; empty where there are shares.
    boundaries: what crosses from step to step, in order; an edge over several steps crosses each boundary between.
    log10: of the size of each share that is 0: finite where it underflowed, -inf where it is exactly 0.
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
    log10: Mapping[Use, float] = field(default_factory=dict, repr=False)
    log10_total: float = -math.inf

    @property
    def crossings(self) -> list[Crossing]:
        """What crosses any boundary: first all that leads on in time."""
        return sorted({c for b in self.boundaries for c in b.crossings}, key=lambda c: (c.is_back, c.name))

    def __str__(self) -> str:
        """A row for each boundary between steps: the net share across, its parts by name, and the gross."""
        along = f" on the paths of {self.route}" if self.route else ""
        if not self.shares:
            why = f"the gradient {self.missing}" if self.missing else "there is no path"
            return f"Flow to {self.source}{along}: nothing flows, {why}."
        lines = [
            f"Flow to {self.source}{along}: {share_or_power(self.total, self.log10_total)} of the gradient in all."
        ]
        columns = self.crossings
        lines.append(f"{'from step to step':>17} {'net':>9}" + "".join(f"{c!s:>9}" for c in columns) + f"{'gross':>9}")
        for b in self.boundaries:
            lines.append(f"{f'{b.after} to {b.after + 1}':>17} " + "".join(f"{cell:>9}" for cell in b.cells(columns)))
        return "\n".join([*lines, *notes(self)])

    __repr__ = __str__


def flow_of(paths: Paths, whole: Array, route: Route | None = None) -> Flow:
    """The flow of all paths, or of those of a route. whole: the gradient through all paths."""
    reading = every_path(paths) if route is None else read_route(paths, route)
    largest, some = float(np.max(np.abs(whole), initial=0.0)), has_shares(whole)
    found, log10 = _shares(reading, whole / largest, largest) if some else ({}, {})
    uses = [use for use in _uses(paths) if use in found]
    return Flow(
        shares=found,
        total=math.fsum(found[use] for use in uses) if some else math.nan,
        source=describe(paths.source),
        source_index=paths.source.index,
        loss_indices=tuple(loss.index for loss in paths.losses),
        route=None if route is None else str(route),
        norm=largest * float(np.linalg.norm(np.ravel(whole / largest))) if some else largest,
        boundaries=_boundaries(paths, found, log10),
        missing=why_no_shares(paths, whole),
        log10=log10,
        log10_total=_log10_total(found, log10, uses) if some else log10_of_route(reading, accepts),
    )


def _log10_total(shares: Mapping[Use, float], log10: Mapping[Use, float], uses: list[Use]) -> float:
    return -math.inf if any(map(shares.__getitem__, uses)) else max(map(log10.__getitem__, uses), default=-math.inf)


def share_or_power(share: float, log10: float | None) -> str:
    """A share as reports print it; of one that underflowed its power of ten. log10: of the size of a share of 0."""
    return power_of_ten(log10) if share == 0 and log10 is not None and log10 > -math.inf else percent(share)


def notes(flow: Flow) -> list[str]:
    """What the reader of a table of its boundaries is told below it."""
    said = [GROSS] if flow.boundaries else []
    if max([flow.log10_total, *(log10 for b in flow.boundaries for log10 in b.log10.values())]) > -math.inf:
        said.append(UNDERFLOWED)
    if any(c.name == "_" for c in flow.crossings):
        said.append(UNNAMED)
    if any(c.is_back for c in flow.crossings):
        said.append(BACK)
    return said


def _uses(paths: Paths) -> list[Use]:
    return [(c.index, slot) for c, slot, x in paths.edges() if x is paths.source]


def _shares(reading: Reading, direction: Array, largest: float) -> tuple[dict[Use, float], dict[Use, float]]:
    """The shares, and log10 of the size of those that are 0.

    direction: the gradient divided by its largest element, so that a gradient of 1e-170 has shares too.
    """
    paths, rows, on = reading.paths, len(reading.states), uses_on(reading, accepts)
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
        return {}, {}
    ends = np.array([accepts(state) for state in reading.states], direction.dtype)
    order = tape([arrived], contributions.values())
    back = {arrived.index: np.multiply.outer(ends, direction)}
    moves = sweep(order, back, [part.index for part in contributions.values()])
    squared = float(np.vdot(direction, direction))
    shares = {
        use: float(np.vdot(part.value / largest, moves[part.index])) / squared for use, part in contributions.items()
    }
    # A share below the smallest normal number underflowed, as one that came to 0 did.
    zero = {use: contributions[use].index for use, share in shares.items() if abs(share) < smallest(direction.dtype)}
    shares |= dict.fromkeys(zero, 0.0)
    if not zero or not any(_is_small(a) for part in contributions.values() for a in (part.value, moves[part.index])):
        return shares, dict.fromkeys(zero, -math.inf)
    ahead = _scaled_tangents(order, arrived.index, back[arrived.index], set(zero.values()))
    sizes = _scaled_products(reading, on, {use: ahead[index] for use, index in zero.items()})
    return shares, {use: size - math.log10(largest) - math.log10(squared) for use, size in sizes.items()}


def _is_small(array: Array) -> bool:
    """Whether it is not 0, but so small that what is made of it may underflow, be it by a gate shut to 10^-261."""
    room = float(np.finfo(array.dtype).maxexp // 8)
    return bool(np.vdot(array, array) < 2.0 ** (-2 * room) and array.any())


def _scaled_tangents(order: dict[int, Any], start: int, seed: Array, wanted: set[int]) -> dict[int, Scaled]:
    """What the second sweep brings to some nodes of the record of the first, each with its scale."""
    begin = unscaled({start: seed[None]})
    parts: dict[int, list[Scaled]] = {start: [begin[start]]}

    def keep(consumer: Any, slot: int, part: Scaled) -> Scaled:
        if (index := consumer.inputs[slot].index) in wanted:
            parts.setdefault(index, []).append(part)
        return part

    sweep_scaled(order, begin, (), dict.fromkeys(order, keep))
    return {index: added(parts[index]) for index in wanted}


def _scaled_products(reading: Reading, on: Container[Use], ahead: Mapping[Use, Scaled]) -> dict[Use, float]:
    """log10 of |<contribution, tangent>| for some edges; -inf where it is exactly 0. ahead: the tangents."""
    paths, rows = reading.paths, len(reading.states)
    found: dict[Use, float] = {}

    def note(consumer: Any, slot: int, part: Scaled) -> Scaled:
        use = consumer.index, slot
        if use not in on:
            return np.zeros_like(part[0]), part[1]
        part = over_edge(reading, use, part, rows)
        if use in ahead:
            tangent, exponent = ahead[use]
            terms = (part[0] * tangent[0]).reshape((rows, -1))
            sums, rounding = terms.sum(axis=1), np.abs(terms).sum(axis=1) * terms.shape[1] * np.finfo(terms.dtype).eps
            products = np.where(np.abs(sums) > rounding, sums, 0.0), part[1] + exponent
            found[use] = float(log10_of([moved(products, np.zeros(rows, np.intp), 1)])[0])
        return part

    sweep_scaled(paths.order, unscaled(paths.seeds(rows)), (), dict.fromkeys(paths.order, note))
    return found


def _boundaries(paths: Paths, shares: Mapping[Use, float], log10: Mapping[Use, float]) -> tuple[Boundary, ...]:
    across: dict[int, dict[Crossing, float]] = {}
    sizes: dict[int, dict[Crossing, float]] = {}
    for consumer, slot, producer in paths.edges():
        use = consumer.index, slot
        if use in shares and crosses(producer, consumer):
            near, far = sorted((producer.place.step, consumer.place.step))
            crossing = Crossing(producer.name or "_", producer.place.step == far)
            for step in range(near, far):
                found, powers = across.setdefault(step, {}), sizes.setdefault(step, {})
                found[crossing] = found.get(crossing, 0.0) + shares[use]
                powers[crossing] = max(powers.get(crossing, -math.inf), log10.get(use, -math.inf))
    return tuple(
        Boundary(step, found, {crossing: sizes[step][crossing] for crossing, share in found.items() if share == 0})
        for step, found in sorted(across.items())
    )
