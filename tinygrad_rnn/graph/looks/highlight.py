"""A part of the structure in colour, the rest grey: a gate with what it is computed from and what is computed from it.

Highlighted for a name is every path through a node of that name, from the named results or leaves before it to the
named results or outputs after it. So an LSTM's "f" is the forget gate from h, x and the weights to the cell state.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from ..text.labels import visible
from ..views.figure import Figure, Node
from .overlay import BLUE, FADED_STROKE, Overlay, Sample, Stroke

STROKE, CROSSING = Stroke(BLUE, 3.0), Stroke(BLUE, 5.0)


def highlighted(figure: Figure, names: Sequence[str]) -> Overlay:
    """An overlay of the paths through these names, each as f, or with a part of its scope as layer0/f.

    Raises ValueError for a name that nothing in the figure has.
    """
    met = [n for name in names for n in _named(figure, name)]
    into, out_of = _edges_by(figure)
    passed = {n.id for n in figure.nodes if n.kind == "operation" and not n.name and not n.output}
    before = (_towards(n.id, into, passed, lambda k: figure.edges[k].source) for n in met)
    after = (_towards(n.id, out_of, passed, lambda k: figure.edges[k].target) for n in met)
    inside = set().union(*before, *after)
    shown = {v for k in inside for v in (figure.edges[k].source, figure.edges[k].target)} | {n.id for n in met}
    strokes = (
        FADED_STROKE if k not in inside else CROSSING if e.crossing else STROKE for k, e in enumerate(figure.edges)
    )
    called = " and ".join(map(visible, names))
    return Overlay(
        strokes=tuple(strokes),
        faded=frozenset(n.id for n in figure.nodes if n.id not in shown),
        samples=(Sample(STROKE, f"a path through {called}"), Sample(FADED_STROKE, "other paths")),
        notes=(
            f"In colour: what {called} is computed from and what is computed from it, "
            "as far as to the next named results, parameters and inputs.",
        ),
    )


def _named(figure: Figure, name: str) -> list[Node]:
    scope, _, last = name.rpartition("/")
    found = [n for n in figure.nodes if n.name == last and (not scope or f"/{scope}/" in f"/{n.scope}/")]
    if not found:
        known = ", ".join(visible(name) for name in sorted({n.name for n in figure.nodes if n.name}))
        raise ValueError(
            f"highlight={name!r}: nothing of that name is in this picture; there are {known or 'no names'}"
        )
    return found


def _edges_by(figure: Figure) -> tuple[Mapping[str, list[int]], Mapping[str, list[int]]]:
    into: dict[str, list[int]] = defaultdict(list)
    out_of: dict[str, list[int]] = defaultdict(list)
    for k, e in enumerate(figure.edges):
        into[e.target].append(k)
        out_of[e.source].append(k)
    return into, out_of


def _towards(start: str, by: Mapping[str, list[int]], passed: set[str], end: Callable[[int], str]) -> set[int]:
    """The edges on the way from a node to the named results next to it. passed: the nodes that are on the way only."""
    found: set[int] = set()
    to_visit = [start]
    while to_visit:
        for k in by.get(to_visit.pop(), ()):
            if k not in found:
                found.add(k)
                if end(k) in passed:
                    to_visit.append(end(k))
    return found
