"""Routes, read over a graph: their automata, and what is said of one that means nothing there or grows too large."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from . import expression as ex
from .automaton import Advance, Paths, Reading, TooManyStatesError, read
from .expression import Letter, Mark
from .route import Route, accepts, advance, along, start

MOST_STATES = 512
LOOP = "put the loop into `for t, x in tg.steps(xs):`"


def read_route(paths: Paths, route: Route) -> Reading:
    """The automaton of a route, run over the graph.

    Raises ValueError for a name, a scope or a step that is not there, and for too many states.
    """
    return _read(paths, [route], start(route), _advance_one)


def read_routes(paths: Paths, routes: Sequence[Route]) -> Reading:
    """The product of the automata of several routes, which has a tuple of states; raises ValueError likewise."""
    return _read(paths, routes, tuple(start(route) for route in routes), _advance_all)


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


def perhaps_meant(paths: Paths, route: Route) -> str:
    """What to say where there is no path: of an `across`, which names never cross; of an `along`, that some words have
    it in them, if they do."""
    if route.kind == "across":
        never = _never_cross(paths, route)
        return f", for no path crosses a step in {never}" if never else ""
    if route.kind != "along":
        return ""
    inside = along(ex.written(ex.then(ex.star(ex.ANY), route.parts, ex.star(ex.ANY))))
    try:
        reading = read(paths, start(inside), _advance_one, MOST_STATES)
    except TooManyStatesError:
        return ""
    if not any(accepts(reading.states[q]) for q in reading.at[paths.source.index]):
        return ""
    other = f', or through("{ex.written(route.parts)}")' if route.parts[0] == "letter" else ""
    return f", for it is the whole word of none; did you mean {inside}{other}?"


def crosses_nothing(paths: Paths, route: Route) -> str:
    """What to say where there are paths on an `across` some of whose names never cross: what it means all the same."""
    never = _never_cross(paths, route) if route.kind == "across" else ""
    return f" (no path crosses a step in {never}; these are the others on this route)" if never else ""


def _never_cross(paths: Paths, route: Route) -> str:
    crossing = {m.name for c, _, x in paths.edges() if (m := paths.marks(c, x)[1])}
    never = {letter.name for _, letter in route.letters() if letter.name and not letter.but} - crossing
    return ", ".join(map(ex.quoted, sorted(never)))


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
                known = ", ".join(f"{ex.quoted(name)} ({len(at)})" for name, at in sorted(met.items()))
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
