"""The inside of one cell: from left to right as time runs, the cell state along the top, the hidden state below.

It is the layered layout of `layout.py` turned on its side. States come in at places on the left border and leave at
places on the right one. A state with a *line* through the cell (f * c and then c, in an LSTM) has the top to itself,
straight from border to border; a second state, such as the h of an LSTM, comes in and leaves at the bottom.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..layout.curves import Curve, Point, right_angled, rounded, upwards
from ..layout.rows import LINE_GAP, ROW_GAP, Layout, Link, layout, stretched
from ..layout.states import shortest_chain
from ..layout.wires import TRACK
from ..looks.overlay import Room
from .blocks import INITIAL, Use

Size = tuple[float, float]
Entry = tuple[str, Use]  # the node that something comes in for, and for which of its uses
LANE_GAP = 16.0  # between what is in the top lane, or the bottom lane, and the rest
ENTRY = 11.0  # between two arrows that end at the same side
TURN = 18.0  # the width in which a line with a number turns
FIRST_LANE = 10.0  # from a column of nodes to the first line that runs up or down beside it
SIDE = 14.0  # from the nodes to a border that no arrow leads through


@dataclass(frozen=True, slots=True)
class State:
    """A state that crosses time: the node that it leaves, and where it arrives, one step on."""

    producer: str
    consumers: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Inside:
    """Coordinates from the lower left corner of the cell. enters, leaves: the height at which something comes in from
    the left border for a node, and at which a result leaves on the right one. lines: the way of every link; `into`
    and `out`: those from the left border and to the right one. clear: nodes with nothing below them. lane: the height
    of the top lane, 0 if there is none. sides: where what comes from below ends at the left side of a node with others
    below it, from the lowest to the highest."""

    at: dict[str, Point]
    width: float
    height: float
    enters: dict[Entry, float]
    leaves: dict[str, float]
    lines: dict[Link, Curve]
    into: dict[Entry, Curve]
    out: dict[str, Curve]
    clear: frozenset[str]
    channel: dict[str, float]  # the x of free space to the left of a node
    lane: float
    sides: dict[str, tuple[float, ...]]


def arrange(
    nodes: Sequence[str],
    size: Mapping[str, Size],
    links: Sequence[Link],
    arrivals: Sequence[Entry],
    exits: Sequence[str],
    states: Sequence[State],
    marks: frozenset[str] = frozenset(),
    grounded: frozenset[str] = frozenset(),
    from_below: Mapping[str, int] | None = None,
    narrowest: float = 0.0,
    lane: float = 0.0,
    room: Room | None = None,
) -> Inside:
    """Lay out a cell.

    nodes, links: each node before those that use it. arrivals: what comes in at the left border.
    exits: nodes whose results leave at the right border. states: those of them that cross time.
    from_below: how many lines come to a node from below the cell.
    narrowest: how wide it is at least. lane: how high its top lane is at least.
    """
    size = {v: size[v] for v in nodes}
    (top, top_in), (bottom, bottom_in) = _lanes(nodes, links, states)
    stacks = _stacks(nodes, links, top, bottom, marks)
    entry, leave = {into: f"> {into}" for into in arrivals}, {v: f"{v} >" for v in exits}
    alone = {v for v, count in Counter(v for v, _ in arrivals).items() if count == 1}
    sizes = {v: (high, wide) for v, (wide, high) in size.items()}  # turned on its side
    sizes |= dict.fromkeys((*entry.values(), *leave.values()), (2.0, 2.0))
    above = {entry[into] for into in arrivals if into[0] in top and (into in top_in or into[0] in alone)}
    below = {entry[into] for into in arrivals if into[0] in bottom and (into in bottom_in or into[0] in alone)}
    beginning = [into for into in arrivals if into[1] == INITIAL and (into[0], ()) in (*top_in, *bottom_in)]
    above |= {entry[into] for into in beginning if into[0] in top}
    below |= {entry[into] for into in beginning if into[0] in bottom}
    upper = {*top, *above, *(leave[v] for v in top if v in leave)}
    lower = {*bottom, *below, *(leave[v] for v in bottom if v in leave)} - upper
    every = [*links, *((entry[into], into[0]) for into in entry), *((v, leave[v]) for v in leave)]
    side = {v: (v in upper) - (v in lower or v in grounded) for v in sizes}
    # Older nodes above younger ones, where nothing else decides.
    runs = [list(entry.values()), list(reversed(nodes)), list(leave.values())]
    room = room or Room()
    drawn = layout(runs, sizes, every, stacks, side, room=max(0.0, room.within[1] / room.sideways - LINE_GAP))
    inner = {drawn.row[v] for v in nodes}  # what leads to or from the border has room beyond it
    more = max(room.lines / 2, room.within[0] - ROW_GAP)
    between = [more if {k, k + 1} <= inner else 0.0 for k in range(len(drawn.rows))]
    for k, fanned in _fanned(every, drawn, stacks).items():
        between[k] += room.lanes * (fanned - 1)
    for k, rising in _rising(drawn, _heights(drawn, sizes, upper, lower), from_below or {}).items():
        if k > 0:
            between[k - 1] += max(TRACK, room.lanes) * (rising - 1)
    drawn = stretched(drawn, between, room.sideways)
    y = _heights(drawn, sizes, upper, lower)
    low = min((y[v] - sizes[v][0] / 2 for v in nodes), default=0.0)
    low = min([low, *(y[v] for v in leave.values()), *(y[v] for v in entry.values())])
    y |= {v: max(y[v], low + lane) for v in upper}
    high = max((y[v] + sizes[v][0] / 2 for v in nodes), default=0.0)
    side_room = max(0.0 if entry and leave else SIDE, (narrowest - drawn.height) / 2)
    at = {v: (drawn.y[v] + side_room, y[v] - low) for v in drawn.y}
    wide = drawn.height + 2 * side_room
    for v in entry.values():
        at[v] = 0.0, at[v][1]
    for v in leave.values():
        at[v] = wide, at[v][1]
    columns = [(left + side_room, right + side_room) for left, right in drawn.rows]
    place = _Place(at, size, columns, drawn, stacks, room.lines > 0, room.lanes, from_below or {})
    for into in beginning:  # straight on to the node too, above the loop of its state
        at[entry[into]] = 0.0, at[into[0]][1] + 1.0
        at[entry[into]] = 0.0, place.ports(every)[entry[into], into[0]]
    lines = place.lines(every)
    return Inside(
        at={v: at[v] for v in nodes},
        width=wide,
        height=high - low,
        enters={into: at[entry[into]][1] for into in entry},
        leaves={v: at[leave[v]][1] for v in leave},
        lines={link: lines[link] for link in links},
        into={into: lines[entry[into], into[0]] for into in entry},
        out={v: lines[v, leave[v]] for v in leave},
        clear=frozenset(v for v in nodes if place.is_clear(v, nodes)),
        lane=at[top[0]][1] if top else 0.0,
        channel={v: columns[drawn.row[v]][0] - 9.0 for v in nodes},
        sides={v: place.sides(v, every) for v in nodes if not place.is_clear(v, nodes)},
    )


def _lanes(
    nodes: Sequence[str], links: Sequence[Link], states: Sequence[State]
) -> tuple[tuple[tuple[str, ...], tuple[Entry, ...]], tuple[tuple[str, ...], tuple[Entry, ...]]]:
    """What is in the top lane, from left to right, and what is in the bottom lane; and where their states come in."""
    targets: dict[str, list[str]] = defaultdict(list)
    for u, v in links:
        targets[u].append(v)
    found = []
    for s in states:
        chains = [chain for v, _ in s.consumers if (chain := shortest_chain(v, s.producer, targets))]
        if chains:
            # Where a state is also scaled and added to what comes of it, that is the line: the leak of a GRU.
            line = min(chains, key=lambda chain: (len(chain) == 1, len(chain)))
            found.append((len(line), nodes.index(s.producer), line, s))
    found.sort(key=lambda item: (item[0] == 1, *item[:2]))  # a running sum of losses is not the cell state
    top = found[0][2] if found else ()
    top_in = found[0][3].consumers if found else ()
    others = [s for s in states if not found or s is not found[0][3]]
    if not others:
        return (top, top_in), ((), ())
    # The h that is made of c; not the output that a decoder makes of h and reads again at the next step.
    others.sort(key=lambda s: nodes.index(s.producer))
    later = [s for s in others if top and nodes.index(s.producer) > nodes.index(top[-1])]
    hidden = later[0] if later else others[-1]
    before = _reaching(hidden.producer, links)
    entries = [v for v, _ in hidden.consumers if v in before and v not in top]
    bottom = tuple(dict.fromkeys(v for v in (*entries[:1], hidden.producer) if v not in top))
    return (top, top_in), (bottom, hidden.consumers)


def _reaching(end: str, links: Sequence[Link]) -> set[str]:
    found = {end}
    for u, v in reversed(links):  # later consumers first
        if v in found:
            found.add(u)
    return found | {end}


def _stacks(
    nodes: Sequence[str], links: Sequence[Link], top: Sequence[str], bottom: Sequence[str], marks: frozenset[str]
) -> list[list[str]]:
    """Nodes to stand above each other, each list from bottom to top: what hangs below the end of the top lane as a
    single chain, as far as to the bottom lane (c, tanh, h), and else marks below what they lead to."""
    targets: dict[str, list[str]] = defaultdict(list)
    for u, v in links:
        if v not in targets[u]:
            targets[u].append(v)
    found: list[list[str]] = []
    chain = list(top[-1:])
    while chain and len(targets[chain[-1]]) == 1 and chain[-1] not in bottom:
        chain.append(targets[chain[-1]][0])
    if len(chain) > 1 and (not targets[chain[-1]] or chain[-1] in bottom):
        found.append(chain[::-1])
    taken = {*top[:-1], *bottom, *(v for stack in found for v in stack)}
    for v in reversed(nodes):
        if v in marks and v not in taken and len(targets[v]) == 1 and targets[v][0] not in taken:
            found.append([v, targets[v][0]])
            taken.update(found[-1])
    return found


def _fanned(links: Sequence[Link], drawn: Layout, stacks: Sequence[Sequence[str]]) -> dict[int, int]:
    """By column: how many lines leave nodes of it that more than one leaves, and so need a lane of their own."""
    beside = Counter(u for u, v in links if not any(u in stack and v in stack for stack in stacks))
    found: dict[int, int] = defaultdict(int)
    for u, count in beside.items():
        if count > 1:
            found[drawn.row[u]] += count
    return found


def _rising(drawn: Layout, y: Mapping[str, float], from_below: Mapping[str, int]) -> dict[int, int]:
    """By column: how many lines run up beside it, from below the cell to nodes with others below them."""
    lowest: dict[int, float] = defaultdict(lambda: math.inf)
    for v in from_below:
        lowest[drawn.row[v]] = min(lowest[drawn.row[v]], y[v])
    found: dict[int, int] = defaultdict(int)
    for v, count in from_below.items():
        if count and y[v] > lowest[drawn.row[v]]:
            found[drawn.row[v]] += count
    return found


def _heights(drawn: Layout, sizes: Mapping[str, Size], upper: set[str], lower: set[str]) -> dict[str, float]:
    """The height of every node: what is in a lane above, or below, all that is not."""
    y = dict(drawn.x)
    free = [v for v in y if v not in upper and v not in lower]
    if upper:
        ceiling = max([y[v] + sizes[v][0] / 2 for v in free], default=0.0)
        half = max(sizes[v][0] for v in upper) / 2
        lane = ceiling + LANE_GAP + half if free else half
        y |= dict.fromkeys(upper, lane)
    if lower:
        ground = min([y[v] - sizes[v][0] / 2 for v in free], default=0.0)
        half = max(sizes[v][0] for v in lower) / 2
        y |= dict.fromkeys(lower, ground - LANE_GAP - half)
    return y


@dataclass(frozen=True, slots=True)
class _Place:
    """Nodes where they stand, to draw lines between. apart: whether lines that end at the same node are to be told
    apart over most of their way, since numbers stand on them. between_lanes: from line to line of those that
    begin at the same node, each of which has a way of its own."""

    at: Mapping[str, Point]
    size: Mapping[str, Size]
    columns: Sequence[tuple[float, float]]
    drawn: Layout
    stacks: Sequence[Sequence[str]]
    apart: bool
    between_lanes: float
    from_below: Mapping[str, int]

    def _half(self, v: str) -> Size:
        wide, high = self.size.get(v, (0.0, 0.0))
        return wide / 2, high / 2

    def is_clear(self, v: str, nodes: Iterable[str]) -> bool:
        column, y = self.drawn.row[v], self.at[v][1]
        return not any(self.drawn.row[u] == column and self.at[u][1] < y for u in nodes)

    def lines(self, links: Sequence[Link]) -> dict[Link, Curve]:
        port = self.ports(links)
        beside = [link for link in links if not self._stacked(*link)]
        begin, end = Counter(u for u, _ in beside), Counter(v for _, v in beside)
        goal = {(u, v): next((y for y, *_ in self._bends(u, v)), port[u, v]) for u, v in beside if begin[u] > 1}
        leaves_at = self._exits(goal)
        lane = self._lanes(goal, leaves_at)
        found = {}
        for u, v in links:
            if self._stacked(u, v):
                (x, y), (_, tip_y) = self.at[u], self.at[v]
                up = 1 if y < tip_y else -1
                found[u, v] = right_angled([(x, y + up * self._half(u)[1]), (x, tip_y - up * self._half(v)[1])])
                continue
            (x, y), tip_x = self.at[u], self.at[v][0] - self._half(v)[0]
            if (u, v) in lane:
                # From within the node, since an ellipse is not as wide there as in the middle.
                start = x + 0.6 * self._half(u)[0], leaves_at[u, v]
                tip = tip_x, port[u, v]
                found[u, v] = self._along_lane(start, lane[u, v], goal[u, v], self._bends(u, v), tip, v)
                continue
            leaves = self.columns[self.drawn.row[u]][1] if u in self.size else x
            enters = self.columns[self.drawn.row[v]][0] if v in self.size else tip_x
            bends = self._bends(u, v)
            if self.apart and not bends and begin[u] < end[v]:
                leaves = max(leaves, enters - TURN)
            begins = leaves_at.get((u, v), y), x + self._half(u)[0]
            found[u, v] = _turned(upwards(begins, leaves, bends, enters, (port[u, v], tip_x)))
        return found

    def _along_lane(
        self,
        start: Point,
        lane: float,
        goal: float,
        bends: Sequence[tuple[float, float, float]],
        tip: Point,
        target: str,
    ) -> Curve:
        """Up or down in its lane, and on from there at the height of what comes next."""
        corners = [start, (lane, start[1]), (lane, goal)]
        if not bends:
            curve = right_angled([*corners, tip])
            return Curve(curve.points, curve.tip, _beside(tip))
        enters = self.columns[self.drawn.row[target]][0] if target in self.size else tip[0]
        onward = bends[0][1]
        rest = _turned(upwards((goal, onward), onward, bends, enters, (tip[1], tip[0])))
        return Curve((*rounded([*corners, (onward, goal)])[:-1], *rest.points), rest.tip, rest.label)

    def _exits(self, goal: Mapping[Link, float]) -> dict[Link, float]:
        """The height at which each of several lines leaves its node, the highest for where it is to go highest; the
        one that goes straight on in the middle."""
        leaving: dict[str, list[tuple[float, str]]] = defaultdict(list)
        for (u, v), height in goal.items():
            leaving[u].append((height, v))
        return {
            (u, v): at
            for u, goers in leaving.items()
            for v, at in _spread(sorted(goers), self.at[u][1], 0.8 * self._half(u)[1], self.between_lanes)
        }

    def _lanes(self, goal: Mapping[Link, float], leaves_at: Mapping[Link, float]) -> dict[Link, float]:
        """The x at which each of these lines runs up or down. What goes furthest is next to its node: so no line
        crosses another of the same node."""
        taken: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
        number: dict[Link, int] = {}
        last: dict[tuple[str, bool], int] = {}
        ways = [(abs(height - leaves_at[link]), link) for link, height in goal.items()]
        for length, (u, v) in sorted(ways, key=lambda way: -way[0]):
            if length < 0.01:
                continue
            low, high = sorted((goal[u, v], leaves_at[u, v]))
            column, is_up = self.drawn.row[u], goal[u, v] > leaves_at[u, v]
            k = last.get((u, is_up), -1) + 1
            while any(low < b + ENTRY and a - ENTRY < high for a, b in taken[column, k]):
                k += 1
            taken[column, k].append((low, high))
            number[u, v] = last[u, is_up] = k
        found = {}
        for (u, v), k in number.items():
            column = self.drawn.row[u]
            leaves = self.columns[column][1]
            enters = self.columns[column + 1][0]
            many = 1 + max(j for (c, j), inside in taken.items() if c == column and inside)
            step = min(self.between_lanes, (enters - leaves - 2 * FIRST_LANE) / many)
            found[u, v] = leaves + FIRST_LANE + k * step
        return found

    def _stacked(self, u: str, v: str) -> bool:
        return any(u in stack and v in stack for stack in self.stacks)

    def _bends(self, u: str, v: str) -> list[tuple[float, float, float]]:
        """Where a long link passes the columns between: as high as its source, or as near to that as nodes allow."""
        found = []
        y = self.at[u][1]
        for _, low, _ in self.drawn.bends.get((u, v), ()):
            k = self._column(low)
            y = _nearest_free(y, self._walls(k))
            found.append((y, *self.columns[k]))
        return found

    def _walls(self, column: int) -> list[tuple[float, float]]:
        inside = [v for v in self.size if self.drawn.row[v] == column]
        return sorted((self.at[v][1] - self._half(v)[1] - 7, self.at[v][1] + self._half(v)[1] + 7) for v in inside)

    def _column(self, low: float) -> int:
        return min(range(len(self.columns)), key=lambda k: abs(self.drawn.rows[k][0] - low))

    def ports(self, links: Sequence[Link]) -> dict[Link, float]:
        """Where arrows end at the left side of a node: the one from the same height in the middle."""
        arriving: dict[str, list[tuple[float, str]]] = {v: self._lowest(v) for v in self.size}
        for u, v in links:
            if not self._stacked(u, v):
                bends = self._bends(u, v)
                arriving.setdefault(v, []).append((bends[-1][0] if bends else self.at[u][1], u))
        return {
            (u, v): at
            for v, comers in arriving.items()
            for u, at in _spread(sorted(comers), self.at[v][1], 0.7 * self._half(v)[1], ENTRY)
        }

    def _lowest(self, v: str) -> list[tuple[float, str]]:
        """What comes from below the cell to the side of a node, since others stand below it."""
        if self.is_clear(v, self.size):
            return []
        return [(-math.inf, f"< {k}") for k in range(self.from_below.get(v, 0))]

    def sides(self, v: str, links: Sequence[Link]) -> tuple[float, ...]:
        """Where that arrives, from the lowest to the highest."""
        port = self.ports(links)
        return tuple(sorted(port[u, v] for _, u in self._lowest(v)))


def _spread(ends: Sequence[tuple[float, str]], middle: float, reach: float, step: float) -> list[tuple[str, float]]:
    """Where lines touch the side of a node, from below. ends: the height of the other end of each, and what is there.
    middle: of the side, where the one touches it that is straight. reach: from there. step: between two, at most."""
    straight = [k for k, (height, _) in enumerate(ends) if abs(height - middle) < 0.01]
    central = straight[0] if straight else (len(ends) - 1) / 2
    step = min(step, reach / max(1.0, central, len(ends) - 1 - central))
    return [(v, middle + (k - central) * step) for k, (_, v) in enumerate(ends)]


def _nearest_free(y: float, walls: Sequence[tuple[float, float]]) -> float:
    low = high = y
    for a, b in walls:  # upwards
        high = b if a < high < b else high
    for a, b in reversed(walls):
        low = a if a < low < b else low
    return low if y - low < high - y else high


def _turned(curve: Curve) -> Curve:
    points = tuple((x, y) for y, x in curve.points)
    tip = curve.tip[1], curve.tip[0]
    return Curve(points, tip, _beside(tip))


def _beside(tip: Point) -> Point:
    return tip[0] - 12, tip[1] + 8
