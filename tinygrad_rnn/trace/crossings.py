"""The gradient by how often a path crosses time in a landmark: of h in an LSTM, by its number of detours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .automaton import Advance, Paths, read, split
from .expression import Letter, Mark, quoted
from .measure import has_a_norm
from .parts import Part
from .printed import Listed
from .reading import LOOP
from .route import landmark
from .scaled import log10_by_state

Array = npt.NDArray[Any]


def by_crossings(paths: Paths, name: str, whole: Array) -> list[Part]:
    """The gradient, apart by how many crossings a path has in this landmark: [exactly 0, exactly 1, ...]."""
    reading = read(paths, 0, number_of_crossings(crossing_letter(paths, name)))
    found, zero = split(reading), np.zeros(paths.source.shape, paths.source.dtype)
    beyond = {k for k, part in found.items() if not has_a_norm(part)}
    logs = log10_by_state(reading) if beyond else {}
    return Listed(
        Part(
            f"{k} crossing{'' if k == 1 else 's'} in {name}",
            found.get(k, zero),
            whole,
            k in found,
            logs[k] if k in beyond else None,
        )
        for k in range(max(found, default=0) + 1)  # type: ignore[type-var, operator]
    )


def mean_of(pieces: Sequence[Part]) -> float:
    """The mean number of crossings, by share, of what `by_crossings` gives."""
    return math.fsum(k * part.share for k, part in enumerate(pieces))


def number_of_crossings(letter: Letter) -> Advance:
    """The automaton whose state is the number of crossings in a landmark so far."""
    return lambda state, landmark, crossing: state + (crossing is not None and letter.stands_for(crossing))


def crossing_letter(paths: Paths, name: str) -> Letter:
    """The landmark of this name; one that is there and crosses no step, such as a gate, is in 0 crossings of each path.

    Raises ValueError where no tensor of this name is there, or no operation is at a time step.
    """
    letter = landmark(name)
    if all(node.place.step is None for node in paths.order.values()):
        raise ValueError(f"no path crosses a step in {name!r}: {LOOP}, for no operation is at a time step")
    crossing = {mark for c, _, x in paths.edges() for mark in paths.marks(c, x) if mark and mark.crosses}
    there = {
        Mark(node.name, node.place.scope, node.place.step, None)
        for node in paths.order.values()
        if node.name is not None and node.primitive is not None
    }
    if not any(map(letter.stands_for, crossing | there)):
        names = {mark.name for mark in crossing}
        others = ", ".join(map(quoted, sorted({mark.name for mark in there} - names)))
        raise ValueError(
            f"nothing called {name!r} is on a path from the source to the loss: paths cross in "
            f"{', '.join(map(quoted, sorted(names))) or 'nothing'}"
            f"{f', and never in {others}' if others else ''}"
        )
    return letter
