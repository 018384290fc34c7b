"""The borders around steps and, inside, around scopes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from ..text.labels import Line, visible, width
from .alike import BOX_HEADING, BOX_PAD, Size
from .columns import Column
from .runs import Run

PAD = 13.0  # between the nodes and the border of a step
HEADING = 28.0  # for the words `step 3`

Rectangle = tuple[float, float, float, float]  # left, low, right, high


@dataclass(frozen=True, slots=True)
class Box:
    """A border. step: the one it is around, None around a scope. nodes: directly inside; inner: boxes inside.
    is_cell: it is around a cell of a folded picture."""

    scope: str
    step: int | None
    border: Rectangle
    nodes: tuple[str, ...]
    inner: tuple[Box, ...]
    is_cell: bool = False


def nodes_in(box: Box) -> list[str]:
    """Directly or in boxes inside."""
    return [*box.nodes, *(v for inner in box.inner for v in nodes_in(inner))]


def heading(scope: str, step: int | None, around_column: bool, is_cell: bool = False) -> Line:
    """What stands at the top of a box. scope: where it is within the box around it."""
    shown = visible(scope) if scope else ""
    if step is not None:
        return Line(f"step {step}" + (f"  ·  {shown}" if shown else ""), 18, bold=True)
    if is_cell:
        return Line(shown, 18, bold=True)
    return Line(shown or "outside any step", 12, italic=around_column and not shown)


def narrowest(column: Column) -> float:
    """How wide the border of a column has to be for the headings inside."""
    inner = [width(heading(scope, None, False)) + 2 * PAD for run in column.runs for scope in run.path]
    return max([width(heading(column.prefix, column.step, True)), *inner]) + 2 * BOX_PAD


def has_box(column: Column) -> bool:
    """Whether a column gets a border of its own."""
    paths = [run.path for run in column.runs]
    return column.gap is None and bool(paths) and (column.step is not None or column.prefix != "" or any(paths))


def box_around(
    column: Column, left: float, right: float, at: Mapping[str, tuple[float, float]], sizes: Mapping[str, Size]
) -> Box:
    """The border of a column, which reaches from left to right, with the boxes inside."""
    nodes, inner = _inside(column.runs, 0, at, sizes, (left + BOX_PAD, right - BOX_PAD))
    _, low, _, high = _around([*(_border(v, at, sizes) for v in nodes), *(b.border for b in inner)])
    border = left, low - PAD, right, high + PAD + HEADING
    return Box(column.prefix, column.step, border, tuple(nodes), tuple(inner))


def _inside(
    runs: Sequence[Run],
    depth: int,
    at: Mapping[str, tuple[float, float]],
    sizes: Mapping[str, Size],
    limits: tuple[float, float],
) -> tuple[list[str], list[Box]]:
    nodes: list[str] = []
    inner: list[Box] = []
    for scope, members in groupby(runs, key=lambda run: run.path[depth] if len(run.path) > depth else None):
        if scope is None:
            nodes += [v for run in members for v in run.nodes]
            continue
        own, deeper = _inside(list(members), depth + 1, at, sizes, limits)
        left, low, right, high = _around([*(_border(v, at, sizes) for v in own), *(b.border for b in deeper)])
        needed = width(heading(scope, None, False)) + 2 * BOX_PAD
        spare = max(0.0, needed - (right - left + 2 * BOX_PAD)) / 2
        shift = max(0.0, limits[0] - (left - BOX_PAD - spare)) - max(0.0, right + BOX_PAD + spare - limits[1])
        left, right = left - BOX_PAD - spare + shift, right + BOX_PAD + spare + shift
        border = left, low - BOX_PAD, right, high + BOX_PAD + BOX_HEADING
        inner.append(Box(scope, None, border, tuple(own), tuple(deeper)))
    return nodes, inner


def _border(v: str, at: Mapping[str, tuple[float, float]], sizes: Mapping[str, Size]) -> Rectangle:
    (x, y), (w, h) = at[v], sizes[v]
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def _around(borders: Sequence[Rectangle]) -> Rectangle:
    lefts, lows, rights, highs = zip(*borders, strict=True)
    return min(lefts), min(lows), max(rights), max(highs)
