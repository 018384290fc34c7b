"""The search: the heaviest sequences of stops from a loss to the source, out of more than could ever be listed.

A beam first, so that there is always a best found. Then, where the factors of all segments could be made within the
limit, best-first by the bounds, which proves the order.
"""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import blocks
from .bounds import Bounds
from .factors import Factors, Limit, factors_of
from .likely import count_in_units, likely_completions
from .segments import Segments, Stop, carried, contributions

Array = npt.NDArray[Any]
Word = tuple[Stop, ...]  # a path: where its segments meet, from the loss on
Link = tuple[Stop, Any]  # a half-read path: its last stop, and the Link of those before, which it shares with others
BEAM = 128


@dataclass(frozen=True)
class Found:
    """words: the heaviest that were met, heaviest first, each with its weight. best_left: the most that one that was
    not met may weigh; 0 where they are proven, inf where nothing is known. expansions: after the beam.
    scaled: whether all was counted in units in which numbers neither underflow nor overflow."""

    words: list[tuple[Word, float]]
    best_left: float
    expansions: int
    scaled: bool = True


def search(segments: Segments, k: int, along: Array | None, most_expansions: int, limit: Limit) -> Found:
    """along: the direction of the gradient, by share; None by norm."""
    heaviest, factors = Heaviest(k), factors_of(segments, along, limit)
    if factors is None:
        by_sweeps = BySweeps(segments, along)
        complete = beam(heaviest, by_sweeps, max(by_sweeps.affordable(limit), min(k, BEAM)))
        return Found(heaviest.in_order(), 0.0 if complete else math.inf, 0, scaled=False)
    by_factors = ByFactors(segments, factors, along)
    beam(heaviest, by_factors, BEAM)
    with np.errstate(over="ignore", invalid="ignore"):  # a bound beyond the range of numbers is none
        return best_first(heaviest, by_factors, most_expansions, limit)


class Heaviest:
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


class BySweeps:
    """Half-read paths carried on by sweeps: for what is too large for its Jacobians."""

    def __init__(self, segments: Segments, along: Array | None) -> None:
        self._segments, self._along = segments, along

    def begins(self) -> list[tuple[Link, Array]]:
        segments = self._segments
        return [((stop, None), np.full(segments.size(stop), float(n))) for stop, n in segments.begins.items()]

    def carry(self, stop: Stop, cotangents: Array, floor: float) -> tuple[dict[Stop, Array], Array | None]:
        """Cotangents, (k, elements), of paths that are at a stop, to the next ones; and what they weigh if they end."""
        arrived, at_uses = carried(
            self._segments, stop, cotangents.reshape((len(cotangents), *self._segments.shape(stop)))
        )
        following = {x: a.reshape((len(a), self._segments.size(x))) for x, a in arrived.items()}
        return following, weights_at(self._segments, at_uses, self._along) if at_uses else None

    def promise(self, stop: Stop, cotangents: Array) -> Array:
        """The more, the likelier is a heavy completion."""
        return blocks.lengths(cotangents)

    def affordable(self, limit: Limit) -> int:
        """How wide a beam is within the limit."""
        segments = self._segments
        order = segments.reading.paths.order
        each = sum(segments.work(stop) for stop in segments.ways)
        each += sum(
            math.isqrt(order[index].size * order[index].inputs[0].size * segments.reading.paths.source.size)
            for ways in segments.ways.values()
            for index, _ in ways.uses
        )
        widest = max(map(segments.widest, segments.ways), default=0)
        return max(1, min(BEAM, int(limit.beam / max(each, 1)), int(limit.numbers / max(widest, 1))))


