"""What the shapes, arrows and numbers of a picture mean, as far as they occur in it."""

from __future__ import annotations

from collections.abc import Collection

from ..views.figure import Figure, Node
from .overlay import Overlay
from .style import SHOWN, Style, is_of_sweep, kind_of


def kinds(figure: Figure, style: Style, overlay: Overlay | None = None) -> list[str]:
    """The kinds of nodes that occur in colour, in the order of the style."""
    # Of pictures that are to be of the same size each lists what is in colour in any of them.
    grey = overlay.faded if overlay is not None and not overlay.longest_note else frozenset()
    coloured = [n for n in figure.nodes if n.id not in grey]
    found = {kind_of(n) for n in coloured if not n.again}
    if any(map(is_of_sweep, coloured)):
        found.add("sweep")
    return [kind for kind in style.looks if kind in found]


def notes(figure: Figure, overlay: Overlay | None = None, show: Collection[str] = SHOWN) -> list[str]:
    """Sentences for below the picture."""
    found = list(overlay.notes) if overlay is not None else []
    if figure.view == "rolled":
        found.append("All steps are drawn as one.")
        if overlay is None and any(e.lag for e in figure.edges):  # else no arrow says it
            found[-1] += " What comes in from t − 1 is the state that the step before gave."
        found.append("Numbers in named results: the smallest and the largest value over all steps, and the mean.")
    elif any(e.crossing for e in figure.edges) and overlay is None:
        found.append("Heavy arrows lead from one time step to another: the states.")
        if any(n.sweep for n in figure.nodes):
            found[-1] += " Those of the backward sweep go back in time: gradients of the states."
    if any(e.slot is not None for e in figure.edges) and overlay is None:
        found.append("Numbers at arrows: which input of the operation, counted from 0.")
    if "gradient" in show:
        found += _gradient_notes([n for n in figure.nodes if n.tracked])
    if any(n.again for n in figure.nodes):
        found.append("Dashed: a result drawn again beside its use; its own operation is drawn once.")
    if any(n.replaced for n in figure.nodes):
        found.append("“data replaced since”: these are not the values that the operations here were computed with.")
    if figure.view != "ops":
        found.append(folded(figure))
    hidden = sum(n.gap.operations for n in figure.nodes if n.gap is not None)
    if hidden:
        arrows = "" if overlay is not None else "; dashed arrows lead to and from them"
        found.append(f"Of {figure.operations:,} operations {hidden:,} are not drawn{arrows}.")
    return found


def folded(figure: Figure) -> str:
    """Of a folded picture: how many operations are drawn as how many nodes."""
    nodes = sum(n.kind == "operation" and not n.again for n in figure.nodes)
    shown = figure.operations - sum(n.gap.operations for n in figure.nodes if n.gap is not None)
    return f"{shown:,} operation{'s' * (shown != 1)} drawn as {nodes:,} node{'s' * (nodes != 1)}."


def _gradient_notes(tracked: list[Node]) -> list[str]:
    kept = [n for n in tracked if n.gradient is not None]
    if not tracked:
        return ["Nothing here requires a gradient."]
    if not kept:
        return ['grad -: no gradient was computed yet, or none was kept: call loss.backward(keep="all").']
    found = ["|grad|: the Euclidean norm of the gradient that backward kept."]
    if len(kept) < len(tracked):
        found.append('grad -: no gradient was computed, or none was kept: backward(keep="all") keeps all.')
    if any(n.kind == "parameter" for n in kept):
        found.append("At a parameter |grad| is that of its whole gradient, the sum over all its uses.")
    return found
