"""The gradient by route: how much of it flows along a set of paths."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.sweep import describe, tape
from ..engine.tensor import Tensor
from .automaton import Paths, Reading, split, split_jacobian
from .measure import has_a_norm, has_shares, magnitude, norms_over, percent, shares_of
from .printed import ListedByName
from .reading import crosses_nothing, perhaps_meant, read_route, read_routes
from .route import Route, accepts, checked
from .scaled import log10_of_route

Array = npt.NDArray[Any]


@dataclass(frozen=True, repr=False)
class Part:
    """The gradient through a set of paths.

    gradient: of the source's shape. whole: the gradient through all paths. connected: False if there is no path in
    the set, which is not the same as a gradient of 0. log10: of the norm, where no number holds that: -inf for what is
    exactly 0, else what underflowed or overflowed. hint: what to know of a route that is perhaps not what was meant.
    """

    route: str
    gradient: Array
    whole: Array
    connected: bool = True
    log10: float | None = None
    hint: str = ""

    @property
    def norm(self) -> float:
        """The Euclidean norm. Norms of parts do not add up; shares do."""
        return float(norms_over(self.gradient[None], 1)[0])

    @property
    def share(self) -> float:
        """<g_R, g> / <g, g>, signed; the shares of a partition add up to 1. nan where the whole has none."""
        return float(shares_of(self.gradient[None], self.whole)[0])

    @property
    def bias(self) -> float:
        """|g - g_R| / |g|: the error of taking this part for the whole. nan where the whole has no shares."""
        if not has_shares(self.whole):
            return math.nan
        missing, whole = norms_over(np.stack([self.whole - self.gradient, self.whole]), 1)
        return float(missing / whole)

    @property
    def cosine(self) -> float:
        """The cosine of the angle between this part and the whole; nan where one of them is 0 or underflowed."""
        if not has_a_norm(self.gradient):
            return math.nan
        return float(self.share * norms_over(self.whole[None], 1)[0] / self.norm)

    def __str__(self) -> str:
        if not self.connected:
            return f"{self.route}: no path{self.hint}"
        size = magnitude(self.norm, self.log10, self.gradient.dtype)
        return f"{self.route}: share {percent(self.share, self.log10)}, norm {size}{self.hint}"

    __repr__ = __str__


def part_along(paths: Paths, route: Route, whole: Array, called: str | None = None) -> Part:
    """The gradient through the paths of one route, by a sweep with a row for each state of its automaton."""
    reading = read_route(paths, route)
    pieces = [part for state, part in split(reading).items() if accepts(state)]
    gradient = np.asarray(sum(pieces, _zeros(paths)))
    log10 = log10_of_route(reading, accepts) if pieces and not has_a_norm(gradient) else None
    hint = "" if called else crosses_nothing(paths, route) if pieces else perhaps_meant(paths, route)
    return Part(called or str(route), gradient, whole, bool(pieces), log10, hint)


def partition(paths: Paths, classes: Mapping[str, Route], whole: Array) -> dict[str, Part]:
    """The gradient, apart by classes to which every path belongs exactly once; all of them in one sweep.

    Raises ValueError where some path belongs to no class or to several: it names the classes.
    """
    found, zero = _by_class(paths, classes, split), _zeros(paths)
    parts = ListedByName[Part]()
    for name, route in classes.items():
        part = found.get(name, zero)
        log10 = part_along(paths, route, whole).log10 if name in found and not has_a_norm(part) else None
        parts[name] = Part(f"{name}: {route}", part, whole, name in found, log10)
    return parts


def jacobian_parts(y: Tensor, x: Tensor, classes: Mapping[str, Route]) -> dict[str, Array]:
    """dy/dx, apart by classes of paths from x to y: {name: (*y.shape, *x.shape)}, which sum to `tg.jacobian(y, x)`.

    classes: routes by name, to one of which every path belongs, as in the one-step Jacobian of a GRU:
    {"leak": ~(z | n), "z": tg.through("z"), "n": tg.through("n") & tg.avoiding("r"), "r": tg.through("r")}.
    Raises ValueError where they are no partition, RuntimeError where no path leads from x to y.
    """
    order = tape([y], [x])
    if not order:
        raise RuntimeError(f"no path leads from {describe(x)}, to {describe(y)}")
    found = _by_class(Paths((y,), x, order), classes, split_jacobian)
    return {name: found.get(name, np.zeros((*y.shape, *x.shape), x.dtype)) for name in classes}


def _by_class(
    paths: Paths, classes: Mapping[str, Route], split: Callable[[Reading], dict[Any, Array]]
) -> dict[str, Array]:
    """What flows in each class; a class without a path is not in the answer."""
    if not isinstance(classes, Mapping):
        raise TypeError('the classes are a dict of routes by name, such as {"highway": tg.across("c*"), "rest": ...}')
    names, routes = list(classes), [checked(route) for route in classes.values()]
    found: dict[str, Array] = {}
    for states, part in split(read_routes(paths, routes)).items():
        taken = [name for name, state in zip(names, states, strict=True) if accepts(state)]
        if len(taken) != 1:
            problem = f"belong to {' and '.join(map(repr, taken))}" if taken else "belong to no class"
            raise ValueError(
                f"this is no partition: some paths from the source to the loss {problem}. "
                "Make the classes disjoint with & and ~, and complete with a class of the rest, such as ~(a | b)."
            )
        found[taken[0]] = found.get(taken[0], 0.0) + part
    return found


def _zeros(paths: Paths) -> Array:
    return np.zeros(paths.source.shape, paths.source.dtype)
