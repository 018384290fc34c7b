"""How large the gradient of a loss is at each step on its way back through time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..engine.sweep import sweep, tape
from ..engine.tensor import Tensor
from .automaton import crosses
from .measure import norms_over
from .oversights import after_the_loop, is_running_sum, last_steps
from .scaled import Scaled, added, sweep_scaled, unscaled

Array = npt.NDArray[Any]
Logs = dict[int, float]  # by step: log10 of a norm


class Point(NamedTuple):
    """How large dL/ds is at a step, as log10 of its norm, and how many steps from the last that is."""

    lag: int
    step: int
    log: float


@dataclass(frozen=True)
class WayBack:
    """The gradient of the loss at the last step, on its way to all that it gets to.

    points: nearest first, and |dL/ds_last| before all, where the state has a name by which it is known there. Where
    the way leads in both directions of time, at each lag the larger of the two.
    entering: by step t, log10 of the norm of what flows into step t from other steps. by_name: the same, by the
    landmark in which it crosses. others: whether there are losses at other steps, which were left out.
    """

    last: int
    points: list[Point]
    entering: Logs
    by_name: dict[str, Logs]
    others: bool


def way_back(order: dict[int, Any], losses: tuple[Tensor, ...]) -> WayBack:
    """Of the last loss alone. order: the tape that leads to the losses; exact also far below the smallest number."""
    latest = max if _leads_forward(order) else min  # a network that only runs backwards ends at its first step
    ends = last_steps(order, latest)
    last = latest((ends[loss.index] for loss in losses if loss.index in ends), default=-1)
    seeds: dict[int, Array] = {}
    for loss in losses:
        if ends.get(loss.index, -1) == last:
            seeds[loss.index] = seeds.get(loss.index, 0.0) + np.ones((1, *loss.shape), loss.dtype)
    left_out = _from_other_losses(order, losses, last)
    arrived = _arrived(order, seeds, left_out)
    at: dict[int, list[float]] = {}
    by_name: dict[str, dict[int, list[float]]] = {}
    for index, log in sorted(arrived.items()):
        step, name = order[index].place.step, order[index].name or "_"
        at.setdefault(step, []).append(log)
        by_name.setdefault(name, {}).setdefault(step, []).append(log)
    entering = _together(at)
    states = {(order[index].name, order[index].place.scope) for index in arrived if order[index].name}
    return WayBack(
        last,
        _points(last, entering, _at_the_last_step(order, seeds, states, last, left_out)),
        entering,
        {name: _together(found) for name, found in by_name.items()},
        bool(left_out) or len(seeds) < len({loss.index for loss in losses}),
    )


def _leads_forward(order: dict[int, Any]) -> bool:
    edges = ((x, node) for node in order.values() for x in node.inputs if x.index in order and crosses(x, node))
    return any(x.place.step < node.place.step for x, node in edges)


def _from_other_losses(order: dict[int, Any], losses: tuple[Tensor, ...], last: int) -> set[tuple[int, int]]:
    """The edges (consumer, slot) by which a sum of losses reads other steps than the last."""
    outside = {node.index for loss in losses for node in after_the_loop(order, loss)}
    into_others, carried, states = set(), set(), False
    for node in order.values():
        for slot, x in enumerate(node.inputs):
            if x.index not in order:
                continue
            if node.index in outside and x.place.step not in (None, last):
                into_others.add((node.index, slot))
            elif is_running_sum(x, node):
                carried.add((node.index, slot))
            else:
                states = states or crosses(x, node)
    return into_others | carried if states else into_others  # or what looks like a sum is the only state there is


def _arrived(order: dict[int, Any], seeds: dict[int, Array], left_out: set[tuple[int, int]]) -> dict[int, float]:
    """By the index of a state that is entered from other steps: log10 of the norm of what comes from there."""
    parts: dict[int, list[Scaled]] = {}

    def cross(consumer: Any, slot: int, part: Scaled) -> Scaled:
        if (consumer.index, slot) in left_out:
            return np.zeros_like(part[0]), part[1]
        if crosses(consumer.inputs[slot], consumer):
            parts.setdefault(consumer.inputs[slot].index, []).append(part)
        return part

    sweep_scaled(order, unscaled(seeds), (), dict.fromkeys(order, cross))
    return {index: _log10_of(several[0] if len(several) == 1 else added(several)) for index, several in parts.items()}


def _at_the_last_step(
    order: dict[int, Any],
    seeds: dict[int, Array],
    states: set[tuple[str | None, str]],
    last: int,
    left_out: set[tuple[int, int]],
) -> float | None:
    """log10 of |dL/ds_last|; None where nothing there is called like a state that crosses.

    The tensors of the state are coordinates of their own: what flows on from one of them, from h to the c that it was
    made of, is not counted again.
    """
    there = [x for x in order.values() if x.place.step == last and (x.name, x.place.scope) in states]
    if not there:
        return None
    walls = {x.index for x in there}

    def straight(consumer: Any, slot: int, part: Array) -> Array | None:
        on = consumer.index in walls or (consumer.index, slot) in left_out or crosses(consumer.inputs[slot], consumer)
        return None if on else part

    near = tape([order[index] for index in seeds], there)
    begin = {index: seed[0] for index, seed in seeds.items() if index in near}
    found = sweep(near, begin, walls, dict.fromkeys(near, straight))
    return _hypotenuse([_log10_of((part[None], np.zeros(1, np.int64))) for part in found.values()])


def _points(last: int, entering: Logs, start: float | None) -> list[Point]:
    points: dict[int, Point] = {}
    for step, log in entering.items():
        lag = abs(last - step)
        if lag not in points or not log <= points[lag].log:
            points[lag] = Point(lag, step, log)
    if start is not None:
        points[0] = Point(0, last, start)
    return [points[lag] for lag in sorted(points)]


def _together(logs: dict[int, list[float]]) -> Logs:
    """By step: log10 of the norm of what has these norms side by side."""
    return {step: _hypotenuse(logs[step]) for step in sorted(logs)}


def _hypotenuse(logs: list[float]) -> float:
    top = max(logs, default=-math.inf)
    if len(logs) == 1 or not math.isfinite(top):
        return math.nan if any(map(math.isnan, logs)) else top
    return top + math.log10(math.fsum(10 ** (2 * (log - top)) for log in logs)) / 2


def _log10_of(part: Scaled) -> float:
    """log10 of the norm of one row."""
    (norm,), (exponent,) = norms_over(part[0], 1).tolist(), part[1].tolist()
    return math.log10(norm) - exponent * math.log10(2) if norm > 0 else math.nan if math.isnan(norm) else -math.inf
