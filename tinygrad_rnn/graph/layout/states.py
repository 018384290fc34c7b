"""What makes a picture recurrent: the lines on which a state runs through a step, and the side that it comes from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

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


@dataclass(frozen=True, slots=True)
class State:
    """One state in one step: the node that makes it, and the one at which that of the step before comes in.
    direction: 1 if time runs to the right."""

    made_at: str
    comes_in_at: str
    direction: int


@dataclass(frozen=True, slots=True)
class Inside:
    """What leads where inside columns.

    links: from each node. twice: links of two arrows, as in x * x; their ends are apart only at the lower side of a
    node. leaving: what leads to other columns. run: which run of which column a node is in.
    """

    links: Mapping[str, list[str]]
    twice: Set[tuple[str, str]]
    leaving: Set[str]
    run: Mapping[str, tuple[int, int]]


def roles(figure: Figure, columns: Sequence[Column], column_of: Mapping[str, int]) -> Roles:
    """A node has the same role in all steps in which it is at the same place."""
    place = places(figure.nodes, figure.edges)
    inside = _inside(figure.edges, columns, column_of)
    lines, falls = [], []
    for states in _states(figure, columns, column_of, place):
        lines.append(_lines(states, inside))
        falls.append(_falls(states, lines[-1], inside))
    side = _sides(figure, column_of)
    alike = {place[v]: side[v] for v in reversed(place) if v in side}
    return Roles(lines, falls, side | {v: alike[at] for v, at in place.items() if at in alike})


def _states(
    figure: Figure, columns: Sequence[Column], column_of: Mapping[str, int], place: Mapping[str, int]
) -> list[list[State]]:
    """Those of each column: what is a state in one step is one in each step that has both of its places."""
    arrivals: dict[int, set[tuple[int, int]]] = defaultdict(set)  # by where it comes in: where it is made, direction
    for e in figure.edges:
        if e.crossing and e.source in place and e.target in place:
            direction = 1 if column_of[e.source] < column_of[e.target] else -1
            arrivals[place[e.target]].add((place[e.source], direction))
    at: list[dict[int, str]] = [{} for _ in columns]
    for v, number in place.items():
        at[column_of[v]][number] = v
    return [
        [
            State(here[made], here[comes_in], direction)
            for made, comes_in, direction in sorted(
                (made, k, d) for k in here for made, d in arrivals[k] if made in here
            )
        ]
        for here in at
    ]


def _lines(states: Sequence[State], inside: Inside) -> list[tuple[str, ...]]:
    """Of the states that are made in a few operations the shortest chains first; none shares a node with another."""
    chains = [(shortest_chain(s.comes_in_at, s.made_at, inside.links), s.direction) for s in states]
    found: list[tuple[str, ...]] = []
    for chain, direction in sorted(chains, key=lambda item: len(item[0])):
        taken = any(v in line for line in found for v in chain)
        level = len({inside.run[v] for v in chain}) == 1 and inside.twice.isdisjoint(pairwise(chain))
        if level and not taken and not _leaves_and_returns(chain, inside.links):
            found.append(chain[::direction])
    return found


def _falls(states: Sequence[State], lines: Sequence[tuple[str, ...]], inside: Inside) -> list[Fall]:
    """Of the states made from the one at the end of a line the first; what it is made by must serve nothing else."""
    taken = {v for line in lines for v in line} | {v for _, v in inside.twice}
    found: dict[str, Fall] = {}
    for s in states:
        for source in (line[:: s.direction][-1] for line in lines):
            chain = _single_chain(source, s.made_at, inside)
            together = len({inside.run[v] for v in (source, *chain, s.comes_in_at)}) == 1
            if chain and together and source not in found and taken.isdisjoint(chain) and s.comes_in_at not in chain:
                found[source] = Fall(source, chain, s.comes_in_at, s.direction)
                taken.update(chain)
    return list(found.values())


def _single_chain(start: str, end: str, inside: Inside) -> tuple[str, ...]:
    """The shortest chain of links from start to end, without start, all of whose nodes before the end have one use."""
    chains = []
    for v in inside.links.get(start, []):
        chain = [v]
        while chain[-1] != end and len(inside.links.get(chain[-1], [])) == 1 and chain[-1] not in inside.leaving:
            chain.append(inside.links[chain[-1]][0])
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


def _inside(edges: Sequence[Edge], columns: Sequence[Column], column_of: Mapping[str, int]) -> Inside:
    links: dict[str, dict[str, None]] = defaultdict(dict)
    count = Counter((e.source, e.target) for e in edges)
    leaving = set()
    for e in edges:
        if column_of[e.source] == column_of[e.target]:
            links[e.source][e.target] = None
        else:
            leaving.add(e.source)
    return Inside(
        links={v: list(found) for v, found in links.items()},
        twice={ends for ends, times in count.items() if times > 1},
        leaving=leaving,
        run={v: (k, j) for k, c in enumerate(columns) for j, run in enumerate(c.runs) for v in run.nodes},
    )


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
