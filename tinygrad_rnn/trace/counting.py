"""How many paths there are: exact whole numbers, however large."""

from __future__ import annotations

import math

from .automaton import Paths
from .reading import read_route
from .route import Route, accepts, along

EVERY_PATH = along(".*")
MOST_DIGITS = 40  # Python itself refuses to write more than 4,300


class Count(int):
    """An exact whole number that is written as «about 10^6124» where it has more digits than anyone reads."""

    def __format__(self, spec: str) -> str:
        return super().__format__(spec) if self < 10**MOST_DIGITS else f"about 10^{log10_of(self):.0f}"

    def __str__(self) -> str:
        return f"{self:d}"

    __repr__ = __str__


def log10_of(n: int) -> float:
    """log10 of a whole number from 1, however large: that of its first 64 bits, and of what they are times."""
    shift = max(n.bit_length() - 64, 0)
    return math.log10(int(n) >> shift) + shift * math.log10(2)


def count_paths(paths: Paths, route: Route = EVERY_PATH) -> Count:
    """Paths from the source to a loss on this route, each use of a tensor by an operation being an edge of its own."""
    reading = read_route(paths, route)
    ways: dict[int, dict[int, int]] = {index: {} for index in paths.order}
    for loss in paths.losses:
        if loss.index in ways:
            ways[loss.index][0] = ways[loss.index].get(0, 0) + 1
    for consumer, slot, producer in paths.edges():
        here, there = ways[consumer.index], ways[producer.index]
        before, after = reading.moves.get((consumer.index, slot), (list(here), list(here)))
        for q, r in zip(before, after, strict=True):
            there[r] = there.get(r, 0) + here.get(q, 0)
    found = ways[paths.source.index]
    return Count(sum(n for q, n in found.items() if accepts(reading.states[q])))


def count_landmark_paths(paths: Paths) -> Count:
    """Different sequences of landmarks from the source to a loss: unnamed ways between two of them count as one."""
    ends = {loss.index for loss in paths.losses}
    # For each node: the landmarks, and losses, that it reaches through unnamed nodes only.
    next_landmarks: dict[int, set[int]] = {index: set() for index in paths.order}
    for consumer, _, producer in paths.edges():
        stops = consumer.name is not None or consumer.index in ends
        next_landmarks[producer.index] |= {consumer.index} if stops else next_landmarks[consumer.index]
    ways: dict[int, int] = {}
    for index in reversed(paths.order):
        ways[index] = (index in ends) + sum(ways[k] for k in next_landmarks[index])
    return Count(ways[paths.source.index])
