"""A figure with coordinates: columns beside each other, boxes around steps and scopes, a curve for every edge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..looks.overlay import Room
from ..views.figure import Figure, Node
from .alike import BOX_PAD, Size, layouts, room_between
from .boxes import HEADING, PAD, Box, box_around, has_box, narrowest
from .columns import Column
from .curves import Curve
from .edges import Frame, curves
from .rows import Layout, apart, stretched
from .wires import BELOW, TRACK, plan, tracks

GUTTER = 36.0  # between columns, when no wire runs up or down there
STACK_GAP = 14.0  # between initial states
BELOW_GAP = 26.0  # from hidden steps to what they use


@dataclass(frozen=True, slots=True)
class Placement:
    """at: centres; sizes: width and height. loose: the nodes in no box. curves: in the order of the figure's edges.

    borders: the left and the right of each column.
    """

    at: dict[str, tuple[float, float]]
    sizes: dict[str, Size]
    boxes: tuple[Box, ...]
    loose: tuple[str, ...]
    curves: tuple[Curve, ...]
    borders: tuple[tuple[float, float], ...]
    low: float
    right: float
    high: float


def place(figure: Figure, cut: Sequence[Column], size: Callable[[Node], Size], room: Room | None = None) -> Placement:
    """Lay a figure out, time from left to right.

    cut: its columns. size: how much room the text and the shape of a node need. room: more of it between nodes.
    """
    room = room or Room()
    column_of = {v: k for k, c in enumerate(cut) for v in (*c.loose, *(v for run in c.runs for v in run.nodes))}
    tight, sizes = layouts(figure, cut, column_of, size, room.lines)
    drawn = [stretched(d, [room.rows] * len(d.rows), room.sideways) for d in tight]
    y, top = _heights(figure, cut, drawn, column_of, sizes, BELOW_GAP + room.below)
    gaps = frozenset(c.gap for c in cut if c.gap is not None)
    sizes |= {v: (sizes[v][0], top) for v in gaps}
    blocked = frozenset(place for d in drawn for place in d.blocked)
    rows = _row_bounds(cut, drawn, y, sizes)
    loose = {k: [_extent(v, y, sizes) for v in c.loose] for k, c in enumerate(cut) if c.loose and c.gap is None}
    spare = {v: 0.8 * high for v, (_, high) in sizes.items()} if room.columns else {}
    below = BELOW + room.rows / 3
    wires = plan(figure.edges, column_of, y, rows, blocked, gaps, loose, spare, below)
    track = tracks(wires)
    x, borders = _widths(cut, drawn, sizes, track, GUTTER + room.columns)
    at = {v: (x[v], y[v]) for v in x}
    boxes = tuple(box_around(c, *borders[k], at, sizes) for k, c in enumerate(cut) if has_box(c))
    top = max([top, *(b.border[3] for b in boxes)])
    lines = curves(
        figure.edges, column_of, Frame(at, sizes, rows, drawn, [right for _, right in borders], track, top), wires
    )
    boxed = {v for c in cut if has_box(c) for run in c.runs for v in run.nodes}
    return Placement(
        at=at,
        sizes=sizes,
        boxes=boxes,
        loose=tuple(n.id for n in figure.nodes if n.id not in boxed),
        curves=lines,
        borders=tuple(borders),
        low=min([y[v] - sizes[v][1] / 2 for v in y] + [b.border[1] for b in boxes], default=0.0),
        right=borders[-1][1] if borders else 0.0,
        high=max([top, *(py for line in lines for _, py in line.points)]),
    )


def _heights(
    figure: Figure,
    cut: Sequence[Column],
    drawn: Sequence[Layout],
    column_of: Mapping[str, int],
    sizes: Mapping[str, Size],
    below_gap: float,
) -> tuple[dict[str, float], float]:
    """The height of every node, and that of the highest step. Steps stand on the ground, or as high as it takes for a
    state to go straight on; the rest stands beside what it is linked with."""
    y: dict[str, float] = {}
    tops = []
    bases = _bases(figure, cut, drawn, column_of)
    for k, (c, d) in enumerate(zip(cut, drawn, strict=True)):
        if c.step is not None:
            y |= {v: bases[k] + at for v, at in d.y.items()}
            tops.append(bases[k] + d.height + room_between(c.runs[-1].path, ()) + PAD + HEADING)
    top = max(tops, default=0.0)
    y |= {c.gap: top / 2 for c in cut if c.gap is not None}
    near = _neighbours(figure, column_of)
    for c, d in zip(cut, drawn, strict=True):
        if c.step is None and c.gap is None and d.y:
            wanted = [y[u] - d.y[v] for v in d.y for u in near[v] if u in y]
            base = max(PAD, min(max(wanted, default=PAD), top - PAD - d.height))
            y |= {v: base + at for v, at in d.y.items()}
    top = top or max((y[v] + sizes[v][1] / 2 for v in y), default=0.0)
    for c in cut:
        if c.gap is not None:
            y |= {v: -below_gap - sizes[v][1] / 2 for v in c.loose}
            continue
        beside = {v: next((y[u] for u in near[v] if u in y), top / 2) for v in c.loose}
        stack = sorted(c.loose, key=beside.__getitem__)
        gaps = [(sizes[a][1] + sizes[b][1]) / 2 + STACK_GAP for a, b in pairwise(stack)]
        y |= dict(zip(stack, apart([beside[v] for v in stack], [1.0] * len(stack), gaps), strict=True))
    return y, top


def _bases(
    figure: Figure, cut: Sequence[Column], drawn: Sequence[Layout], column_of: Mapping[str, int]
) -> dict[int, float]:
    """How high the lowest row of each step stands."""
    ground = {k: PAD + BOX_PAD * len(c.runs[0].path) for k, c in enumerate(cut) if c.step is not None}
    found: dict[int, float] = {}
    passable = {k for k, c in enumerate(cut) if c.loose and c.gap is None}
    beside: dict[int, list[tuple[int, float]]] = defaultdict(list)
    crossing = [e for e in figure.edges if e.crossing]
    goes_on = {column_of[e.target] for e in crossing}
    # A line goes on in a line above all; into one leads straight what a first step makes, on a line or not.
    for e in sorted(crossing, key=lambda e: e.source not in drawn[column_of[e.source]].on_line):
        u, v = e.source, e.target
        start, end = column_of[u], column_of[v]
        between = range(min(start, end) + 1, max(start, end))
        straight = v in drawn[end].on_line and (u in drawn[start].on_line or start not in goes_on)
        if straight and {start, end} <= ground.keys() and passable.issuperset(between):
            rise = drawn[start].y[u] - drawn[end].y[v]
            beside[start].append((end, rise))
            beside[end].append((start, -rise))
    for first in ground:
        if first in found:
            continue
        found[first], joined = ground[first], [first]
        for k in joined:  # grows while it is walked
            for other, rise in beside[k]:
                if other not in found:
                    found[other] = found[k] + rise
                    joined.append(other)
        lift = max(ground[k] - found[k] for k in joined)
        found |= {k: found[k] + lift for k in joined}
    return found


def _extent(v: str, y: Mapping[str, float], sizes: Mapping[str, Size]) -> tuple[float, float]:
    return y[v] - sizes[v][1] / 2, y[v] + sizes[v][1] / 2


def _neighbours(figure: Figure, column_of: Mapping[str, int]) -> dict[str, list[str]]:
    """The nodes in other columns that a node is linked with."""
    near: dict[str, list[str]] = defaultdict(list)
    for e in figure.edges:
        if column_of[e.source] != column_of[e.target]:
            near[e.source].append(e.target)
            near[e.target].append(e.source)
    return near


def _row_bounds(
    cut: Sequence[Column], drawn: Sequence[Layout], y: Mapping[str, float], sizes: Mapping[str, Size]
) -> dict[str, tuple[float, float]]:
    bounds = {v: _extent(v, y, sizes) for v in y}
    for c, d in zip(cut, drawn, strict=True):
        for v in d.y if c.gap is None else ():
            low, high = d.rows[d.row[v]]
            bounds[v] = y[v] - d.y[v] + low, y[v] - d.y[v] + high
    return bounds


def _widths(
    cut: Sequence[Column],
    drawn: Sequence[Layout],
    sizes: Mapping[str, Size],
    track: Mapping[tuple[int, str], int],
    gutter: float,
) -> tuple[dict[str, float], list[tuple[float, float]]]:
    """The x of every node, and the left and right border of every column."""
    used: dict[int, int] = defaultdict(int)
    for (between, _), k in track.items():
        used[between] = max(used[between], k + 1)
    x: dict[str, float] = {}
    borders: list[tuple[float, float]] = []
    at = 0.0
    for k, (c, d) in enumerate(zip(cut, drawn, strict=True)):
        places, wide = _across(c, d, sizes)
        x |= {v: at + place for v, place in places.items()}
        borders.append((at, at + wide))
        at += wide + gutter + TRACK * max(0, used[k] - 1)
    return x, borders


def _across(c: Column, d: Layout, sizes: Mapping[str, Size]) -> tuple[dict[str, float], float]:
    """The x of the nodes of one column from its left border, and how wide the column is."""
    if c.gap is not None:
        below = sum(sizes[v][0] for v in c.loose) + STACK_GAP * max(0, len(c.loose) - 1)
        wide = max(sizes[c.gap][0], below)
        places, at = {c.gap: wide / 2}, (wide - below) / 2
        for v in c.loose:
            places[v] = at + sizes[v][0] / 2
            at += sizes[v][0] + STACK_GAP
        return places, wide
    alone = c.loose
    if alone:
        wide = max(sizes[v][0] for v in alone)
        return dict.fromkeys(alone, wide / 2), wide
    margin = (PAD if has_box(c) else 0.0) + BOX_PAD * max(len(run.path) for run in c.runs)
    wide = max(d.width + 2 * margin, narrowest(c) if has_box(c) else 0.0)
    return {v: place + (wide - d.width) / 2 for v, place in d.x.items()}, wide
