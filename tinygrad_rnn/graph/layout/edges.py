"""The curve of every edge: from row to row inside a column, along wires from column to column."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..views.figure import Edge
from .curves import RADIUS, Curve, Point, ports, right_angled, rounded, upwards
from .rows import Layout
from .wires import ABOVE, TRACK, Wire

BESIDE = 13.0  # from a column to the first wire that runs up or down beside it
OVER = 14.0  # from the tops of the columns to the first wire that runs above them


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands where. rows: the lowest and highest y of the row that a node is in. right: the right border of each
    column; top: of the highest. track: see wires.tracks."""

    at: Mapping[str, Point]
    sizes: Mapping[str, tuple[float, float]]
    rows: Mapping[str, tuple[float, float]]
    layouts: Sequence[Layout]
    right: Sequence[float]
    track: Mapping[tuple[int, str], int]
    top: float


def curves(
    edges: Sequence[Edge], column_of: Mapping[str, int], frame: Frame, wires: Sequence[Wire]
) -> tuple[Curve, ...]:
    """One curve for each edge, in their order."""
    wire_of = {w.edge: w for w in wires}
    port = _ports(edges, column_of, frame, wire_of)
    level = {w.edge.source: 0 for w in wires if w.over}
    level = {source: k for k, source in enumerate(level)}
    found = []
    for e in edges:
        if e in wire_of:
            found.append(_wire(wire_of[e], frame, port.get(e, 0.0), frame.top + OVER + TRACK * level.get(e.source, 0)))
            continue
        drawn = frame.layouts[column_of[e.target]]
        (x, y), (tip_x, tip_y) = frame.at[e.source], frame.at[e.target]
        start, tip = (x, y + _half(frame, e.source)), (port.get(e, tip_x), tip_y - _half(frame, e.target))
        if e.source not in drawn.row:  # from below a gap
            found.append(right_angled([start, (x, tip[1])]))
        elif e.target in drawn.fallen.side:
            found.append(_down(e, drawn, frame))
        elif e.source in drawn.fallen.riser:
            found.append(_up_again(e, drawn, frame, _bends(e, drawn, frame), tip))
        elif e in port:
            leaves, enters = frame.rows[e.source][1], frame.rows[e.target][0]
            found.append(upwards(start, leaves, _bends(e, drawn, frame), enters, tip))
        else:
            found.append(_in_row(e, frame))
    return tuple(found)


def _ports(
    edges: Sequence[Edge], column_of: Mapping[str, int], frame: Frame, wire_of: Mapping[Edge, Wire]
) -> dict[Edge, float]:
    """Where the arrows end that come from below, spread so that they do not cross."""
    arriving: dict[str, list[tuple[float, int, Edge]]] = defaultdict(list)
    for e in edges:
        wire = wire_of.get(e)
        if wire is not None:
            if wire.arrives == "row":
                arriving[e.target].append((-1e9 * wire.direction, e.uses[0][1], e))
        elif e.target in frame.layouts[column_of[e.target]].fallen.side:
            continue
        elif frame.at[e.source][1] < frame.at[e.target][1] and not _same_row(e, column_of, frame):
            bends = _bends(e, frame.layouts[column_of[e.source]], frame)
            arriving[e.target].append((bends[-1][0] if bends else frame.at[e.source][0], e.uses[0][1], e))
    found = {}
    for v, comers in arriving.items():
        comers.sort(key=lambda item: item[:2])
        for (_, _, e), x in zip(comers, ports(frame.at[v][0], frame.sizes[v][0], len(comers)), strict=True):
            found[e] = x
    return found


def _same_row(e: Edge, column_of: Mapping[str, int], frame: Frame) -> bool:
    row = frame.layouts[column_of[e.source]].row
    return e.source not in row or row[e.source] == row[e.target]


