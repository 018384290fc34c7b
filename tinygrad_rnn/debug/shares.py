"""How much of the final gradient each edge carries, and what the frontier holds of it at each moment."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..engine.tensor import Tensor
from ..trace import trace_gradient
from .timeline import Event, Timeline

MOST_EVENTS = 100_000  # beyond, shares are computed only when they are asked for by name


class Shares:
    """Shares of the gradient of one tensor, the `source`.

    They take about as long as twenty backward sweeps, and are computed when first asked for. None stands for an edge
    that is not on a path to the source; `why_not` says why there are no shares at all.
    """

    def __init__(self, timeline: Timeline, outputs: list[Tensor], source: Tensor | None) -> None:
        self.timeline, self.outputs = timeline, outputs
        self.source = source if source is not None else most_used(timeline)
        self.why_not: str | None = None
        self._found: Mapping[tuple[int, int], float] | None = None

    @property
    def found(self) -> Mapping[tuple[int, int], float]:
        if self._found is None:
            self._found = self._computed()
        return self._found

    def _computed(self) -> Mapping[tuple[int, int], float]:
        if self.source is None or not self.outputs:
            self.why_not = "there is no backward pass here"
            return {}
        try:
            flow = trace_gradient(self.outputs, to=self.source).flow()
        except (RuntimeError, ValueError) as error:
            self.why_not = str(error)
            return {}
        gradient = self.timeline.cotangents()[self.source.index]
        if not (np.isfinite(gradient).all() and all(map(math.isfinite, flow.shares.values()))):
            self.why_not = "the gradient is not finite, so nothing has a share of it"
            return {}
        if not flow.shares:
            self.why_not = "the gradient is exactly 0, so nothing has a share of it"
        return flow.shares

    def of(self, event: Event) -> float | None:
        """The share that goes over the edge of a backward event."""
        return self.found.get((event.node, event.slot if event.slot is not None else -1))

    def frontier(self, position: int) -> list[tuple[int, float]]:
        """The nodes that hold a share before an event, and how much each; the shares add up to 1."""
        if not self.found:
            return []
        line, pending = self.timeline, self.timeline.pending(position)
        held: list[tuple[int, float]] = []
        for index in line.frontier(position):
            share: float | None
            if pending and pending[0][0] == index:
                left = [self.found[use] for use in pending if use in self.found]
                share = math.fsum(left) if left else None
            else:
                share = self._held(index, position)
            if share is not None:
                held.append((index, share))
        return held

    def _held(self, index: int, position: int) -> float | None:
        """What has arrived at a node; None where no path to the source leads through it."""
        line = self.timeline
        if index in line.seeds:  # what came from outside is not on an edge: what flows out, less what is still to come
            slots = range(len(line.order[index].inputs))
            out = math.fsum(self.found.get((index, slot), 0.0) for slot in slots)
            return out - math.fsum(self.of(line[k]) or 0.0 for k in line.edges_into(index) if k >= position)
        arrived = [self.of(line[k]) for k in line.edges_into(index) if k < position]
        known = [share for share in arrived if share is not None]
        return math.fsum(known) if known else None


def most_used(timeline: Timeline) -> Tensor | None:
    """The leaf that the most edges lead into, the largest of those: mostly the recurrent weight."""
    leaves = [x for x in timeline.order.values() if x.primitive is None and timeline.edges_into(x.index)]
    return max(leaves, key=lambda x: (len(timeline.edges_into(x.index)), x.value.size, x.index), default=None)
