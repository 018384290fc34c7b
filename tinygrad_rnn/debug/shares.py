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
        self._answer: tuple[Mapping[tuple[int, int], float], str | None] | None = None

    @property
    def found(self) -> Mapping[tuple[int, int], float]:
        """By (node, slot); empty where there are none."""
        return self._computed()[0]

    @property
    def why_not(self) -> str | None:
        return self._computed()[1]

    def _computed(self) -> tuple[Mapping[tuple[int, int], float], str | None]:
        if self._answer is None:
            self._answer = self._shares()
        return self._answer

    def _shares(self) -> tuple[Mapping[tuple[int, int], float], str | None]:
        if self.source is None or not self.outputs:
            nothing = "the loss is not computed from any tensor" if self.outputs else "there is no backward pass here"
            return {}, f"{nothing}, so nothing has a share"
        try:
            with np.errstate(all="ignore"):  # what is not finite is said below
                shares = trace_gradient(self.outputs, to=self.source).flow().shares
        except (RuntimeError, ValueError) as error:
            return {}, str(error)
        gradient = self.timeline.cotangents()[self.source.index]
        if not (np.isfinite(gradient).all() and all(map(math.isfinite, shares.values()))):
            return {}, "the gradient is not finite, so nothing has a share of it"
        if not gradient.any():
            return {}, "the gradient is exactly 0, so nothing has a share of it"
        return shares, None

    def of(self, event: Event) -> float | None:
        """The share that goes over the edge of a backward event."""
        return self.found.get((event.node, event.slot if event.slot is not None else -1))

    def frontier(self, position: int) -> list[tuple[int, float]]:
        """The nodes that hold a share before an event, and how much each; the shares add up to 1.

        The source keeps what has come, also where it passes gradient on to what it was computed from.
        """
        if self.why_not is not None or self.source is None:
            return []
        line, source = self.timeline, self.source.index
        pending = line.pending(position)
        held: list[tuple[int, float]] = []
        for index in sorted({*line.frontier(position), source}):
            share: float | None
            if pending and pending[0][0] == index != source:
                left = [self.found[use] for use in pending if use in self.found]
                share = math.fsum(left) if left else None
            else:
                share = self._held(index, position)
            if share is not None:
                held.append((index, share))
        return held

    def _held(self, index: int, position: int) -> float | None:
        """What has arrived at a node; None where no path to the source leads through it, or nothing has come yet."""
        line = self.timeline
        if index in line.seeds:  # what came from outside is not on an edge: the whole, less what is still to come
            if position <= line.forward_end + list(line.seeds).index(index):
                return None
            uses = [(index, slot) for slot in range(len(line.order[index].inputs))]
            passed_on = [self.found[use] for use in uses if use in self.found]
            is_source = self.source is not None and index == self.source.index
            if not passed_on and not is_source:
                return None
            whole = 1.0 if is_source else math.fsum(passed_on)
            return whole - math.fsum(self.of(line[k]) or 0.0 for k in line.edges_into(index) if k >= position)
        arrived = [self.of(line[k]) for k in line.edges_into(index) if k < position]
        known = [share for share in arrived if share is not None]
        return math.fsum(known) if known else None


def most_used(timeline: Timeline) -> Tensor | None:
    """The leaf that the most edges lead into, the largest of those: mostly the recurrent weight."""
    leaves = [x for x in timeline.order.values() if x.primitive is None and timeline.edges_into(x.index)]
    return max(leaves, key=lambda x: (len(timeline.edges_into(x.index)), x.value.size, x.index), default=None)
