"""A figure as DOT, the text that Graphviz draws. The same figure gives the same text, byte for byte.

Everything has its place already, so Graphviz lays nothing out (`layout=nop2`) and answers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import graphviz

from .boxes import Box, heading
from .columns import Column, columns
from .curves import Curve
from .figure import Edge, Figure, Node
from .labels import Line, height, html_label, width
from .legend import kinds, notes
from .placement import place
from .style import GREY, Style, attributes, kind_of, lines, size

LEGEND_GAP = 26.0  # from the picture to its legend
SAMPLE = (34.0, 22.0)  # width and height of a shape in the legend
NARROWEST_LEGEND = 620.0

Draw = Callable[[Any, Iterable[str]], None]


def dot_text(figure: Figure, style: Style | None = None) -> str:
    """The picture of a figure as DOT.

    style: shapes, colours, fonts and what the legend says, as data.
    """
    style = style or Style()
    nodes = {n.id: n for n in figure.nodes}
    cut = columns(figure)
    scopes = _scopes_to_print(cut, nodes)
    text = {v: lines(n, scopes.get(v, "")) for v, n in nodes.items()}
    placed = place(figure, cut, lambda n: size(text[n.id], style.looks[kind_of(n)]))
    g = graphviz.Digraph("computation", node_attr={"fontname": style.font, "margin": "0"})
    g.attr("graph", layout="nop2", outputorder="edgesfirst", fontname=style.font, pad="0.15", bgcolor="white")
    g.attr("edge", fontname=style.font, fontsize="9", fontcolor=GREY)

    def draw(into: Any, ids: Iterable[str]) -> None:
        for v in ids:
            place = _geometry(*placed.at[v], *placed.sizes[v])
            into.node(v, html_label(text[v]), **attributes(nodes[v], style), **place)

    for k, box in enumerate(placed.boxes):
        _draw_box(g, f"cluster_{k}", box, "", style, draw)
    draw(g, placed.loose)
    gaps = {n.id for n in figure.nodes if n.gap is not None}
    for e, curve in zip(figure.edges, placed.curves, strict=True):
        g.edge(e.source, e.target, **_edge(e, curve, style, {e.source, e.target} & gaps != set()))
    _draw_legend(g, figure, style, placed.low - LEGEND_GAP, max(NARROWEST_LEGEND, placed.right))
    return str(g.source)


def _scopes_to_print(cut: Iterable[Column], nodes: Mapping[str, Node]) -> dict[str, str]:
    """Where a node is within the innermost box around it, if that box is not the whole answer."""
    found = {}
    for c in cut:
        for run in c.runs:
            shown = run.path[-1] if run.path else c.prefix
            for v in run.nodes:
                found[v] = nodes[v].scope[len(shown) :].removeprefix("/")
        for v in c.loose:
            found[v] = nodes[v].scope
    return found


def _draw_box(g: Any, id: str, box: Box, around: str, style: Style, draw: Draw) -> None:
    with g.subgraph(name=id) as c:
        left, _, right, high = box.border
        inner_scope = box.scope.removeprefix(f"{around}/") if around else box.scope
        words = heading(inner_scope, box.step, id.count("_") == 1)
        look = style.scope_box if box.step is None else style.step_box
        c.attr(
            "graph",
            **look,
            style="rounded,filled",
            bb=",".join(_number(v) for v in box.border),
            label=html_label((words,)),
            lp=_point(((left + right) / 2, high - 4 - height(words) / 2)),
        )
        for k, inner in enumerate(box.inner):
            _draw_box(c, f"{id}_{k}", inner, box.scope, style, draw)
        draw(c, box.nodes)


def _edge(e: Edge, curve: Curve, style: Style, to_gap: bool) -> dict[str, str]:
    look = dict(style.edge) | (dict(style.crossing) if e.crossing else {})
    if to_gap:
        look |= style.to_gap
    look["pos"] = " ".join([f"e,{_point(curve.tip)}", *map(_point, curve.points)])
    if e.slot is not None:
        look |= {"label": str(e.slot), "lp": _point(curve.label)}
    return look


def _draw_legend(g: Any, figure: Figure, style: Style, top: float, wide: float) -> None:
    """Below the picture: samples of the shapes in rows, then sentences."""
    low = top - SAMPLE[1] / 2
    with g.subgraph(name="cluster_legend") as c:
        at = 0.0
        for kind in kinds(figure, style):
            words = Line(style.meanings[kind], 12)
            room = SAMPLE[0] + width(words) + 34
            if at > 0 and at + room > wide:
                at, low = 0.0, low - SAMPLE[1] - 10
            c.node(f"legend_{kind}", "", **style.looks[kind].attributes, **_geometry(at + SAMPLE[0] / 2, low, *SAMPLE))
            _draw_words(c, f"legend_{kind}_text", words, at + SAMPLE[0] + 8, low)
            at += room
        low -= SAMPLE[1] / 2 + 4
        for k, sentence in enumerate(notes(figure)):
            words = Line(sentence, 12)
            low -= height(words) + 1
            _draw_words(c, f"legend_note{k}", words, 0.0, low)
        c.attr("graph", bb=f"0,{_number(low - 10)},{_number(wide)},{_number(top)}", peripheries="0")


def _draw_words(c: Any, id: str, words: Line, left: float, y: float) -> None:
    """Text that begins at `left`: a table of a known width, since Graphviz centres the text of a node."""
    wide = round(width(words))
    cell = html_label((words,))[1:-1]
    table = f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"><TR><TD WIDTH="{wide}" ALIGN="LEFT">'
    c.node(
        id, f"<{table}{cell}</TD></TR></TABLE>>", shape="plain", **_geometry(left + wide / 2, y, wide, height(words))
    )


def _geometry(x: float, y: float, wide: float, high: float) -> dict[str, str]:
    return {"pos": _point((x, y)), "width": f"{wide / 72:.3f}", "height": f"{high / 72:.3f}"}


def _point(p: tuple[float, float]) -> str:
    return f"{_number(p[0])},{_number(p[1])}"


def _number(x: float) -> str:
    return f"{round(x, 1) + 0.0:.1f}".removesuffix(".0")  # adding 0.0 turns -0.0 into 0.0
