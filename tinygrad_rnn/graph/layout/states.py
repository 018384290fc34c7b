"""What makes a picture recurrent: the lines on which a state runs through a step, and the side that it comes from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from ..views.figure import Edge, Figure
from .columns import Column
from .falls import Fall
from .places import places

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
    """A node is in the same role in all steps in which it is at the same place."""
    place = places(figure.nodes)
    members: list[list[str]] = [[] for _ in columns]
    for v in place:
        members[column_of[v]].append(v)
    arrivals: dict[int, set[tuple[int, int]]] = defaultdict(set)  # by consumer: producer, direction
    for e in figure.edges:
        if e.crossing and e.source in place and e.target in place:
            direction = 1 if column_of[e.source] < column_of[e.target] else -1
            arrivals[place[e.target]].add((place[e.source], direction))
    links = _inner_links(figure.edges, column_of)
    leaving = {e.source for e in figure.edges if column_of[e.source] != column_of[e.target]}
    lines, falls = [], []
    for column, inside in zip(columns, members, strict=True):
        at = {place[v]: v for v in inside}
        states = sorted(
            (
                State(at[producer], v, direction)
                for v in inside
                for producer, direction in arrivals[place[v]]
                if producer in at
            ),
            key=lambda state: (place[state.made_at], place[state.comes_in_at], state.direction),
        )
        run_of = {v: k for k, run in enumerate(column.runs) for v in run.nodes}
        lines.append(_lines(states, run_of, links))
        falls.append(_falls(states, run_of, lines[-1], links, leaving))
    side = _sides(figure, column_of)
    alike: dict[int, int] = {}
    for v in place:
        if v in side:
            alike.setdefault(place[v], side[v])
    side |= {v: alike[at] for v, at in place.items() if at in alike}
    return Roles(lines, falls, side)


@dataclass(frozen=True, slots=True)
class State:
    """One state in one step: the node that makes it, and the one at which that of the step before comes in.
    direction: 1 if time runs to the right."""

    made_at: str
    comes_in_at: str
    direction: int


def _lines(states: Sequence[State], run_of: Mapping[str, int], links: Mapping[str, list[str]]) -> list[tuple[str, ...]]:
    """Of the states that are made in a few operations the shortest chains first; none shares a node with another."""
    chains = [(shortest_chain(s.comes_in_at, s.made_at, links), s.direction) for s in states]
    found: list[tuple[str, ...]] = []
    for chain, direction in sorted(chains, key=lambda item: len(item[0])):
        taken = any(v in line for line in found for v in chain)
        if len({run_of[v] for v in chain}) == 1 and not taken and not _leaves_and_returns(chain, links):
            found.append(chain[::direction])
    return found


def _falls(
    states: Sequence[State],
    run_of: Mapping[str, int],
    lines: Sequence[tuple[str, ...]],
    links: Mapping[str, list[str]],
    leaving: Set[str],
) -> list[Fall]:
    """Of the states made from the one at the end of a line the first; what it is made by must serve nothing else."""
    taken = {v for line in lines for v in line}
    found: list[Fall] = []
    for s in states:
        for source in (line[:: s.direction][-1] for line in lines):
            chain = _single_chain(source, s.made_at, links, leaving)
            together = len({run_of[v] for v in (source, *chain, s.comes_in_at)}) == 1
            first = source not in {fall.source for fall in found}
            if chain and together and first and s.comes_in_at not in chain and taken.isdisjoint(chain):
                found.append(Fall(source, chain, s.comes_in_at, s.direction))
                taken.update(chain)
                break
    return found


def _single_chain(start: str, end: str, links: Mapping[str, list[str]], leaving: Set[str]) -> tuple[str, ...]:
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
