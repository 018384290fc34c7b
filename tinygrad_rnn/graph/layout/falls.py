"""States that fall: the h of an LSTM, made of its c, stands below it, at the height at which the next step takes it in.

So c runs straight along the top and h along the bottom. What leads from one to the other stands beside the rows of the
step, from top to bottom, on the side that time runs to. What else comes in there comes on *lanes* between the rows and
the fall; where the step itself goes on with h, a *riser* outside the fall leads up again, to its first use there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Link = tuple[str, str]
BESIDE = 15.0  # from nodes to the first lane, from the last one to the fall, and from there to the riser
LANE = 7.0  # between lanes


@dataclass(frozen=True, slots=True)
class Fall:
    """source: the state on a line above. chain: from top to bottom, the last one is the state below.

    landing: what the last step's state below comes in at. side: 1 to the right of the rows, -1 to the left.
    """

    source: str
    chain: tuple[str, ...]
    landing: str
    side: int

    @property
    def state(self) -> str:
        return self.chain[-1]

    def rows(self, row: Mapping[str, int]) -> list[int] | None:
        """A row for each node of the chain, None if there is no room for it."""
        top, bottom = row[self.source], row[self.landing]
        found = [*(top - 1 - k for k in range(len(self.chain) - 1)), bottom]
        return found if len(found) <= top - bottom else None


@dataclass(frozen=True, slots=True)
class Fallen:
    """side: of each node in a fall. beside: nodes with nothing but a fall in the way to that side.

    lane: the x at which a link from the rows to a fall runs up or down.
    riser: the x at which a state of a fall runs up to where its own step goes on with it, and how far above the middle
        of the row it comes in there, if others do too.
    """

    side: Mapping[str, int] = field(default_factory=dict)
    beside: frozenset[str] = frozenset()
    lane: Mapping[Link, float] = field(default_factory=dict)
    riser: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def moved(self, by: float, times: float = 1.0) -> Fallen:
        """The same further to the right, and so many times as far apart."""
        lane = {link: (x + by) * times for link, x in self.lane.items()}
        riser = {v: ((x + by) * times, up) for v, (x, up) in self.riser.items()}
        return Fallen(self.side, self.beside, lane, riser)

    def renamed(self, name: Mapping[str, str]) -> Fallen:
        return Fallen(
            {name[v]: side for v, side in self.side.items()},
            frozenset(name[v] for v in self.beside),
            {(name[u], name[v]): x for (u, v), x in self.lane.items()},
            {name[v]: riser for v, riser in self.riser.items()},
        )


def fit(falls: Sequence[Fall], links: Sequence[Link], row: Mapping[str, int]) -> bool:
    """Whether there is room for all of them: enough rows for each, no two beside the same rows, none from another."""
    inside = {v for fall in falls for v in fall.chain}
    spans: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for fall in falls:
        if fall.rows(row) is None or any(u in inside for u, _ in feeders(fall, links)):
            return False
        spans[fall.side].append((row[fall.landing], row[fall.source]))
    return all(a[1] < b[0] for each in spans.values() for a, b in pairwise(sorted(each)))


def above(state: str) -> str:
    """The stand-in for a state that fell, in the rows where its step goes on with it."""
    return f"{state} above"


def feeders(fall: Fall, links: Sequence[Link]) -> list[Link]:
    """The links from the rows to a fall, but for the one at its top."""
    first = fall.source, fall.chain[0]
    return [(u, v) for u, v in links if v in fall.chain and u not in fall.chain and (u, v) != first]


def in_rows(
    falls: Sequence[Fall], runs: Sequence[Sequence[str]], links: Sequence[Link]
) -> tuple[list[list[str]], list[Link], list[Link]]:
    """What stands in rows, run by run; the links there; and which nodes of it stand above which others without a link.

    Where a step goes on with a state that fell, its stand-in is there instead, in the run of its first use, and above
    the line that it fell from.
    """
    inside = {v for fall in falls for v in fall.chain}
    source = {fall.state: fall.source for fall in falls}
    uses = {(u, v) for u, v in links if u in source and v not in inside}
    risen: set[str] = set()
    upright: list[list[str]] = []
    for run in runs:
        upright.append([])
        for v in run:
            if v not in inside:
                coming = [u for u in source if (u, v) in uses and u not in risen]
                risen.update(coming)
                upright[-1] += [*map(above, coming), v]
    among = [(above(u) if u in source else u, v) for u, v in links if v not in inside]
    return upright, among, [(source[u], above(u)) for u in source if u in risen]


def order_in_rows(falls: Sequence[Fall], links: Sequence[Link], sides: Mapping[str, int]) -> dict[str, int]:
    """The lower, the further to the left. What leads to a fall stands on its side; outermost where states that fell
    come in, those from below, which were made first, outside the others."""
    return {
        **{u: fall.side for fall in falls for u, _ in feeders(fall, links)},
        **sides,
        **{fall.landing: -2 * fall.side for fall in falls},
        **{above(fall.state): (2 + k) * fall.side for k, fall in enumerate(reversed(falls))},
    }


def rows_of(
    falls: Sequence[Fall], links: Sequence[Link], among: Sequence[Link], row: Mapping[str, int]
) -> dict[str, int]:
    """The rows beside which falls stand, and those of leaves that only a fall uses: beside their use."""
    found = {v: r for fall in falls for v, r in zip(fall.chain, fall.rows(row) or (), strict=True)}
    linked = {v for link in among for v in link}
    return found | {u: found[v] for fall in falls for u, v in feeders(fall, links) if u not in linked}


def beside_rows(
    falls: Sequence[Fall],
    links: Sequence[Link],
    row: Mapping[str, int],
    size: Mapping[str, tuple[float, float]],
    reach: Callable[[int, Sequence[int]], float],
) -> tuple[dict[str, float], Fallen]:
    """The x of every node of a fall, those of each side below each other, and where their lanes and risers are.

    reach: how far out to a side rows stand."""
    x: dict[str, float] = {}
    lane: dict[Link, float] = {}
    riser: dict[str, tuple[float, float]] = {}
    for side in (-1, 1):
        here = [fall for fall in falls if fall.side == side]
        if not here:
            continue
        coming = [link for fall in here for link in feeders(fall, links)]
        beside = [r for fall in here for r in (row[fall.landing], row[fall.source])]
        begin = BESIDE + reach(side, [*beside, *(row[u] for u, _ in coming)])
        number = _lanes(coming, row)
        lane |= {link: side * (begin + LANE * k) for link, k in number.items()}
        inner = begin + (BESIDE + LANE * max(number.values()) if number else 0.0)
        wide = max(size[v][0] for fall in here for v in fall.chain)
        x |= {v: side * (inner + wide / 2) for fall in here for v in fall.chain}
        outer = inner + wide + BESIDE
        rising = sorted((fall for fall in here if above(fall.state) in row), key=lambda fall: -row[fall.landing])
        for k, fall in enumerate(rising):
            top = row[above(fall.state)]
            passed = [other.state for other in rising[:k] if row[other.landing] <= top]
            beyond = [side * riser[v][0] + LANE for v in passed]
            at = max(outer, BESIDE + reach(side, (row[fall.landing], top)), *beyond)
            riser[fall.state] = side * at, LANE * sum(row[above(v)] == top for v in passed)
    return x, Fallen({v: fall.side for fall in falls for v in fall.chain}, frozenset(), lane, riser)


def _lanes(coming: Sequence[Link], row: Mapping[str, int]) -> dict[Link, int]:
    """The lane of each link, the innermost 0. They lead down, so that what comes from highest is innermost; no two
    sources have the same beside the same rows."""
    found: dict[Link, int] = {}
    for u, v in sorted(coming, key=lambda link: (-row[link[0]], link)):
        low, high = sorted((row[u], row[v]))
        taken = {
            k for (a, b), k in found.items() if a != u and min(row[a], row[b]) <= high and low <= max(row[a], row[b])
        }
        found[u, v] = next(k for k in range(len(coming)) if k not in taken)
    return found
