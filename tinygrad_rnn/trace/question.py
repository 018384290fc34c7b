"""The question «how does the gradient of these losses get to this tensor?», from which the answers follow."""

from __future__ import annotations

import functools
import math
import operator
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..engine.arguments import shortened
from ..engine.sweep import describe, sweep, tape
from ..engine.tensor import Tensor, seed_of
from . import counting, crossings, detached, explanation, heaviest, missing, parts, report, route, scaled, spectrum
from .automaton import Paths
from .edges import Use, uses_one_by_one
from .explanation import Explanation
from .flow import Flow, flow_of
from .heaviest import TopPaths, Unit
from .ledger import Ledger, StreamingLedger, ledger_of, streaming_ledger_of
from .parts import Part
from .route import Route, checked
from .spectrum import Spectrum, StreamingSpectrum
from .uses import uses_of
from .zeros import Zero, zeros


@dataclass(frozen=True, repr=False)
class GradientTrace:
    """What `trace_gradient` returns: the gradient of the sum of the losses by the source, to be taken apart."""

    _paths: Paths
    _leaves: tuple[tuple[Tensor, int], ...]  # all that the losses were computed from, with their indices then

    def __repr__(self) -> str:
        paths = self._paths
        losses = f"{len(paths.losses)} losses" if len(paths.losses) > 1 else "a loss"
        return f"<trace of {losses} to {describe(paths.source)}: {len(paths.order)} tensors on the paths>"

    @property
    def paths(self) -> Paths:
        """All paths from the source to the losses.

        Raises RuntimeError if data that the losses were computed from has been replaced since, by an optimiser's step,
        say: numbers of before and after would be mixed.
        """
        source = self._paths.source
        if any(leaf.index != index for leaf, index in self._leaves):  # new data gives a leaf a new index
            tape(self._paths.losses, [source])  # says which, and where it was used
        if not source.tracked:
            raise RuntimeError(f"{describe(source)}, does not require a gradient any more: set requires_grad = True")
        return self._paths

    @cached_property
    def total(self) -> npt.NDArray[Any]:
        """The gradient itself, of the source's shape: what `tg.grad` gives."""
        source = self.paths.source.index
        seeds = {index: seed[0] for index, seed in self.paths.seeds(1).items()}
        return np.asarray(sweep(self.paths.order, seeds, [source])[source])

    @cached_property
    def _ledger(self) -> Ledger:
        return ledger_of(self.paths)

    def ledger(self) -> Ledger:
        """What each use of the source, at each time step, contributes to each loss.

        It keeps an array for each loss and step. Raises MemoryError where that is too much: see `streaming_ledger`.
        """
        return self._ledger

    def streaming_ledger(self) -> StreamingLedger:
        """The same in shares and norms only, without keeping an array for each loss and step.

        For long sequences, and for a loss at every step, where it holds an array for each loss at a time.
        """
        return streaming_ledger_of(self.paths)

    def on(self, route: Route) -> Part:
        """The gradient through the paths of a route, such as tg.across("c*") & ~tg.through("o")."""
        return parts.part_along(self.paths, checked(route), self.total)

    def along(self, text: str) -> Part:
        """The gradient through the paths whose landmarks, in order, match: t.along("(i | g) c+ h")."""
        return self.on(route.along(text))

    def across(self, text: str) -> Part:
        """The gradient through the paths that cross time like this: t.across("c*") is an LSTM's highway."""
        return self.on(route.across(text))

    def through(self, name: str) -> Part:
        """The gradient through the paths that meet a landmark."""
        return self.on(route.through(name))

    def avoiding(self, name: str) -> Part:
        """The gradient through the paths that never meet a landmark."""
        return self.on(route.avoiding(name))

    def without(self, *cut: Route | str | tuple[Tensor, int]) -> Part:
        """What the gradient would be if some paths were cut, without running the model again; several cuts at once.

        cut: routes; names of landmarks, which stand for all paths through them; or edges (consumer, slot), where the
        consumer is the result of an operation and slot says which of its inputs is let go, as in t.without((h3, 0)).
        """
        if not cut:
            raise ValueError('without needs a route, the name of a landmark or an edge, as in t.without("f")')
        for one in cut:
            if not isinstance(one, (Route, str, tuple)):
                raise TypeError(
                    "what is cut is a route, the name of a landmark, or an edge: (the result of an operation, the slot "
                    f"of its input), as in (h3, 0); got {one!r:.60}"
                )
        edges = [one for one in cut if isinstance(one, tuple)]
        left = [~(route.through(one) if isinstance(one, str) else one) for one in cut if not isinstance(one, tuple)]
        kept = functools.reduce(operator.and_, left, route.along(".*"))
        paths = replace(self.paths, cut=frozenset(self._use(edge) for edge in edges))
        return parts.part_along(paths, kept, self.total, called=f"without {', '.join(map(_cut, cut))}")

    def _use(self, edge: tuple[Any, ...]) -> tuple[int, int]:
        """The index of the consumer, and the slot."""
        if len(edge) != 2 or not isinstance(edge[0], Tensor) or not isinstance(edge[1], int):
            raise TypeError(
                f"an edge is (the result of an operation, the slot of its input), as in (h3, 0); got {edge}"
            )
        consumer, slot = edge
        if not 0 <= slot < len(consumer.inputs):
            raise ValueError(f"{describe(consumer)}, has {len(consumer.inputs)} inputs, so no slot {slot}")
        if consumer.index not in self.paths.order or consumer.inputs[slot].index not in self.paths.order:
            raise ValueError(
                f"no path from the source to the loss goes over slot {slot} of {describe(consumer)}: there is nothing "
                "to cut"
            )
        return consumer.index, slot

    def partition(self, classes: Mapping[str, Route]) -> dict[str, Part]:
        """The gradient apart by classes of paths, whose shares add up to 1.

        Raises ValueError where some path is in no class, or in several.
        """
        return parts.partition(self.paths, classes, self.total)

    def by_crossings(self, name: str) -> list[Part]:
        """The gradient apart by how often a path crosses time in a landmark: [exactly 0 times, exactly 1, ...]."""
        return crossings.by_crossings(self.paths, name, self.total)

    def expected_detached(self, name: str, keep: float) -> Part:
        """The expected gradient where each tensor of this name is cut off from later steps at random: h-detach for "h".

        keep: the probability that one is kept. A path with k crossings is kept with keep^k, so this is the polynomial
        sum over k of keep^k C_k, exactly, and no average over samples (h-detach: Arpit et al. 2018).
        """
        if not 0 <= keep <= 1:
            raise ValueError(f"keep is a probability, from 0 to 1; got {keep!r}")
        return detached.expected_detached(self.paths, name, keep, self.total)

    def uses(self) -> list[Use]:
        """What each single use of the source contributes, edge by edge: two slots of one operation are two uses."""
        return uses_one_by_one(self.paths, self.total)

    def zeros(self) -> list[Zero]:
        """The edges at which a gradient that is not 0 becomes exactly 0, with the reason; nearest to the loss first."""
        return zeros(self.paths.losses, self.paths.order)

    def mean_crossings(self, name: str) -> float:
        """How often a path crosses time in this landmark on average, by share: of h in an LSTM, the mean detours.

        Shares may be negative, and then so may this. nan where the gradient has none: it is exactly 0, underflowed,
        overflowed or is not finite.
        """
        return crossings.mean_of(self.by_crossings(name))

    def spectrum(self, name: str) -> Spectrum:
        """The gradient apart by lag and by how often a path crosses time in a landmark.

        It keeps an array for each of both. Raises MemoryError where that is too much: see `streaming_spectrum`.
        """
        return spectrum.spectrum(self.paths, name, self.total)

    def streaming_spectrum(self, name: str) -> StreamingSpectrum:
        """The same in shares only, without keeping an array for each lag and number of crossings: long sequences."""
        return spectrum.streaming_spectrum(self.paths, name, self.total)

    def flow(self, route: Route | None = None) -> Flow:
        """The share of the gradient on every edge, conserved like a current; of the paths of a route, if given."""
        return flow_of(self.paths, self.total, None if route is None else checked(route))

    def explain(self) -> Explanation:
        """The formula of backpropagation through time for this loss and source, with every factor computed."""
        if np.isnan(self.total).any() and not math.isfinite(missing.log10_of_whole(self.paths)):
            raise ValueError(
                "the gradient is not a number, so its factors have no norms: tg.detect_anomaly() says where from"
            )
        return explanation.explain(self.paths, self.total)

    def log10_norms(self) -> dict[int | None, float]:
        """log10 of the norm that the uses at each step contribute, exact even where that norm underflows.

        -inf stands for what is exactly 0; the key None for uses outside the time loop.
        """
        uses = uses_of(self.paths.losses, self.paths.source, self.paths.order)
        return dict(zip(uses.steps, scaled.log10_norms(uses, together=True)[0].tolist(), strict=True))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write all answers on one page: .html, .md or .txt, as the ending says. Returns the path."""
        return report.save(self, path)

    def top_paths(
        self,
        k: int = 5,
        unit: Unit = "state",
        by: heaviest.By = "norm",
        within: Route | None = None,
        most_expansions: int = 100_000,
    ) -> TopPaths:
        """The k heaviest single paths, in exact order, and what all others carry together.

        unit: "state", a path is where it crosses time, as in c c h; or "landmark", all landmarks it meets.
        by: "norm", or "share", which is signed and ordered by its size. within: only the paths of a route.
        most_expansions: where the search stops at the latest; it then says how far its answer is proven. All work has
        a limit besides, so that there is an answer at any size.
        """
        within = None if within is None else checked(within)
        return heaviest.top_paths(self.paths, k, unit, by, within, self.total, most_expansions)

    def count_paths(self, route: Route | None = None, unit: Literal["operation", "landmark"] = "operation") -> int:
        """How many paths there are, exactly; of a route, if given (by operations only).

        It is printed as «about 10^6124» where it has more than 40 digits; `hex` of it has them all.
        """
        if unit == "operation":
            return counting.count_paths(self.paths, counting.EVERY_PATH if route is None else checked(route))
        if unit == "landmark" and route is None:
            return counting.count_landmark_paths(self.paths)
        raise ValueError(f'unit is "operation" or, without a route, "landmark"; got {unit!r}')


def check_source(to: Any) -> None:
    """Raises TypeError unless a gradient can be asked for with respect to it."""
    if not isinstance(to, Tensor):
        raise TypeError(
            f"to= is the Tensor whose gradient is asked for, such as cell.weight_hh, not its name; got {shortened(to)}"
        )


def trace_gradient(loss: Tensor | Sequence[Tensor], to: Tensor) -> GradientTrace:
    """Ask how the gradient of a loss gets to a tensor.

    loss: a Tensor with one element, or a list of them (one for each time step, say).
    to: the tensor at the other end: a shared weight, an input, a state.
    Raises RuntimeError where no path leads from `to` to any of the losses.
    """
    losses = tuple(loss) if isinstance(loss, (list, tuple)) else (loss,)
    if not losses:
        raise ValueError("trace_gradient needs a loss, or a list of at least one")
    for one in losses:
        if not isinstance(one, Tensor):
            raise TypeError(f"a loss is a Tensor; got {type(one).__name__}: pass the loss itself, not its .item()")
        if one.size != 1:
            raise RuntimeError(
                f"a loss is one number, and {describe(one)}, is not a single number: take its .sum() or .mean(), or "
                "pass a list with one loss for each step. The first argument is the loss, to= what it is traced to"
            )
        seed_of(one, None)  # complains about a loss that tracks no gradient
    check_source(to)
    order = tape(losses, [to])
    if not order or not to.tracked:
        reason = (
            "no loss was computed from it"
            if to.tracked
            else "it does not require a gradient: make it with requires_grad=True before computing with it"
        )
        raise RuntimeError(f"no path leads from {describe(to)}, to the loss: {reason}")
    inputs = (x for node in tape(losses).values() for x in node.inputs)
    leaves = {x.index: x for x in inputs if x.primitive is None}
    return GradientTrace(Paths(losses, to, order), tuple((x, index) for index, x in leaves.items()))


def _cut(one: Route | str | tuple[Tensor, int]) -> str:
    return f"slot {one[1]} of {describe(one[0])}" if isinstance(one, tuple) else str(one)
