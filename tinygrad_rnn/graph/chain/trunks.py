"""Lines from cell to cell: along the time axis between cells, up from layer to layer, in loops where time is rolled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..layout.curves import Curve, Point, ports, right_angled, rounded, upwards
from ..layout.wires import Wire, tracks
from ..looks.marks import lag_text
from ..text.labels import Line, width
from ..views.figure import Edge, Figure
from .blocks import Block, Blocks
from .cell import ENTRY, Inside, Size

BESIDE = 15.0  # from a slot to the first line that runs up or down beside it
OVER = 16.0  # from the tops of the cells to the first line that runs above them
WORDS = 18.0  # from line to line of the words beside loops
LANE = 10.0  # from a cell to the first line that runs along above or below it

Way = Literal["side", "below", "gap"]


@dataclass(frozen=True, slots=True)
class Trunk:
    """An edge that leads into a block. source: its block, None for a leaf.

    way: how it arrives: at the side of a cell, from below it, at a gap.
    lane: which line along the target it takes, counted from 1: above the cell, below it if negative, 0 for none.
    """

    edge: Edge
    source: Block | None
    target: Block
    way: Way
    lane: int = 0

    @property
    def is_loop(self) -> bool:
        return self.edge.lag != 0 and self.lane != 0

    @property
    def strand(self) -> str:
        """All that shares one line up or down: the loops of a state, or all else that becomes of a result."""
        return f"{self.edge.source} again" if self.is_loop else self.edge.source

    @property
    def leaves(self) -> int:
        """1 if it leaves its node above what goes straight on, -1 below that, as loops do."""
        return (self.lane > 0) - (self.lane < 0) if self.is_loop else 0


@dataclass(frozen=True, slots=True)
class Routed:
    """heights: at which it runs from side to side; between them it runs up or down in these gutters (number k is to
    the right of slot k). start, end: the sides of source and target (-1 left, 1 right, 0 the top of a gap).
    aside: how far above the middle of its node it leaves."""

    trunk: Trunk
    heights: tuple[float, ...]
    gutters: tuple[int, ...]
    start: int
    end: int
    aside: float = 0.0


def trunks(figure: Figure, cut: Blocks, inside: Mapping[int, Inside]) -> list[Trunk]:
    """Every edge that does not stay inside a block."""
    loose = {v for inner in cut.loose.values() for v in inner}
    lanes: dict[object, dict[str, int]] = defaultdict(dict)
    found = []
    for e in figure.edges:
        source, target = cut.of.get(e.source), cut.of[e.target]
        if cut.is_inside(e):
            continue
        if target.gap is not None:
            found.append(Trunk(e, source, target, "gap"))
        elif source is None:
            found.append(Trunk(e, None, target, "side" if e.source in loose else "below"))
        elif source.slot != target.slot:
            found.append(Trunk(e, source, target, "side"))
        else:
            way: Way = "side" if e.lag or source is target else "below"
            own = inside[id(target)]
            above = way == "side" and own.enters[cut.entry(e)] > own.height / 2
            along = lanes[target.slot, target.row, above]
            lane = along.setdefault(e.source, len(along) + 1)
            found.append(Trunk(e, source, target, way, lane if above else -lane))
    return found


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands where. low: the lowest y of each block. y: of every node. top: of all blocks. apart: how far lines
    that run beside each other are."""

    cut: Blocks
    inside: Mapping[int, Inside]
    low: Mapping[int, float]
    high: Mapping[int, float]
    sizes: Mapping[str, Size]
    y: Mapping[str, float]
    top: float
    pad: float
    apart: float

    def routed(self, wires: Sequence[Trunk]) -> list[Routed]:
        """Every trunk but those of leaves, which stand right below."""
        walls = self._walls()
        level: dict[str, int] = {}
        aside = self._aside(wires)
        return [
            self._route(w, walls, level, aside.get((w.edge.source, w.leaves), 0.0))
            for w in wires
            if not (w.source is None and w.way != "side")
        ]

    def _aside(self, wires: Sequence[Trunk]) -> dict[tuple[str, int], float]:
        """How far above the middle of their node its loops leave it, so that one sees how many lines do."""
        ways: dict[str, set[int]] = defaultdict(set)
        for w in wires:
            if w.source is not None and w.source.gap is None:
                ways[w.edge.source].add(w.leaves)
        found: dict[tuple[str, int], float] = {}
        for v, leaving in ways.items():
            order = sorted(leaving)
            straight = order.index(0) if 0 in leaving else (len(order) - 1) / 2
            step = min(ENTRY, 0.35 * self.sizes[v][1])
            found |= {(v, way): (k - straight) * step for k, way in enumerate(order)}
        return found

    def _walls(self) -> dict[int, list[tuple[float, float]]]:
        """For each slot what stands in the way there."""
        found: dict[int, list[tuple[float, float]]] = defaultdict(list)
        for b in self.cut.all:
            found[b.slot].append((self.low[id(b)] - 4, self.high[id(b)] + 4))
            found[b.slot] += [self._around(v) for v in b.below]
        for slot, inner in self.cut.loose.items():
            found[slot] += [self._around(v) for v in inner]
        return found

    def _around(self, v: str) -> tuple[float, float]:
        return self.y[v] - self.sizes[v][1] / 2 - 4, self.y[v] + self.sizes[v][1] / 2 + 4

    def _route(
        self, w: Trunk, walls: Mapping[int, list[tuple[float, float]]], level: dict[str, int], aside: float
    ) -> Routed:
        e, source, target = w.edge, w.source, w.target
        ahead = self._slot(w) < target.slot
        start_side, end_side = self._sides(w, ahead)
        out = self._slot(w) if start_side > 0 else self._slot(w) - 1
        into = target.slot if end_side > 0 else target.slot - 1
        start = self._leaving(source, e.source)
        end = self._arriving(w)
        if start is None:
            start = end if end is not None else self.top / 2
        if end is None:
            end = start
        if w.lane:
            own = self.low[id(target)] if w.lane < 0 else self.high[id(target)]
            along = own + (LANE + self.apart * (abs(w.lane) - 1)) * (1 if w.lane > 0 else -1)
            if w.way == "below":
                return Routed(w, (start, along), (out,), start_side, 0)
            return Routed(w, (start + aside, along, end), (out, into), start_side, end_side, aside)
        passed = range(min(out, into) + 1, max(out, into) + 1)
        free = [all(not (a < h < b) for slot in passed for a, b in walls[slot]) for h in (start, end)]
        if free[0] and abs(start - end) < 0.5:
            return Routed(w, (start,), (), start_side, end_side)
        if free[0] and target.gap is None:
            return Routed(w, (start, end), (into,), start_side, end_side)
        if free[1] and (source is None or source.gap is None):
            return Routed(w, (start, end), (out,), start_side, end_side)
        over = self.top + OVER + self.apart * level.setdefault(e.source, len(level))
        heights, gutters = [over], []
        if source is None or source.gap is None:
            heights, gutters = [start, *heights], [out]
        else:
            start_side = 0
        if target.gap is None:
            heights, gutters = [*heights, end], [*gutters, into]
        else:
            end_side = 0
        return Routed(w, tuple(heights), tuple(gutters), start_side, end_side)

    def _slot(self, w: Trunk) -> int:
        if w.source is not None:
            return w.source.slot
        return next(slot for slot, inner in self.cut.loose.items() if w.edge.source in inner)

    def _sides(self, w: Trunk, ahead: bool) -> tuple[int, int]:
        start = end = 1 if ahead else -1
        if w.source is not None and w.source.gap is None:
            start = -1 if w.source.backwards else 1
        end = -end
        if w.target.gap is None:
            end = 1 if w.target.backwards else -1
        return start, end

    def _leaving(self, source: Block | None, v: str) -> float | None:
        if source is None:
            return self.y[v]
        return None if source.gap is not None else self.low[id(source)] + self.pad + self.inside[id(source)].leaves[v]

    def _arriving(self, w: Trunk) -> float | None:
        if w.way != "side":
            return None
        return self.low[id(w.target)] + self.pad + self.inside[id(w.target)].enters[self.cut.entry(w.edge)]


