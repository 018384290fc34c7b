"""Layouts for columns: all steps of the same structure get the same one, made for the largest text in any of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from ..views.figure import Figure, Node
from .columns import Column
from .falls import Fall
from .rows import Layout, Link, layout
from .runs import Path
from .states import roles

BOX_PAD = 9.0  # between nodes and the border of a scope
BOX_HEADING = 17.0  # for its name

Size = tuple[float, float]


def layouts(
    figure: Figure,
    columns: Sequence[Column],
    column_of: Mapping[str, int],
    size: Callable[[Node], Size],
    room: float = 0.0,
) -> tuple[list[Layout], dict[str, Size]]:
    """The layout of each column, and how large every node is to be drawn. room: see `layout`."""
    nodes = {n.id: n for n in figure.nodes}
    drawn_alike = roles(figure, columns, column_of)
    lines, side, falls = drawn_alike.lines, drawn_alike.side, drawn_alike.falls
    links: dict[int, list[Link]] = defaultdict(list)
    for e in figure.edges:
        if column_of[e.source] == column_of[e.target] and e.source not in columns[column_of[e.source]].loose:
            links[column_of[e.source]].append((e.source, e.target))
    kin: dict[object, list[int]] = defaultdict(list)
    for k, c in enumerate(columns):
        kin[_structure(c, nodes, links[k], lines[k], side, falls[k])].append(k)
    sizes = {v: size(nodes[v]) for c in columns for v in c.loose}
    found: dict[int, Layout] = {}
    for members in kin.values():
        numbered = [[v for run in columns[k].runs for v in run.nodes] for k in members]
        for same in zip(*numbered, strict=True):
            each = [size(nodes[v]) for v in same]
            sizes |= dict.fromkeys(same, (max(w for w, _ in each), max(h for _, h in each)))
        k = members[0]
        runs = columns[k].runs
        upright = [run.nodes for run in runs]
        size_here = {v: sizes[v] for v in numbered[0]}
        drawn = layout(upright, size_here, links[k], lines[k], side, _room_above(columns[k]), room, falls[k])
        for k, own in zip(members, numbered, strict=True):
            found[k] = _renamed(drawn, dict(zip(numbered[0], own, strict=True)))
    return [found[k] for k in range(len(columns))], sizes


def _structure(
    column: Column,
    nodes: Mapping[str, Node],
    links: Sequence[Link],
    lines: Sequence[Sequence[str]],
    side: Mapping[str, int],
    falls: Sequence[Fall],
) -> object:
    """The same for two columns that are to be drawn as the same figure."""
    members = [v for run in column.runs for v in run.nodes]
    number = {v: k for k, v in enumerate(members)}
    return (
        column.gap,
        column.step is None,
        tuple((run.path, len(run.nodes)) for run in column.runs),
        tuple((nodes[v].kind, nodes[v].operation, nodes[v].again) for v in members),
        tuple(side.get(v, 0) for v in members),
        tuple((number[u], number[v]) for u, v in links),
        tuple(tuple(number[v] for v in line) for line in lines),
        tuple((tuple(number[v] for v in (f.source, *f.chain, f.landing)), f.side) for f in falls),
    )


def _renamed(drawn: Layout, name: Mapping[str, str]) -> Layout:
    return Layout(
        x={name[v]: x for v, x in drawn.x.items()},
        y={name[v]: y for v, y in drawn.y.items()},
        row={name[v]: r for v, r in drawn.row.items()},
        rows=drawn.rows,
        bends={(name[u], name[v]): bends for (u, v), bends in drawn.bends.items()},
        blocked=frozenset((name[v], side) for v, side in drawn.blocked),
        width=drawn.width,
        height=drawn.height,
        on_line=frozenset(name[v] for v in drawn.on_line),
        fallen=drawn.fallen.renamed(name),
    )


def _room_above(column: Column) -> dict[int, float]:
    """Above run k: for the borders that end there, with their headings, and for those that begin."""
    paths = [run.path for run in column.runs]
    return {k: room_between(below, above) for k, (below, above) in enumerate(pairwise(paths))}


def room_between(below: Path, above: Path) -> float:
    """The height that the borders of boxes need between two runs."""
    shared = next((k for k, (a, b) in enumerate(zip(below, above, strict=False)) if a != b), None)
    shared = min(len(below), len(above)) if shared is None else shared
    return (len(below) - shared) * (BOX_PAD + BOX_HEADING) + (len(above) - shared) * BOX_PAD
