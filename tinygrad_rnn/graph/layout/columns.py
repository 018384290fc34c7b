"""The figure cut along the time axis: a column for each step, with what was made outside any step between them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from ..views.figure import Figure, Node
from .positions import positions
from .runs import Run, runs_of


@dataclass(frozen=True, slots=True)
class Column:
    """step: None outside any step.
    gap: the id of the node that stands for hidden steps; then it is the only one but for what it uses, in `loose`.
    prefix: the scope that all operations here share.
    loose: initial states, each to stand beside where it is needed; then there is nothing else in the column.
    """

    step: int | None
    gap: str | None
    prefix: str
    runs: tuple[Run, ...]
    loose: tuple[str, ...]


def columns(figure: Figure) -> list[Column]:
    """From left to right, in time."""
    position = positions(figure)
    members: dict[int, list[Node]] = defaultdict(list)
    for n in figure.nodes:
        members[position[n.id]].append(n)
    links: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for e in figure.edges:
        if position[e.source] == position[e.target]:
            links[position[e.source]].append((e.source, e.target))
    scope_of = {n.id: n.scope for n in figure.nodes}
    recurrent = {scope_of[e.source] for e in figure.edges if e.crossing}
    return [_column(members[p], links[p], recurrent, p) for p in sorted(members)]


def _column(members: list[Node], links: list[tuple[str, str]], recurrent: set[str], position: int) -> Column:
    if position % 2:
        return Column(None, None, "", (), tuple(n.id for n in members))
    gap = next((n for n in members if n.gap is not None and n.gap.whole), None)
    if gap is not None:
        below = tuple(n.id for n in members if n is not gap)
        return Column(None, gap.id, "", (Run((), (gap.id,)),), below)
    prefix, runs = runs_of(members, links, recurrent)
    step = members[0].step if position % 4 == 0 else None
    return Column(step, None, prefix, tuple(runs), ())
