"""Where each node stands in time: in its step, before or after a step as an initial state, or outside any step."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

from ..views.figure import Edge, Figure
from .places import places

DEEP, ROWS = 12, 8  # operations on top of each other in a net without steps: the most in one column, about in several


def positions(figure: Figure) -> dict[str, int]:
    """Steps, and the gaps between them, stand at 0, 4, 8, ...; what is outside any step at -2, 2, 6, ...; initial
    states at the odd numbers between."""
    start = {n.id: n.step if n.gap is None else n.gap.first for n in figure.nodes}
    at = {step: 4 * k for k, step in enumerate(sorted({s for s in start.values() if s is not None}))}
    if not at:
        return _wrapped(figure)
    position = {v: at[step] for v, step in start.items() if step is not None}
    for leaf, target in _initial_states(figure).items():
        position[leaf] = position[target[0]] + target[1]
    whole = {n.id for n in figure.nodes if n.gap is not None and n.gap.whole}
    below_gap = {n.id for n in figure.nodes if n.kind in ("leaf", "constant", "parameter") and n.members}
    position |= {e.source: position[e.target] for e in figure.edges if e.target in whole and e.source in below_gap}
    outside = {n.id for n in figure.nodes} - set(position)
    return position | _outside(figure, outside, position, last=max(at.values()) + 2)


def _wrapped(figure: Figure) -> dict[str, int]:
    """A net without steps runs on in a next column, at 2, 6, ..., if it is too deep for one, like a text in lines."""
    sources, targets = _ends(figure)
    computed = {v for v in sources if sources[v]}
    for n in figure.nodes:  # what is drawn again is as deep as where it is made
        if n.again and n.index in figure.home:
            sources[n.id].append(figure.home[n.index])
    depth: dict[str, int] = {}
    for v in _in_order([n.id for n in figure.nodes], sources):
        depth[v] = max((depth.get(u, -1) + (v in computed) for u in sources[v]), default=-1)
    deepest = max(depth.values(), default=0) + 1
    rows = deepest if deepest <= DEEP else math.ceil(deepest / math.ceil(deepest / ROWS))
    found = {v: 4 * (depth[v] // rows) + 2 for v in computed}
    return found | {v: min((found[w] for w in targets[v]), default=2) for v in depth if v not in computed}


def _outside(figure: Figure, outside: set[str], position: dict[str, int], last: int) -> dict[str, int]:
    """Before the first step that needs them, so that nothing stands in the way of the states between the steps before;
    at the end, where the loss is, if none does. After all that they need in any case."""
    sources, targets = _ends(figure)
    order = _in_order([n.id for n in figure.nodes if n.id in outside], sources)
    # A result that is drawn again beside its uses has no arrow to them, but leads there.
    index = {n.id: n.index for n in figure.nodes}
    again: dict[int, list[int]] = defaultdict(list)
    for n in figure.nodes:
        if n.again and n.id in position:
            again[n.index].append(position[n.id])
    before = dict.fromkeys(order, last)
    for v in reversed(order):
        uses = [before[w] if w in before else position[w] for w in targets[v]] + again[index[v]]
        before[v] = min([last, *((use + 2) // 4 * 4 - 2 for use in uses)])
    found: dict[str, int] = {}
    sweep = {n.id for n in figure.nodes if n.sweep}
    for v in order:
        if v in sweep:  # a backward sweep goes from the last step to the first
            after = [found.get(u, position.get(u, last)) for u in sources[v] if sources[u]]
            found[v] = (min(after, default=last) + 2) // 4 * 4 - 2
            continue
        after = [found.get(u, position.get(u, -4)) for u in sources[v]]
        found[v] = max(before[v], max(after, default=-4) // 4 * 4 + 2)
    for v in order:
        if not sources[v] and targets[v]:  # a leaf stands where it is used
            found[v] = min(found.get(w, position.get(w, last)) for w in targets[v]) // 4 * 4 + 2
    return found


def _initial_states(figure: Figure) -> dict[str, tuple[str, int]]:
    """Leaves that come in where at other steps a state arrives from the step before (-1: drawn to the left of the
    step) or, in a network that runs backwards in time, from the step after (+1). So step 0 looks like every other.

    Other steps are those that do all the same; for a step like no other, those that do the same up to there, with the
    same parameters. A step at which any state arrives is not where a sequence begins."""
    nodes = {n.id: n for n in figure.nodes}
    place = places(figure.nodes)
    kind = {nodes[v].step: at for v, at in place.items()}  # the place of its last operation
    alone = {at for at, count in Counter(kind.values()).items() if count == 1}
    parameters: dict[str, set[int]] = defaultdict(set)
    for e in figure.edges:
        if nodes[e.source].kind == "parameter":
            parameters[e.target].add(nodes[e.source].index)

    def keys(e: Edge) -> tuple[tuple[object, ...], tuple[object, ...]]:
        at = place[e.target], e.uses[0][1]
        return (*at, kind[nodes[e.target].step]), (*at, frozenset(parameters[e.target]))

    arrives: dict[tuple[object, ...], int] = {}
    goes_on: set[tuple[int | None, int]] = set()
    for e in figure.edges:
        before, after = nodes[e.source].step, nodes[e.target].step
        if e.crossing and e.target in place and before is not None and after is not None:
            side = -1 if before < after else 1
            arrives |= dict.fromkeys(keys(e), side)
            goes_on.add((after, side))
    used: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for e in figure.edges:
        if nodes[e.source].kind in ("leaf", "constant", "parameter"):
            side, step = 0, nodes[e.target].step
            if e.target in place:
                side = arrives.get(keys(e)[kind[step] in alone], 0)
            used[e.source].append((e.target, 0 if (step, side) in goes_on else side))
    return {leaf: uses[0] for leaf, uses in used.items() if uses[0][1] and len({at for _, at in uses}) == 1}


def _in_order(members: list[str], sources: dict[str, list[str]]) -> list[str]:
    """Every node after those it is computed from, otherwise as given."""
    among = set(members)
    waiting = {v: sum(u in among for u in sources[v]) for v in members}
    targets: dict[str, list[str]] = defaultdict(list)
    for v in members:
        for u in sources[v]:
            if u in among:
                targets[u].append(v)
    ready = [v for v in members if not waiting[v]]
    for v in ready:  # grows while it is walked
        for w in targets[v]:
            waiting[w] -= 1
            if not waiting[w]:
                ready.append(w)
    return ready + [v for v in members if waiting[v] > 0]


def _ends(figure: Figure) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """What leads to each node, and where it leads."""
    sources: dict[str, list[str]] = defaultdict(list)
    targets: dict[str, list[str]] = defaultdict(list)
    for e in figure.edges:
        sources[e.target].append(e.source)
        targets[e.source].append(e.target)
    return sources, targets
