"""What makes a picture recurrent: the lines on which a state runs through a step, and the side that it comes from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..views.figure import Edge, Figure
from .columns import Column

LONGEST_LINE = 3  # nodes: linear, add, tanh of an RNN


@dataclass(frozen=True, slots=True)
class Roles:
    """What is to be drawn alike in all steps of the same kind.

    lines: for each column the chains of nodes to draw in one row, from left to right. Such a chain leads from where an
        old state comes in to the new state that takes its place: f * c, c in an LSTM.
    side: -1 for nodes that belong to the left of their column, since something comes in from there; 1 for the right.
    """

    lines: list[list[tuple[str, ...]]]
    side: dict[str, int]


def roles(figure: Figure, columns: Sequence[Column], column_of: Mapping[str, int]) -> Roles:
    """Steps are of the same kind if they do the same operations in the same order. The first step of a decoder, or the
    last one with its loss, may be like no other: its lines end in what takes the place of the state that comes in."""
    nodes = {n.id: n for n in figure.nodes}
    operation = {n.id: n.operation for n in figure.nodes if n.operation is not None and not n.again}
    members: list[list[str]] = [[] for _ in columns]
    for v in operation:
        if columns[column_of[v]].step is not None:
            members[column_of[v]].append(v)
    kind = [tuple(operation[v] for v in inside) for inside in members]
    ordinal = {v: k for inside in members for k, v in enumerate(inside)}
    arrivals: dict[object, set[tuple[int, int, int]]] = defaultdict(set)
    elsewhere: dict[object, set[tuple[int, int, int]]] = defaultdict(set)
    for e in figure.edges:
        start, end = column_of[e.source], column_of[e.target]
        if not e.crossing or e.source not in ordinal or e.target not in ordinal:
            continue
        direction = 1 if start < end else -1
        if kind[start] == kind[end]:
            arrivals[kind[end]].add((ordinal[e.source], ordinal[e.target], direction))
            continue
        called = nodes[e.source].name, operation[e.source]
        same = [k for k, v in enumerate(members[end]) if (nodes[v].name, operation[v]) == called]
        if same:
            own_place = ordinal[e.source]
            elsewhere[kind[end]].add((own_place if own_place in same else same[-1], ordinal[e.target], direction))
    arrivals |= {alike: found for alike, found in elsewhere.items() if alike not in arrivals}
    links = _inner_links(figure.edges, column_of)
    lines = [
        _lines(inside, sorted(arrivals[kind[k]]), columns[k], links) if inside else []
        for k, inside in enumerate(members)
    ]
    side = _sides(figure, column_of)
    alike: dict[object, int] = {}
    for k, inside in enumerate(members):
        for v in inside:
            if v in side:
                alike.setdefault((kind[k], ordinal[v]), side[v])
    side |= {
        v: alike[kind[k], ordinal[v]]
        for k, inside in enumerate(members)
        for v in inside
        if (kind[k], ordinal[v]) in alike
    }
    return Roles(lines, side)


def _lines(
    members: list[str], arrivals: list[tuple[int, int, int]], column: Column, links: Mapping[str, list[str]]
) -> list[tuple[str, ...]]:
    run_of = {v: k for k, run in enumerate(column.runs) for v in run.nodes}
    chains = []
    for producer, consumer, direction in arrivals:
        chain = shortest_chain(members[consumer], members[producer], links)
        if chain and len({run_of[v] for v in chain}) == 1:
            chains.append((len(chain), producer, consumer, chain[::direction]))
    found: list[tuple[str, ...]] = []
    for *_, chain in sorted(chains):
        if not any(v in line for line in found for v in chain) and not _leaves_and_returns(chain, links):
            found.append(chain)
    return found


def _sides(figure: Figure, column_of: Mapping[str, int]) -> dict[str, int]:
    comes_in: dict[str, int] = {}
    goes_out: dict[str, int] = {}
    for e in figure.edges:
        away = column_of[e.target] - column_of[e.source]
        if away:
            direction = 1 if away > 0 else -1
            comes_in.setdefault(e.target, -direction)
            goes_out.setdefault(e.source, direction)
    return goes_out | comes_in


def _inner_links(edges: Sequence[Edge], column_of: Mapping[str, int]) -> dict[str, list[str]]:
    links: dict[str, list[str]] = defaultdict(list)
    for e in edges:
        if column_of[e.source] == column_of[e.target] and e.target not in links[e.source]:
            links[e.source].append(e.target)
    return links


def shortest_chain(start: str, end: str, links: Mapping[str, list[str]]) -> tuple[str, ...]:
    """The shortest chain of links from start to end, if it has at most LONGEST_LINE nodes."""
    chains: list[tuple[str, ...]] = [(start,)]
    for _ in range(LONGEST_LINE):
        for chain in chains:
            if chain[-1] == end:
                return chain
        chains = list({v: (*chain, v) for chain in reversed(chains) for v in links.get(chain[-1], [])}.values())
    return ()


def _leaves_and_returns(chain: Sequence[str], links: Mapping[str, list[str]]) -> bool:
    """Whether some other path leads from the chain back into it; then its nodes cannot share a row."""
    inside = set(chain)
    to_visit = [v for u in chain for v in links.get(u, []) if v not in inside]
    seen = set(to_visit)
    while to_visit:
        for v in links.get(to_visit.pop(), []):
            if v in inside:
                return True
            if v not in seen:
                seen.add(v)
                to_visit.append(v)
    return False
