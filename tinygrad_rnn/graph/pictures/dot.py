"""A figure as DOT, the text that Graphviz draws. The same figure gives the same text, byte for byte.

Everything has its place already, so Graphviz lays nothing out (`layout=nop2`) and answers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import graphviz

from ..chain.placement import place_cells
from ..layout.boxes import Box, heading, nodes_in
from ..layout.captions import Rectangle, spots
from ..layout.columns import Column, columns
from ..layout.curves import Curve, right_angled
from ..layout.placement import Placement, place
from ..looks.contents import Contents
from ..looks.legend import kinds, notes
from ..looks.marks import cell_lines, cell_size, lag_text
from ..looks.overlay import FADED, FADED_TEXT, Overlay, Room, Stroke, caption_size
from ..looks.style import BLACK, GREY, LEAF_NAMES, SHOWN, Style, attributes, kind_of, lines, size
from ..text.labels import Line, Row, height, html_label, width
from ..views.figure import Edge, Figure, Node
from ..views.window import Gap

LEGEND_GAP = 26.0  # from the picture to its legend
SAMPLE = (34.0, 22.0)  # width and height of a shape in the legend
STROKE = 84.0  # how long a sample of a line is there
NARROWEST_LEGEND = 620.0
THIN = 1.4  # the pen of the line that ends in the arrow; what is wider is drawn below it

Draw = Callable[[Any, Iterable[str]], None]


def dot_text(
    figure: Figure,
    style: Style | None = None,
    overlay: Overlay | None = None,
    show: Collection[str] = SHOWN,
    contents: Contents | None = None,
) -> str:
    """The picture of a figure as DOT.

    style: shapes, colours, fonts and what the legend says, as data. overlay: what is laid over it, such as flow.
    show: which facts are in the nodes. contents: more of them.
    """
    style, contents = style or Style(), contents or Contents()
    nodes = {n.id: n for n in figure.nodes}
    cut, text, placed = _placed(figure, style, overlay, show, contents)
    g = graphviz.Digraph("computation", node_attr={"fontname": style.font, "margin": "0"})
    g.attr("graph", layout="nop2", outputorder="edgesfirst", fontname=style.font, pad="0.15", bgcolor="white")
    g.attr("edge", fontname=style.font, fontsize="9", fontcolor=GREY)

    def draw(into: Any, ids: Iterable[str]) -> None:
        for v in ids:
            place = _geometry(*placed.at[v], *placed.sizes[v])
            look = attributes(nodes[v], style)
            if overlay is not None and v in overlay.faded:
                look |= {"fillcolor": "white", "color": FADED, "penwidth": "1"}
            into.node(v, html_label(text[v]), **look, **place)

    sweep = {n.id for n in figure.nodes if n.sweep}
    for k, box in enumerate(placed.boxes):
        _draw_box(g, f"cluster_{k}", box, "", style, draw, sweep)
    draw(g, placed.loose)
    gaps: dict[str | None, Gap] = {n.id: n.gap for n in figure.nodes if n.gap is not None}
    drawn = list(zip(figure.edges, placed.curves, strict=True))
    low = placed.low
    if overlay is None:
        loops = {(e.source, e.lag): curve for e, curve in sorted(drawn, key=lambda item: item[1].label[1]) if e.lag}
        for e, curve in drawn:
            to_gap = not gaps.keys().isdisjoint((e.source, e.target))
            look = _edge(e, curve, style, to_gap, e.target in sweep)
            if loops.get((e.source, e.lag)) is curve:  # of several loops of one state at the highest
                label = html_label((Line(lag_text(e.lag), 15, italic=True),))
                look |= {"label": label, "lp": _point(curve.label), "fontcolor": BLACK}
            g.edge(e.source, e.target, **look)
    else:
        for (e, curve), stroke in sorted(zip(drawn, overlay.strokes, strict=True), key=lambda item: _depth(item[1])):
            _draw_stroke(g, e.source, e.target, curve, stroke)
        _draw_captions(g, placed, overlay)
        low = _draw_boundaries(g, cut, gaps, placed, overlay)
    said = [*notes(figure, overlay, show), *contents.notes]
    _draw_legend(g, figure, style, overlay, said, low - LEGEND_GAP, max(NARROWEST_LEGEND, placed.right))
    return str(g.source)


def _placed(
    figure: Figure, style: Style, overlay: Overlay | None, show: Collection[str], contents: Contents
) -> tuple[Sequence[Column], dict[str, tuple[Row, ...]], Placement]:
    """The columns of a figure, the text in every node, and where all stands."""
    nodes = {n.id: n for n in figure.nodes}
    room = overlay.room if overlay is not None else Room()
    is_folded = figure.view != "ops"
    cut = [] if is_folded else columns(figure)
    scopes = scopes_to_print(cut, nodes)
    text: dict[str, tuple[Row, ...]] = {
        v: cell_lines(n, show) if is_folded else lines(n, scopes.get(v, ""), show) for v, n in nodes.items()
    }
    text = {v: _overlaid(v, (*of_node, *contents.inside.get(v, ())), overlay) for v, of_node in text.items()}
    if is_folded:
        cut, placed = place_cells(figure, lambda n: cell_size(n, text[n.id], style.looks[kind_of(n)]), room)
        return cut, text, placed
    return cut, text, place(figure, cut, lambda n: size(text[n.id], style.looks[kind_of(n)]), room)


def _depth(stroke: Stroke) -> tuple[bool, float]:
    """What is drawn first: what steps back, then what is wide, so that it hides nothing that is thin."""
    return stroke.color != FADED, -stroke.pen


def _overlaid(v: str, text: tuple[Row, ...], overlay: Overlay | None) -> tuple[Row, ...]:
    if overlay is None:
        return text
    name = overlay.standing_out.get(v)
    if name is not None:
        text = _standing_out(name, text)
    text += overlay.inside.get(v, ())
    return text if v not in overlay.faded else _faded(text)


def _standing_out(name: str, text: tuple[Row, ...]) -> tuple[Row, ...]:
    """One name bold, the others grey; it is added where it is one of those that there was no room for."""
    there = next((k for k, row in enumerate(text) if isinstance(row, Line) and row.text == name), len(text))
    size = max((row.size for row in text if isinstance(row, Line)), default=LEAF_NAMES)
    return (*_faded(text[:there]), Line(name, size, bold=True), *_faded(text[there + 1 :]))


def _faded(text: tuple[Row, ...]) -> tuple[Row, ...]:
    return tuple(replace(row, color=FADED_TEXT) if isinstance(row, Line) else row for row in text)


def scopes_to_print(cut: Iterable[Column], nodes: Mapping[str, Node]) -> dict[str, str]:
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


def _draw_box(g: Any, id: str, box: Box, around: str, style: Style, draw: Draw, sweep: Collection[str]) -> None:
    with g.subgraph(name=id) as c:
        left, _, right, high = box.border
        inner_scope = box.scope.removeprefix(f"{around}/") if around else box.scope
        words = heading(inner_scope, box.step, id.count("_") == 1, box.is_cell)
        look = style.scope_box if box.step is None and not box.is_cell else style.step_box
        if (box.step is None or box.is_cell) and all(v in sweep for v in nodes_in(box)):
            look = style.sweep_box
        c.attr(
            "graph",
            **look,
            style="rounded,filled",
            bb=",".join(_number(v) for v in box.border),
            label=html_label((words,)),
            lp=_point(((left + right) / 2, high - 4 - height(words) / 2)),
        )
        for k, inner in enumerate(box.inner):
            _draw_box(c, f"{id}_{k}", inner, box.scope, style, draw, sweep)
        draw(c, box.nodes)


def _edge(e: Edge, curve: Curve, style: Style, to_gap: bool, of_sweep: bool) -> dict[str, str]:
    look = dict(style.edge) | (dict(style.sweep_crossing if of_sweep else style.crossing) if e.crossing else {})
    if to_gap:
        look |= style.to_gap
    look["pos"] = _spline(curve)
    if e.slot is not None:
        look |= {"label": str(e.slot), "lp": _point(curve.label)}
    return look


def _draw_stroke(g: Any, source: str, target: str, curve: Curve, stroke: Stroke) -> None:
    """The line in its full width, and over it a thin one with an arrow: else the arrow would grow with the line."""
    dashes = {"style": "dashed"} if stroke.dashed else {}
    if stroke.pen > THIN:
        line = " ".join(map(_point, curve.points))
        band = {"dir": "none", "class": "band", "penwidth": _number(stroke.pen)}
        g.edge(source, target, color=stroke.color, pos=line, **band, **dashes)
        dashes = {}
    pen = {"penwidth": _number(min(stroke.pen, THIN)), "arrowsize": f"{0.6 + 0.07 * stroke.pen:.2f}"}
    g.edge(source, target, color=stroke.color, pos=_spline(curve), **pen, **dashes)


def _spline(curve: Curve) -> str:
    return " ".join([f"e,{_point(curve.tip)}", *map(_point, curve.points)])


def _draw_captions(g: Any, placed: Placement, overlay: Overlay) -> None:
    sizes = [caption_size(stroke.caption) if stroke.caption else None for stroke in overlay.strokes]
    taken: list[Rectangle] = []
    for v, (x, y) in placed.at.items():
        wide, high = placed.sizes[v]
        taken.append((x - wide / 2, y - high / 2, x + wide / 2, y + high / 2))
    for k, (stroke, at) in enumerate(zip(overlay.strokes, spots(placed.curves, sizes, taken), strict=True)):
        if at is not None:
            _draw_caption(g, f"caption{k}", stroke.caption, at)


def _draw_caption(g: Any, id: str, caption: tuple[Line, ...], at: tuple[float, float]) -> None:
    look = {"shape": "box", "style": "rounded,filled", "fillcolor": "white", "color": "white", "penwidth": "0"}
    g.node(id, html_label(caption), **look, **_geometry(*at, *caption_size(caption)))


def _draw_boundaries(
    g: Any, cut: Sequence[Column], gaps: Mapping[str | None, Gap], placed: Placement, overlay: Overlay
) -> float:
    """Below the space to the right of each column of steps; returns the lowest y of all."""
    low = placed.low
    for k in range(len(cut) - 1):
        last = gaps[cut[k].gap].last if cut[k].gap in gaps else cut[k].step
        caption = overlay.boundaries.get(last) if last is not None else None
        if caption:
            _, high = caption_size(caption)
            x, y = (placed.borders[k][1] + placed.borders[k + 1][0]) / 2, placed.low - 8 - high / 2
            _draw_caption(g, f"boundary{k}", caption, (x, y))
            low = min(low, y - high / 2)
    return low


def _draw_legend(
    g: Any, figure: Figure, style: Style, overlay: Overlay | None, said: Sequence[str], top: float, wide: float
) -> None:
    """Below the picture: samples of the shapes in rows, then sentences."""
    size = min(30, max(12, round(wide / 95)))  # 10 points where the picture is as wide as a slide of 13.3 inches
    line = max(SAMPLE[1], 1.2 * size) + 10
    low = top - SAMPLE[1] / 2
    with g.subgraph(name="cluster_legend") as c:
        at = 0.0
        for kind in kinds(figure, style, overlay):
            words = Line(style.meanings[kind], size)
            at, low = _next_sample(at, low, SAMPLE[0], line, words, wide)
            c.node(f"legend_{kind}", "", **style.looks[kind].attributes, **_geometry(at + SAMPLE[0] / 2, low, *SAMPLE))
            _draw_words(c, f"legend_{kind}_text", words, at + SAMPLE[0] + 8, low)
            at += SAMPLE[0] + width(words) + 34
        if overlay is not None and overlay.samples:
            at, low = 0.0, low - (line if at else 0.0)
            for k, sample in enumerate(overlay.samples):
                words = Line(sample.words, size)
                at, low = _next_sample(at, low, STROKE, line, words, wide)
                _draw_sample(c, f"legend_stroke{k}", sample.stroke, at, low)
                _draw_words(c, f"legend_stroke{k}_text", words, at + STROKE + 8, low)
                at += STROKE + width(words) + 34
        low -= SAMPLE[1] / 2 + 4
        for k, sentence in enumerate(said):
            words = Line(sentence, size, room_for=overlay.longest_note if overlay is not None else "")
            low -= height(words) + 1
            _draw_words(c, f"legend_note{k}", words, 0.0, low)
        c.attr("graph", bb=f"0,{_number(low - 10)},{_number(wide)},{_number(top)}", peripheries="0")


def _next_sample(at: float, low: float, room: float, line: float, words: Line, wide: float) -> tuple[float, float]:
    """Where the next sample stands: in the next row if this one is full. line: from row to row."""
    return (0.0, low - line) if at > 0 and at + room + width(words) + 34 > wide else (at, low)


def _draw_sample(c: Any, id: str, stroke: Stroke, left: float, y: float) -> None:
    ends = (f"{id}_a", left), (f"{id}_b", left + STROKE)
    for end, x in ends:
        c.node(end, "", shape="point", style="invis", **_geometry(x, y, 1, 1))
    middle = left + STROKE / 2
    _draw_stroke(c, ends[0][0], ends[1][0], right_angled([(left, y), (left + STROKE, y)]), stroke)
    if stroke.caption:
        _draw_caption(c, f"{id}_caption", stroke.caption, (middle, y))


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
