"""Pictures: a tape as plain data, as DOT text, as PNG, SVG and PDF.

    text/       labels and numbers as short text that is safe to print
    views/      tape -> nodes and edges, plain data: every operation, folded, rolled up, windowed, with flow
    looks/      plain data -> shapes, colours, lines of text, what is laid over them, the legend, alt text
    layout/     nodes with sizes -> coordinates: rows, columns, boxes, curves
    chain/      the same for cells beside each other in time
    pictures/   -> DOT text -> PNG, SVG and PDF; or the coordinates as data, for those who draw themselves
    plots/      ledger, lags, spectrum, gates, Jacobians
    animation/  the backward sweep, picture by picture

Each imports only from those above it. None knows of networks or the debugger, and of traces only flow and plots do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ..engine.tensor import Tensor
from ..trace import Flow, GradientTrace, Route
from .animation.film import animated
from .looks.contents import checked_facts, contents, has_room
from .looks.flow_look import ROOM, overlay
from .looks.highlight import highlighted
from .looks.overlay import BLUE, FADED_STROKE, ORANGE, Overlay, Sample, Stroke
from .looks.style import SHOWN
from .pictures.coordinates import Geometry, PlacedBox, PlacedEdge, PlacedNode, geometry_of
from .pictures.drawing import Drawing
from .pictures.render import RenderError
from .plots.gates import plot_gates
from .plots.jacobians import plot_jacobians
from .plots.lags import plot_lags
from .plots.plot import Plot
from .plots.tables import plot_ledger, plot_spectrum
from .text.labels import Line, visible
from .text.summary import Value
from .text.summary import summary as summarise
from .views.cells import cells
from .views.figure import Figure, ancestors, figure
from .views.flow import currents, flow_asked_for
from .views.rolled import rolled
from .views.window import NARROW

__all__ = [
    "BLUE",
    "FADED_STROKE",
    "ORANGE",
    "VIEWS",
    "Drawing",
    "Geometry",
    "Line",
    "Overlay",
    "PlacedBox",
    "PlacedEdge",
    "PlacedNode",
    "Plot",
    "RenderError",
    "Sample",
    "Stroke",
    "Value",
    "ancestors",
    "draw",
    "geometry",
    "plot_gates",
    "plot_jacobians",
    "plot_lags",
    "plot_ledger",
    "plot_spectrum",
    "summarise",
    "visible",
]

MORE = "Shapes, values and gradients: show=['shape', 'value', 'gradient'], best with few steps, as in steps=(0, 2)."
VIEWS: dict[str, Callable[[Sequence[Tensor], tuple[int, int] | None], Figure]] = {
    "ops": figure,
    "cells": cells,
    "rolled": rolled,
}


def draw(
    outputs: Tensor | Sequence[Tensor],
    view: str = "ops",
    *,
    steps: tuple[int, int] | None = None,
    flow_to: Tensor | GradientTrace | Flow | None = None,
    highlight: Route | str | Sequence[str] | None = None,
    show: Sequence[str] | None = None,
) -> Drawing:
    """The graph of what was computed, time from left to right.

    outputs: a tensor, mostly a loss, or a list of them; drawn is all that they were computed from.
    view: "ops" shows every operation, "cells" a box for each step and layer with the named results in it, "rolled"
        one box for all steps, its states going round.
    steps: (a, b) shows the steps a, a + 1, ..., b - 1 only, counted as `range` does. None shows all, but of many only
        the first and the last, and says so.
    flow_to: a weight, an input or a state: on every arrow stands which share of the gradient by it comes that way.
        The outputs are then the losses. Or a trace, or its flow, of these or of other losses in the picture.
    highlight: a route, with flow_to: only the flow of its paths is in colour, as in highlight=tg.across("c*").
        A name, or several, such as "f": with flow_to the paths that meet one of them; without, what each of them is
        computed from and what is computed from it, as far as to the next named results.
    show: which facts stand in the nodes: "shape"; "value", the smallest and the largest; "gradient", the norm of what
        `backward(keep="all")` kept; "numbers" of small tensors in shaded cells; "slope", the range of the local
        derivative of sigmoid, tanh and the like; "saturation", how many units of a gate are flat. None shows the first
        three in "ops" of up to three steps, and nothing where there is more, or with flow_to or highlight.
    """
    outputs = _outputs(outputs)
    _check_view(view)
    drawn = VIEWS[view](outputs, steps)
    is_plain = view == "ops" and flow_to is None and highlight is None
    facts = checked_facts(show) if show is not None else SHOWN if is_plain and has_room(drawn) else ()
    tape = ancestors(outputs)
    inside = contents(drawn, tape, facts)
    if show is None and is_plain and not facts:
        inside = replace(inside, notes=(MORE,))
    if flow_to is not None:
        found = currents(drawn, flow_asked_for(outputs, flow_to, highlight), tape)
        return Drawing(found.figure, overlay(found), facts, inside, found)
    if isinstance(highlight, Route):
        raise ValueError(
            f"highlight={highlight}: the paths of a route begin somewhere; say where with flow_to=, a weight, an input "
            'or a state. Without flow_to, highlight takes names such as "f"'
        )
    names = [highlight] if isinstance(highlight, str) else highlight
    return Drawing(drawn, None if names is None else highlighted(drawn, names), facts, inside)


def geometry(outputs: Sequence[Tensor], *, steps: tuple[int, int] | None = None) -> Geometry:
    """The view `ops` as plain data, with room for a number on every edge. Needs no Graphviz."""
    return geometry_of(figure(outputs, steps), ROOM)


def animate(
    losses: Tensor | Sequence[Tensor],
    path: str | os.PathLike[str],
    view: str = "ops",
    *,
    steps: tuple[int, int] | None = None,
    frames: int = 40,
    seconds: float = 0.6,
    width: int = 1920,
    timeout: float = 60.0,
) -> Path:
    """The backward sweep as an animation: which gradients are known after each move, and what has just flowed.

    losses: a scalar, or a list of them, whose sum is differentiated; no `.grad` is touched.
    path: a .gif, or a folder (a name without an ending) for numbered pictures frame_01.png, frame_02.png, ...
    view: "ops" or "cells". steps: as for `draw`; None shows of more than four the first and the last two.
    frames: how many pictures at most; each is a move over one operation, or else over one landmark, scope or step: the
        finest that fits.
    seconds: how long each picture of a GIF stays. width: of the pictures, about, in pixels.
    Returns the path. Raises RenderError where Graphviz is missing or fails, ImportError where Pillow is for a GIF.
    """
    losses = _outputs(losses)
    _check_view(view)
    if view == "rolled":
        raise ValueError(
            "the view 'rolled' shows all steps as one, and a sweep goes through one after the other: animate 'ops' or "
            "'cells'"
        )
    drawn = (cells if view == "cells" else figure)(losses, steps, NARROW)
    return animated(losses, drawn, path, frames, seconds, width, timeout)


def _outputs(outputs: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    if isinstance(outputs, Tensor):
        return [outputs]
    if not isinstance(outputs, Sequence) or not outputs or not all(isinstance(t, Tensor) for t in outputs):
        raise TypeError(
            "draw takes a Tensor, such as the loss, or a list of Tensors; "
            f"got {type(outputs).__name__}. A number such as loss.item() has no graph"
        )
    return outputs


def _check_view(view: str) -> None:
    if view not in VIEWS:
        raise ValueError(f"view is one of {', '.join(map(repr, VIEWS))}; got {view!r}")
