"""The gradient by route: how much of it flows along a set of paths."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ..engine.sweep import describe, tape
from ..engine.tensor import Tensor
from . import expression as ex
from .automaton import Advance, Paths, Reading, TooManyStatesError, mover, read, split, split_jacobian
from .expression import Letter, Mark
from .measure import magnitude, norms_over, percent, shares_of
from .oversights import last_steps
from .route import Route, accepts, advance, checked, landmark, start
from .scaled import log10_by_state, log10_of_route
from .uses import Step, Uses, sweep_uses, uses_of

Array = npt.NDArray[Any]
MOST_STATES = 512
LOOP = "put the loop into `for t, x in tg.steps(xs):`"


@dataclass(frozen=True, repr=False)
class Part:
    """The gradient through a set of paths.

    gradient: of the source's shape. whole: the gradient through all paths. connected: False if there is no path in
    the set, which is not the same as a gradient of 0. log10: of the norm, where that itself underflows.
    """

    route: str
    gradient: Array
    whole: Array
    connected: bool = True
    log10: float | None = None

    @property
    def norm(self) -> float:
        """The Euclidean norm. Norms of parts do not add up; shares do."""
        return float(norms_over(self.gradient[None], 1)[0])

    @property
    def share(self) -> float:
        """<g_R, g> / <g, g>, signed; the shares of a partition add up to 1. nan where the whole is exactly 0."""
        return float(shares_of(self.gradient[None], self.whole)[0])

    @property
    def bias(self) -> float:
        """|g - g_R| / |g|: the error of taking this part for the whole. nan where the whole is exactly 0."""
        missing, whole = norms_over(np.stack([self.whole - self.gradient, self.whole]), 1)
        return float(missing / whole) if whole else math.nan

    @property
    def cosine(self) -> float:
        """The cosine of the angle between this part and the whole; nan where one of them is exactly 0."""
        norm = self.norm
        return float(self.share * norms_over(self.whole[None], 1)[0] / norm) if norm else math.nan

    def __str__(self) -> str:
        if not self.connected:
            return f"{self.route}: no path"
        return f"{self.route}: share {percent(self.share)}, norm {magnitude(self.norm, self.log10)}"

    __repr__ = __str__


def part_along(paths: Paths, route: Route, whole: Array, called: str | None = None) -> Part:
    """The gradient through the paths of one route, by a sweep with a row for each state of its automaton."""
    reading = read_route(paths, route)
    pieces = [part for state, part in split(reading).items() if accepts(state)]
    gradient = np.asarray(sum(pieces, _zeros(paths)))
    log10 = log10_of_route(reading, accepts) if pieces and not gradient.any() else None
    return Part(called or str(route), gradient, whole, bool(pieces), log10)


def partition(paths: Paths, classes: Mapping[str, Route], whole: Array) -> dict[str, Part]:
    """The gradient, apart by classes to which every path belongs exactly once; all of them in one sweep.

    Raises ValueError where some path belongs to no class or to several: it names the classes.
    """
    found, zero = _by_class(paths, classes, split), _zeros(paths)
    parts = {}
    for name, route in classes.items():
        part = found.get(name, zero)
        log10 = part_along(paths, route, whole).log10 if name in found and not part.any() else None
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
    reading = _read(paths, routes, tuple(start(route) for route in routes), _advance_all)
    found: dict[str, Array] = {}
    for states, part in split(reading).items():
        taken = [name for name, state in zip(names, states, strict=True) if accepts(state)]
        if len(taken) != 1:
            problem = f"belong to {' and '.join(map(repr, taken))}" if taken else "belong to no class"
            raise ValueError(
                f"this is no partition: some paths from the source to the loss {problem}. "
                "Make the classes disjoint with & and ~, and complete with a class of the rest, such as ~(a | b)."
            )
        found[taken[0]] = found.get(taken[0], 0.0) + part
    return found


def by_crossings(paths: Paths, name: str, whole: Array) -> list[Part]:
    """The gradient, apart by how many crossings a path has in this landmark: [exactly 0, exactly 1, ...]."""
    reading = read(paths, 0, _counting(_crossing(paths, name)))
    found, zero = split(reading), _zeros(paths)
    logs = log10_by_state(reading) if any(not part.any() for part in found.values()) else {}
    parts = []
    for k in range(max(found, default=0) + 1):  # type: ignore[type-var, operator]
        part = found.get(k, zero)
        log10 = None if k not in found or part.any() else logs.get(k, -math.inf)
        parts.append(Part(f"{k} crossings in {name}", part, whole, k in found, log10))
    return parts


@dataclass(frozen=True, repr=False)
class Spectrum:
    """The gradient by lag and by the number of crossings in a landmark.

    lags: the lag of each row. gradients: (lags, crossings, *source.shape), which sum to the whole.
    connected: (lags, crossings); False is «no path», which is not a gradient of 0.
    """

    name: str
    lags: tuple[int, ...]
    gradients: Array
    connected: npt.NDArray[np.bool_]
    whole: Array

    @property
    def shares(self) -> Array:
        """(lags, crossings): signed shares of the whole; they add up to 1."""
        return shares_of(self.gradients, self.whole)

    @property
    def norms(self) -> Array:
        """(lags, crossings)."""
        return norms_over(self.gradients, 2)

    def __str__(self) -> str:
        """Rows are lags, columns numbers of crossings."""
        width = range(self.gradients.shape[1])
        lines = [f"share by lag and by crossings in {self.name}:", "  lag" + "".join(f"{k:>9}" for k in width)]
        for lag, row, paths in zip(self.lags, self.shares, self.connected, strict=True):
            cells = (percent(share) if any_ else "-" for share, any_ in zip(row.tolist(), paths, strict=True))
            lines.append(f"{lag:>5}" + "".join(f"{cell:>9}" for cell in cells))
        return "\n".join([*lines, "-: no path"] if not self.connected.all() else lines)

    __repr__ = __str__


def spectrum(paths: Paths, name: str, whole: Array) -> Spectrum:
    """The gradient, apart by lag and by how often a path crosses time in a landmark.

    The lag of a path is that of the ledger: from the step of the loss back to the step at which the source is used.
    """
    found = _by_lag(paths, name, lambda part: part)
    lags, most = _extent(found)
    table = np.zeros((len(lags), most + 1, *paths.source.shape), paths.source.dtype)
    connected = np.zeros(table.shape[:2], np.bool_)
    for (lag, k), part in found.items():
        table[lags.index(lag), k], connected[lags.index(lag), k] = part, True
    return Spectrum(name, tuple(lags), table, connected, whole)


def spectrum_of_shares(paths: Paths, name: str, whole: Array) -> dict[tuple[int, int], float]:
    """(lag, number of crossings) -> share, without keeping an array for each; no path, no entry."""
    return {key: float(share) for key, share in _by_lag(paths, name, lambda part: shares_of(part, whole)).items()}


def _extent(found: Mapping[tuple[int, int], Any]) -> tuple[list[int], int]:
    return sorted({lag for lag, _ in found}), max((crossings for _, crossings in found), default=0)


def _by_lag(paths: Paths, name: str, measure: Callable[[Array], Array]) -> dict[tuple[int, int], Array]:
    """(lag, number of crossings) -> what is measured of the gradient there, where there is a path.

    measure: linear, of (rows, *source.shape), for each row.
    """
    letter = _crossing(paths, name)
    found: dict[tuple[int, int], Array] = {}
    for loss in paths.losses:
        order = tape([loss], [paths.source])
        if not order:
            continue
        last = last_steps(order).get(loss.index)
        uses = uses_of([loss], paths.source, order)
        if None in uses.steps:
            raise ValueError(
                f"{describe(paths.source)}, is used outside the time loop as well, where a path has no lag, and so no "
                "place in a spectrum: by_crossings() and the ledger take such paths in"
            )
        reading = read(Paths((loss,), paths.source, order), 0, _counting(letter))
        there, states = _states_by_use(reading, uses), cast(list[int], reading.states)

        def receive(step: Step, part: Array, last: Step = last, there: Any = there, states: list[int] = states) -> None:
            measured = measure(part)
            for q in there[step]:
                key = cast(int, last) - cast(int, step), states[q]
                found[key] = found[key] + measured[q] if key in found else np.array(measured[q])

        sweep_uses(uses, reading.paths.seeds(len(states)), receive, mover(reading))
    return found


def _states_by_use(reading: Reading, uses: Uses) -> dict[Step, set[int]]:
    """By step of the use: the states in which some path gets there, if only carrying 0."""
    found: dict[Step, set[int]] = {}
    for consumer, slot, producer in reading.paths.edges():
        if uses.is_use(consumer, producer):
            moves = reading.moves.get((consumer.index, slot))
            after = reading.at[consumer.index] if moves is None else set(moves[1])
            found.setdefault(consumer.place.step, set()).update(after)
    return found


def _counting(letter: Letter) -> Advance:
    """The automaton whose state is the number of crossings in a landmark so far."""
    return lambda state, landmark, crossing: state + (crossing is not None and letter.stands_for(crossing))


def _crossing(paths: Paths, name: str) -> Letter:
    """The landmark of this name. Raises ValueError where no path crosses a step in it."""
    letter = landmark(name)
    marks = {m for c, _, x in paths.edges() for m in paths.marks(c, x) if m and m.crosses}
    if not any(map(letter.stands_for, marks)):
        known = {mark.name for mark in marks}
        timeless = all(node.place.step is None for node in paths.order.values())
        found = (
            f"{LOOP}, for no operation is at a time step" if timeless else f"paths cross in {', '.join(sorted(known))}"
        )
        raise ValueError(f"no path crosses a step in {name!r}: {found if timeless or known else 'none crosses at all'}")
    return letter


def _zeros(paths: Paths) -> Array:
    return np.zeros(paths.source.shape, paths.source.dtype)


def read_route(paths: Paths, route: Route) -> Reading:
    """The automaton of a route, run over the graph.

    Raises ValueError for a name, a scope or a step that is not there, and for too many states.
    """
    return _read(paths, [route], start(route), _advance_one)


def _read(paths: Paths, routes: Sequence[Route], first: Any, advance: Advance) -> Reading:
    _check_names(paths, routes)
    try:
        return read(paths, first, advance, MOST_STATES)
    except TooManyStatesError:
        written = ", ".join(map(str, routes))
        raise ValueError(
            f"the automaton of {written} needs more than {MOST_STATES} states, each of which costs a backward sweep"
            f"{_culprit(paths, routes)}"
        ) from None


def _advance_one(state: Any, landmark: Mark | None, crossing: Mark | None) -> Any:
    after = advance(state, landmark, crossing)
    return None if after is False else after


def _advance_all(states: Any, landmark: Mark | None, crossing: Mark | None) -> Any:
    return tuple(advance(state, landmark, crossing) for state in states)


def _culprit(paths: Paths, routes: Sequence[Route]) -> str:
    """Which part of which route makes the automaton so large."""
    for leaf in (leaf for route in routes for leaf in route.leaves()):
        if _fits(paths, leaf):
            continue
        for part in sorted(ex.repetitions(leaf.parts), key=ex.written):
            if _fits(paths, replace(leaf, parts=ex.unbounded(leaf.parts, part))):
                return (
                    f". It is {ex.written(part)} in {leaf} that makes so many: where it follows what is of any length, "
                    "each time more can double them. Count from the other end, or name the step, as in h[3]"
                )
        return f". {leaf} alone makes so many"
    return ". None of its parts alone makes so many, but together they do"


def _fits(paths: Paths, route: Route) -> bool:
    try:
        read(paths, start(route), _advance_one, MOST_STATES)
    except TooManyStatesError:
        return False
    return True


def _check_names(paths: Paths, routes: Sequence[Route]) -> None:
    """Raises ValueError for a letter that stands for nothing there is: more likely a slip than a question."""
    if any(route.crosses() for route in routes) and all(node.place.step is None for node in paths.order.values()):
        raise ValueError(f"no operation is at a time step, so nothing crosses time: {LOOP}")
    landmarks: dict[str, set[int]] = {}
    crossings: dict[str, set[int]] = {}
    for consumer, _, producer in replace(paths, cut=frozenset()).edges():  # what is cut away is not unknown
        for mark, met in zip(paths.marks(consumer, producer), (landmarks, crossings), strict=True):
            if mark is not None:
                met.setdefault(mark.name, set()).add(producer.index)
    for route in routes:
        for kind, letter in route.letters():
            met = landmarks if kind == "along" else crossings | landmarks
            if letter.name is not None and letter.name not in met:
                known = ", ".join(f"{name} ({len(at)})" for name, at in sorted(met.items()))
                unnamed = (
                    " (_ stands for unnamed tensors that cross a step, in across only)" if letter.name == "_" else ""
                )
                raise ValueError(
                    f"no landmark called {letter.name!r} lies on a path from the source to the loss, so {route} means "
                    f"nothing here{unnamed}. There are: {known or 'none; name them with .named(...)'}"
                )
            _check_where(paths, letter, route)


def _check_where(paths: Paths, letter: Letter, route: Route) -> None:
    """Raises ValueError for a scope that is nowhere, or a step that never is."""
    called = [node.place for node in paths.order.values() if letter.name in (None, node.name or "_")]
    scopes = {place.scope for place in called}
    if letter.scope and not any(f"/{letter.scope}/" in f"/{scope}/" for scope in scopes):
        known = ", ".join(map(repr, sorted(scopes - {""}))) or "none; make them with tg.scope(...)"
        raise ValueError(
            f"no {letter.name!r} is in a scope {letter.scope!r}, so {route} means nothing. There are: {known}"
        )
    steps = [place.step for place in called if place.step is not None]
    first, end = letter.first or 0, letter.end
    asked = letter.first is not None or end is not None
    if steps and asked and not any(first <= step and (end is None or step < end) for step in steps):
        raise ValueError(
            f"{letter.name or 'a landmark'!r} is at steps {min(steps)} to {max(steps)}, none of which {route} asks for"
        )
