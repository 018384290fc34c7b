"""Flow on a figure: what of the gradient flows along each drawn edge, conserved at each drawn node.

A drawn edge may stand for many uses of tensors, and a drawn node for many operations; a current is the sum over what
is drawn as one. Whatever begins or ends inside a node that stands for several operations is said too, so that at every
node what comes in and begins there is what goes out and ends there.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...engine.tensor import Tensor
from ...trace import Flow, GradientTrace, Route, through, trace_gradient
from ..text.labels import visible
from .figure import Edge, Figure, Key, Node

SINK = "sink"  # the id of the node in which several losses end


@dataclass(frozen=True, slots=True)
class Current:
    """Shares of the gradient, 1.0 being the whole. ahead: the sum of the positive ones; against: of the negative.

    log10: where both are 0, of the size of the largest share that underflowed; -inf where all are exactly 0.
    """

    ahead: float
    against: float
    log10: float = -math.inf

    @property
    def net(self) -> float:
        """The sum of all."""
        return self.ahead + self.against


@dataclass(frozen=True, slots=True)
class Currents:
    """The flow of a figure.

    flow: of the tape. source: its name, or a word for it.
    figure: with a node in which the losses end, where there are several.
    edges: for each edge of the figure, None where it lies on no path.
    begins: by node, what begins inside it, where the source is one of the tensors that it stands for.
    ends: by node, what ends inside it: at a loss, of which there is only one.
    """

    flow: Flow
    source: str
    figure: Figure
    edges: tuple[Current | None, ...]
    begins: Mapping[str, Current]
    ends: Mapping[str, float]


def flow_asked_for(
    losses: Sequence[Tensor], to: Tensor | GradientTrace | Flow, along: Route | str | Sequence[str] | None
) -> Flow:
    """The flow to a tensor, or of a trace, on the paths of a route or through names, if given."""
    if isinstance(to, Flow):
        if along is not None:
            raise TypeError("highlight= needs a tensor or a trace as flow_to=, since a Flow is of one route already")
        return to
    if not isinstance(to, (Tensor, GradientTrace)):
        raise TypeError(f"flow_to is a Tensor, such as a weight, or what tg.trace_gradient gives; got {to!r}")
    trace = trace_gradient(list(losses), to=to) if isinstance(to, Tensor) else to
    if along is None or isinstance(along, Route):
        return trace.flow(along)
    names = [along] if isinstance(along, str) else along
    return trace.flow(functools.reduce(operator.or_, map(through, names)))


def currents(figure: Figure, flow: Flow, tape: Sequence[Any]) -> Currents:
    """What flows where. tape: all tensors that the figure is about.

    Raises ValueError if the flow is that of another tape.
    """
    tensors = {t.index: t for t in tape}
    _check(flow, tensors)
    source = _called(tensors[flow.source_index], tape)
    ends = _ends(flow, tensors)
    begins = _begins(figure, flow, tensors)
    if len(ends) < 2:
        last = {_home(figure, index): share for index, share in ends.items()}
        return Currents(flow, source, figure, _on_edges(figure.edges, flow.shares, flow.log10), begins, last)
    shares = {**flow.shares, **{(index, -1): share for index, share in ends.items()}}
    log10 = {**flow.log10, **{(index, -1): _log10_into(index, flow) for index, share in ends.items() if share == 0}}
    figure = _with_sink(figure, ends)
    edges = _on_edges(figure.edges, shares, log10)
    return Currents(flow, source, figure, edges, begins, {SINK: math.fsum(ends.values())})


def _called(source: Any, tape: Sequence[Any]) -> str:
    """The name of the source, with its step where others have the same: h[3]."""
    name = visible(source.name or "")
    alone = sum(t.name == source.name for t in tape) == 1
    return (
        f"{name}[{source.place.step}]" if name and not alone and source.place.step is not None else name or "the source"
    )


def _check(flow: Flow, tensors: Mapping[int, Any]) -> None:
    needed = {flow.source_index, *flow.loss_indices, *(consumer for consumer, _ in flow.shares)}
    if not needed <= tensors.keys():
        raise ValueError(
            f"flow_to: the flow to {flow.source} was traced on a computation that is not all in this picture: "
            "draw the losses that it was traced from, or something computed from them"
        )


def _ends(flow: Flow, tensors: Mapping[int, Any]) -> dict[int, float]:
    """By loss: what comes in and does not go on to another one."""
    if not flow.shares:
        return {}
    parts: dict[int, list[float]] = {index: [] for index in flow.loss_indices}
    for (consumer, slot), share in flow.shares.items():
        if consumer in parts:
            parts[consumer].append(share)
        producer = tensors[consumer].inputs[slot].index
        if producer in parts:
            parts[producer].append(-share)
    return {index: math.fsum(found) for index, found in parts.items()}


def _log10_into(loss: int, flow: Flow) -> float:
    """Of what comes in at a loss, all shares being 0: log10 of the size of the largest that underflowed."""
    uses = [use for use in flow.shares if use[0] == loss]
    return -math.inf if any(flow.shares[use] for use in uses) else _largest(uses, flow.log10)


def _begins(figure: Figure, flow: Flow, tensors: Mapping[int, Any]) -> dict[str, Current]:
    """The uses of the source that no arrow from a drawing of the source alone stands for: by the node that they lead
    from, or inside which they are."""
    alone = {n.id for n in figure.nodes if n.index == flow.source_index}
    leads_from = {use: e.source for e in figure.edges for use in e.uses}
    inside: dict[str, list[Key]] = defaultdict(list)
    for consumer, slot in flow.shares:
        if tensors[consumer].inputs[slot].index == flow.source_index:
            v = leads_from.get((consumer, slot), figure.home[consumer])
            if v not in alone:
                inside[v].append((consumer, slot))
    return {v: _current(uses, flow.shares, flow.log10) for v, uses in inside.items()}


def _home(figure: Figure, index: int) -> str:
    return figure.home.get(index) or next(n.id for n in figure.nodes if n.index == index)


def _with_sink(figure: Figure, ends: Mapping[int, float]) -> Figure:
    """As the use of a loss by the sink an edge has slot -1 of the loss itself."""
    sink = Node(SINK, "sink", name="all losses", tracked=False)
    merged: dict[str, list[Key]] = defaultdict(list)
    for index in ends:
        merged[_home(figure, index)].append((index, -1))
    edges = [Edge(v, SINK, tuple(uses)) for v, uses in merged.items()]
    return dataclasses.replace(figure, nodes=(*figure.nodes, sink), edges=(*figure.edges, *edges))


def _on_edges(
    edges: Iterable[Edge], shares: Mapping[Key, float], log10: Mapping[Key, float]
) -> tuple[Current | None, ...]:
    found = ([use for use in e.uses if use in shares] for e in edges)
    return tuple(_current(uses, shares, log10) if uses else None for uses in found)


def _current(uses: Sequence[Key], shares: Mapping[Key, float], log10: Mapping[Key, float]) -> Current:
    there = [shares[use] for use in uses]
    ahead, against = math.fsum(s for s in there if s > 0), math.fsum(s for s in there if s < 0)
    return Current(ahead, against, -math.inf if any(there) else _largest(uses, log10))


def _largest(uses: Iterable[Key], log10: Mapping[Key, float]) -> float:
    return max((log10[use] for use in uses if use in log10), default=-math.inf)


def imbalance(found: Currents) -> dict[str, float]:
    """By node: what comes in and begins there less what goes out and ends there, all 0 but for rounding.

    Drawings of one tensor count as one node; those of the source, from which all comes, are left out.
    """
    nodes = {n.id: n for n in found.figure.nodes}
    parts: dict[str, list[float]] = defaultdict(list)
    first: dict[int, str] = {}

    def at(v: str) -> list[float]:
        index = nodes[v].index
        return parts[first.setdefault(index, v) if index >= 0 else v]

    for e, current in zip(found.figure.edges, found.edges, strict=True):
        if current is not None:
            at(e.source).append(-current.net)
            at(e.target).append(current.net)
    for v, current in found.begins.items():
        at(v).append(current.net)
    for v, share in found.ends.items():
        at(v).append(-share)
    return {v: math.fsum(shares) for v, shares in parts.items() if nodes[v].index != found.flow.source_index}
