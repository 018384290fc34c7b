"""Norms far below what a number can hold: 10^-6800 is not 0.

The cotangents of a time step are kept as m 2^-e, with one integer exponent e for each leading row of the step, chosen
where the sweep first enters it. A step is entered by edges that cross, so scaling there by powers of two, which is
exact, keeps every sum aligned. While nothing underflows the answer has the same bits as that of the plain sweep.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.sweep import AtEdge, sweep
from .automaton import Reading
from .measure import norms_over
from .uses import Step, Uses, seeds_of, sweep_uses

Array = npt.NDArray[Any]


class Exponents:
    """The integer exponents of each time step, a row each: cotangents there are kept as m 2^-e."""

    def __init__(self, rows: int, order: Mapping[int, Any], seeds: Mapping[int, Array]) -> None:
        """seeds: by index, (rows, *shape of the output): they are kept as they are."""
        self._rows = rows
        self._of: dict[Step, npt.NDArray[np.int64]] = {}
        self._known: dict[Step, npt.NDArray[np.bool_]] = {}
        for index, seed in seeds.items():
            self._at(order[index].place.step)
            self._known[order[index].place.step] |= _largest(seed) > 0

    def __getitem__(self, step: Step) -> npt.NDArray[np.int64]:
        return self._at(step)

    def carry(
        self, part: Array, here: Step, there: Step, moves: tuple[Sequence[int], Sequence[int]] | None = None
    ) -> Array:
        """A contribution at step `here`, in the scale of the step `there` that it flows to.

        moves: the rows it comes from and those it goes to; None leaves every row where it is.
        """
        if here == there and moves is None:
            return part
        before, after = (np.arange(self._rows),) * 2 if moves is None else (np.asarray(q, np.int64) for q in moves)
        ours, theirs, known, sizes = self._at(here), self._at(there), self._known[there], _largest(part)
        alive = sizes[before] > 0
        before, after = before[alive], after[alive]
        new = ~known[after]
        theirs[after[new]] = ours[before[new]] - np.frexp(sizes[before[new]])[1]
        known[after] = True
        shift = (theirs[after] - ours[before]).reshape((-1,) + (1,) * (part.ndim - 1))
        moved = np.zeros_like(part)
        np.add.at(moved, after, np.ldexp(part[before], shift))
        return moved

    def _at(self, step: Step) -> npt.NDArray[np.int64]:
        if step not in self._of:
            self._of[step] = np.zeros(self._rows, np.int64)
            self._known[step] = np.zeros(self._rows, np.bool_)
        return self._of[step]


def _largest(part: Array) -> Array:
    return np.asarray(np.abs(part).reshape((len(part), -1)).max(axis=1, initial=0.0))


def log10_of(parts: Iterable[tuple[Array, int]]) -> float:
    """log10 of the norm of parts m 2^-e side by side; -inf where all are exactly 0."""
    logs = [math.log10(norm) - e * math.log10(2) for m, e in parts if (norm := float(norms_over(m[None], 1)[0]))]
    top = max(logs, default=-math.inf)
    return top + math.log10(sum(10 ** (2 * (log - top)) for log in logs)) / 2 if logs else -math.inf


def log10_norms(uses: Uses, together: bool = False) -> Array:
    """(losses, steps): log10 of the norm of each entry of the ledger, exact also where the norm itself underflows.

    together: of the sum of the losses, in one row. -inf stands for a contribution that is exactly 0.
    """
    rows = 1 if together else len(uses.losses)
    seeds = {index: seed if len(uses.losses) > 1 else seed[None] for index, seed in seeds_of(uses).items()}
    if together:
        seeds = {index: seed.sum(axis=0, keepdims=True) for index, seed in seeds.items()}
    exponents = Exponents(rows, uses.order, seeds)
    table = np.full((rows, len(uses.steps)), -math.inf)

    def carry(consumer: Any, slot: int, part: Array) -> Array:
        return exponents.carry(part, consumer.place.step, consumer.inputs[slot].place.step)

    def receive(step: Step, part: Array) -> None:
        column = uses.steps.index(step)
        for row in range(rows):
            table[row, column] = log10_of([(part[row], int(exponents[step][row]))])

    sweep_uses(uses, seeds, receive, carry)
    return table


def log10_of_route(reading: Reading, accepts: Callable[[Any], bool]) -> float:
    """log10 of the norm of the gradient through the paths that arrive in an accepting state."""
    return _log10_of_sum([one for state, parts in _arrivals(reading).items() if accepts(state) for one in parts])


def log10_by_state(reading: Reading) -> dict[Any, float]:
    """The same for each state alone, all in one sweep; a state in which nothing but 0 arrives is not in the answer."""
    return {state: _log10_of_sum(parts) for state, parts in _arrivals(reading).items()}


def _arrivals(reading: Reading) -> dict[Any, list[tuple[Array, int]]]:
    """What arrives at the source in each state, edge by edge, as (m, e), that is m 2^-e."""
    paths, rows = reading.paths, len(reading.states)
    seeds = paths.seeds(rows)
    exponents = Exponents(rows, paths.order, seeds)
    arrived: dict[Any, list[tuple[Array, int]]] = {}

    def carry(consumer: Any, slot: int, part: Array) -> Array | None:
        producer, use = consumer.inputs[slot], (consumer.index, slot)
        if use in paths.cut:
            return None
        here, moves = consumer.place.step, reading.moves.get(use)
        if producer is not paths.source:
            return exponents.carry(part, here, producer.place.step, moves)
        sizes = _largest(part)
        for q, r in zip(*(moves or (range(rows), range(rows))), strict=True):
            if sizes[q] > 0:
                arrived.setdefault(reading.states[r], []).append((part[q], int(exponents[here][q])))
        return None

    hooks: dict[int, AtEdge] = dict.fromkeys(paths.order, carry)
    sweep(paths.order, seeds, keep=(), at_edge=hooks)
    return arrived


def _log10_of_sum(parts: list[tuple[Array, int]]) -> float:
    if not parts:
        return -math.inf
    least = min(e for _, e in parts)
    return log10_of([(np.sum([np.ldexp(part, least - e) for part, e in parts], axis=0), least)])