def tracks_of(routed: Sequence[Routed]) -> dict[tuple[int, str], int]:
    """For each gutter and each strand that runs up or down in it: which track, counted from the left, or from the cells
    where all are to the right of it. Those of loops stand next to their own cells."""
    segments = []
    for r in routed:
        for k, gutter in enumerate(r.gutters):
            a, b = r.heights[k], r.heights[k + 1]
            own = replace(r.trunk.edge, source=r.trunk.strand)
            segments.append(Wire(own, 1, a, b, "side", "side", (gutter,), False))
    side, least_crossings = sides_of_loops(routed), tracks(segments)
    found: dict[tuple[int, str], int] = {}
    count: dict[int, int] = defaultdict(int)
    for key in sorted(
        least_crossings, key=lambda key: (side.get(key, 0) * (1 if key[0] >= 0 else -1), least_crossings[key])
    ):
        found[key] = count[key[0]]
        count[key[0]] += 1
    return found


def sides_of_loops(routed: Sequence[Routed]) -> dict[tuple[int, str], int]:
    """Of each gutter and strand where a loop runs up or down: -1 if its cell is to the left of the gutter, else 1."""
    loops = [r for r in routed if r.trunk.is_loop]
    return {(k, r.trunk.strand): -1 if k == r.trunk.target.slot else 1 for r in loops for k in r.gutters}


