"""The inside of every cell of a folded figure: cells that do the same are drawn the same."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..layout.boxes import heading
from ..layout.curves import Curve
from ..looks.overlay import Room
from ..looks.style import kind_of
from ..text.labels import width
from ..views.figure import Figure, Node
from .blocks import Block, Blocks, Use
from .cell import Inside, Size, State, arrange


def insides(figure: Figure, cut: Blocks, sizes: dict[str, Size], room: Room) -> dict[int, Inside]:
    """The inside of every block; all blocks that do the same get the same, made for the largest text in any of them."""
    nodes = {n.id: n for n in figure.nodes}
    links: dict[int, list[tuple[str, str]]] = defaultdict(list)
    arrivals: dict[int, set[tuple[int, Use]]] = defaultdict(set)
    exits: dict[int, set[int]] = defaultdict(set)
    grounded: dict[int, set[int]] = defaultdict(set)
    from_below: dict[int, Counter[int]] = defaultdict(Counter)
    states: dict[int, dict[int, set[tuple[int, Use]]]] = defaultdict(lambda: defaultdict(set))
    ordinal = cut.rank
    own_states = _recurrent(figure, cut)
    for e in figure.edges:
        source, target = cut.of.get(e.source), cut.of[e.target]
        if cut.is_inside(e):
            links[id(target)].append((e.source, e.target))
            continue
        if source is not None:
            exits[id(source)].add(ordinal[e.source])
        if source is None and not any(e.source in inner for inner in cut.loose.values()):
            from_below[id(target)][ordinal[e.target]] += 1
            if nodes[e.source].kind != "parameter":
                grounded[id(target)].add(ordinal[e.target])
            continue
        if source is None or source.slot != target.slot or e.lag or source is target:
            arrivals[id(target)].add((ordinal[e.target], cut.use.get(e, ())))
        else:
            from_below[id(target)][ordinal[e.target]] += 1
            grounded[id(target)].add(ordinal[e.target])
        if source is None or not e.crossing or source.gap is not None or target.gap is not None:
            continue
        if source.scope == target.scope or id(target) not in own_states:
            # The node that takes its place in the target, which may differ from the source, as a first step does.
            called = nodes[e.source].name, nodes[e.source].operation
            same = [v for v in target.nodes if (nodes[v].name, nodes[v].operation) == called]
            if same:
                into = ordinal[e.target], cut.use.get(e, ())
                own_place = target.nodes[ordinal[e.source]] if ordinal[e.source] < len(target.nodes) else None
                states[id(target)][ordinal[own_place if own_place in same else same[-1]]].add(into)
    kin: dict[object, list[Block]] = defaultdict(list)
    for b in cut.all:
        if b.gap is None:
            kin[_kind(b, nodes, links[id(b)], ordinal)].append(b)
    for alike in kin.values():
        for each in zip(*(b.nodes for b in alike), strict=True):
            wide, high = max(sizes[v][0] for v in each), max(sizes[v][1] for v in each)
            sizes |= dict.fromkeys(each, (wide, high))

    def drawn(alike: Sequence[Block], narrowest: float, lane: float = 0.0) -> Inside:
        first = alike[0]
        name = first.nodes
        merged: dict[int, set[tuple[int, Use]]] = defaultdict(set)
        for b in alike:
            for producer, consumers in states[id(b)].items():
                if producer < len(name):
                    merged[producer] |= {into for into in consumers if into[0] < len(name)}
        return arrange(
            name,
            sizes,
            list(dict.fromkeys(links[id(first)])),
            [(name[k], use) for k, use in sorted(set().union(*(arrivals[id(b)] for b in alike)))],
            [name[k] for k in sorted(set().union(*(exits[id(b)] for b in alike)))],
            [State(name[p], tuple((name[k], use) for k, use in sorted(merged[p]))) for p in sorted(merged)],
            frozenset(v for v in name if kind_of(nodes[v]) == "mark"),
            frozenset(name[k] for b in alike for k in grounded[id(b)] if k < len(name)),
            {v: max(from_below[id(b)][k] for b in alike) for k, v in enumerate(name)},
            narrowest,
            lane,
            room,
        )

    first = {kind: drawn(alike, _narrowest(alike, figure)) for kind, alike in kin.items()}
    widest: dict[int, float] = defaultdict(float)  # of the cells above each other
    lane: dict[int, float] = defaultdict(float)  # the highest of the cells beside each other
    for kind, alike in kin.items():
        for b in alike:
            widest[b.slot] = max(widest[b.slot], first[kind].width)
            lane[b.row] = max(lane[b.row], first[kind].lane)
    found = {}
    for kind, alike in kin.items():
        same_for_all, wide, high = first[kind], max(widest[b.slot] for b in alike), max(lane[b.row] for b in alike)
        if same_for_all.width < wide or 0 < same_for_all.lane < high:
            same_for_all = drawn(alike, wide, high)
        for b in alike:
            own = _renamed(same_for_all, dict(zip(alike[0].nodes, b.nodes, strict=True)))
            found[id(b)] = _mirrored(own) if b.backwards else own
    return found


def _recurrent(figure: Figure, cut: Blocks) -> set[int]:
    """The blocks to which states come from others of their scope. To the first step of a decoder none do: it goes on
    with those of the encoder."""
    between = [(cut.of[e.source], cut.of[e.target]) for e in figure.edges if e.crossing and e.source in cut.of]
    return {id(target) for source, target in between if source.scope == target.scope}


def _kind(b: Block, nodes: Mapping[str, Node], links: Sequence[tuple[str, str]], ordinal: Mapping[str, int]) -> object:
    members = tuple((nodes[v].operation, nodes[v].name if len(b.nodes) > 1 else "", nodes[v].output) for v in b.nodes)
    return b.scope, b.backwards, members, frozenset((ordinal[u], ordinal[v]) for u, v in links)


def _narrowest(alike: Sequence[Block], figure: Figure) -> float:
    """How wide the border has to be for its heading."""
    shown = [width(heading(*words_above(b, figure), True, True)) for b in alike if b.step is not None or b.scope]
    return max(shown, default=0.0) + 18


def _renamed(drawn: Inside, name: Mapping[str, str]) -> Inside:
    return Inside(
        at={name[v]: p for v, p in drawn.at.items()},
        width=drawn.width,
        height=drawn.height,
        enters={(name[v], use): y for (v, use), y in drawn.enters.items()},
        leaves={name[v]: y for v, y in drawn.leaves.items()},
        lines={(name[u], name[v]): c for (u, v), c in drawn.lines.items()},
        into={(name[v], use): c for (v, use), c in drawn.into.items()},
        out={name[v]: c for v, c in drawn.out.items()},
        clear=frozenset(name[v] for v in drawn.clear),
        channel={name[v]: x for v, x in drawn.channel.items()},
        lane=drawn.lane,
        sides={name[v]: ys for v, ys in drawn.sides.items()},
    )


def _mirrored(drawn: Inside) -> Inside:
    wide = drawn.width

    def flip(c: Curve) -> Curve:
        (tip_x, tip_y), (x, y) = c.tip, c.label
        return Curve(tuple((wide - px, py) for px, py in c.points), (wide - tip_x, tip_y), (wide - x, y))

    return replace(
        drawn,
        at={v: (wide - x, y) for v, (x, y) in drawn.at.items()},
        lines={link: flip(c) for link, c in drawn.lines.items()},
        into={v: flip(c) for v, c in drawn.into.items()},
        out={v: flip(c) for v, c in drawn.out.items()},
        channel={v: wide - x for v, x in drawn.channel.items()},
    )


def words_above(b: Block, figure: Figure) -> tuple[str, int | None]:
    """The scope and the step in the heading of a cell."""
    if figure.view != "rolled" or b.step is None:
        return b.scope, b.step
    count = max((n.steps for n in figure.nodes if n.id in b.nodes), default=0)
    every = f"{count:,} step{'s' * (count != 1)}"
    return f"{b.scope}  ·  {every}" if b.scope else every, None
