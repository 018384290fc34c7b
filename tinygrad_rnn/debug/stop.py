"""A stop: one moment of a timeline, and all there is to know about the event that has just happened."""

from __future__ import annotations

from typing import final

import numpy as np

from ..engine.primitives import Array
from ..engine.tensor import Tensor
from . import rules
from .labels import Labels, norm
from .lines import Line, line_of
from .shares import Shares
from .timeline import Event, Kind, Timeline


@final
class Stop:
    """The moment before event number `position`; the event that has just happened is the one before it.

    Everything is computed when it is asked for. What does not belong to the kind of event is None.
    """

    __slots__ = ("event", "labels", "node", "position", "shares", "timeline")

    def __init__(self, timeline: Timeline, position: int, labels: Labels, shares: Shares) -> None:
        self.timeline, self.position, self.labels, self.shares = timeline, position, labels, shares
        self.event: Event | None = timeline[position - 1] if position else None
        self.node: Tensor | None = timeline.order[self.event.node] if self.event else None

    # Where ---------------------------------------------------------------------------------------------------------

    @property
    def kind(self) -> Kind | None:
        """What has just happened: "forward", "seed" or "backward"."""
        return self.event.kind if self.event else None

    @property
    def operation(self) -> str | None:
        """The primitive whose rule was applied."""
        return self.node.primitive.name if self.node is not None and self.node.primitive is not None else None

    @property
    def name(self) -> str | None:
        """Of the node that was made or that has received something."""
        target = self.target
        return target.name if target is not None else None

    @property
    def target(self) -> Tensor | None:
        """The node that was made, or that has received something."""
        if self.event is None or self.event.producer is None:
            return self.node
        return self.timeline.order[self.event.producer]

    @property
    def scope(self) -> str:
        return self.event.place.scope if self.event else ""

    @property
    def step(self) -> int | None:
        return self.event.place.step if self.event else None

    @property
    def line(self) -> Line | None:
        """The line of the user's program that made the node."""
        return line_of(self.node) if self.node is not None else None

    @property
    def label(self) -> str:
        return self.labels.label(self.target) if self.target is not None else "the beginning"

    # What ----------------------------------------------------------------------------------------------------------

    @property
    def operands(self) -> tuple[Tensor, ...]:
        return tuple(self.node.inputs) if self.node is not None else ()

    @property
    def value(self) -> Array | None:
        """The value of the node."""
        return self.node.value if self.node is not None else None

    @property
    def cotangent(self) -> Array | None:
        """Backward: what the consumer passes on, the whole gradient at it."""
        return self.timeline.cotangents()[self.event.node] if self.event and self.kind == "backward" else None

    @property
    def contribution(self) -> Array | None:
        """Backward: what was added."""
        return self.timeline.contribution(self.event.position) if self.event and self.kind == "backward" else None

    @property
    def before(self) -> Array | None:
        """Backward: what the target had received before; None where nothing yet."""
        if self.event is None or self.target is None or self.kind != "backward":
            return None
        return self.timeline.total(self.target.index, self.event.position)

    @property
    def total(self) -> Array | None:
        """What the target has received by now."""
        return self.timeline.total(self.target.index, self.position) if self.target is not None else None

    @property
    def derivative(self) -> Array | None:
        """Backward: the local derivative of an elementwise operation, element by element."""
        if self.node is None or self.event is None or self.event.slot is None:
            return None
        return rules.local_derivative(self.node, self.event.slot)

    @property
    def rule(self) -> str | None:
        """As a formula."""
        if self.node is None or self.node.primitive is None:
            return None
        formula = rules.formula_of(self.node)
        if self.event is not None and self.event.slot is not None:
            return formula.backward_at(self.event.slot)
        return formula.forward if self.kind == "forward" else None

    @property
    def numbers(self) -> str | None:
        """The rule with the numbers of one element."""
        if self.node is None or self.event is None or self.rule is None:
            return None
        if self.event.slot is None:
            return rules.forward_numbers(self.node)
        assert self.cotangent is not None
        assert self.contribution is not None
        return rules.backward_numbers(self.node, self.event.slot, self.cotangent, self.contribution)

    @property
    def norm(self) -> float | None:
        """Of the result, or of the contribution."""
        what = self.contribution if self.kind == "backward" else self.value
        return None if what is None or self.event is None else norm(what)

    @property
    def share(self) -> float | None:
        """Backward: of the final gradient of `shares.source`, over this edge."""
        return self.shares.of(self.event) if self.event and self.kind == "backward" else None

    # NaN and Inf ---------------------------------------------------------------------------------------------------

    @property
    def makes(self) -> str | None:
        """ "NaN" or "Inf" where this event makes one out of what has none."""
        if self.node is None or self.event is None or self.kind == "seed":
            return None
        if self.kind == "forward":
            return made_of(self.node.value, [x.value for x in self.node.inputs])
        assert self.event.producer is not None
        if np.isfinite(self.timeline.cotangents()[self.event.producer]).all():
            return None  # then so is all that was added to it
        assert self.cotangent is not None
        assert self.contribution is not None
        added = made_of(self.contribution, [self.cotangent])
        if added is not None or self.total is None:
            return added
        return made_of(self.total, [self.contribution] + ([] if self.before is None else [self.before]))


def made_of(result: Array, operands: list[Array]) -> str | None:
    """What a result has that none of its operands has: a NaN where there was none, an Inf where all was finite."""
    if result.dtype.kind not in "fc" or np.isfinite(result).all():
        return None
    numbers = [x for x in operands if x.dtype.kind in "fc"]
    if np.isnan(result).any():
        return None if any(np.isnan(x).any() for x in numbers) else "NaN"
    return "Inf" if all(np.isfinite(x).all() for x in numbers) else None