def worded(routed: Sequence[Routed]) -> set[int]:
    """The gutters in which words stand beside loops, each where it begins."""
    return {r.gutters[0] for r in routed if r.trunk.is_loop}


@dataclass(frozen=True, slots=True)
class Page:
    """Where everything stands. left: of each block. borders: the left and the right of each slot. side: see
    sides_of_loops. words: how much room there is in a gutter for words beside loops. apart: see Frame."""

    at: Mapping[str, Point]
    left: Mapping[int, float]
    borders: Sequence[tuple[float, float]]
    track: Mapping[tuple[int, str], int]
    side: Mapping[tuple[int, str], int]
    words: Mapping[int, float]
    apart: float

    def gutter(self, k: int, strand: str) -> float:
        """The x of the track in gutter k that belongs to a strand."""
        side = self.side.get((k, strand), 0)
        words = self.words.get(k, 0.0)
        if k < 0:
            return self.borders[0][0] - BESIDE - self.apart * self.track[k, strand] - (words if side == 0 else 0.0)
        is_after_loops = side == 0 and -1 in {of for (at, _), of in self.side.items() if at == k}
        beyond_words = words if side == 1 or is_after_loops else 0.0
        return self.borders[k][1] + BESIDE + self.apart * self.track[k, strand] + beyond_words

    def beside_loops(self, k: int, start: int) -> float:
        """The x of the last loop in gutter k before the room for words. start: see Routed."""
        return start * max(
            start * self.gutter(*key) for key, side in self.side.items() if key[0] == k and side == -start
        )


def lines(figure: Figure, frame: Frame, wires: Sequence[Trunk], routed: Sequence[Routed], page: Page) -> list[Curve]:
    """One curve for each edge, in their order."""
    way_of = {r.trunk.edge: r for r in routed}
    entry = _entries(frame, wires, way_of, page)
    turn = _turns(frame, wires, page, entry)
    found = []
    for e in figure.edges:
        block = frame.cut.of[e.target]
        if e in way_of:
            found.append(_trunk_line(way_of[e], frame, page, entry))
        elif e in entry:
            found.append(_from_leaf(e, block, frame, page, entry[e], turn.get((id(block), e.source), 0.0)))
        else:
            found.append(_moved(frame.inside[id(block)].lines[e.source, e.target], block, frame, page))
    return _apart(figure.edges, found)


def _apart(edges: Sequence[Edge], drawn: list[Curve]) -> list[Curve]:
    """Words about loops, such as from t - 1 and from t - 2 of the same state, below each other."""
    used: list[Point] = []
    found = []
    for e, curve in zip(edges, drawn, strict=True):
        if e.lag:
            x, y = curve.label
            while any(abs(x - other_x) < 3 * WORDS and abs(y - other_y) < WORDS for other_x, other_y in used):
                y -= WORDS
            used.append((x, y))
            curve = replace(curve, label=(x, y))
        found.append(curve)
    return found


