"""Norms beyond the range of numbers: 10^-6800 is not 0.

The cotangent of a node is kept as m 2^-e, with one integer exponent e for each leading row. What arrives at a node is
aligned where it is added up, to the largest of it; and where that gets too small or too large to go on with, it begins
a new scale. Scaling by powers of two is exact, so within the range of numbers the answer has the same bits as that of
the plain sweep.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.sweep import AtEdge, sweep
from .automaton import Reading
from .measure import norms_over
from .uses import Step, Uses, seeds_of, sweep_uses

Array = npt.NDArray[Any]
Scaled = tuple[Array, npt.NDArray[np.int64]]  # m, (rows, *shape), and the exponent e of each row: m 2^-e
# What an edge (consumer, slot) does to a contribution; None, at an edge from the source, ends the way there.
AtScaledEdge = Callable[[Any, int, Scaled], Scaled | None]


def sweep_scaled(
    order: Mapping[int, Any],
    seeds: Mapping[int, Scaled],
    keep: Iterable[int],
    at_edge: Mapping[int, AtScaledEdge] | None = None,
) -> dict[int, Scaled]:
    """`sweep`, in which every cotangent has its scale."""
    to_come: Counter[int] = Counter()  # by node: the contributions that are not there yet
    reached = set(seeds)
    for node in reversed(list(order.values())):
        if node.index in reached and node.primitive is not None:
            rules = node.primitive.rules
            there = [x.index for slot, x in enumerate(node.inputs) if x.index in order and rules[slot] is not None]
            to_come.update(there)
            reached.update(there)
    given = at_edge or {}
    so_far = dict(seeds)  # a sum, not a list: a weight is used at every step
    exponents = {index: e for index, (_, e) in seeds.items()}

    def collect(consumer: Any, slot: int, part: Array) -> Array | None:
        """Nothing goes on to a node before all is there: then it is added up."""
        there = consumer.inputs[slot].index
        hook = given.get(consumer.index)
        arrived = part, exponents[consumer.index]
        passed = arrived if hook is None else hook(consumer, slot, arrived)
        if passed is None:
            return None
        so_far[there] = added([so_far[there], passed] if there in so_far else [passed])
        to_come[there] -= 1
        if to_come[there]:
            return None
        total, exponents[there] = so_far.pop(there)
        return total

    hooks: dict[int, AtEdge] = dict.fromkeys(order, collect)
    begin = {index: np.zeros_like(m) if to_come[index] else m for index, (m, _) in seeds.items()}
    found = sweep(dict(order), begin, keep, at_edge=hooks)
    return {index: (m, exponents[index]) for index, m in found.items()}


def room_of(dtype: np.dtype[Any]) -> int:
    """So many powers of two from 1 nothing is scaled: few, for the next rule may be that of a gate shut to 10^-261."""
    return int(np.finfo(dtype).maxexp) // 64


def added(parts: Sequence[Scaled]) -> Scaled:
    """The sum; each row in the scale of the first part that is not 0 there, wherever that can hold it."""
    scale = parts[0][1]
    sizes = [np.abs(m).reshape((len(m), math.prod(m.shape[1:]))).max(axis=1, initial=0.0) for m, _ in parts]
    room = room_of(sizes[0].dtype)
    low, high = 2.0**-room, 2.0**room
    in_range = all(((size > low) & (size < high) | (size == 0)).all() for size in sizes)
    if not in_range or not all(e is scale for _, e in parts):
        exponents, there = np.stack([e for _, e in parts]), np.stack(sizes) != 0
        powers = np.where(np.isfinite(sizes), np.frexp(sizes)[1], 0) - exponents  # of two, which the sizes come to
        largest = np.where(there, powers, np.iinfo(np.int64).min).max(axis=0)
        scale = exponents[there.argmax(axis=0), np.arange(len(scale))]
        scale = np.where(there.any(axis=0) & (np.abs(largest + scale) > room), -largest, scale)
        shifts = np.where(there, scale - exponents, 0)
        parts = [(_shifted(m, by), scale) for (m, _), by in zip(parts, shifts, strict=True)]
    total = parts[0][0]
    for m, _ in parts[1:]:
        total = total + m
    return total, scale


def _shifted(m: Array, by: npt.NDArray[np.int64]) -> Array:
    """Row k times 2^by[k]."""
    rows = np.flatnonzero(by)
    if len(rows):  # mostly only a few
        m = m.copy()
        m[rows] = np.ldexp(m[rows], by[rows].reshape((-1,) + (1,) * (m.ndim - 1)))
    return m


def moved(part: Scaled, to: npt.NDArray[np.intp], rows: int) -> Scaled:
    """Row k of the part in row to[k] of so many; those that meet there are added."""
    values, exponents = part
    layers: list[Scaled] = []
    left = np.arange(len(to))
    while len(left) or not layers:
        there, first = np.unique(to[left], return_index=True)
        layer = np.zeros((rows, *values.shape[1:]), values.dtype), np.zeros(rows, np.int64)
        layer[0][there], layer[1][there] = values[left[first]], exponents[left[first]]
        layers.append(layer)
        left = np.delete(left, first)
    return added(layers) if len(layers) > 1 else layers[0]


def over_edge(reading: Reading, use: tuple[int, int], part: Scaled, rows: int) -> Scaled:
    """What an edge does to the rows, as `mover` of the automaton; behind it there are so many."""
    if use in reading.paths.cut:
        return np.zeros((rows, *part[0].shape[1:]), part[0].dtype), np.zeros(rows, np.int64)
    if use not in reading.moves and rows == len(part[0]):
        return part
    before, after = (np.asarray(at, np.intp) for at in reading.moves.get(use, [range(len(part[0]))] * 2))
    return moved((part[0][before], part[1][before]), after, rows)


def unscaled(seeds: Mapping[int, Array]) -> dict[int, Scaled]:
    """Seeds, (rows, *shape of the output), as they are."""
    none = {len(seed): np.zeros(len(seed), np.int64) for seed in seeds.values()}
    return {index: (seed, none[len(seed)]) for index, seed in seeds.items()}


def log10_of(parts: Iterable[Scaled]) -> Array:
    """(rows,): log10 of the norm of parts side by side; -inf where all are exactly 0."""
    logs = []
    for m, e in parts:
        with np.errstate(divide="ignore"):
            logs.append(np.log10(norms_over(m, 1).astype(np.float64)) - e * math.log10(2))
    if len(logs) == 1:
        return np.asarray(logs[0])
    table = np.array(logs)
    top = table.max(axis=0)
    scale = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(scale + np.log10((10 ** (2 * (table - scale))).sum(axis=0)) / 2)


def log10_norms(uses: Uses, together: bool = False) -> Array:
    """(losses, steps): log10 of the norm of each entry of the ledger, exact also where the norm itself underflows.

    together: of the sum of the losses, in one row. -inf stands for a contribution that is exactly 0.
    """
    seeds = {index: seed if len(uses.losses) > 1 else seed[None] for index, seed in seeds_of(uses).items()}
    if together:
        seeds = {index: seed.sum(axis=0, keepdims=True) for index, seed in seeds.items()}
    table = np.full((1 if together else len(uses.losses), len(uses.steps)), -math.inf)
    column = {step: k for k, step in enumerate(uses.steps)}

    def measure(step: Step, part: Scaled) -> None:
        table[:, column[step]] = log10_of([part])

    sweep_uses(uses, unscaled(seeds), measure, sweep=sweep_scaled, add=lambda a, b: added([a, b]))
    return table


def log10_of_route(reading: Reading, accepts: Callable[[Any], bool]) -> float:
    """log10 of the norm of the gradient through the paths that arrive in an accepting state."""
    total, exponents = _arrived(reading)
    rows = [q for q, state in enumerate(reading.states) if accepts(state)]
    if not rows:
        return -math.inf
    return float(log10_of([moved((total[rows], exponents[rows]), np.zeros(len(rows), np.intp), 1)])[0])


def log10_by_state(reading: Reading) -> dict[Any, float]:
    """The same for each state alone, all in one sweep."""
    return dict(zip(reading.states, log10_of([_arrived(reading)]).tolist(), strict=True))


def _arrived(reading: Reading) -> Scaled:
    """What arrives at the source, a row for each state.

    At another node there are rows up to the last state that paths have there: step by step more of them.
    """
    paths, source, every = reading.paths, reading.paths.source, len(reading.states)
    rows = {index: max(states, default=0) + 1 for index, states in reading.at.items()} | {source.index: every}

    def move(consumer: Any, slot: int, part: Scaled) -> Scaled:
        return over_edge(reading, (consumer.index, slot), part, rows[consumer.inputs[slot].index])

    begin = unscaled({index: seed[: rows[index]] for index, seed in paths.seeds(every).items()})
    found = sweep_scaled(paths.order, begin, [source.index], dict.fromkeys(paths.order, move))
    return found.get(source.index, (np.zeros((every, *source.shape), source.dtype), np.zeros(every, np.int64)))
