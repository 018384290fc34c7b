"""A picture as plain data with coordinates, for those who draw it themselves, such as an interactive page.

Units are points; x runs to the right and y downwards, from the upper left corner of the picture.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..layout.boxes import Box, heading
from ..layout.captions import Rectangle, spots
from ..layout.columns import columns
from ..layout.curves import Curve, Point
from ..layout.placement import Placement, place
from ..looks.overlay import Room
from ..looks.style import Style, kind_of, lines, size
from ..text.labels import Line
from ..views.figure import Figure, Key, Node
from .dot import scopes_to_print

NUMBER = 52.0, 22.0  # width and height of a number on an edge
LARGE_NUMBER = 96.0, 36.0  # the same on a long edge, which has room for it as it is printed when seen from far
LONG = 220.0  # how far such an edge reaches, sideways and up and down together
_WIDEST_GRADIENT = -1.23e-123  # room for any number where a gradient is printed


@dataclass(frozen=True, slots=True)
class PlacedNode:
    """index: of the tensor on the tape, -1 for a gap. look: which shape and colour, as `style.LOOKS` names them.

    x, y: the centre. lines: the text. gradient_line: which of them is about the gradient, None if there is none.
    """

    id: str
    index: int
    look: str
    again: bool
    step: int | None
    x: float
    y: float
    width: float
    height: float
    lines: tuple[Line, ...]
    gradient_line: int | None


@dataclass(frozen=True, slots=True)
class PlacedEdge:
    """uses: (index of the consumer, slot), which are several only at a gap.

    points: of a Bezier curve, one more than a multiple of 3. tip: of the arrow. label: where the slot is printed.
    number: the centre of room for a number on the edge.
    """

    source: str
    target: str
    uses: tuple[Key, ...]
    slot: int | None
    crossing: bool
    points: tuple[Point, ...]
    tip: Point
    label: Point
    number: Point


@dataclass(frozen=True, slots=True)
class PlacedBox:
    """The border of a step or a scope, outer ones first, and the words at its top."""

    step: int | None
    depth: int
    left: float
    top: float
    right: float
    bottom: float
    heading: Line


@dataclass(frozen=True, slots=True)
class Geometry:
    """Everything that is to be drawn."""

    nodes: tuple[PlacedNode, ...]
    edges: tuple[PlacedEdge, ...]
    boxes: tuple[PlacedBox, ...]
    width: float
    height: float


def geometry_of(figure: Figure, more: Room) -> Geometry:
    """Every node, edge and box of a figure at its place, without any renderer. more: room for what is to be added."""
    style, cut = Style(), columns(figure)
    scopes = scopes_to_print(cut, {n.id: n for n in figure.nodes})
    text = {n.id: lines(n, scopes.get(n.id, "")) for n in figure.nodes}
    # A page prints other gradients as time goes on: all nodes have room for any.
    room = {n.id: lines(_roomy(n), scopes.get(n.id, "")) for n in figure.nodes}
    placed = place(figure, cut, lambda n: size(room[n.id], style.looks[kind_of(n)]), more)

    taken = [_border(*placed.at[v], *placed.sizes[v]) for v in placed.at]
    tracked = {n.id for n in figure.nodes if n.tracked or n.gap is not None}
    wanted = [
        _number_size(curve) if e.source in tracked else None
        for e, curve in zip(figure.edges, placed.curves, strict=True)
    ]
    numbers = spots(placed.curves, wanted, taken)

    def turned(p: Point) -> Point:
        return round(p[0], 1), round(placed.high - p[1], 1)

    return Geometry(
        nodes=tuple(_node(n, placed, text[n.id]) for n in figure.nodes),
        edges=tuple(
            PlacedEdge(
                *(e.source, e.target, e.uses, e.slot, e.crossing),
                points=tuple(map(turned, curve.points)),
                tip=turned(curve.tip),
                label=turned(curve.label),
                number=turned(number or curve.label),
            )
            for e, curve, number in zip(figure.edges, placed.curves, numbers, strict=True)
        ),
        boxes=tuple(_boxes(placed.boxes, placed.high, "", 0)),
        width=round(placed.right, 1),
        height=round(placed.high - placed.low, 1),
    )


def _number_size(curve: Curve) -> tuple[float, float]:
    xs, ys = zip(*curve.points, curve.tip, strict=True)
    return LARGE_NUMBER if max(xs) - min(xs) + max(ys) - min(ys) > LONG else NUMBER


def _border(x: float, y: float, wide: float, high: float) -> Rectangle:
    return x - wide / 2, y - high / 2, x + wide / 2, y + high / 2


def _roomy(n: Node) -> Node:
    return replace(n, gradient=_WIDEST_GRADIENT) if n.tracked else n


def _node(n: Node, placed: Placement, text: tuple[Line, ...]) -> PlacedNode:
    (x, y), (wide, high) = placed.at[n.id], placed.sizes[n.id]
    gradient_line = len(text) - 1 - n.replaced if n.tracked else None
    return PlacedNode(
        *(n.id, n.index, kind_of(n), n.again, n.step),
        x=round(x, 1),
        y=round(placed.high - y, 1),
        width=round(wide, 1),
        height=round(high, 1),
        lines=text,
        gradient_line=gradient_line,
    )


def _boxes(boxes: Iterable[Box], high: float, around: str, depth: int) -> Iterable[PlacedBox]:
    for box in boxes:
        left, low, right, top = box.border
        inner_scope = box.scope.removeprefix(f"{around}/") if around else box.scope
        yield PlacedBox(
            *(box.step, depth, round(left, 1), round(high - top, 1), round(right, 1), round(high - low, 1)),
            heading(inner_scope, box.step, depth == 0),
        )
        yield from _boxes(box.inner, high, box.scope, depth + 1)