def _entries(
    frame: Frame, wires: Sequence[Trunk], way_of: Mapping[Edge, Routed], page: Page
) -> dict[Edge, tuple[float, float | None]]:
    """For what comes from below: the x at which it goes up, and the height at which it turns to the side of a node
    that has others below it (None: it goes straight up to the node)."""
    comers: dict[str, list[tuple[float, Edge]]] = defaultdict(list)
    for w in wires:
        if w.way == "below":
            r = way_of.get(w.edge)
            x = page.at[w.edge.source][0] if r is None else 1e6 * r.start
            comers[w.edge.target].append((x, w.edge))
        elif w.way == "gap" and w.source is None:
            comers[w.edge.target].append((page.at[w.edge.source][0], w.edge))
    found: dict[Edge, tuple[float, float | None]] = {}
    used: dict[tuple[int, float], int] = defaultdict(int)
    for v, coming in sorted(comers.items(), key=lambda item: page.at[item[0]][1]):  # the lowest is next to its column
        coming.sort(key=lambda item: item[0])
        block, (x, _), (wide, _) = frame.cut.of[v], page.at[v], frame.sizes[v]
        if block.gap is not None:
            found |= {e: (from_x, None) for from_x, e in coming}
        elif v in frame.inside[id(block)].clear:
            xs = ports(x, wide, len(coming))
            found |= {e: (at, None) for (_, e), at in zip(coming, xs, strict=True)}
        else:
            channel = page.left[id(block)] + frame.inside[id(block)].channel[v]
            base = frame.low[id(block)] + frame.pad
            last_first = coming[:: -_onward(block)]
            for (_, e), side in zip(last_first, frame.inside[id(block)].sides[v], strict=True):
                column = id(block), round(channel, 1)
                found[e] = channel - _onward(block) * frame.apart * used[column], base + side
                used[column] += 1
    return found


def _trunk_line(r: Routed, frame: Frame, page: Page, entry: Mapping[Edge, tuple[float, float | None]]) -> Curve:
    e, source, target = r.trunk.edge, r.trunk.source, r.trunk.target
    begin: list[Point] = []
    if source is None:
        x, y = page.at[e.source]
        corners = [(x + r.start * frame.sizes[e.source][0] / 2, y)]
    elif source.gap is not None:
        x, y = page.at[e.source]
        wide, high = frame.sizes[e.source]
        corners = [(x + r.start * wide / 2, r.heights[0])] if r.start else [(x, y + high / 2), (x, r.heights[0])]
    else:
        out = _moved(frame.inside[id(source)].out[e.source], source, frame, page)
        begin = [(x, y + r.aside) for x, y in (*out.points[:-1], out.tip)]
        if r.aside:  # from within the node, since an ellipse is not as wide there as in the middle
            begin[0] = (0.6 * begin[0][0] + 0.4 * page.at[e.source][0], begin[0][1])
        corners = begin[-1:]
    for k, gutter in enumerate(r.gutters):
        x = page.gutter(gutter, r.trunk.strand)
        corners += [(x, r.heights[k]), (x, r.heights[k + 1])]
    if target.gap is not None:
        x, y = page.at[e.target]
        wide, high = frame.sizes[e.target]
        end = [(x + r.end * wide / 2, r.heights[-1])] if r.end else [(x, r.heights[-1]), (x, y + high / 2)]
        return _joined(begin, right_angled([*corners, *end]))
    if r.trunk.way == "below":
        x, side = entry[e]
        _, y = page.at[e.target]
        half = frame.sizes[e.target]
        end = [(x, r.heights[-1]), (x, y - half[1] / 2)]
        if side is not None:
            end = [(x, r.heights[-1]), (x, side), (page.at[e.target][0] - _onward(target) * half[0] / 2, side)]
        return _joined(begin, right_angled([*corners, *end]))
    into = _moved(frame.inside[id(target)].into[frame.cut.entry(e)], target, frame, page)
    path = _distinct([*corners, into.points[0]])
    middle = rounded(path) if len(path) > 1 else path
    if e.lag:  # what is written about a loop stands beside it, about any other line above its end
        words = width(Line(lag_text(e.lag), 15, italic=True)) / 2 + 6
        label = into.tip[0] - words, into.tip[1] + 10
        if r.trunk.lane:
            label = page.beside_loops(r.gutters[0], r.start) + r.start * words, (r.heights[0] + r.heights[1]) / 2
        into = Curve(into.points, into.tip, label)
    return _joined([*begin[:-1], *middle] if begin else middle, into)


