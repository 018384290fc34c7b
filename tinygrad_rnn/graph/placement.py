"""A figure with coordinates: columns beside each other, boxes around steps and scopes, a curve for every edge."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .alike import BOX_PAD, Size, layouts, room_between
from .boxes import HEADING, PAD, Box, box_around, has_box, narrowest
from .columns import Column
from .curves import Curve
from .figure import Figure, Node
from .layout import Layout, apart
from .routes import Frame, curves
from .wires import TRACK, plan, tracks

GUTTER = 36.0  # between columns, when no wire runs up or down there
STACK_GAP = 14.0  # between nodes that are linked to other columns only


@dataclass(frozen=True, slots=True)
class Placement:
    """at: centres; sizes: width and height. loose: the nodes in no box. curves: in the order of the figure's edges."""

    at: dict[str, tuple[float, float]]
    sizes: dict[str, Size]
    boxes: tuple[Box, ...]
    loose: tuple[str, ...]
    curves: tuple[Curve, ...]
    low: float
    right: float
    high: float


def place(figure: Figure, cut: Sequence[Column], size: Callable[[Node], Size]) -> Placement:
    """Lay a figure out, time from left to right.

    cut: its columns. size: how much room the text and the shape of a node need.
    """
    column_of = {v: k for k, c in enumerate(cut) for v in (*c.loose, *(v for run in c.runs for v in run.nodes))}
    drawn, sizes = layouts(figure, cut, column_of, size)
    y, top = _heights(figure, cut, drawn, column_of, sizes)
    gaps = frozenset(c.gap for c in cut if c.gap is not None)
    sizes |= {v: (sizes[v][0], top) for v in gaps}
    blocked = frozenset(place for d in drawn for place in d.blocked)
    wires = plan(figure.edges, column_of, y, _row_bounds(cut, drawn, y, sizes), blocked, gaps)
    track = tracks(wires)
    x, borders = _widths(figure, cut, drawn, column_of, sizes, track)
    at = {v: (x[v], y[v]) for v in x}
    boxes = tuple(box_around(c, *borders[k], at, sizes) for k, c in enumerate(cut) if has_box(c))
    top = max([top, *(b.border[3] for b in boxes)])
    lines = curves(figure.edges, column_of, Frame(at, sizes, drawn, [right for _, right in borders], track, top), wires)
    boxed = {v for c in cut if has_box(c) for run in c.runs for v in run.nodes}
    return Placement(
        at=at,
        sizes=sizes,
        boxes=boxes,
        loose=tuple(n.id for n in figure.nodes if n.id not in boxed),
        curves=lines,
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
) -> tuple[dict[str, float], float]:
    """The height of every node, and that of the highest step. Steps stand on the ground; the rest stands beside what
    it is linked with."""
    y: dict[str, float] = {}
    tops = []
    for c, d in zip(cut, drawn, strict=True):
        if c.step is not None:
            base = PAD + BOX_PAD * len(c.runs[0].path)
            y |= {v: base + at for v, at in d.y.items()}
            tops.append(base + d.height + room_between(c.runs[-1].path, ()) + PAD + HEADING)
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
        for stack in _stacks(c, near, column_of):
            wanted = [next((y[u] for u in near[v] if u in y), top / 2) for v in stack]
            order = sorted(range(len(stack)), key=wanted.__getitem__)
            gaps = [(sizes[stack[a]][1] + sizes[stack[b]][1]) / 2 + STACK_GAP for a, b in pairwise(order)]
            places = apart([wanted[k] for k in order], [1.0] * len(order), gaps)
            y |= {stack[k]: at for k, at in zip(order, places, strict=True)}
    return y, top


def _neighbours(figure: Figure, column_of: Mapping[str, int]) -> dict[str, list[str]]:
    """The nodes in other columns that a node is linked with."""
    near: dict[str, list[str]] = defaultdict(list)
    for e in figure.edges:
        if column_of[e.source] != column_of[e.target]:
            near[e.source].append(e.target)
            near[e.target].append(e.source)
    return near


def _stacks(column: Column, near: Mapping[str, list[str]], column_of: Mapping[str, int]) -> tuple[list[str], list[str]]:
    """The loose nodes of a column that stand on its left, and those on its right: on the side they are linked to."""
    own = {v: column_of[v] for v in column.loose}
    left = [v for v in column.loose if v in near and all(column_of[u] < own[v] for u in near[v])]
    return left, [v for v in column.loose if v not in left]


def _row_bounds(
    cut: Sequence[Column], drawn: Sequence[Layout], y: Mapping[str, float], sizes: Mapping[str, Size]
) -> dict[str, tuple[float, float]]:
    bounds = {v: (y[v] - sizes[v][1] / 2, y[v] + sizes[v][1] / 2) for v in y}
    for c, d in zip(cut, drawn, strict=True):
        for v in d.y if c.gap is None else ():
            low, high = d.rows[d.row[v]]
            bounds[v] = y[v] - d.y[v] + low, y[v] - d.y[v] + high
    return bounds


def _widths(
    figure: Figure,
    cut: Sequence[Column],
    drawn: Sequence[Layout],
    column_of: Mapping[str, int],
    sizes: Mapping[str, Size],
    track: Mapping[tuple[int, str], int],
) -> tuple[dict[str, float], list[tuple[float, float]]]:
    """The x of every node, and the left and right border of every column."""
    near = _neighbours(figure, column_of)
    used: dict[int, int] = defaultdict(int)
    for (gutter, _), k in track.items():
        used[gutter] = max(used[gutter], k + 1)
    x: dict[str, float] = {}
    borders: list[tuple[float, float]] = []
    at = 0.0
    for k, (c, d) in enumerate(zip(cut, drawn, strict=True)):
        start = at
        stacks = _stacks(c, near, column_of)
        blocks: list[tuple[float, dict[str, float]]] = []
        widest = [max((sizes[v][0] for v in stack), default=0.0) for stack in stacks]
        if stacks[0]:
            blocks.append((widest[0], dict.fromkeys(stacks[0], widest[0] / 2)))
        if c.gap is not None:
            blocks.append((sizes[c.gap][0], {c.gap: sizes[c.gap][0] / 2}))
        elif d.x:
            margin = (PAD if has_box(c) else 0.0) + BOX_PAD * max(len(run.path) for run in c.runs)
            spare = max(0.0, narrowest(c) - d.width - 2 * margin) / 2 if has_box(c) else 0.0
            margin += spare
            blocks.append((d.width + 2 * margin, {v: place + margin for v, place in d.x.items()}))
        if stacks[1]:
            blocks.append((widest[1], dict.fromkeys(stacks[1], widest[1] / 2)))
        for width, places in blocks:
            x |= {v: at + place for v, place in places.items()}
            at += width + STACK_GAP
        at -= STACK_GAP
        borders.append((start, at))
        at += GUTTER + TRACK * max(0, used[k] - 1)
    return x, borders
