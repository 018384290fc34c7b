"""Where the nodes of one column stand: rows from bottom to top in the order of computation, few crossings, short lines.

This is the layered layout of Sugiyama, Tagawa and Toda (1981), with three additions for recurrent networks. A *line*
(from the operation that takes the old state to the new state, such as f * c and then c) is kept in one row, so that a
state runs straight through all steps. What comes from or goes to other columns stands at the side it comes from. And
a state that is made from the one on a line falls: see `falls`.

Graphviz could do it, but takes minutes for a few hundred nodes with steps, and draws every step differently.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import pairwise

from .falls import BESIDE, Fall, Fallen, above, beside_rows, fit, in_rows, order_in_rows, rows_of

Link = tuple[str, str]
Size = tuple[float, float]
ROW_GAP = 30.0
NODE_GAP = 12.0
LINE_GAP = 30.0
BEND_GAP = 10.0
SWEEPS = 12
RISEN = 20.0, 20.0  # the place in the rows where a state comes in from its riser and turns


@dataclass(frozen=True, slots=True)
class Layout:
    """Centres, in points, the lower left corner of everything being (0, 0).

    row: which row a node is in; rows: the lowest and the highest y of each.
    bends: for links over several rows, where they pass those between: (x, lowest y, highest y).
    blocked: (node, side) where another node is in the way to that side of the column (-1 left, 1 right).
    on_line: the nodes of lines.
    fallen: what stands beside the rows. The first bend of a link from a riser is where it comes in from there.
    """

    x: dict[str, float]
    y: dict[str, float]
    row: dict[str, int]
    rows: tuple[tuple[float, float], ...]
    bends: dict[Link, tuple[tuple[float, float, float], ...]]
    blocked: frozenset[tuple[str, int]]
    width: float
    height: float
    on_line: frozenset[str]
    fallen: Fallen


@dataclass(slots=True, eq=False)
class _Entry:
    """What takes a place in a row: a node, a line of nodes, or a long link that passes (no nodes)."""

    row: int
    width: float
    height: float
    side: int = 0
    nodes: tuple[str, ...] = ()
    offsets: tuple[float, ...] = (0.0,)
    x: float = 0.0
    near: list[tuple[_Entry, float, float]] = field(default_factory=list)  # the other, its offset minus mine, weight


def layout(
    runs: Sequence[Sequence[str]],
    size: Mapping[str, tuple[float, float]],
    links: Sequence[Link],
    lines: Sequence[Sequence[str]] = (),
    sides: Mapping[str, int] | None = None,
    room_above: Mapping[int, float] | None = None,
    room: float = 0.0,
    falls: Sequence[Fall] = (),
) -> Layout:
    """Arrange the nodes of a column.

    runs: nodes that have rows of their own, bottom to top; inside and among runs links lead from earlier to later.
    size: width and height of every node.
    lines: nodes to be kept beside each other in one row, from left to right, linked as a chain.
    sides: -1 for nodes that belong to the left, 1 for those to the right.
    room_above: extra space above the last row of run k, for borders and headings.
    room: extra space between the nodes of a line.
    falls: to be beside the rows, if there is room for all of them.
    """
    sides = sides or {}
    links = list(dict.fromkeys(links))
    upright, among, climbs = in_rows(falls, runs, links)
    row = _rows(upright, [*climbs, *among], lines, sides, {v for _, v in climbs})
    if row is None or not fit(falls, links, row):  # without falls; without lines, if two of them need each other
        return layout(runs, size, links, lines if falls else (), sides, room_above, room)
    row |= rows_of(falls, links, among, row)
    sizes = {**size, **{v: RISEN for _, v in climbs}}
    order = order_in_rows(falls, links, sides)
    entries, entry_of = _entries(upright, sizes, row, lines, order, LINE_GAP + room)
    passing = _connect(entries, entry_of, row, among)
    rows = _ordered(entries)
    _spread(rows)
    fallen = _set_beside(rows, falls, links, row, sizes)
    entries = [e for members in rows for e in members]
    x = {v: e.x + offset for e in entries for v, offset in zip(e.nodes, e.offsets, strict=False)}
    risers = [at + end for at, _ in fallen.riser.values() for end in (-BESIDE / 2, BESIDE / 2)]
    left = min([*(e.x - e.width / 2 for e in entries), *risers], default=0.0)
    right = max([*(e.x + e.width / 2 for e in entries), *risers], default=0.0)
    bounds = _heights(rows, runs, row, room_above or {})
    bends = {link: tuple((e.x - left, *bounds[e.row]) for e in through) for link, through in passing.items() if through}
    state_of = {above(fall.state): fall.state for fall in falls}
    for u, v in among:
        if u in state_of:
            bends[state_of[u], v] = (x[u] - left, *bounds[row[u]]), *bends.pop((u, v), ())
    return Layout(
        x={v: x[v] - left for v in size if v in x},
        y={v: sum(bounds[row[v]]) / 2 for v in size if v in x},
        row={v: r for v, r in row.items() if v not in state_of},
        rows=tuple(bounds),
        bends=bends,
        blocked=frozenset((v, side) for v, side in _blocked(rows) if v not in state_of),
        width=right - left,
        height=bounds[-1][1] if bounds else 0.0,
        on_line=frozenset(v for line in lines for v in line),
        fallen=fallen.moved(-left),
    )


def _set_beside(
    rows: list[list[_Entry]],
    falls: Sequence[Fall],
    links: Sequence[Link],
    row: Mapping[str, int],
    size: Mapping[str, Size],
) -> Fallen:
    """Add what falls, at the ends of the rows."""
    before = _blocked(rows)
    x, fallen = beside_rows(falls, links, row, size, lambda side, among: _reach(rows, side, among))
    for v, at in x.items():
        e = _Entry(row[v], *size[v], fallen.side[v], (v,), x=at)
        rows[e.row].insert(len(rows[e.row]) if e.side > 0 else 0, e)
    return replace(fallen, beside=frozenset(v for v, _ in _blocked(rows) - before))


def _reach(rows: list[list[_Entry]], side: int, among: Sequence[int]) -> float:
    """How far out the rows from the lowest to the highest of these stand on a side."""
    return max(side * e.x + e.width / 2 for members in rows[min(among) : max(among) + 1] for e in members)


def stretched(drawn: Layout, above: Sequence[float], sideways: float) -> Layout:
    """The same layout with so much more room above each row, in points, and with its nodes so many times as far
    apart."""
    level = {low: k for k, (low, _) in enumerate(drawn.rows)}
    up = [sum(above[:k]) for k in range(len(drawn.rows))]
    rows = tuple((low + up[k], high + up[k]) for k, (low, high) in enumerate(drawn.rows))
    return replace(
        drawn,
        x={v: x * sideways for v, x in drawn.x.items()},
        y={v: y + up[drawn.row[v]] for v, y in drawn.y.items()},
        rows=rows,
        bends={
            link: tuple((x * sideways, *rows[level[low]]) for x, low, _ in bends) for link, bends in drawn.bends.items()
        },
        width=drawn.width * sideways,
        fallen=drawn.fallen.moved(0.0, sideways),
        height=rows[-1][1] if rows else 0.0,
    )


def _rows(
    runs: Sequence[Sequence[str]],
    links: Sequence[Link],
    lines: Sequence[Sequence[str]],
    sides: Mapping[str, int],
    free: Set[str],
) -> dict[str, int] | None:
    """Within a run by longest path; a line waits for all that any of its nodes needs. Then what needs nothing but
    leaves, and what is free to, goes up to close below its use. None if there are lines that wait for each other."""
    sources: dict[str, list[str]] = defaultdict(list)
    targets: dict[str, list[str]] = defaultdict(list)
    for u, v in links:
        sources[v].append(u)
        targets[u].append(v)
    line_of = {v: tuple(line) for line in lines for v in line}
    group_of = {v: line_of.get(v, (v,)) for run in runs for v in run}
    needs = {group: [u for v in group for u in sources[v] if u not in group] for group in group_of.values()}
    with_leaf = {group for group, found in needs.items() if any(not sources[u] and u not in sides for u in found)}

    def rise(u: str, v: str) -> int:
        """How many rows v is above u: a leaf of v is not to stand in the way of what leads from u to another column."""
        return 2 if u in sides and group_of[v] in with_leaf else 1

    row: dict[str, int] = {}
    lowest = 0
    for run in runs:
        among = set(run)
        todo = list(run)
        while todo:
            later: list[str] = []
            for v in todo:
                if v in row:
                    continue
                group = group_of[v]
                if any(u not in row and u in among for u in needs[group]):
                    later.append(v)
                    continue
                at = max([lowest, *(row[u] + rise(u, v) for u in needs[group] if u in row)])
                row.update(dict.fromkeys(group, at))
            if len(later) == len(todo):
                return None
            todo = later
        for v in reversed(run):
            if v not in line_of and (v in free or not any(sources[u] for u in sources[v])):
                row[v] = max(row[v], min((row[w] - rise(v, w) for w in targets[v] if w in row), default=lowest))
        lowest = max((row[v] for v in run), default=lowest - 1) + 1
    used = {r: k for k, r in enumerate(sorted(set(row.values())))}  # what moved up may have left its row empty
    return {v: used[r] for v, r in row.items()}


def _entries(
    runs: Sequence[Sequence[str]],
    size: Mapping[str, tuple[float, float]],
    row: Mapping[str, int],
    lines: Sequence[Sequence[str]],
    sides: Mapping[str, int],
    gap: float,
) -> tuple[list[_Entry], dict[str, tuple[_Entry, float]]]:
    line_of = {v: tuple(line) for line in lines for v in line}
    entries: list[_Entry] = []
    entry_of: dict[str, tuple[_Entry, float]] = {}
    for v in (v for run in runs for v in run):
        if v in entry_of:
            continue
        nodes = line_of.get(v, (v,))
        widths = [size[w][0] for w in nodes]
        total = sum(widths) + gap * (len(nodes) - 1)
        starts = [sum(widths[:k]) + gap * k for k in range(len(nodes))]
        offsets = tuple(start + width / 2 - total / 2 for start, width in zip(starts, widths, strict=True))
        side = sides.get(nodes[0], 0) or sides.get(nodes[-1], 0)
        entry = _Entry(row[v], total, max(size[w][1] for w in nodes), side, nodes, offsets)
        entries.append(entry)
        entry_of.update({w: (entry, offset) for w, offset in zip(nodes, offsets, strict=True)})
    return entries, entry_of


def _connect(
    entries: list[_Entry], entry_of: Mapping[str, tuple[_Entry, float]], row: Mapping[str, int], links: Sequence[Link]
) -> dict[Link, list[_Entry]]:
    """Tell the entries of neighbouring rows of each other, adding one for every row that a long link passes."""
    passing: dict[Link, list[_Entry]] = {}
    for u, v in links:
        (first, start), (last, end) = entry_of[u], entry_of[v]
        if first is last:
            continue
        through = [_Entry(r, 2.0, 0.0) for r in range(row[u] + 1, row[v])]
        entries.extend(through)
        passing[u, v] = through
        chain = [(first, start), *((e, 0.0) for e in through), (last, end)]
        for (a, at_a), (b, at_b) in pairwise(chain):
            weight = (1.0, 2.0, 16.0)[(not a.nodes) + (not b.nodes)]  # long links above all are to be straight
            a.near.append((b, at_b - at_a, weight))
            b.near.append((a, at_a - at_b, weight))
    return passing


def _ordered(entries: list[_Entry]) -> list[list[_Entry]]:
    """The rows, each from left to right, by sweeps of barycentres; of all sweeps the one with the fewest crossings."""
    rows: list[list[_Entry]] = [[] for _ in range(max((e.row for e in entries), default=-1) + 1)]
    for e in entries:
        rows[e.row].append(e)
    for members in rows:
        members.sort(key=lambda e: e.side)
        _number(members)
    best, fewest = [list(members) for members in rows], _crossings(rows)
    for sweep in range(SWEEPS):
        upwards = sweep % 2 == 0
        for members in rows if upwards else reversed(rows):
            members.sort(key=lambda e: (e.side, _barycentre(e, upwards)))
            _number(members)
        crossings = _crossings(rows)
        if crossings < fewest:
            best, fewest = [list(members) for members in rows], crossings
    return best


def _number(members: list[_Entry]) -> None:
    """Let x be the place in the row; _spread gives the real one."""
    at = 0.0
    for e in members:
        e.x = at + e.width / 2
        at += e.width + NODE_GAP


def _barycentre(e: _Entry, upwards: bool) -> float:
    near = [other.x + shift for other, shift, _ in e.near if (other.row < e.row) == upwards]
    return sum(near) / len(near) if near else e.x


def _crossings(rows: list[list[_Entry]]) -> int:
    total = 0
    for members in rows:
        ends = sorted((e.x, other.x + shift) for e in members for other, shift, _ in e.near if other.row > e.row)
        seen: list[float] = []
        for _, end in ends:
            total += len(seen) - bisect_right(seen, end)
            insort(seen, end)
    return total


def _spread(rows: list[list[_Entry]]) -> None:
    """Give every entry its x: near to what it is linked with, at a distance from its neighbours."""
    for members in rows:
        _number(members)
        middle = members[-1].x / 2 if members else 0.0
        for e in members:
            e.x -= middle
    for sweep in range(6 * SWEEPS):
        for members in rows if sweep % 2 == 0 else reversed(rows):
            wanted, weights = [], []
            for e in members:
                total = sum(w for *_, w in e.near)
                mean = sum(w * (other.x + shift) for other, shift, w in e.near) / total if total else e.x
                wanted.append(mean)
                weights.append(total or 0.01)
            gaps = [
                (a.width + b.width) / 2 + (NODE_GAP if a.nodes and b.nodes else BEND_GAP) for a, b in pairwise(members)
            ]
            for e, at in zip(members, apart(wanted, weights, gaps), strict=True):
                e.x = at


def apart(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """The positions nearest to the wanted ones (weighted least squares) that keep their order and their distances.

    By pooling adjacent violators: neighbours that are too close become one block at their common mean.
    """
    shift = [0.0]
    for gap in gaps:
        shift.append(shift[-1] + gap)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, how many
    for want, weight, by in zip(wanted, weights, shift, strict=False):
        mean, count = want - by, 1
        while blocks and blocks[-1][0] >= mean:
            other, other_weight, others = blocks.pop()
            mean = (mean * weight + other * other_weight) / (weight + other_weight)
            weight, count = weight + other_weight, count + others
        blocks.append((mean, weight, count))
    means = [mean for mean, _, count in blocks for _ in range(count)]
    return [mean + by for mean, by in zip(means, shift, strict=False)]


def _heights(
    rows: list[list[_Entry]], runs: Sequence[Sequence[str]], row: Mapping[str, int], room_above: Mapping[int, float]
) -> list[tuple[float, float]]:
    extra: dict[int, float] = defaultdict(float)
    for k, run in enumerate(runs):
        if run:
            extra[max(row[v] for v in run)] += room_above.get(k, 0.0)
    bounds, low = [], 0.0
    for r, members in enumerate(rows):
        high = low + max(e.height for e in members)
        bounds.append((low, high))
        low = high + ROW_GAP + extra[r]
    return bounds


def _blocked(rows: list[list[_Entry]]) -> set[tuple[str, int]]:
    found = set()
    for members in rows:
        nodes = [v for e in members for v in e.nodes]
        found |= {(v, -1) for v in nodes[1:]} | {(v, 1) for v in nodes[:-1]}
    return found