def _distinct(path: Sequence[Point]) -> list[Point]:
    found = [path[0]]
    for p in path[1:]:
        if abs(p[0] - found[-1][0]) + abs(p[1] - found[-1][1]) > 0.01:
            found.append(p)
    return found


def _joined(begin: Sequence[Point], curve: Curve) -> Curve:
    if not begin:
        return curve
    return Curve((*begin[:-1], *curve.points), curve.tip, curve.label)


def _turns(
    frame: Frame, wires: Sequence[Trunk], page: Page, entry: Mapping[Edge, tuple[float, float | None]]
) -> dict[tuple[int, str], float]:
    """How far below its cell the line of each leaf turns, where one leads to the side of a node: below the loops, and
    none where another does that it would run along."""
    lanes: dict[int, int] = defaultdict(int)
    going: dict[tuple[int, bool], set[str]] = defaultdict(set)
    block_of = {id(b): b for b in frame.cut.all}
    turning = {id(w.target) for w in wires if w.source is None and w.edge in entry and entry[w.edge][1] is not None}
    for w in wires:
        lanes[w.target.row] = max(lanes[w.target.row], -w.lane)
        if w.source is None and w.edge in entry and id(w.target) in turning:
            going[id(w.target), entry[w.edge][0] > page.at[w.edge.source][0]].add(w.edge.source)
    first = {id(b): LANE + frame.apart * (lanes[b.row] - 1) + 7.0 if lanes[b.row] else 6.0 for b in frame.cut.all}
    found: dict[tuple[int, str], float] = {}
    for (block, ahead), leaves in going.items():
        tops = [frame.y[v] + frame.sizes[v][1] / 2 for v in block_of[block].below]
        step = min(frame.apart, (frame.low[block] - first[block] - max(tops) - 6.0) / len(leaves))
        order = sorted(leaves, key=lambda v: page.at[v][0], reverse=not ahead)
        found |= {(block, v): max(found.get((block, v), 0.0), first[block] + k * step) for k, v in enumerate(order)}
    return found


def _from_leaf(
    e: Edge, block: Block, frame: Frame, page: Page, entry: tuple[float, float | None], below: float
) -> Curve:
    (x, y), (at, side) = page.at[e.source], entry
    start = x, y + frame.sizes[e.source][1] / 2
    target_x, target_y = page.at[e.target]
    wide, high = frame.sizes[e.target]
    tops = [frame.y[v] + frame.sizes[v][1] / 2 for v in block.below]
    low = frame.low[id(block)]
    turn = low - below
    if side is None and below:
        return right_angled([start, (x, turn), (at, turn), (at, target_y - high / 2)])
    if side is None:
        return upwards(start, max(tops), [], low, (at, target_y - high / 2))
    return right_angled([start, (x, turn), (at, turn), (at, side), (target_x - _onward(block) * wide / 2, side)])


def _onward(block: Block) -> int:
    """1 where it is drawn from left to right, -1 from right to left."""
    return -1 if block.backwards else 1


def _moved(curve: Curve, block: Block, frame: Frame, page: Page) -> Curve:
    dx, dy = page.left[id(block)], frame.low[id(block)] + frame.pad
    tip, label = curve.tip, curve.label
    return Curve(
        tuple((x + dx, y + dy) for x, y in curve.points), (tip[0] + dx, tip[1] + dy), (label[0] + dx, label[1] + dy)
    )
