"""The heaviest single paths, out of more than could ever be listed, in exact order.

A path is cut into segments at its crossings (unit "state") or at its landmarks (unit "landmark"); unnamed parallel ways
within a segment are added up. A segment is a small Jacobian, so the cotangent of a half-read path is exact. Best-first
search then needs a bound on what any completion can still carry:

    min(|lambda| U_v,  sum over j of |lambda_j| b_v[j])

where U_v bounds the norm, and b_v[j] row j, of the product of segments over all completions from v. Both never
underestimate, so a path that is taken from the queue is the heaviest that is left.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..engine.sweep import AtEdge, sweep
from .automaton import Paths, Reading, mover, read
from .measure import magnitude, norms_over, percent, shares_of
from .parts import MOST_STATES, advance_one, by_crossings, check_names, too_many
from .route import Route, accepts, start

Array = npt.NDArray[Any]
Stop = tuple[int, int]  # (index of a node, state of the automaton) where segments meet
Half = tuple[float, tuple[Stop, ...], Array]  # the bound of a half-read path, its stops, its cotangent
Unit = Literal["state", "landmark"]
By = Literal["norm", "share"]


@dataclass(frozen=True, repr=False)
class TopPath:
    """One path. word: the landmarks (or, by states, the crossings) in forward order. steps: the step of each.

    loss: which of the losses it ends in, counted from 0.
    """

    word: tuple[str, ...]
    steps: tuple[int | None, ...]
    loss: int
    gradient: Array = field(repr=False)
    norm: float
    share: float

    def __str__(self) -> str:
        runs = [(name, len(list(same))) for name, same in itertools.groupby(self.word)]
        return " ".join(name if n == 1 else f"{name}^{n}" for name, n in runs) or "(direct)"

    __repr__ = __str__


@dataclass(frozen=True, repr=False)
class TopPaths:
    """The k heaviest paths, heaviest first, and what they leave.

    rest_norm, rest_share: of the gradient less the listed paths. gap: 0 where the order is proven; else the search
    stopped at its limit, and a path that is not listed may weigh up to the last listed weight plus this.
    instead: where that bound exceeds the gradient itself, and so proves nothing, what is exact at any size.
    """

    paths: tuple[TopPath, ...]
    rest_norm: float
    rest_share: float
    by: By
    gap: float
    expansions: int
    all_listed: bool
    instead: str = ""

    def __iter__(self) -> Iterator[TopPath]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, k: int) -> TopPath:
        return self.paths[k]

    def __str__(self) -> str:
        lines = [f"{'share':>9} {'norm':>10}  path, from the source to the loss, by {self.by}"]
        ends = {path.loss for path in self.paths}
        for path in self.paths:
            end = f"   to loss {path.loss}" if len(ends) > 1 else ""
            lines.append(f"{percent(path.share):>9} {magnitude(path.norm):>10}  {path}{end}")
        if self.all_listed:
            lines.append("There are no other paths.")
        else:
            lines.append(f"{percent(self.rest_share):>9} {magnitude(self.rest_norm):>10}  all other paths together")
        if self.gap:
            lines.append(
                f"The search stopped after {self.expansions} expansions; a path that is not listed could weigh up to "
                f"{magnitude(self.gap)} more than the last one."
            )
            lines.append(self.instead or "by_crossings() and partition() are exact at any size.")
        return "\n".join(lines)

    __repr__ = __str__


def top_paths(
    paths: Paths, k: int, unit: Unit, by: By, within: Route | None, whole: Array, most_expansions: int
) -> TopPaths:
    """The k heaviest paths by norm or by |share|, of a route if one is given."""
    if unit not in ("state", "landmark") or by not in ("norm", "share"):
        raise ValueError(f'unit is "state" or "landmark" and by is "norm" or "share"; got {unit!r} and {by!r}')
    if k < 1:
        raise ValueError(f"top_paths lists at least one path; got k = {k}")
    segments = _segments(paths, unit, within)
    unit_gradient = _direction(whole)
    ends = {stop: end if by == "norm" else end @ unit_gradient[:, None] for stop, end in segments.ends.items()}
    found, gap, expansions = _search(segments, ends, k, most_expansions)
    listed = [_path(paths, segments, word, whole) for word in found]
    rest = whole - sum((path.gradient for path in listed), np.zeros_like(whole))
    proven = (listed[-1].norm if by == "norm" and listed else 0.0) + gap <= _length(whole)
    return TopPaths(
        tuple(listed),
        float(norms_over(rest[None], 1)[0]),
        float(shares_of(rest[None], whole)[0]),
        by,
        gap / _length(whole) if by == "share" else gap,
        expansions,
        all_listed=within is None and gap == 0 and len(found) < k,
        instead="" if proven else _by_crossings(paths, whole),
    )


def _by_crossings(paths: Paths, whole: Array) -> str:
    """The gradient by the number of crossings in each name: that is exact however many paths there are."""
    names = sorted({m.name for c, _, x in paths.edges() if (m := paths.marks(c, x)[1])})
    lines = ["That exceeds the gradient itself, so it proves nothing. Exact instead, by the number of crossings:"]
    for name in names if len(names) > 1 else []:
        parts = enumerate(by_crossings(paths, name, whole))
        largest = sorted(parts, key=lambda item: -abs(item[1].share))[:6]
        lines.append(f"  in {name}: " + ", ".join(f"{k} times {percent(part.share)}" for k, part in sorted(largest)))
    return "\n".join(lines) if len(lines) > 1 else "That exceeds the gradient itself, so it proves nothing."


def _direction(whole: Array) -> Array:
    length = _length(whole)
    return whole.ravel() / length if length else whole.ravel()


def _length(whole: Array) -> float:
    return float(norms_over(whole[None], 1)[0])


# Segments -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Segments:
    """The graph that is searched: its nodes are stops, its edges the Jacobians between them.

    begins: the stops at the losses. following: from a stop to earlier ones, each with its matrix (this, that).
    ends: from a stop to the source, (size of the stop, size of the source).
    """

    begins: list[Stop]
    following: dict[Stop, list[tuple[Stop, Array]]]
    ends: dict[Stop, Array]


def _segments(paths: Paths, unit: Unit, within: Route | None) -> Segments:
    reading = _reading(paths, within)
    waiting = list(dict.fromkeys((loss.index, 0) for loss in paths.losses if loss.index in paths.order))
    segments = Segments(list(waiting), {}, {})
    while waiting:
        stop = waiting.pop()
        if stop in segments.following:
            continue
        reached = _from_stop(reading, stop, unit, segments.ends)
        segments.following[stop] = list(reached.items())
        waiting.extend(reached)
    return _without_dead_ends(segments)


def _without_dead_ends(segments: Segments) -> Segments:
    """Only the stops from which a path of the route still leads to the source."""
    alive: set[Stop] = set()
    for stop in sorted(segments.following):  # earlier nodes first: completions lead back in time
        if stop in segments.ends or any(earlier in alive for earlier, _ in segments.following[stop]):
            alive.add(stop)
    return Segments(
        [stop for stop in segments.begins if stop in alive],
        {
            stop: [(earlier, matrix) for earlier, matrix in segments.following[stop] if earlier in alive]
            for stop in alive
        },
        segments.ends,
    )


def _reading(paths: Paths, within: Route | None) -> Reading:
    if within is None:
        return read(paths, True, lambda state, landmark, crossing: state, 1, "")
    check_names(paths, [within])
    return read(paths, start(within), advance_one, MOST_STATES, too_many(within))


def _from_stop(reading: Reading, stop: Stop, unit: Unit, ends: dict[Stop, Array]) -> dict[Stop, Array]:
    """The Jacobians of all segments that begin at a stop: one sweep with a row for each of its elements."""
    paths, (index, state), rows = reading.paths, stop, len(reading.states)
    node = paths.order[index]
    reached: dict[Stop, Array] = {}
    move = mover(reading)
    arrives = {index: {state}}  # by node: the states in which a way from here gets there, if only carrying 0

    def cut(consumer: Any, slot: int, part: Array) -> Array | None:
        producer = consumer.inputs[slot]
        states = arrives[consumer.index]
        if (consumer.index, slot) in reading.moves:
            after = dict(zip(*reading.moves[consumer.index, slot], strict=True))
            states = {after[q] for q in states if q in after}
        part = move(consumer, slot, part)
        if not states or part is None:
            return None
        if producer is paths.source:
            for q in states:
                if accepts(reading.states[q]):
                    ends[stop] = ends.get(stop, 0.0) + part[q].reshape(node.size, -1)
            return None
        landmark, crossing = paths.marks(consumer, producer)
        if (crossing if unit == "state" else landmark) is None:
            arrives.setdefault(producer.index, set()).update(states)
            return part
        for q in states:
            reached[producer.index, q] = reached.get((producer.index, q), 0.0) + part[q].reshape(node.size, -1)
        return None

    seed = np.zeros((rows, node.size, *node.shape))
    seed[state] = np.eye(node.size).reshape((node.size, *node.shape))
    hooks: dict[int, AtEdge] = dict.fromkeys(paths.order, cut)
    near = {i: n for i, n in paths.order.items() if i <= index}
    sweep(near, {index: seed}, keep=(), at_edge=hooks)
    return reached


# The search -----------------------------------------------------------------------------------------------------------


def _search(
    segments: Segments, ends: dict[Stop, Array], k: int, most_expansions: int
) -> tuple[list[tuple[Stop, ...]], float, int]:
    """The k heaviest sequences of stops from a loss to the source; the proven gap; how many were expanded."""
    bound = _bounds(segments, ends)
    count = itertools.count()  # breaks ties in the order of insertion, so that vectors are never compared
    queue: list[tuple[float, int, tuple[Stop, ...], Array | None]] = []
    complete: list[float] = []  # the k best weights known, as a heap: what cannot beat the worst is not queued

    def push(weight: float, word: tuple[Stop, ...], cotangent: Array | None) -> None:
        if cotangent is None:
            heapq.heappush(complete, weight)
            if len(complete) > k:
                heapq.heappop(complete)
        if len(complete) < k or weight >= complete[0]:
            heapq.heappush(queue, (-weight, next(count), word, cotangent))

    def expand(word: tuple[Stop, ...], cotangent: Array) -> list[Half]:
        stop = word[-1]
        if stop in ends:
            push(float(np.linalg.norm(cotangent @ ends[stop])), word, None)
        after = ((earlier, cotangent @ matrix) for earlier, matrix in segments.following[stop])
        return [(bound(earlier, moved), (*word, earlier), moved) for earlier, moved in after]

    first: list[Half] = [(bound(stop, np.ones(1)), (stop,), np.ones(1)) for stop in segments.begins]
    _beam(first, expand)  # so that there is a best found from the start
    queue.clear()
    known, complete[:] = sorted(complete), []
    floor = known[0] if len(known) == k else 0.0
    for weight, word, cotangent in first:
        push(weight, word, cotangent)
    found: list[tuple[Stop, ...]] = []
    expansions = 0
    while queue and len(found) < k:
        weight, _, word, partial = heapq.heappop(queue)
        if partial is None:
            found.append(word)
            continue
        if expansions == most_expansions:
            heapq.heappush(queue, (weight, -1, word, partial))
            break
        expansions += 1
        for upper, longer, moved in expand(word, partial):
            if upper >= floor * (1 - 1e-12):
                push(upper, longer, moved)
    if len(found) == k or not queue:
        return found, 0.0, expansions
    best_left = -queue[0][0]
    known_paths = sorted((item for item in queue if item[3] is None), key=lambda item: item[:2])
    found += [word for _, _, word, _ in known_paths[: k - len(found)]]
    last = -known_paths[k - 1][0] if len(known_paths) >= k else 0.0
    return found, max(best_left - last, 0.0), expansions


def _beam(
    front: list[Half],
    expand: Callable[[tuple[Stop, ...], Array], list[Half]],
    width: int = 128,
) -> None:
    """Follow only the `width` most promising words, to the end."""
    while front:
        longer = [item for _, word, cotangent in front for item in expand(word, cotangent)]
        front = heapq.nlargest(width, longer, key=lambda item: item[0])


def _bounds(segments: Segments, ends: dict[Stop, Array]) -> Callable[[Stop, Array], float]:
    """(stop, cotangent) -> at least the weight of the heaviest completion."""
    norm: dict[Stop, float] = {}
    rows: dict[Stop, Array] = {}
    for stop in sorted(segments.following):  # earlier nodes first: completions lead back in time
        norms, by_row = [], []
        if stop in ends:
            norms.append(float(np.linalg.norm(ends[stop], 2)))
            by_row.append(np.linalg.norm(ends[stop], axis=1))
        for earlier, matrix in segments.following[stop]:
            norms.append(float(np.linalg.norm(matrix, 2)) * norm[earlier])
            by_row.append(np.minimum(np.linalg.norm(matrix, axis=1) * norm[earlier], np.abs(matrix) @ rows[earlier]))
        norm[stop] = max(norms)
        rows[stop] = np.max(by_row, axis=0)

    def bound(stop: Stop, cotangent: Array) -> float:
        return min(float(np.linalg.norm(cotangent)) * norm[stop], float(np.abs(cotangent) @ rows[stop]))

    return bound


def _path(paths: Paths, segments: Segments, word: tuple[Stop, ...], whole: Array) -> TopPath:
    cotangent = np.ones(1)
    for stop, earlier in itertools.pairwise(word):
        cotangent = cotangent @ dict(segments.following[stop])[earlier]
    gradient = (cotangent @ segments.ends[word[-1]]).reshape(whole.shape)
    nodes = [paths.order[index] for index, _ in reversed(word[1:])]
    return TopPath(
        tuple(node.name or "_" for node in nodes),
        tuple(node.place.step for node in nodes),
        [loss.index for loss in paths.losses].index(word[0][0]),
        gradient,
        float(norms_over(gradient[None], 1)[0]),
        float(shares_of(gradient[None], whole)[0]),
    )
