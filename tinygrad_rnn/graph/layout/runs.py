"""One column of a picture cut into runs: rows of nodes in the same boxes, so that every box is around whole rows."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from heapq import heappop, heappush

from ..views.figure import Node
from ..views.folding import common_scope

BOXED = 6  # operations that a scope needs to get a box, unless a state leaves it; in others the nodes say their scope

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """Nodes of one column that are drawn in rows of their own. path: the scopes whose boxes they are in."""

    path: Path
    nodes: tuple[str, ...]


def runs_of(members: list[Node], links: list[tuple[str, str]], recurrent: set[str]) -> tuple[str, list[Run]]:
    """The scope that all operations of a column share, and its runs, each computed from those before it.

    links: from node to node, within the column. recurrent: scopes from which states lead to other steps.
    """
    operations = [n for n in members if n.operation is not None and not n.again]
    prefix = common_scope([n.scope for n in operations])
    boxes = _boxes(operations, prefix, recurrent)
    sources: dict[str, list[str]] = defaultdict(list)
    for source, target in links:
        sources[target].append(source)
    computed = {n.id for n in operations} | {v for v in sources if sources[v]}
    path = {n.id: tuple(b for b in boxes if within(n.scope, b)) for n in members}
    joining = {u for u, v in links if u not in computed and path[u] == path[v]}  # leaves that stand with their use
    inner = [n for n in members if n.id not in joining]
    path = {n.id: path[n.id] for n in inner}
    runs: list[tuple[Path, list[str]]] = []
    placed: set[str] = set()
    for v in _scheduled(inner, path, [(u, v) for u, v in links if u in path and v in path]):
        if not runs or runs[-1][0] != path[v]:
            runs.append((path[v], []))
        beside = [u for u in dict.fromkeys(sources[v]) if u not in path and u not in placed]
        runs[-1][1].extend([*beside, v])
        placed.update(beside, [v])
    return prefix, [Run(p, tuple(nodes)) for p, nodes in runs]


def _boxes(operations: list[Node], prefix: str, recurrent: set[str]) -> list[str]:
    """The scopes that get a box, outer ones first."""
    count: dict[str, int] = defaultdict(int)
    for n in operations:
        parts = n.scope.split("/") if n.scope else []
        for k in range(1, len(parts) + 1):
            count["/".join(parts[:k])] += BOXED if n.scope in recurrent else 1
    inner = [s for s in count if count[s] >= BOXED and not within(prefix, s)]
    return sorted(inner, key=lambda s: (s.count("/"), s))


def within(scope: str, box: str) -> bool:
    """Whether a scope is this one or inside it."""
    return scope == box or scope.startswith(box + "/")


def _scheduled(members: list[Node], path: dict[str, Path], links: list[tuple[str, str]]) -> list[str]:
    """Every node after those it is computed from, staying in a box for as long as that allows."""
    waiting = {n.id: 0 for n in members}
    targets: dict[str, list[str]] = defaultdict(list)
    for source, target in links:
        waiting[target] += 1
        targets[source].append(target)
    rank = {n.id: k for k, n in enumerate(members)}
    ready: dict[Path, list[tuple[int, str]]] = defaultdict(list)  # heaps, the oldest first
    for v, count in waiting.items():
        if not count:
            heappush(ready[path[v]], (rank[v], v))
    order: list[str] = []
    here: Path = ()
    while any(ready.values()):
        if not ready[here]:
            _, _, here = min((-_shared_length(p, here), ready[p][0], p) for p in ready if ready[p])
        _, v = heappop(ready[here])
        order.append(v)
        for w in targets[v]:
            waiting[w] -= 1
            if not waiting[w]:
                heappush(ready[path[w]], (rank[w], w))
    return order


def _shared_length(a: Path, b: Path) -> int:
    return sum(x == y for x, y in zip(a, b, strict=False))
