"""A folded figure with coordinates: cells beside each other in time, layers above each other, every cell alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from ..layout.boxes import HEADING, Box
from ..layout.columns import Column
from ..layout.curves import Point
from ..layout.placement import Placement
from ..layout.rows import apart
from ..layout.wires import TRACK
from ..looks.overlay import Room
from ..views.figure import Figure, Node
from .blocks import Block, Blocks, blocks
from .cell import Inside, Size
from .insides import insides, words_above
from .trunks import BESIDE, Frame, Page, Trunk, lines, sides_of_loops, tracks_of, trunks, worded

PAD = 16.0  # between the nodes and the border of a cell, above and below
GUTTER = 44.0  # between slots
LEAF_GAP = 10.0  # between leaves beside each other
STRIP = 26.0  # from a cell to the leaves below it
ROW_SPACE = 26.0  # between layers
STACK_GAP = 14.0  # between initial states
FROM_LOOP = BESIDE + 10.0  # from a cell to a number on a line that leads on beside a loop


def place_cells(
    figure: Figure, size: Callable[[Node], Size], room: Room | None = None
) -> tuple[list[Column], Placement]:
    """Lay a folded figure out, time from left to right, layers from below to above.

    size: how much room the text and the shape of a node need. room: more of it between nodes.
    """
    room = room or Room()
    beside = max(TRACK, room.lanes)
    cut = blocks(figure)
    sizes = {n.id: size(n) for n in figure.nodes}
    inside = insides(figure, cut, sizes, room)
    bordered = {id(b): b.gap is None and (b.step is not None or b.scope != "") for b in cut.all}
    wires = trunks(figure, cut, inside)
    turning = [len(b.below) for b in cut.all if b.gap is None and any(inside[id(b)].sides.values())]
    strip = STRIP + room.below + beside * max(0, max(turning, default=0) - 3)  # there is room for three anyway
    low, top = _heights(figure, cut, inside, bordered, sizes, wires, strip, beside)
    users = {e.source: e.target for e in reversed(figure.edges)}
    strips = {id(b): _strip(b, inside.get(id(b)), sizes, users) for b in cut.all}
    y = {v: low[id(b)] + PAD + py for b in cut.all if b.gap is None for v, (_, py) in inside[id(b)].at.items()}
    ground = min(low.values(), default=0.0)
    y |= {b.gap: (ground + top) / 2 for b in cut.all if b.gap is not None}
    sizes |= {b.gap: (sizes[b.gap][0], top - ground) for b in cut.all if b.gap is not None}
    y |= _leaf_heights(cut, low, sizes, wires, strip, beside)
    y |= _loose_heights(figure, cut, inside, low, sizes)
    tall = {id(b): inside[id(b)].height + 2 * PAD + HEADING * bordered[id(b)] for b in cut.all if b.gap is None}
    tallest: dict[int, float] = defaultdict(float)
    for b in cut.all:
        if b.step is not None and b.gap is None:
            tallest[b.row] = max(tallest[b.row], tall[id(b)])
    tall |= {id(b): tallest[b.row] for b in cut.all if b.step is not None and b.gap is None}
    high = {k: y0 + tall[k] if k in tall else top for k, y0 in low.items()}
    frame = Frame(cut, inside, low, high, sizes, y, top, PAD, beside)
    routed = frame.routed(wires)
    track = tracks_of(routed)
    words = dict.fromkeys(worded(routed), room.loops)
    side = sides_of_loops(routed)
    gutter = max(GUTTER + room.columns / 2, room.numbers)
    looped = {k: max(0.0, room.numbers + FROM_LOOP - gutter) for k, _ in side}
    beyond = {k: words.get(k, 0.0) + looped.get(k, 0.0) for k in range(cut.slots)}
    borders = _borders(cut, inside, strips, sizes, track, gutter, beyond, beside)
    at: dict[str, Point] = {}
    left: dict[int, float] = {}
    for b in cut.all:
        middle = sum(borders[b.slot]) / 2
        if b.gap is not None:
            left[id(b)] = middle - sizes[b.gap][0] / 2
            at[b.gap] = middle, y[b.gap]
        else:
            left[id(b)] = middle - inside[id(b)].width / 2
            at |= {v: (left[id(b)] + px, y[v]) for v, (px, _) in inside[id(b)].at.items()}
        at |= {v: (left[id(b)] + px, y[v]) for v, px in strips[id(b)].items()}
    at |= {v: (sum(borders[slot]) / 2, y[v]) for slot, inner in cut.loose.items() for v in inner}
    page = Page(at, left, borders, track, side, words, beside)
    drawn = lines(figure, frame, wires, routed, page)
    boxes = tuple(
        _box(b, left[id(b)], inside[id(b)].width, low[id(b)], high[id(b)], figure) for b in cut.all if bordered[id(b)]
    )
    boxed = {v for box in boxes for v in box.nodes}
    return _columns(cut, figure.view == "rolled"), Placement(
        at=at,
        sizes=sizes,
        boxes=boxes,
        loose=tuple(n.id for n in figure.nodes if n.id not in boxed),
        curves=tuple(drawn),
        borders=tuple(borders),
        low=min([at[v][1] - sizes[v][1] / 2 for v in at] + [py for c in drawn for _, py in c.points], default=0.0),
        right=borders[-1][1] + words.get(cut.slots - 1, -GUTTER) + GUTTER if borders else 0.0,
        high=max([top, *(py for c in drawn for _, py in c.points)]),
    )


def _columns(cut: Blocks, is_rolled: bool) -> list[Column]:
    """The slots, as those who write beside them need them."""
    found = [Column(None, None, "", (), tuple(cut.loose.get(slot, ()))) for slot in range(cut.slots)]
    for b in cut.all:
        found[b.slot] = Column(None if b.gap is not None or is_rolled else b.step, b.gap, "", (), ())
    return found


def _box(b: Block, left: float, wide: float, low: float, high: float, figure: Figure) -> Box:
    scope, step = words_above(b, figure)
    return Box(scope, step, (left, low, left + wide, high), tuple(b.nodes), (), True)


# Heights ------------------------------------------------------------------------------------------------------------


def _heights(
    figure: Figure,
    cut: Blocks,
    inside: Mapping[int, Inside],
    bordered: Mapping[int, bool],
    sizes: Mapping[str, Size],
    wires: Sequence[Trunk],
    strip: float,
    beside: float,
) -> tuple[dict[int, float], float]:
    """The lowest y of every block, and the highest of all. strip: from a cell to the leaves below it. beside: from line
    to line."""
    room: dict[int, float] = defaultdict(float)
    tall: dict[int, float] = defaultdict(float)
    lanes_above: dict[int, int] = defaultdict(int)
    lanes_below: dict[int, int] = defaultdict(int)
    for w in wires:
        if w.lane > 0:
            lanes_above[w.target.row] = max(lanes_above[w.target.row], w.lane)
        elif w.lane < 0:
            lanes_below[w.target.row] = max(lanes_below[w.target.row], -w.lane)
    for b in cut.all:
        if b.gap is None and (b.step is not None or not figure.steps):
            leaves = max((sizes[v][1] for v in b.below), default=0.0)
            room[b.row] = max(room[b.row], leaves + strip if leaves else 0.0)
            tall[b.row] = max(tall[b.row], inside[id(b)].height + 2 * PAD + HEADING * bordered[id(b)])
    base: dict[int, float] = {}
    y = 0.0
    for row in sorted(tall):
        y += room[row] + (12 + beside * lanes_below[row] if lanes_below[row] else 0.0)
        base[row] = y
        y += tall[row] + ROW_SPACE + (10 + beside * lanes_above[row] if lanes_above[row] else 0.0)
    top = max((base[row] + tall[row] for row in base), default=0.0)
    low = {id(b): base.get(b.row, 0.0) for b in cut.all if b.gap is None}
    low |= {id(b): base.get(0, 0.0) for b in cut.all if b.gap is not None}
    _beside(figure, cut, inside, low)
    top = max([top, *(low[id(b)] + inside[id(b)].height + 2 * PAD for b in cut.all if b.gap is None)])
    return low, top


def _beside(figure: Figure, cut: Blocks, inside: Mapping[int, Inside], low: dict[int, float]) -> None:
    """What is outside any step stands where a line from or to a step, or what has its place already, is straight."""
    done = {id(b) for b in cut.all if b.step is not None} or {id(b) for b in cut.all[:1]}
    for e in (*figure.edges, *reversed(figure.edges)):
        source, target = cut.of.get(e.source), cut.of[e.target]
        if source is None or source is target or source.gap is not None or target.gap is not None:
            continue
        if id(source) in done and id(target) not in done and cut.entry(e) in inside[id(target)].enters:
            leaves = low[id(source)] + inside[id(source)].leaves[e.source]
            low[id(target)] = leaves - inside[id(target)].enters[cut.entry(e)]
            done.add(id(target))


def _leaf_heights(
    cut: Blocks,
    low: Mapping[int, float],
    sizes: Mapping[str, Size],
    wires: Sequence[Trunk],
    strip: float,
    beside: float,
) -> dict[str, float]:
    lanes: dict[int, int] = defaultdict(int)
    for w in wires:
        lanes[w.target.row] = max(lanes[w.target.row], -w.lane)
    found: dict[str, float] = {}
    for b in cut.all:
        room = strip + (12 + beside * lanes[b.row] if lanes[b.row] else 0.0)
        found |= {v: low[id(b)] - room - sizes[v][1] / 2 for v in b.below}
    return found


def _loose_heights(
    figure: Figure, cut: Blocks, inside: Mapping[int, Inside], low: Mapping[int, float], sizes: Mapping[str, Size]
) -> dict[str, float]:
    wanted: dict[str, list[float]] = defaultdict(list)
    for e in figure.edges:
        target = cut.of[e.target]
        if e.source not in cut.of and target.gap is None and cut.entry(e) in inside[id(target)].enters:
            wanted[e.source].append(low[id(target)] + PAD + inside[id(target)].enters[cut.entry(e)])
    found: dict[str, float] = {}
    for inner in cut.loose.values():
        stack = sorted(inner, key=lambda v: wanted[v][0])
        gaps = [(sizes[a][1] + sizes[b][1]) / 2 + STACK_GAP for a, b in pairwise(stack)]
        found |= dict(zip(stack, apart([wanted[v][0] for v in stack], [1.0] * len(stack), gaps), strict=True))
    return found


# Widths -------------------------------------------------------------------------------------------------------------


def _strip(b: Block, inside: Inside | None, sizes: Mapping[str, Size], users: Mapping[str, str]) -> dict[str, float]:
    """The x of the leaves below a block, from its left border."""
    if not b.below:
        return {}
    if inside is None:
        wanted = dict.fromkeys(b.below, sizes[b.gap][0] / 2) if b.gap is not None else {}
    else:
        wanted = {v: inside.at[users[v]][0] if users[v] in inside.clear else inside.channel[users[v]] for v in b.below}
    # What goes up furthest is furthest to the left: so lines that run up beside each other do not cross.
    up = {v: inside.at[users[v]][1] if inside is not None else 0.0 for v in b.below}
    order = sorted(b.below, key=lambda v: (wanted[v], -up[v]))
    gaps = [(sizes[u][0] + sizes[v][0]) / 2 + LEAF_GAP for u, v in pairwise(order)]
    found = dict(zip(order, apart([wanted[v] for v in order], [1.0] * len(order), gaps), strict=True))
    if inside is None:
        return found
    left = found[order[0]] - sizes[order[0]][0] / 2
    right = inside.width - found[order[-1]] - sizes[order[-1]][0] / 2
    shift = max(0.0, min(-left, right)) - max(0.0, min(-right, left))  # below the cell, where that is wide enough
    return {v: x + shift for v, x in found.items()}


def _borders(
    cut: Blocks,
    inside: Mapping[int, Inside],
    strips: Mapping[int, Mapping[str, float]],
    sizes: Mapping[str, Size],
    track: Mapping[tuple[int, str], int],
    gutter: float,
    more: Mapping[int, float],
    beside: float,
) -> list[tuple[float, float]]:
    """The left and the right of every slot. more: room in a gutter. beside: from line to line there."""
    used: dict[int, int] = defaultdict(int)
    for (between, _), k in track.items():
        used[between] = max(used[between], k + 1)
    half: dict[int, float] = defaultdict(float)
    for b in cut.all:
        wide = sizes[b.gap][0] if b.gap is not None else inside[id(b)].width
        reach = [abs(x - wide / 2) + sizes[v][0] / 2 for v, x in strips[id(b)].items()]
        half[b.slot] = max([half[b.slot], wide / 2, *reach])
    for slot, inner in cut.loose.items():
        half[slot] = max(sizes[v][0] for v in inner) / 2
    borders, x = [], 0.0
    for slot in range(cut.slots):
        borders.append((x, x + 2 * half[slot]))
        x += 2 * half[slot] + gutter + more.get(slot, 0.0) + beside * max(0, used.get(slot, 0) - 1)
    return borders