def _bends(e: Edge, drawn: Layout, frame: Frame) -> list[tuple[float, float, float]]:
    """As the layout has them, moved to where the column stands."""
    (x, y), v = frame.at[e.source], e.source
    across, up = x - drawn.x[v], y - drawn.y[v]
    return [(bend + across, low + up, high + up) for bend, low, high in drawn.bends.get((v, e.target), ())]


def _half(frame: Frame, v: str) -> float:
    return frame.sizes[v][1] / 2


def _side(frame: Frame, v: str, side: int) -> float:
    return frame.at[v][0] + side * frame.sizes[v][0] / 2


def _in_row(e: Edge, frame: Frame) -> Curve:
    side = 1 if frame.at[e.source][0] < frame.at[e.target][0] else -1
    y = frame.at[e.target][1]
    return right_angled([(_side(frame, e.source, side), y), (_side(frame, e.target, -side), y)])


def _down(e: Edge, drawn: Layout, frame: Frame) -> Curve:
    """To a node of a fall: on a lane into its side, or from above."""
    (x, y), (tip_x, tip_y), side = frame.at[e.source], frame.at[e.target], drawn.fallen.side[e.target]
    top = tip_y + _half(frame, e.target)
    if e.source in drawn.fallen.side and (e.source, e.target) not in drawn.fallen.lane:
        return right_angled([(x, y - _half(frame, e.source)), (tip_x, top)])
    if (e.source, side) in drawn.blocked and e.source not in drawn.fallen.beside:
        over = frame.rows[e.source][1] + ABOVE
        corners = [(x, y + _half(frame, e.source)), (x, over)]
    else:
        over = y
        corners = [(_side(frame, e.source, side), y)]
    lane = drawn.fallen.lane.get((e.source, e.target))
    if lane is None:
        return right_angled([*corners, (tip_x, over), (tip_x, top)])
    lane += x - drawn.x[e.source]
    return right_angled([*corners, (lane, over), (lane, tip_y), (_side(frame, e.target, -side), tip_y)])


def _up_again(e: Edge, drawn: Layout, frame: Frame, bends: list[tuple[float, float, float]], tip: Point) -> Curve:
    """From the state below to where its own step goes on with it."""
    u = e.source
    riser, up = drawn.fallen.riser[u]
    riser += frame.at[u][0] - drawn.x[u]
    start = _side(frame, u, drawn.fallen.side[u]), frame.at[u][1]
    (x, low, high), *further = bends
    turn = (low + high) / 2 + up
    begin = rounded([start, (riser, start[1]), (riser, turn), (x, turn), (x, max(high, turn + RADIUS))])
    rest = upwards(begin[-1], high, further, frame.rows[e.target][0], tip)
    return Curve((*begin, *rest.points[1:]), rest.tip, rest.label)


def _wire(wire: Wire, frame: Frame, port: float, above: float) -> Curve:
    u, v = wire.edge.source, wire.edge.target
    between = {g: frame.right[g] + BESIDE + TRACK * frame.track[g, u] for g in wire.gutters if (g, u) in frame.track}
    corners: list[Point] = []
    if wire.leaves == "top":
        corners += [(frame.at[u][0], frame.at[u][1] + _half(frame, u)), (frame.at[u][0], above)]
    else:
        if wire.leaves == "row":
            corners += [(frame.at[u][0], frame.at[u][1] + _half(frame, u)), (frame.at[u][0], wire.start)]
        else:
            corners.append((_side(frame, u, wire.direction), wire.start))
        if wire.gutters:
            out = between[wire.gutters[0]]
            corners += [(out, wire.start), (out, above if wire.over else wire.end)]
    if wire.arrives == "top":
        return right_angled([*corners, (frame.at[v][0], above), (frame.at[v][0], frame.at[v][1] + _half(frame, v))])
    if wire.over:
        into = between[wire.gutters[-1]]
        corners += [(into, above), (into, wire.end)]
    if wire.arrives == "row":
        return right_angled([*corners, (port, wire.end), (port, frame.at[v][1] - _half(frame, v))])
    return right_angled([*corners, (_side(frame, v, -wire.direction), wire.end)])
