"""Lines from column to column: how high they leave and arrive, and where they run up or down in between.

A wire leaves its column at the side if nothing stands in the way there, else above its row; it runs up or down between
the columns, and over the top of all columns if it leads further than to the neighbour. Wires of the same tensor share
what they can, so that they look like what they are: one tensor that is used several times.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ..views.figure import Edge

ABOVE, BELOW = 4.0, 13.0  # from a row to the wire above it, and to the wire below it, which must leave room for arrows
TRACK = 7.0  # between wires that run beside each other
ENTRY = 8.0  # between wires that arrive at the same side of a node
STRAIGHT = 6.0  # a wire that arrives alone is not to step up or down by less
NUMBERED_ENTRY = 19.0  # the same with numbers on them, if the node is high enough

Way = Literal["side", "row", "top"]


@dataclass(frozen=True, slots=True)
class Wire:
    """direction: 1 to the right. start, end: the heights at which it leaves and arrives.

    leaves, arrives: at the side of a node, through the room above or below its row, or at the top of a gap.
    gutters: the spaces between columns in which it runs up or down (number k is to the right of column k).
    over: it runs above all columns.
    """

    edge: Edge
    direction: int
    start: float
    end: float
    leaves: Way
    arrives: Way
    gutters: tuple[int, ...]
    over: bool


def plan(
    edges: Sequence[Edge],
    column_of: Mapping[str, int],
    middle: Mapping[str, float],
    row_bounds: Mapping[str, tuple[float, float]],
    blocked: frozenset[tuple[str, int]],
    gaps: frozenset[str],
    loose: Mapping[int, Sequence[tuple[float, float]]],
    spare: Mapping[str, float],
    below: float = BELOW,
) -> list[Wire]:
    """A wire for every edge that leads to another column.

    middle: the height of each node. row_bounds: the lowest and highest y of its row.
    blocked: (node, side) where another node of its row stands in the way.
    loose: columns with nothing but initial states in them: the lowest and highest y of each.
    spare: where there are numbers on wires, the height of a side at which they may arrive.
    below: from a row to the wires below it.
    """
    leading = [e for e in edges if column_of[e.source] != column_of[e.target]]
    arriving: dict[tuple[str, int], list[Edge]] = defaultdict(list)
    for e in leading:
        arriving[e.target, _direction(e, column_of)].append(e)
    channel: dict[str, float] = {}
    wires = []
    for e in leading:
        u, v = e.source, e.target
        direction = _direction(e, column_of)
        passed = range(min(column_of[u], column_of[v]) + 1, max(column_of[u], column_of[v]))
        next_door = not passed
        leaves = _way(u, direction, next_door, blocked, gaps)
        arrives = _way(v, -direction, next_door, blocked, gaps)
        start = (
            middle[u] if leaves == "side" else row_bounds[u][1] + ABOVE + _level(channel, u) if leaves == "row" else 0.0
        )
        end = (
            middle[v]
            if arrives == "side"
            else row_bounds[v][0] - below - _level(channel, v)
            if arrives == "row"
            else 0.0
        )
        if arrives == "side" and v not in gaps:
            among = arriving[v, direction]
            end += (among.index(e) - (len(among) - 1) / 2) * _entry(len(among), spare.get(v, 0.0))
        start, end = (end if u in gaps and next_door else start), (start if v in gaps and next_door else end)
        alone = arrives == "side" and len(arriving[v, direction]) == 1
        end = start if alone and abs(start - end) < STRAIGHT else end
        out, into = (column_of[u], column_of[v] - 1) if direction > 0 else (column_of[u] - 1, column_of[v])
        gutters: tuple[int, ...] = (out, into)
        if next_door:
            gutters = () if start == end else (out,)
        elif _clear(start, passed, loose) and leaves == "side" and arrives != "top":
            next_door, gutters = True, () if start == end else (into,)
        elif u in gaps or v in gaps:
            gutters = tuple(g for g, node in ((out, u), (into, v)) if node not in gaps)
        wires.append(Wire(e, direction, start, end, leaves, arrives, gutters, not next_door))
    return wires


def _clear(height: float, columns: Sequence[int], loose: Mapping[int, Sequence[tuple[float, float]]]) -> bool:
    """Whether a wire may run straight through these columns."""
    return all(k in loose and not any(low - 4 < height < high + 4 for low, high in loose[k]) for k in columns)


def _entry(count: int, spare: float) -> float:
    return max(ENTRY, min(NUMBERED_ENTRY, spare / max(1, count - 1)))


def _direction(e: Edge, column_of: Mapping[str, int]) -> int:
    return 1 if column_of[e.target] > column_of[e.source] else -1


def _way(node: str, side: int, next_door: bool, blocked: frozenset[tuple[str, int]], gaps: frozenset[str]) -> Way:
    if node in gaps:
        return "side" if next_door else "top"
    return "row" if (node, side) in blocked else "side"


def _level(channel: dict[str, float], node: str) -> float:
    """Each node that has a wire above or below its row has it at another height than the others, within limits."""
    return channel.setdefault(node, 2.0 * (len(channel) % 3))


def tracks(wires: Sequence[Wire]) -> dict[tuple[int, str], int]:
    """For each gutter and each tensor that runs up or down in it: which track, counted from the left."""
    spans: dict[tuple[int, str], list[float]] = defaultdict(list)
    above = 1e9
    for w in wires:
        for gutter in w.gutters:
            leaving = w.over and gutter == w.gutters[0] and w.leaves != "top"
            begin, end = (w.start, above) if leaving else (above, w.end) if w.over else (w.start, w.end)
            spans[gutter, w.edge.source] += [begin, end] if w.direction > 0 else [end, begin]
    # Of those that run down to the right the lowest is leftmost, of those that run up the highest: they cross least.
    leftwards = {w.edge.source for w in wires if w.direction < 0}
    order = sorted(spans, key=lambda key: (key[0], key[1] not in leftwards, _crossing_least(spans[key]), key[1]))
    count: dict[int, int] = defaultdict(int)
    places = {}
    for gutter, source in order:
        places[gutter, source] = count[gutter]
        count[gutter] += 1
    return places


def _crossing_least(span: list[float]) -> tuple[bool, float]:
    left, right = span[0], span[1::2]
    is_down = min(right) < left
    return not is_down, min(right) if is_down else -max(right)