def weights_at(segments: Segments, at_uses: dict[Any, Array], along: Array | None) -> Array:
    """What paths weigh that end here, from the cotangents at the uses of the source: a few at a time."""
    k, source = len(next(iter(at_uses.values()))), segments.reading.paths.source
    few = max(1, 2**22 // max(source.size, 1))
    weights = np.zeros(k)
    for a in range(0, k, few):
        ends = contributions(segments, {edge: cotangents[a : a + few] for edge, cotangents in at_uses.items()})
        weights[a : a + few] = blocks.lengths(ends) if along is None else np.abs(ends @ along)
    return weights


class ByFactors(BySweeps):
    """The same by the Jacobians of segments, and with bounds."""

    def __init__(self, segments: Segments, factors: Factors, along: Array | None) -> None:
        likely = likely_completions(segments, factors)
        self._segments, self._along, self._exponents = segments, along, likely.exponents
        self._likely = likely.completions
        count_in_units(factors, likely.exponents)
        self._factors = factors
        self._unit = max((likely.exponents[stop] for stop in segments.begins), default=0)
        self.bound = Bounds(segments, factors)

    def begins(self) -> list[tuple[Link, Array]]:
        by = {stop: self._exponents[stop] - self._unit for stop in self._segments.begins}
        return [(link, np.ldexp(cotangent, by[link[0]])) for link, cotangent in super().begins()]

    def true(self, weight: float) -> float:
        """A weight, out of the unit in which all are counted here."""
        with np.errstate(over="ignore"):
            return float(np.ldexp(weight, self._unit))

    def carry(self, stop: Stop, cotangents: Array, floor: float) -> tuple[dict[Stop, Array], Array | None]:
        following = {x: blocks.applied(cotangents, matrix) for x, matrix in self._factors.following[stop].items()}
        return following, self._weights(stop, cotangents, floor) if stop in self._factors.ends else None

    def _weights(self, stop: Stop, cotangents: Array, floor: float) -> Array:
        """Exactly, of all that weigh more than the floor; of others at least not too little."""
        end = self._factors.ends[stop]
        arrived = blocks.applied(cotangents, end.matrix)
        if self._along is not None:
            return np.asarray(np.abs(arrived.sum(axis=1)))
        if end.exact:
            return blocks.lengths(arrived)
        weights = np.asarray(blocks.lengths_in_rows(arrived, len(end.matrix)).sum(axis=1))
        over = np.flatnonzero(weights >= floor)
        if over.size:
            shape = self._segments.shape(stop)
            _, at_uses = carried(self._segments, stop, cotangents[over].reshape((len(over), *shape)))
            weights[over] = np.ldexp(weights_at(self._segments, at_uses, None), -self._exponents[stop])
        return weights

    def work(self, stop: Stop) -> int:
        """About how many multiplications it takes to carry one cotangent on."""
        return sum(matrix.size for matrix in self._factors.following[stop].values())

    def promise(self, stop: Stop, cotangents: Array) -> Array:
        """What they weigh if they go on as is likely."""
        return blocks.lengths(blocks.applied(cotangents, self._likely[stop]))


def beam(heaviest: Heaviest, by: BySweeps, width: int) -> bool:
    """Follow only the `width` most promising words, to the end: those that weigh most if they go on as is likely.

    -> whether that were all there are.
    """
    front, complete = by.begins(), True
    while front:
        at_stops: dict[Stop, list[tuple[Link, Array]]] = {}
        for link, cotangent in front:
            at_stops.setdefault(link[0], []).append((link, cotangent))
        longer: list[tuple[float, Link, Array]] = []
        for stop, half_read in at_stops.items():
            following, weights = by.carry(stop, np.stack([cotangent for _, cotangent in half_read]), heaviest.floor)
            for (link, _), weight in zip(half_read, [] if weights is None else weights.tolist(), strict=False):
                heaviest.meet(weight, link)
            for earlier, moved in following.items():
                promises = by.promise(earlier, moved).tolist()
                longer += [
                    (promise, (earlier, link), cotangent)
                    for promise, (link, _), cotangent in zip(promises, half_read, moved, strict=True)
                ]
        complete = complete and len(longer) <= width
        front = [(link, cotangent) for _, link, cotangent in heapq.nlargest(width, longer, key=lambda item: item[0])]
    return complete


def best_first(heaviest: Heaviest, by: ByFactors, most_expansions: int, limit: Limit) -> Found:
    """Expand what has the largest bound, until that is no more than what was met, or the limit is reached."""
    count = itertools.count()  # breaks ties in the order of insertion, so that vectors are never compared
    queue: list[tuple[float, int, Link, Array]] = []
    expansions, work, numbers = 0, 0, 0

    def wait(link: Link, cotangents: Array) -> int:
        upper = float(by.bound(link[0], cotangents)[0])
        upper = math.inf if math.isnan(upper) else upper
        if upper <= heaviest.floor:
            return 0
        heapq.heappush(queue, (-upper, next(count), link, cotangents))
        return cotangents.size

    for link, cotangent in by.begins():
        numbers += wait(link, cotangent[None])
    while queue and -queue[0][0] > heaviest.floor:
        if expansions == most_expansions or work > limit.work or numbers > limit.waiting:
            return Found(_true(heaviest, by), max(by.true(-queue[0][0]), math.ulp(0.0)), expansions)
        _, _, link, cotangents = heapq.heappop(queue)
        numbers -= cotangents.size
        expansions += 1
        work += by.work(link[0])
        following, weights = by.carry(link[0], cotangents, heaviest.floor)
        if weights is not None:
            heaviest.meet(float(weights[0]), link)
        for earlier, moved in following.items():
            numbers += wait((earlier, link), moved)
    return Found(_true(heaviest, by), 0.0, expansions)


def _true(heaviest: Heaviest, by: ByFactors) -> list[tuple[Word, float]]:
    return [(word, by.true(weight)) for word, weight in heaviest.in_order()]
