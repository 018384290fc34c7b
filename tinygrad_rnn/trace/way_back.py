"""How large the gradient of a loss is at each step on its way back through time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..engine.sweep import sweep, tape
from ..engine.tensor import Tensor
from .automaton import crosses
from .directions import FORWARD, Edge, Key, directions_of, key_of, led_to_by, others_than
from .measure import norms_over
from .reads import Reading, carries, edges_unread, readings_of, running_sums
from .scaled import Scaled, added, sweep_scaled, unscaled

Array = npt.NDArray[Any]
Logs = dict[int, float]  # by step: log10 of a norm


class Point(NamedTuple):
    """How large dL/ds is at a step, as log10 of its norm, and how many steps from the last that is."""

    lag: int
    step: int
    log: float


@dataclass(frozen=True)
class Way:
    """The gradient of the last loss that states of one direction lead to, on its way along that direction alone.

    direction: of the states; the gradient goes against it. last: the step of that loss. states: those that cross.
    points: nearest first, and |dL/ds| at the last step before all, where the state has a name by which it is known
    there. others: whether there are losses at other steps, which were left out.
    """

    direction: int
    last: int
    states: set[Key]
    points: list[Point]
    others: bool


@dataclass(frozen=True)
class WayBack:
    """The gradient of the last loss, on its way to all that it gets to.

    ways: one for each direction whose states lead to a loss; in a bidirectional network two. entering: by step t, log10
    of the norm of what flows into step t from other steps, whatever the way. by_name: the same, by the landmark in
    which it crosses. elsewhere: the states that are on none of the ways, and whether any gradient gets there.
    summed: whether a running sum of losses goes from step to step, of which only the last was taken.
    """

    ways: list[Way]
    entering: Logs
    by_name: dict[str, Logs]
    elsewhere: dict[Key, bool]
    summed: bool


@dataclass(frozen=True)
class _Start:
    """Where the way of one direction begins.

    last: the step. seeds: of the losses there. read, left_out: the edges by which sums of losses read that step, and
    others. others: whether there are losses at others.
    """

    last: int
    seeds: dict[int, Array]
    read: set[Edge]
    left_out: set[Edge]
    others: bool


def way_back(order: dict[int, Any], losses: tuple[Tensor, ...]) -> WayBack:
    """Of the last loss alone. order: the tape that leads to the losses; exact also far below the smallest number."""
    directions, sums, unread = directions_of(order), _sums_beside_states(order), edges_unread(order, losses)
    others = {way: sums | others_than(way, directions) for way in directions}
    starts = {
        way: _start(order, losses, way, led_to_by(order, edges, others[way]), unread)
        for way, edges in directions.items()
    }
    ways: list[Way] = []
    seeds: dict[int, Array] = {}
    arrived: dict[int, float] = {}
    for way, start in starts.items():
        if start.seeds:
            shut = others[way] | start.left_out | unread
            arrived = _arrived(order, start.seeds, shut, directions[way])
            if len(directions) == 1:  # what comes after the last loss that carries something is not on its way back
                arrived = {k: log for k, log in arrived.items() if (start.last - order[k].place.step) * way >= 0}
            ways.append(_way(order, way, start, arrived, shut, len(directions) > 1))
            seeds |= start.seeds
    if len(directions) > 1:
        read = set().union(*(start.read for start in starts.values()))
        left_out = set().union(*(start.left_out for start in starts.values())) - read
        arrived = _arrived(order, seeds, sums | left_out | unread, None)
    by_name: dict[str, dict[int, float]] = {}
    for index, log in sorted(arrived.items()):
        by_name.setdefault(order[index].name or "_", {})[index] = log
    elsewhere: dict[Key, bool] = {}
    handed_on = {order[index].inputs[slot].index for edges in directions.values() for index, slot in edges}
    for index, log in arrived.items():
        key = key_of(order[index])
        if index in handed_on and not any(key in one.states for one in ways):
            elsewhere[key] = elsewhere.get(key, False) or log != -math.inf
    return WayBack(
        ways,
        _by_step(order, arrived),
        {name: _by_step(order, found) for name, found in by_name.items()},
        elsewhere,
        bool(sums),
    )


def _sums_beside_states(order: dict[int, Any]) -> set[Edge]:
    """The edges by which a sum of losses goes from step to step; none, if what looks like one is the only state."""
    sums = running_sums(order)
    crossing = (
        (node.index, slot)
        for node in order.values()
        for slot, x in enumerate(node.inputs)
        if x.index in order and crosses(x, node)
    )
    return sums if any(edge not in sums for edge in crossing) else set()


def _start(
    order: dict[int, Any], losses: tuple[Tensor, ...], direction: int, led: set[int], unread: set[Edge]
) -> _Start:
    """Of the last of the steps at which losses read what a direction leads to; without seeds where none does."""
    readings = [(loss, read) for loss in losses for read in readings_of(order, loss, led) if read.edge not in unread]
    last = _last_that_carries(order, readings, direction)
    readings = [(loss, read) for loss, read in readings if (read.step - last) * direction <= 0]
    ends = {id(loss): loss for loss, reading in readings if reading.step == last}
    seeds: dict[int, Array] = {}
    for loss in losses:
        if id(loss) in ends:
            seeds[loss.index] = seeds.get(loss.index, 0.0) + np.ones((1, *loss.shape), loss.dtype)
    read, left_out = (
        {reading.edge for _, reading in readings if reading.edge and (reading.step == last) is wanted}
        for wanted in (True, False)
    )
    return _Start(last, seeds, read, left_out, any(reading.step != last for _, reading in readings))


def _last_that_carries(order: dict[int, Any], readings: Sequence[tuple[Tensor, Reading]], direction: int) -> int:
    """The last step at which what a loss takes up has a gradient: those of a padded sequence, times 0, have none."""
    by_step: dict[int, dict[int, Any]] = {}
    for loss, (step, edge) in readings:
        x = loss if edge is None else order[edge[0]].inputs[edge[1]]
        by_step.setdefault(step, {})[x.index] = x
    steps = sorted(by_step, reverse=direction == FORWARD)
    return next((step for step in steps if any(carries(order, x) for x in by_step[step].values())), [*steps, -1][0])


def _way(
    order: dict[int, Any], direction: int, start: _Start, arrived: dict[int, float], shut: set[Edge], two: bool
) -> Way:
    latest = max if direction == FORWARD else min
    begin = latest([start.last, *(order[index].place.step for index in arrived)]) if two else start.last
    states = {key_of(order[index]) for index in arrived}
    first = _at_the_last_step(order, start.seeds, {key for key in states if key[0]}, begin, shut)
    return Way(direction, begin, states, _points(begin, _by_step(order, arrived), first), start.others)


def _by_step(order: dict[int, Any], arrived: dict[int, float]) -> Logs:
    at: dict[int, list[float]] = {}
    for index, log in arrived.items():
        at.setdefault(order[index].place.step, []).append(log)
    return _together(at)


def _arrived(
    order: dict[int, Any], seeds: dict[int, Array], shut: set[Edge], among: set[Edge] | None
) -> dict[int, float]:
    """By the index of a state that is entered from other steps, by these edges or by any: log10 of the norm of what
    comes from there."""
    parts: dict[int, list[Scaled]] = {}

    def cross(consumer: Any, slot: int, part: Scaled) -> Scaled:
        edge = consumer.index, slot
        if edge in shut:
            return np.zeros_like(part[0]), part[1]
        if (among is None or edge in among) and crosses(consumer.inputs[slot], consumer):
            parts.setdefault(consumer.inputs[slot].index, []).append(part)
        return part

    sweep_scaled(order, unscaled(seeds), (), dict.fromkeys(order, cross))
    return {index: _log10_of(several[0] if len(several) == 1 else added(several)) for index, several in parts.items()}


def _at_the_last_step(
    order: dict[int, Any],
    seeds: dict[int, Array],
    states: set[Key],
    last: int,
    shut: set[Edge],
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
        on = consumer.index in walls or (consumer.index, slot) in shut or crosses(consumer.inputs[slot], consumer)
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
    if start is not None and (0 not in points or start != -math.inf):
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
