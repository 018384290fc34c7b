"""The heaviest single paths, out of more than could ever be listed, in exact order, and what they leave.

A path is cut into segments at its crossings or at its landmarks (segments.py), whose Jacobians (factors.py, ends.py)
make its contribution a product of small matrices. Bounds on what any completion of a half-read path can still carry
(bounds.py) let a search (search.py) find the heaviest without looking at most of them.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..automaton import Paths, Reading, every_path
from ..crossings import by_crossings
from ..expression import UNNAMED, Letter, quoted
from ..measure import is_beyond, magnitude, norms_over, percent, power_of_ten, shares_of, smallest
from ..missing import log10_of_whole
from ..reading import read_route
from ..route import Route
from .factors import Limit
from .search import Word, search
from .segments import Segments, Unit, carried, contributions, segments_of, work_of
from .underflow import log10_of_path

Array = npt.NDArray[Any]
By = Literal["norm", "share"]
LIMIT = Limit()


@dataclass(frozen=True, repr=False)
class TopPath:
    """One path. word: the landmarks (or, by states, the crossings) in forward order. steps, scopes: of each.

    loss: which of the losses it ends in, counted from 0. log10: of the norm, also where that underflows.
    """

    word: tuple[str, ...]
    steps: tuple[int | None, ...]
    scopes: tuple[str, ...]
    loss: int
    gradient: Array = field(repr=False)
    norm: float
    share: float
    log10: float = -math.inf

    def __str__(self) -> str:
        runs = [(name, len(list(same))) for name, same in itertools.groupby(self.word)]
        return " ".join(quoted(name) if n == 1 else f"{quoted(name)}^{n}" for name, n in runs) or "(direct)"

    __repr__ = __str__

    @property
    def written(self) -> tuple[str, str]:
        """The share and the norm, as reports print them."""
        beyond = self.log10 if is_beyond(self.norm) else None
        return percent(self.share, beyond), magnitude(self.norm, self.log10)

    @property
    def in_full(self) -> str:
        """Each landmark with its scope and step: layer0/h[3]."""
        marks = zip(self.word, self.steps, self.scopes, strict=True)
        return " ".join(
            str(Letter(name, scope=scope, first=step, end=None if step is None else step + 1))
            for name, step, scope in marks
        )


@dataclass(frozen=True, repr=False)
class TopPaths:
    """The k heaviest paths, heaviest first, and what they leave.

    rest_norm, rest_share: of the gradient less the listed paths; a norm that underflowed is 0, and
        where the gradient overflowed that of the rest is not known, inf.
    gap: 0 where the order is proven; else the search stopped at its limit, the listed are the heaviest that it met, and
    a path that is not listed may weigh up to the last listed weight plus this (in shares, if by share; up to this
    alone, where fewer than k were met). inf where nothing is known of the others: even the Jacobians, with no
    expansions, or the bound would be too large.
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
            share, norm = path.written
            lines.append(f"{share:>9} {norm:>10}  {word}{end}")
        if self.all_listed:
            lines.append("There are no other paths.")
        else:
            lines.append(f"{percent(self.rest_share):>9} {magnitude(self.rest_norm):>10}  all other paths together")
        if any("_" in path.word for path in self.paths):
            lines.append(UNNAMED)
        if self.gap:
            times = f"{self.gap:.0e} times the gradient" if self.gap > 100 else percent(self.gap)
            gap = times if self.by == "share" else magnitude(self.gap)
            lines.append(
                f"The search stopped after {self.expansions} expansions. These are the heaviest that it met; a path "
                f"that is not listed could weigh up to {gap} more than the last one."
                if self.gap < math.inf
                else "These are the heaviest that were met. There is no bound on a path that is not listed: "
                + ("it is beyond the range of numbers." if self.expansions else "the Jacobians it needs are too large.")
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
    overflowed = not np.isfinite(whole).all()
    if overflowed:
        _check_scaled(paths, by)
    segments = segments_of(_reading(paths, within), unit)
    size = math.inf if overflowed else float(norms_over(whole[None], 1)[0])
    along = whole.ravel() / (size or 1.0) if by == "share" else None
    expected: dict[str, Any] = {"over": "ignore"} | ({"invalid": "ignore"} if overflowed else {})
    with np.errstate(**expected):
        found = search(segments, k, along, most_expansions, LIMIT)
    if overflowed and not found.scaled:
        raise ValueError(
            "the gradient overflowed, and the Jacobians of these segments, in which the search could count in units of "
            "its own, are too large: search from a smaller loss, such as loss * 1e-100, or ask by_crossings()"
        )
    listed = _paths(segments, [word for word, _ in found.words], whole)
    rest = whole if overflowed else whole - sum((path.gradient for path in listed), np.zeros_like(whole))
    last = found.words[-1][1] if len(found.words) == k else 0.0
    gap = max(found.best_left - last, math.ulp(0.0)) if found.best_left else 0.0  # not 0, though it may underflow
    if found.best_left == math.inf:
        gap = math.inf
    rest_norm = math.inf if overflowed else float(norms_over(rest[None], 1)[0])
    return TopPaths(
        tuple(listed),
        0.0 if rest_norm < smallest(whole.dtype) else rest_norm,
        float(shares_of(rest[None], whole)[0]),
        by,
        gap / size if by == "share" and size else gap,
        found.expansions,
        all_listed=within is None and len(found.words) == segments.words(),
        instead="" if found.best_left <= size else _instead(paths, whole, found.best_left),
    )


def _check_scaled(paths: Paths, by: By) -> None:
    """Raises ValueError for a gradient that is not finite in truth, and by share, for there are none of one that
    overflowed."""
    log10 = log10_of_whole(paths)
    if not math.isfinite(log10):
        raise ValueError("the gradient is not finite, so no path is the heaviest: tg.detect_anomaly() says where from")
    if by == "share":
        raise ValueError(
            f'the gradient overflowed: it is about {power_of_ten(log10)}, so nothing has a share: by="norm"'
        )


def _reading(paths: Paths, within: Route | None) -> Reading:
    return every_path(paths) if within is None else read_route(paths, within)


def _instead(paths: Paths, whole: Array, best_left: float) -> str:
    """Where a bound exceeds the gradient: that it does, and what is exact however many paths there are."""
    proves_nothing = "That exceeds the gradient itself, so it proves nothing. " if best_left < math.inf else ""
    names = sorted({m.name for c, _, x in paths.edges() if (m := paths.marks(c, x)[1])})
    counts = len({node.place.step for node in paths.order.values()})  # at most so many crossings, a row for each
    work = len(names) * counts * sum(work_of(node, paths.order) for node in paths.order.values())
    if len(names) < 2 or work > LIMIT.work / 8 or counts * counts * whole.size > LIMIT.numbers:
        return proves_nothing + "by_crossings() and partition() are exact at any size."
    lines = [f"{proves_nothing}Exact instead, by the number of crossings:"]
    for name in names:
        parts = enumerate(by_crossings(paths, name, whole))
        largest = sorted(parts, key=lambda item: -abs(item[1].share))[:6]
        lines.append(f"  in {name}: " + ", ".join(f"{k} times {percent(part.share)}" for k, part in sorted(largest)))
    return "\n".join(lines)


def _paths(segments: Segments, words: list[Word], whole: Array) -> list[TopPath]:
    """The words with their gradients."""
    order, found = segments.reading.paths.order, []
    losses = [loss.index for loss in segments.reading.paths.losses]
    for word in words:
        gradient, log10 = _gradient(segments, word)
        gradient = gradient.reshape(whole.shape)
        nodes = [order[index] for index, _ in reversed(word[1:])]
        found.append(
            TopPath(
                word=tuple(node.name or "_" for node in nodes),
                steps=tuple(node.place.step for node in nodes),
                scopes=tuple(node.place.scope for node in nodes),
                loss=losses.index(word[0][0]),
                gradient=gradient,
                norm=float(norms_over(gradient[None], 1)[0]),
                share=float(shares_of(gradient[None], whole)[0]),
                log10=log10,
            )
        )
    return found


def _gradient(segments: Segments, word: Word) -> tuple[Array, float]:
    """The gradient through one path, (elements of the source,), and log10 of its norm; -inf where it is exactly 0.

    The cotangent is scaled by a power of two after every segment, which is exact, so that it never underflows.
    """
    cotangent = np.full((1, *segments.shape(word[0])), float(segments.begins[word[0]]))
    exponent = 0
    for stop, earlier in itertools.pairwise(word):
        cotangent = carried(segments, stop, cotangent)[0][earlier]
        by = int(np.frexp(np.abs(cotangent).max(initial=0.0))[1])
        cotangent, exponent = np.ldexp(cotangent, -by), exponent + by
    scaled = contributions(segments, carried(segments, word[-1], cotangent)[1])[0]
    norm = float(norms_over(scaled[None], 1)[0])
    log10 = math.log10(norm) + exponent * math.log10(2) if norm else log10_of_path(segments, word)
    with np.errstate(over="ignore"):
        return np.ldexp(scaled, exponent), log10
