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
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..engine.sweep import AtEdge, sweep
from .automaton import Paths, Reading, mover, read
from .crossings import by_crossings
from .measure import magnitude, norms_over, percent, shares_of
from .reading import read_route
from .route import Route, accepts

Array = npt.NDArray[Any]
Stop = tuple[int, tuple[int, ...]]  # where segments meet: the index of a node, the states in which paths get there
Word = tuple[Stop, ...]  # a path: where its segments meet, from the loss on
Link = tuple[Stop, Any]  # a half-read path: its last stop, and the Link of those before, which it shares with others
Half = tuple[float, Link, Array]  # the bound of a half-read path, its stops, its cotangent
Unit = Literal["state", "landmark"]
By = Literal["norm", "share"]


@dataclass(frozen=True, repr=False)
class TopPath:
    """One path. word: the landmarks (or, by states, the crossings) in forward order. steps, scopes: of each.

    loss: which of the losses it ends in, counted from 0.
    """

    word: tuple[str, ...]
    steps: tuple[int | None, ...]
    scopes: tuple[str, ...]
    loss: int
    gradient: Array = field(repr=False)
    norm: float
    share: float

    def __str__(self) -> str:
        runs = [(name, len(list(same))) for name, same in itertools.groupby(self.word)]
        return " ".join(name if n == 1 else f"{name}^{n}" for name, n in runs) or "(direct)"

    __repr__ = __str__

    @property
    def in_full(self) -> str:
        """Each landmark with its scope and step: layer0/h[3]."""
        marks = zip(self.word, self.steps, self.scopes, strict=True)
        return " ".join(
            f"{scope}{'/' if scope else ''}{name}{'' if step is None else f'[{step}]'}" for name, step, scope in marks
        )


