"""How many paths there are: exact whole numbers, however large."""

from __future__ import annotations

from .automaton import Paths
from .reading import read_route
from .route import Route, accepts, along

EVERY_PATH = along(".*")


def count_paths(paths: Paths, route: Route = EVERY_PATH) -> int:
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
    return sum(n for q, n in found.items() if accepts(reading.states[q]))


def count_landmark_paths(paths: Paths) -> int:
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
    return ways[paths.source.index]
