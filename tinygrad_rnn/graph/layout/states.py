"""What makes a picture recurrent: the lines on which a state runs through a step, and the side that it comes from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..views.figure import Edge, Figure, Node
from .columns import Column
from .falls import Fall

LONGEST_LINE = 3  # nodes: linear, add, tanh of an RNN


@dataclass(frozen=True, slots=True)
class Roles:
    """What is to be drawn alike in all steps of the same kind.

    lines: for each column the chains of nodes to draw in one row, from left to right. Such a chain leads from where an
        old state comes in to the new state that takes its place: f * c, c in an LSTM.
    falls: for each column what leads from the end of a line down to another state, such as tanh and h in an LSTM.
    side: -1 for nodes that belong to the left of their column, since something comes in from there; 1 for the right.
    """

    lines: list[list[tuple[str, ...]]]
    falls: list[list[Fall]]
    side: dict[str, int]


def roles(figure: Figure, columns: Sequence[Column], column_of: Mapping[str, int]) -> Roles:
    """Steps are of the same kind if they do the same operations in the same order. The first step of a decoder, or the
    last one with its loss, may be like no other: its lines end in what takes the place of the state that comes in. So
    may the first of all: its lines begin at what takes the place of where the next step takes its state in."""
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
    departures: dict[object, set[tuple[int, int, int]]] = defaultdict(set)
    for e in figure.edges:
        start, end = column_of[e.source], column_of[e.target]
        if not e.crossing or e.source not in ordinal or e.target not in ordinal:
            continue
        direction = 1 if start < end else -1
        if kind[start] == kind[end]:
            arrivals[kind[end]].add((ordinal[e.source], ordinal[e.target], direction))
            continue
        place = _same_place(nodes[e.source], ordinal[e.source], [nodes[v] for v in members[end]])
        if place is not None:
            elsewhere[kind[end]].add((place, ordinal[e.target], direction))
        place = _same_place(nodes[e.target], ordinal[e.target], [nodes[v] for v in members[start]])
        if place is not None:
            departures[kind[start]].add((ordinal[e.source], place, direction))
    for others in (elsewhere, departures):
        arrivals |= {alike: found for alike, found in others.items() if alike not in arrivals}
    links = _inner_links(figure.edges, column_of)
    lines = [
        _lines(inside, sorted(arrivals[kind[k]]), columns[k], links) if inside else []
        for k, inside in enumerate(members)
    ]
    leaving = {e.source for e in figure.edges if column_of[e.source] != column_of[e.target]}
    falls = [
        _falls(inside, sorted(arrivals[kind[k]]), columns[k], lines[k], links, leaving) if inside else []
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
    return Roles(lines, falls, side)


def _same_place(wanted: Node, ordinal: int, members: Sequence[Node]) -> int | None:
    """Which node of another step does what this one does in its own: of several the one with the same ordinal."""
    same = [k for k, n in enumerate(members) if (n.name, n.operation) == (wanted.name, wanted.operation)]
    return ordinal if ordinal in same else same[-1] if same else None


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


def _falls(
    members: list[str],
    arrivals: list[tuple[int, int, int]],
    column: Column,
    lines: list[tuple[str, ...]],
    links: Mapping[str, list[str]],
    leaving: set[str],
) -> list[Fall]:
    """Of the states made from the one at the end of a line the first; what it is made by must serve nothing else."""
    run_of = {v: k for k, run in enumerate(column.runs) for v in run.nodes}
    on_line = {v for line in lines for v in line}
    found: dict[str, Fall] = {}
    for producer, consumer, direction in arrivals:
        state, landing = members[producer], members[consumer]
        if state in on_line or any(state in fall.chain for fall in found.values()):
            continue
        for line in lines:
            source = line[::direction][-1]
            chain = _single_chain(source, state, links, leaving)
            one_run = {run_of[v] for v in (source, *chain, landing)}
            if (
                chain
                and source not in found
                and landing not in chain
                and len(one_run) == 1
                and on_line.isdisjoint(chain)
            ):
                found[source] = Fall(source, chain, landing, direction)
    return list(found.values())


def _single_chain(start: str, end: str, links: Mapping[str, list[str]], leaving: set[str]) -> tuple[str, ...]:
    """The shortest chain of links from start to end, without start, all of whose nodes before the end have one use."""
    chains = []
    for v in links.get(start, []):
        chain = [v]
        while chain[-1] != end and len(links.get(chain[-1], [])) == 1 and chain[-1] not in leaving:
            chain.append(links[chain[-1]][0])
        if chain[-1] == end:
            chains.append(tuple(chain))
    return min(chains, key=len, default=())


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
