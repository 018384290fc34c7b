"""Pictures: a tape as plain data, as DOT text, as PNG, SVG and PDF.

    figure.py (with window.py, summary.py)    tape -> nodes and edges, plain data
    folding.py, cells.py                      tape -> folded: nodes and edges for the view `cells`
    columns.py, runs.py, states.py            which nodes belong together: steps, scopes, the lines of states
    layout.py, alike.py                       rows and places inside one step, the same for all steps alike
    placement.py, boxes.py, wires.py, edges.py, curves.py    the steps beside each other, borders, lines
    style.py, labels.py, legend.py, alt.py    shapes and colours, text
    dot.py, render.py, drawing.py             DOT text, pictures, what the user holds

No module here knows of networks, traces or the debugger.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..engine.tensor import Tensor
from .cells import cells
from .drawing import Drawing
from .figure import figure
from .render import RenderError

__all__ = ["Drawing", "RenderError", "draw"]

VIEWS = ("ops", "cells")


def draw(outputs: Tensor | Sequence[Tensor], view: str = "ops", *, steps: tuple[int, int] | None = None) -> Drawing:
    """The graph of what was computed, time from left to right.

    outputs: a tensor, mostly a loss, or a list of them; drawn is all that they were computed from.
    view: "ops" shows every operation, "cells" a box for each step and layer with the named results in it.
    steps: (a, b) shows the steps a, a + 1, ..., b - 1 only, counted as `range` does. None shows all, but of many only
        the first and the last, and says so.
    Gradients are those that `backward(keep="all")` kept.
    """
    if isinstance(outputs, Tensor):
        outputs = [outputs]
    if not isinstance(outputs, Sequence) or not outputs or not all(isinstance(t, Tensor) for t in outputs):
        raise TypeError(
            "draw takes a Tensor, such as the loss, or a list of Tensors; "
            f"got {type(outputs).__name__}. A number such as loss.item() has no graph"
        )
    if view not in VIEWS:
        raise ValueError(f"view is one of {', '.join(map(repr, VIEWS))}; got {view!r}")
    return Drawing(cells(outputs, steps) if view == "cells" else figure(outputs, steps))
