"""A folded figure cut into blocks, one for each cell, and where they stand: in which slot along time, in which row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..views.figure import Edge, Figure

Use = tuple[int, ...]  # (which member of a node, slot); () for any
INITIAL: Use = (-1,)  # where an initial state comes in beside the loop of that state


@dataclass(slots=True, eq=False)
class Block:
    """step, scope: of its cell. gap: the id of the node that stands for hidden steps; then it is the only one.

    nodes: in the order of computation. below: the leaves that it uses, to be drawn below it.
    backwards: its states come from the step after, so it is drawn from right to left.
    slot: counted from the left. row: counted from below, 0 for the first layer.
    """

    step: int | None
    scope: str
    nodes: list[str] = field(default_factory=list)
    below: list[str] = field(default_factory=list)
    gap: str | None = None
    backwards: bool = False
    slot: int = 0
    row: int = 0


@dataclass(frozen=True, slots=True)
class Blocks:
    """of: the block of every node in one. loose: for slots with nothing else, the initial states in it. rank: of every
    node within its block. use: by which use a state comes in, so that two that one node takes up come in apart."""

    all: list[Block]
    of: dict[str, Block]
    loose: dict[int, list[str]]
    slots: int
    rank: dict[str, int]
    use: dict[Edge, Use]

    def entry(self, e: Edge) -> tuple[str, Use]:
        """Where an edge from another block comes in: for which node, and which of its uses."""
        return e.target, self.use.get(e, ())

    def is_inside(self, e: Edge) -> bool:
        """Whether an edge stays in one block: not if it leads to another step, or back to what comes before."""
        block = self.of.get(e.source)
        return block is self.of[e.target] and not e.lag and self.rank[e.source] < self.rank[e.target]


def blocks(figure: Figure) -> Blocks:
    """Cut a folded figure into blocks and give each its place."""
    made: dict[object, Block] = {}
    of: dict[str, Block] = {}
    for n in figure.nodes:
        if n.gap is not None:
            key: object = n.id
            made[key] = Block(n.gap.first if n.gap.whole else n.step, "", gap=n.id if n.gap.whole else None)
        elif n.kind in ("operation", "sink") and not n.again:
            key = n.id if n.step is None and not n.scope else (n.step, n.scope)
            made.setdefault(key, Block(n.step, n.scope))
        else:
            continue
        made[key].nodes.append(n.id)
        of[n.id] = made[key]
    every = list(made.values())
    _sort(every, of, figure.edges)
    initial = _initial_states(figure, of)
    _attach(figure, every, of, set(initial))
    position = _positions(figure, every, of)
    loose_at: dict[int, list[str]] = defaultdict(list)
    for v, (target, side) in initial.items():
        loose_at[position[id(of[target])][0] + side].append(v)
    order = sorted({*position.values(), *((p, 0) for p in loose_at)})
    number = {p: k for k, p in enumerate(order)}
    for b in every:
        b.slot = number[position[id(b)]]
    _mark_backwards(figure, of)
    _give_rows(figure, every, of)
    return Blocks(
        every,
        of,
        {number[p, 0]: vs for p, vs in loose_at.items()},
        len(order),
        {v: k for b in every for k, v in enumerate(b.nodes)},
        _uses_of_states(figure, of, set(initial)),
    )


def _uses_of_states(figure: Figure, of: dict[str, Block], initial: set[str]) -> dict[Edge, Use]:
    if figure.view == "rolled":  # there a node has the members of all steps
        looped = {e.target for e in figure.edges if e.lag}
        return {e: INITIAL for e in figure.edges if e.source in initial and e.target in looped}
    member = {n.id: {index: k for k, index in enumerate(n.members)} for n in figure.nodes}
    found: dict[Edge, Use] = {}
    for e in figure.edges:
        source, target = of.get(e.source), of[e.target]
        is_same = source is not None and (source.gap is not None or source.scope == target.scope)
        is_state = e.source in initial if source is None else e.crossing and is_same
        if is_state and target.gap is None and target.step is not None:
            found[e] = min((member[e.target][t], slot) for t, slot in e.uses)
    return found


def _sort(every: list[Block], of: dict[str, Block], edges: Sequence[Edge]) -> None:
    """Nodes in the order of computation, by the links inside each block; as they are where links go in a circle."""
    sources: dict[str, list[str]] = defaultdict(list)
    targets: dict[str, list[str]] = defaultdict(list)
    for e in edges:
        if e.source in of and e.target in of and of[e.source] is of[e.target] and not e.lag and e.source != e.target:
            sources[e.target].append(e.source)
            targets[e.source].append(e.target)
    for b in every:
        waiting = {v: len(sources[v]) for v in b.nodes}
        ready = [v for v in b.nodes if not waiting[v]]
        for v in ready:  # grows while it is walked
            for w in targets[v]:
                waiting[w] -= 1
                if not waiting[w]:
                    ready.append(w)
        done = set(ready)
        b.nodes = ready + [v for v in b.nodes if v not in done]


def _initial_states(figure: Figure, of: dict[str, Block]) -> dict[str, tuple[str, int]]:
    """Leaves that come in where at other steps a state arrives: from the step before (-1) or after (+1); not where
    one arrives from another cell, as in the first step of a decoder, for then its line has that place."""
    nodes = {n.id: n for n in figure.nodes}
    if figure.view == "rolled":  # there they have no step, unlike all that they lead to
        back = {of[e.target].scope for e in figure.edges if e.lag < 0}
        back -= {of[e.target].scope for e in figure.edges if e.lag > 0}
        taken = {e.target for e in figure.edges if e.lag and of[e.source] is not of[e.target]}
        return {
            e.source: (e.target, 1 if of[e.target].scope in back else -1)
            for e in reversed(figure.edges)
            if e.source not in of and nodes[e.source].step is None and of[e.target].step is not None
            if e.target not in taken
        }
    place_of = {
        v: (b.scope, k, nodes[v].operation)
        for b in {id(b): b for b in of.values()}.values()
        for k, v in enumerate(b.nodes)
    }
    member = {n.id: {index: k for k, index in enumerate(n.members)} for n in figure.nodes if n.id in of}

    def places(e: Edge) -> set[object]:
        return {(place_of[e.target], member[e.target].get(t), slot) for t, slot in e.uses}

    arrives: dict[object, int] = {}
    for e in figure.edges:
        if e.crossing and not e.lag and e.target in of and e.source in of and nodes[e.target].gap is None:
            here, there = of[e.source].step, of[e.target].step
            if here is not None and there is not None:
                arrives |= dict.fromkeys(places(e), -1 if here < there else 1)
    taken = {e.target for e in figure.edges if e.crossing}
    found: dict[str, tuple[str, int]] = {}
    other: set[str] = set()
    for e in figure.edges:
        if e.source in of or e.target not in of or nodes[e.target].gap is not None:
            continue
        sides = {arrives.get(p, 0) for p in places(e)}
        is_state = sides <= {-1, 1} and len(sides) == 1 and e.target not in taken
        if is_state and nodes[e.source].kind in ("leaf", "constant"):
            found.setdefault(e.source, (e.target, sides.pop()))
        else:
            other.add(e.source)
    return {v: at for v, at in found.items() if v not in other}


def _positions(figure: Figure, every: list[Block], of: dict[str, Block]) -> dict[int, tuple[int, int]]:
    """Steps, and gaps between them, stand at 0, 4, 8, ...; initial states at the odd numbers beside them; what is
    outside any step at -2, 2, 6, ..., there each block in a place of its own."""
    at = {s: 4 * k for k, s in enumerate(sorted({b.step for b in every if b.step is not None}))}
    found = {id(b): (at[b.step], 0) for b in every if b.step is not None}
    outside = [b for b in every if b.step is None]
    last = max(at.values(), default=-4) + 2
    sources: dict[int, list[Block]] = defaultdict(list)
    targets: dict[int, list[Block]] = defaultdict(list)
    for e in figure.edges:
        if e.source in of and e.target in of and of[e.source] is not of[e.target]:
            sources[id(of[e.target])].append(of[e.source])
            targets[id(of[e.source])].append(of[e.target])
    swept = {n.id for n in figure.nodes if n.sweep}
    again = {n.index for n in figure.nodes if n.again}
    shown_again = {id(of[n.id]) for n in figure.nodes if n.index in again and n.id in of}
    leads_to_step: set[int] = set()
    waiting = [b for b in every if b.step is not None or id(b) in shown_again]
    leads_to_step.update(map(id, waiting))
    while waiting:
        for b in sources[id(waiting.pop())]:
            if id(b) not in leads_to_step:
                leads_to_step.add(id(b))
                waiting.append(b)
    for rank, b in enumerate(_in_order(outside, sources)):
        after = max((found[id(u)][0] for u in sources[id(b)] if id(u) in found), default=-4)
        is_before = id(b) in leads_to_step and not swept.intersection(b.nodes)  # a sweep begins at the end
        found[id(b)] = (after // 4 * 4 + 2 if is_before else last), 1 + rank
    return found


def _in_order(members: list[Block], sources: dict[int, list[Block]]) -> list[Block]:
    """Every block after those that it is computed from, as far as that is possible, otherwise as given."""
    done: set[int] = set()
    order: list[Block] = []
    among = {id(b) for b in members}
    left = list(members)
    while left:
        ready = [b for b in left if all(id(u) in done or id(u) not in among for u in sources[id(b)])] or left[:1]
        order += ready
        done.update(map(id, ready))
        left = [b for b in left if id(b) not in done]
    return order


def _attach(figure: Figure, every: list[Block], of: dict[str, Block], initial: set[str]) -> None:
    """Each leaf to the first block that uses it."""
    placed = set(initial)
    for e in figure.edges:
        if e.source not in of and e.source not in placed and e.target in of:
            of[e.target].below.append(e.source)
            placed.add(e.source)
    for n in figure.nodes:  # an output that is a leaf and that nothing uses
        if n.id not in of and n.id not in placed:
            alone = Block(None, "", [n.id])
            every.append(alone)
            of[n.id] = alone


def _mark_backwards(figure: Figure, of: dict[str, Block]) -> None:
    """By where the states of a scope go within that scope."""
    arrives: dict[int, set[bool]] = defaultdict(set)
    for e in figure.edges:
        if e.crossing and e.source in of and e.target in of:
            source, target = of[e.source], of[e.target]
            if source.scope == target.scope and (source.slot != target.slot or e.lag):
                back = e.lag < 0 or (not e.lag and source.slot > target.slot)
                arrives[id(source)].add(back)
                arrives[id(target)].add(back)
    back_scopes = {b.scope for b in of.values() if arrives[id(b)] == {True}}
    ahead_scopes = {b.scope for b in of.values() if False in arrives[id(b)]}
    for b in of.values():
        b.backwards = b.step is not None and b.scope in back_scopes - ahead_scopes


def _give_rows(figure: Figure, every: list[Block], of: dict[str, Block]) -> None:
    """A layer above those that feed it at the same step; scopes that never meet at a step may share a row."""
    feeds: dict[str, set[str]] = defaultdict(set)
    for e in figure.edges:
        if e.source in of and e.target in of and not e.crossing:
            source, target = of[e.source], of[e.target]
            if source.step is not None and source.step == target.step and source.scope != target.scope:
                feeds[target.scope].add(source.scope)
    slots: dict[str, set[int]] = defaultdict(set)
    for b in every:
        if b.step is not None and b.gap is None:
            slots[b.scope].add(b.slot)
    row: dict[str, int] = {}
    taken: dict[int, set[int]] = defaultdict(set)
    left = list(slots)
    while left:
        ready = [s for s in left if all(u in row or u not in slots or u == s for u in feeds[s])] or left[:1]
        for s in ready:
            at = max((row[u] + 1 for u in feeds[s] if u in row), default=0)
            while taken[at] & slots[s]:
                at += 1
            taken[at] |= slots[s]
            row[s] = at
        left = [s for s in left if s not in row]
    for b in every:
        b.row = row.get(b.scope, 0) if b.step is not None and b.gap is None else 0
