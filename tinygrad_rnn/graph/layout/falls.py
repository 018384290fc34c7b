"""States that fall: the h of an LSTM, made of its c, stands below it, at the height at which the next step takes it in.

So c runs straight along the top and h along the bottom. What leads from one to the other stands beside the rows of the
step, from top to bottom, on the side that time runs to. What else comes in there comes on *lanes* between the rows and
the fall; where the step itself goes on with h, a *riser* outside the fall leads up again, to above the line of c.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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

    def rows(self, row: Mapping[str, int]) -> list[int] | None:
        """A row for each node of the chain, None if there is no room for it."""
        top, bottom = row[self.source], row[self.landing]
        found = [*(top - 1 - k for k in range(len(self.chain) - 1)), bottom]
        return found if len(found) <= top - bottom else None


@dataclass(frozen=True, slots=True)
class Fallen:
    """side: of each node in a fall. beside: nodes with nothing but a fall in the way to that side.

    lane: the x at which a link from the rows to a fall runs up or down.
    riser: the x at which a state of a fall runs up to where its own step goes on with it.
    """

    side: Mapping[str, int] = field(default_factory=dict)
    beside: frozenset[str] = frozenset()
    lane: Mapping[Link, float] = field(default_factory=dict)
    riser: Mapping[str, float] = field(default_factory=dict)

    def moved(self, by: float, times: float = 1.0) -> Fallen:
        """The same further to the right, and so many times as far apart."""
        lane = {link: (x + by) * times for link, x in self.lane.items()}
        riser = {v: (x + by) * times for v, x in self.riser.items()}
        return Fallen(self.side, self.beside, lane, riser)

    def renamed(self, name: Mapping[str, str]) -> Fallen:
        return Fallen(
            {name[v]: side for v, side in self.side.items()},
            frozenset(name[v] for v in self.beside),
            {(name[u], name[v]): x for (u, v), x in self.lane.items()},
            {name[v]: x for v, x in self.riser.items()},
        )


def apart_in_rows(falls: Sequence[Fall], row: Mapping[str, int]) -> bool:
    """Whether there is room for all of them: enough rows for each, and no two beside the same rows."""
    spans: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for fall in falls:
        if fall.rows(row) is None:
            return False
        spans[fall.side].append((row[fall.landing], row[fall.source]))
    return all(a[1] < b[0] for each in spans.values() for a, b in zip(sorted(each), sorted(each)[1:], strict=False))


def above(state: str) -> str:
    """What takes a place in the rows for a state of a fall, where the step goes on with it."""
    return f"{state} above"


def feeders(fall: Fall, links: Sequence[Link]) -> list[Link]:
    """The links from the rows to a fall, but for the one at its top."""
    first = fall.source, fall.chain[0]
    return [(u, v) for u, v in links if v in fall.chain and u not in fall.chain and (u, v) != first]


def in_rows(
    falls: Sequence[Fall], runs: Sequence[Sequence[str]], links: Sequence[Link]
) -> tuple[list[list[str]], list[Link]]:
    """The runs and the links among what stands in rows."""
    inside = {v for fall in falls for v in fall.chain}
    source = {fall.chain[-1]: fall.source for fall in falls}
    going_on = {u for u, v in links if u in source and v not in inside}
    rest = [[above(v) if v in going_on else v for v in run if v in going_on or v not in inside] for run in runs]
    among = [(above(u) if u in going_on else u, v) for u, v in links if v not in inside]
    return rest, [*((source[v], above(v)) for v in source if v in going_on), *among]