@dataclass(frozen=True, repr=False)
class TopPaths:
    """The k heaviest paths, heaviest first, and what they leave.

    rest_norm, rest_share: of the gradient less the listed paths. gap: 0 where the order is proven; else the search
    stopped at its limit, the listed are the heaviest that it met, and a path that is not listed may weigh up to the
    last listed weight plus this (in shares, if by share; up to this alone, where fewer than k were met).
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
        alike = Counter((str(path), path.loss) for path in self.paths)
        for path in self.paths:
            end = f"   to loss {path.loss}" if len(ends) > 1 else ""
            word = path.in_full if alike[str(path), path.loss] > 1 and path.word else str(path)
            lines.append(f"{percent(path.share):>9} {magnitude(path.norm):>10}  {word}{end}")
        if self.all_listed:
            lines.append("There are no other paths.")
        else:
            lines.append(f"{percent(self.rest_share):>9} {magnitude(self.rest_norm):>10}  all other paths together")
        if self.gap:
            gap = percent(self.gap) if self.by == "share" else magnitude(self.gap)
            lines.append(
                f"The search stopped after {self.expansions} expansions. These are the heaviest that it met; a path "
                f"that is not listed could weigh up to {gap} more than the last one."
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
    for what, count in (("k", k), ("most_expansions", most_expansions)):
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ValueError(f"top_paths lists at least one path: {what} is a whole number from 1; got {count!r}")
    if not np.isfinite(whole).all():
        raise ValueError("the gradient is not finite, so no path is the heaviest: tg.detect_anomaly() says where from")
    segments = _segments(_reading(paths, within), unit, _weigher(by, whole))
    found, best_left, expansions = _search(segments, k, most_expansions)
    listed = _paths(segments, [word for word, _ in found], whole)
    rest = whole - sum((path.gradient for path in listed), np.zeros_like(whole))
    gap = max(best_left - (found[-1][1] if len(found) == k else 0.0), 0.0)
    return TopPaths(
        tuple(listed),
        float(norms_over(rest[None], 1)[0]),
        float(shares_of(rest[None], whole)[0]),
        by,
        gap / _length(whole) if by == "share" and gap else gap,
        expansions,
        all_listed=within is None and gap == 0 and len(found) < k,
        instead="" if best_left <= _length(whole) else _by_crossings(paths, whole),
    )


def _weigher(by: By, whole: Array) -> Callable[[Array], Array]:
    """What is kept of the Jacobian of a last segment, (stop, source): enough to weigh a path, and no more.

    By norm, (stop, at most stop), that stretches cotangents as the Jacobian does: a weight may have far more elements
    than a stop. By share, its product with the direction of the gradient.
    """
    if by == "share":
        direction = whole.ravel() / (_length(whole) or 1.0)
        return lambda end: end @ direction[:, None]
    return lambda end: np.asarray(np.linalg.qr(end.T, mode="r")).T if end.shape[1] > end.shape[0] else end


def _by_crossings(paths: Paths, whole: Array) -> str:
    """The gradient by the number of crossings in each name: that is exact however many paths there are."""
    names = sorted({m.name for c, _, x in paths.edges() if (m := paths.marks(c, x)[1])})
    lines = ["That exceeds the gradient itself, so it proves nothing. Exact instead, by the number of crossings:"]
    for name in names if len(names) > 1 else []:
        parts = enumerate(by_crossings(paths, name, whole))
        largest = sorted(parts, key=lambda item: -abs(item[1].share))[:6]
        lines.append(f"  in {name}: " + ", ".join(f"{k} times {percent(part.share)}" for k, part in sorted(largest)))
    return "\n".join(lines) if len(lines) > 1 else "That exceeds the gradient itself, so it proves nothing."


def _length(vector: Array) -> float:
    """The Euclidean norm; only where squares could underflow or overflow are elements scaled first."""
    length = math.sqrt(np.vdot(vector, vector))
    return length if 1e-140 < length < 1e140 else float(norms_over(vector[None], 1)[0])


# Segments -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Segments:
    """The graph that is searched: its nodes are stops, its edges the Jacobians between them.

    A stop has a row for each of its states and elements, since paths of one word may be in several states there.
    begins: the stops at the losses, each with how many losses end there. following: from a stop to earlier ones, each
    with its matrix (this, that). ends: from a stop to the source, what the weigher keeps of that Jacobian.
    """

    reading: Reading
    unit: Unit
    begins: dict[Stop, int]
    following: dict[Stop, list[tuple[Stop, Array]]]
    ends: dict[Stop, Array]


def _segments(reading: Reading, unit: Unit, weigh: Callable[[Array], Array]) -> Segments:
    paths = reading.paths
    begins: dict[Stop, int] = Counter((loss.index, (0,)) for loss in paths.losses if loss.index in paths.order)
    segments, waiting = Segments(reading, unit, begins, {}, {}), list(begins)
    while waiting:
        stop = waiting.pop()
        if stop in segments.following:
            continue
        reached, end = _from_stop(reading, stop, unit)
        segments.following[stop] = list(reached.items())
        if end is not None:
            segments.ends[stop] = weigh(end)
        waiting.extend(reached)
    return _without_dead_ends(segments)


def _without_dead_ends(segments: Segments) -> Segments:
    """Only the stops from which a path of the route still leads to the source."""
    alive: set[Stop] = set()
    for stop in sorted(segments.following):  # earlier nodes first: completions lead back in time
        if stop in segments.ends or any(earlier in alive for earlier, _ in segments.following[stop]):
            alive.add(stop)
    return replace(
        segments,
        begins={stop: losses for stop, losses in segments.begins.items() if stop in alive},
        following={
            stop: [(earlier, matrix) for earlier, matrix in segments.following[stop] if earlier in alive]
            for stop in alive
        },
    )


def _reading(paths: Paths, within: Route | None) -> Reading:
    return read(paths, True, lambda state, *_: state) if within is None else read_route(paths, within)


def _from_stop(reading: Reading, stop: Stop, unit: Unit) -> tuple[dict[Stop, Array], Array | None]:
    """The Jacobians of all segments that begin at a stop: one sweep with a row for each of its elements.

    -> by the stop that a segment leads to (this, that); and to the source (this, source), None where none leads there.
    """
    paths, (index, begun), rows = reading.paths, stop, len(reading.states)
    node = paths.order[index]
    n = node.size
    reached: dict[int, dict[int, Array]] = {}  # by node and state
    ends: list[Array] = []
    move = mover(reading)
    arrives = {index: set(begun)}  # by node: the states in which a way from here gets there, if only carrying 0

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
            ends.extend(part[q].reshape(len(begun) * n, -1) for q in states if accepts(reading.states[q]))
            return None
        if not _stops(paths, unit, consumer, producer):
            arrives.setdefault(producer.index, set()).update(states)
            return part
        so_far = reached.setdefault(producer.index, {})
        for q in states:
            so_far[q] = so_far.get(q, 0.0) + part[q].reshape(len(begun) * n, -1)
        return None

    seed = np.zeros((rows, len(begun), n, *node.shape))
    for k, state in enumerate(begun):
        seed[state, k] = np.eye(n).reshape((n, *node.shape))
    near = _segment(paths, unit, node)
    hooks: dict[int, AtEdge] = dict.fromkeys(near, cut)
    sweep(near, {index: seed.reshape((rows, -1, *node.shape))}, keep=(), at_edge=hooks)
    following = {(at, tuple(sorted(by))): np.hstack([by[q] for q in sorted(by)]) for at, by in reached.items()}
    return following, sum(ends[1:], ends[0]) if ends else None


def _stops(paths: Paths, unit: Unit, consumer: Any, producer: Any) -> bool:
    landmark, crossing = paths.marks(consumer, producer)
    return (crossing if unit == "state" else landmark) is not None


def _segment(paths: Paths, unit: Unit, node: Any) -> dict[int, Any]:
    """The tape from a node back to the next stops."""
    near, entered, waiting = {node.index: node}, {node.index}, [node]
    while waiting:
        consumer = waiting.pop()
        for x in consumer.inputs:
            if x.index in paths.order:
                near[x.index] = x
                if x.index not in entered and x is not paths.source and not _stops(paths, unit, consumer, x):
                    entered.add(x.index)
                    waiting.append(x)
    return dict(sorted(near.items()))


# The search -----------------------------------------------------------------------------------------------------------


class _Heaviest:
    """The k heaviest complete paths that were met so far."""

    def __init__(self, k: int) -> None:
        self._k = k
        self._heap: list[tuple[float, Word]] = []  # the lightest of them first
        self._words: set[Word] = set()

    def meet(self, weight: float, link: Link) -> None:
        if weight < self.floor:
            return
        word = _word(link)
        if word in self._words:
            return
        self._words.add(word)
        heapq.heappush(self._heap, (weight, word))
        if len(self._heap) > self._k:
            self._words.remove(heapq.heappop(self._heap)[1])

    @property
    def floor(self) -> float:
        """What a path must weigh to be among them."""
        return self._heap[0][0] if len(self._heap) == self._k else -1.0

    def in_order(self) -> list[tuple[Word, float]]:
        return [(word, weight) for weight, word in sorted(self._heap, key=lambda met: (-met[0], met[1]))]


def _word(link: Link | None) -> Word:
    stops: list[Stop] = []
    while link is not None:
        stop, link = link
        stops.append(stop)
    return tuple(reversed(stops))


def _search(segments: Segments, k: int, most_expansions: int) -> tuple[list[tuple[Word, float]], float, int]:
    """The k heaviest sequences of stops from a loss to the source, with their weights; the most that one that was not
    met may weigh, 0 where they are proven; how many were expanded."""
    bound, heaviest = _bounds(segments), _Heaviest(k)
    count = itertools.count()  # breaks ties in the order of insertion, so that vectors are never compared

    def expand(link: Link, cotangent: Array) -> list[Half]:
        stop, _ = link
        if stop in segments.ends:
            heaviest.meet(_length(cotangent @ segments.ends[stop]), link)
        after = ((earlier, cotangent @ matrix) for earlier, matrix in segments.following[stop])
        return [(bound(earlier, moved), (earlier, link), moved) for earlier, moved in after]

    begins = [(stop, np.full(1, float(losses))) for stop, losses in segments.begins.items()]
    first: list[Half] = [(bound(stop, cotangent), (stop, None), cotangent) for stop, cotangent in begins]
    _beam(first, expand, _likely(segments))  # so that there is a best found from the start
    queue = [(-upper, next(count), link, cotangent) for upper, link, cotangent in first]
    heapq.heapify(queue)
    expansions = 0
    while queue and -queue[0][0] > heaviest.floor:
        if expansions == most_expansions:
            return heaviest.in_order(), -queue[0][0], expansions
        _, _, link, cotangent = heapq.heappop(queue)
        expansions += 1
        for upper, longer, moved in expand(link, cotangent):
            if upper > heaviest.floor:
                heapq.heappush(queue, (-upper, next(count), longer, moved))
    return heaviest.in_order(), 0.0, expansions


def _beam(
    front: list[Half], expand: Callable[[Link, Array], list[Half]], likely: dict[Stop, Array], width: int = 128
) -> None:
    """Follow only the `width` most promising words, to the end: those that weigh most if they go on as is likely."""
    while front:
        longer = [item for _, link, cotangent in front for item in expand(link, cotangent)]
        front = heapq.nlargest(width, longer, key=lambda item: _length(item[2] @ likely[item[1][0]]))


def _likely(segments: Segments) -> dict[Stop, Array]:
    """From each stop one completion to the source, as what the weigher keeps of its Jacobian: that which is heaviest
    among those that go on as is likely from the next stop."""
    found: dict[Stop, Array] = {}
    for stop in sorted(segments.following):  # earlier nodes first: completions lead back in time
        ways = [matrix @ found[earlier] for earlier, matrix in segments.following[stop]]
        ways += [segments.ends[stop]] if stop in segments.ends else []
        found[stop] = max(ways, key=_length)
    return found


def _bounds(segments: Segments) -> Callable[[Stop, Array], float]:
    """(stop, cotangent) -> at least the weight of the heaviest completion."""
    norm: dict[Stop, float] = {}
    rows: dict[Stop, Array] = {}
    for stop in sorted(segments.following):  # earlier nodes first: completions lead back in time
        norms, by_row = [], []
        if stop in segments.ends:
            norms.append(float(np.linalg.norm(segments.ends[stop], 2)))
            by_row.append(norms_over(segments.ends[stop], 1))
        for earlier, matrix in segments.following[stop]:
            norms.append(float(np.linalg.norm(matrix, 2)) * norm[earlier])
            by_row.append(np.minimum(norms_over(matrix, 1) * norm[earlier], np.abs(matrix) @ rows[earlier]))
        norm[stop] = max(norms)
        rows[stop] = np.max(by_row, axis=0)

    def bound(stop: Stop, cotangent: Array) -> float:
        return min(_length(cotangent) * norm[stop], float(np.abs(cotangent) @ rows[stop]))

    return bound


def _paths(segments: Segments, words: list[Word], whole: Array) -> list[TopPath]:
    """The words with their gradients."""
    paths, ends, found = segments.reading.paths, dict[Stop, Array](), []
    losses = [loss.index for loss in paths.losses]
    for word in words:
        cotangent = np.full(1, float(segments.begins[word[0]]))
        for stop, earlier in itertools.pairwise(word):
            cotangent = cotangent @ dict(segments.following[stop])[earlier]
        if word[-1] not in ends:
            end = _from_stop(segments.reading, word[-1], segments.unit)[1]
            assert end is not None  # or the word would not end there
            ends[word[-1]] = end
        gradient = (cotangent @ ends[word[-1]]).reshape(whole.shape)
        nodes = [paths.order[index] for index, _ in reversed(word[1:])]
        found.append(
            TopPath(
                word=tuple(node.name or "_" for node in nodes),
                steps=tuple(node.place.step for node in nodes),
                scopes=tuple(node.place.scope for node in nodes),
                loss=losses.index(word[0][0]),
                gradient=gradient,
                norm=float(norms_over(gradient[None], 1)[0]),
                share=float(shares_of(gradient[None], whole)[0]),
            )
        )
    return found
