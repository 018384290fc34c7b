"""Vanishing, exploding or healthy: what the gradient does from step to step, in words, each with its number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.sweep import describe, tape
from ..engine.tensor import Tensor, seed_of
from .directions import FORWARD, Key
from .forgotten import states_not_handed_on
from .measure import power_of_ten
from .oversights import warnings_about
from .reading import LOOP
from .reads import adds_up_numbers
from .recurrence import Gate, gates_of, recurrent_weights
from .way_back import Logs, Point, Way, WayBack, way_back
from .zeros import zeros

MUCH = 2.0  # decades: by a factor of 100 the gradient may change, over the whole way, and still be called healthy


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What `diagnose` found.

    verdict: "vanishing", "exploding", "healthy", "zero" (exactly 0, at the end of the way at the latest), "not finite",
    "broken" (nothing crosses time) or "one step" (too short to be judged).
    factor: by how much the norm changes a step, back in time: the geometric mean over the whole way. nan if unknown.
    log10_crossing: by step t, log10 of the norm of the gradient that flows into step t from other steps.
    by_name: the same, by the landmark in which it crosses. sentences: what to say, with the numbers.
    """

    verdict: str
    factor: float
    log10_crossing: Logs
    by_name: dict[str, Logs]
    sentences: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.sentences)

    __repr__ = __str__


def diagnose(loss: Tensor | Sequence[Tensor]) -> Diagnosis:
    """What the gradient of a loss does on its way back through time, and what to try.

    Compared are the norms of dL/ds_t, s_t the state after step t: at the last step, and at all that the gradient gets
    to from there. The verdict is "vanishing" where at the far end of the way the norm is less than 1 % of that at the
    last step; "exploding" where anywhere on the way it is more than 100 times as large; the stronger of the two, if it
    is both; else "healthy". It is about this length: at one and the same factor a step, 5 steps may be healthy while
    500 are not. A state without a name is not known at the last step itself: the way then begins at the step before.

    Of a bidirectional network each direction is judged by its own way back, from its own end and along its own states
    alone; the verdict is the worse of the two, and comes first.

    Where there are losses at several steps, in a list or in a sum, it is that of the last of each direction: the others
    send gradient of their own into every step, which would hide how that of each fades.
    """
    losses = tuple(loss) if isinstance(loss, (list, tuple)) else (loss,)
    for one in losses:
        if not isinstance(one, Tensor):
            raise TypeError(f"diagnose takes a loss, which is a Tensor, or a list of them; got {type(one).__name__}")
        seed_of(one, None)
    order = tape(losses)
    steps = sorted({node.place.step for node in order.values() if node.place.step is not None})
    way = way_back(order, losses)
    if not way.entering:
        verdict = "one step" if steps in ([], [0]) else "broken"
        return Diagnosis(verdict, math.nan, {}, {}, (_why_nothing_crosses(steps),))
    judged = sorted((_of_one_way(one, order, losses, way.summed) for one in way.ways), key=_how_bad)
    verdict, factor = judged[0][:2]
    sentences = [
        f"{_direction(one)}{said}" if len(way.ways) > 1 else said
        for *_, said_of_it, one in judged
        for said in said_of_it
    ]
    if verdict != "not finite":
        half_broken, gates = states_not_handed_on(order), gates_of(order)
        sentences = [
            *half_broken,
            *sentences,
            *_elsewhere(way),
            *_along(way),
            *_cut(steps),
            *map(str, gates),
            *([] if half_broken else _advice(verdict, gates, order)),
            *(f"Warning: {sentence}" for sentence in warnings_about(order, losses)),
        ]
    return Diagnosis(verdict, factor, way.entering, way.by_name, tuple(sentences))


Judged = tuple[str, float, list[str], Way]


def _of_one_way(way: Way, order: dict[int, Any], losses: tuple[Tensor, ...], summed: bool) -> Judged:
    """The verdict, the factor and the sentences on the states of one direction."""
    verdict, factor, sentences = _judged(way.points, order, losses)
    if verdict != "not finite":
        sentences += [*_out_of_range(way.points, losses[0].dtype), *_others(way, order, losses, summed)]
    return verdict, factor, sentences, way


def _how_bad(judged: Judged) -> tuple[int, float]:
    """The worst comes first, and of two that vanish, or explode, the faster."""
    verdict, factor = judged[:2]
    worst_first = ("not finite", "zero", "exploding", "vanishing", "healthy", "one step")
    return worst_first.index(verdict), 0.0 if math.isnan(factor) else -factor if verdict == "exploding" else factor


def _not_finite(point: Point, order: dict[int, Any]) -> str:
    """Where it began: on the way forward already, or on the way back."""
    what = "NaN (not a number)" if math.isnan(point.log) else "infinite"
    begin = f"at step {point.step}, on its way back, it becomes {what}"
    for node in order.values():
        if not np.isfinite(node.value).all():
            what = "NaN" if np.isnan(node.value).any() else "infinity"
            begin = f"the first {what} comes on the way forward already, in {describe(node)}"
            break
    return (
        f"The gradient is not finite: {begin}. Run the model inside `with tg.detect_anomaly():`, which says where from."
    )


def _direction(way: Way) -> str:
    """Which states a sentence is about."""
    names = sorted({_path(key) for key in way.states})
    return f"{'Forward' if way.direction == FORWARD else 'Backward'} in time, in {', '.join(names)}: "


def _path(key: Key) -> str:
    name, scope = key
    return f"{scope}/{_called(name or '_')}".lstrip("/")


def _judged(way: list[Point], order: dict[int, Any], losses: tuple[Tensor, ...]) -> tuple[str, float, list[str]]:
    """The verdict, the factor a step, and the sentences that say why."""
    for point in way:
        if math.isnan(point.log) or point.log == math.inf:
            return "not finite", math.nan, [_not_finite(point, order)]
    alive = [point for point in way if point.log > -math.inf]
    if not alive:
        empty = [f"{describe(x)}, has no elements" for x in order.values() if x.place.step is not None and not x.size]
        why = [*empty, *map(str, zeros(losses, order))][:1]
        said = "The gradient that crosses time is exactly 0" + "".join(f": {reason}" for reason in why) + "."
        return "zero", math.nan, [said]
    begin, end, peak = alive[0], alive[-1], max(alive, key=lambda point: point.log)
    sentences = []
    dead = [point for point in way if point.lag > end.lag]
    if dead:
        sentences.append(_dies(dead[0], order, losses))
    if end is begin:
        short = "The gradient crosses too few step boundaries to speak of a trend."
        return "zero" if dead else "one step", math.nan, [*sentences, short]
    fall, rise = begin.log - end.log, peak.log - begin.log
    rate = -fall / (end.lag - begin.lag)
    verdict = "exploding" if rise > max(MUCH, fall) else "vanishing" if fall > MUCH else "healthy"
    sentences += [_over_all(verdict, begin, end, rate, way), *_on_the_way(alive)]
    return "zero" if dead else verdict, _power(rate), sentences


_VERBS = {"vanishing": "vanishes", "exploding": "explodes"}
FEW_TIMES = 4  # as long a sequence, and the gradient would have vanished: it fades


def _over_all(verdict: str, begin: Point, end: Point, rate: float, way: list[Point]) -> str:
    change, steps = end.log - begin.log, end.lag - begin.lag
    reach = MUCH / abs(rate) if rate else math.inf
    if verdict == "healthy" and rate < 0 and reach < FEW_TIMES * steps:
        verb = f"fades, yet is healthy from end to end of these {steps} steps"
    else:
        verb = _VERBS.get(verdict, f"is healthy from end to end of {steps} steps")
    whole = "Until then the" if way[-1].lag > end.lag else "The"
    said = (
        f"{whole} gradient {verb}: from step {begin.step} back to step {end.step} its norm changes by a factor of "
        f"{_number(change)}, which is {_number(rate)} a step"
    )
    if verdict == "vanishing":
        left = next(point for point in reversed(way) if point.log >= begin.log - MUCH)
        gone = next(point for point in way if point.lag > left.lag)
        return f"{said}; less than 1 % of it is left at lag {gone.lag} and beyond, from step {gone.step} back."
    if verdict == "healthy" and reach < 10_000:
        then = "1 % of it would be left" if rate < 0 else "it would be 100 times as large"
        return f"{said}; at this rate {then} after {reach:.3g} steps."
    return f"{said}."


def _on_the_way(alive: list[Point]) -> list[str]:
    """Where it is much larger or much smaller than at both ends."""
    begin, end = alive[0], alive[-1]
    peak, low = max(alive, key=lambda point: point.log), min(alive, key=lambda point: point.log)
    said = "On the way, at step {}, it is as {} as {} times that at step {}."
    found = []
    if peak.log > max(begin.log, end.log) + MUCH:
        found.append(said.format(peak.step, "large", _number(peak.log - begin.log), begin.step))
    if low.log < min(begin.log, end.log) - MUCH:
        found.append(said.format(low.step, "small", _number(low.log - begin.log), begin.step))
    return found


def _dies(point: Point, order: dict[int, Any], losses: tuple[Tensor, ...]) -> str:
    """The sentence on a gradient that is exactly 0 from a step on, with the reason where that can be told."""
    states = [x for x in order.values() if x.place.step == point.step]
    born = [zero for zero in zeros(losses, tape(losses, states)) if "underflowed" not in zero.why]
    return f"From step {point.step} on back in time the gradient is exactly 0" + (f": {born[-1]}." if born else ".")


def _out_of_range(way: list[Point], dtype: Any) -> list[str]:
    """Where the gradient is there, but backward() cannot give it."""
    info, found = np.finfo(dtype), []
    low, high = (float(np.log10(np.longdouble(x))) for x in (info.smallest_subnormal, info.max))
    for what, limit, goes, there in (
        ("small", low, "underflows, as a rule to 0", [point for point in way if -math.inf < point.log < low]),
        ("large", high, "overflows to inf", [point for point in way if point.log > high]),
    ):
        if there:
            found.append(
                f"At step {there[0].step} it is too {what} for {dtype}, whose numbers end at {power_of_ten(limit)}: "
                f"there backward() {goes}, while what is said here is right."
            )
    return found


def _power(log: float) -> float:
    return 10.0**log if log < 308 else math.inf


def _number(log: float) -> str:
    """10^log, written out where that is short."""
    return f"{10**log:.3g}" if abs(log) < 4 else f"10^{log:.1f}"


def _why_nothing_crosses(steps: list[int]) -> str:
    if not steps:
        return f"No operation is at a time step, so no gradient crosses time: {LOOP}."
    if steps == [0]:
        return "The loss depends on no more than one time step, so no gradient crosses time."
    where = f"only step {steps[0]} leads" if len(steps) == 1 else f"steps {steps[0]} to {steps[-1]} lead"
    return (
        f"The recurrence is broken: {where} to the loss, but no gradient crosses from one step to another, so each "
        "step starts anew, perhaps from the initial state; hand the new state on, as in h = cell(x, h)."
    )


def _cut(steps: list[int]) -> list[str]:
    """What an author who detached the state once would like to be told."""
    if steps[0] == 0:
        return []
    return [f"No step before {steps[0]} leads to the loss: was the state detached there?"]


def _others(way: Way, order: dict[int, Any], losses: tuple[Tensor, ...], summed: bool) -> list[str]:
    if not way.others and not summed:
        return []
    if summed or len(losses) > 1 or adds_up_numbers(order, losses[0]):
        return [
            f"That is the gradient of the last loss, at step {way.last}, alone: those of other steps would hide it."
        ]
    return [
        f"That is the gradient by way of step {way.last}, the last that the loss reads, alone: to the other steps that "
        "it reads the gradient comes directly as well, which would hide how it fades."
    ]


def _elsewhere(way: WayBack) -> list[str]:
    """States that have no way of their own: below the other direction of a bidirectional layer, or not read."""
    said = (
        (False, "None of the gradient of the last loss gets to {}: it is exactly 0 there."),
        (True, "To {} it gets only by paths that go both ways through time, of which the verdict says nothing."),
    )
    return [
        sentence.format(", ".join(sorted(_path(key) for key, there in way.elsewhere.items() if there is some)))
        for some, sentence in said
        if some in way.elsewhere.values()
    ]


def _along(way: WayBack) -> list[str]:
    """Along which states it goes: half-way, and over all step boundaries."""
    logs, by_name = way.entering, way.by_name
    if max(logs.values()) == -math.inf:
        return []
    middle = sorted(logs)[len(logs) // 2]
    parts = [f"{_size(at[middle])} in {_called(name)}" for name, at in sorted(by_name.items()) if middle in at]
    said = f"Half-way, into step {middle}, the norm of what crosses is {', '.join(parts)}."
    if len(by_name) < 2:
        return [said]
    most = {step: max(at.get(step, -math.inf) for at in by_name.values()) for step in logs}
    ahead = {name: sum(log >= most[step] for step, log in at.items()) for name, at in by_name.items()}
    route = max(ahead, key=lambda name: ahead[name])
    most_of_it = f"into {ahead[route]} of {len(logs)} steps more than along any other"
    return [f"{said} By its norm it goes along {_called(route)} above all, {most_of_it}."]


def _called(name: str) -> str:
    return "a state without a name" if name == "_" else name


def _size(log: float) -> str:
    return "exactly 0" if log == -math.inf else _number(log)


def _advice(verdict: str, gates: list[Gate], order: dict[int, Any]) -> list[str]:
    if verdict == "exploding":
        weight = _of_weights(order)
        return [
            "Try nn.clip_grad_norm_(parameters, 1.0), which bounds the norm of each update's gradient by 1, or a "
            f"smaller or an orthogonal recurrent weight{weight}."
        ]
    if verdict == "vanishing" and gates:
        name = gates[0].name
        return [
            f"Try a larger bias of {name}, added to its rows of a bias parameter: where nothing else comes in, 1 gives "
            "a half-life of 2.2 steps, 3 of 14, 5 of 103."
        ]
    if verdict == "vanishing":
        return [f"Try an orthogonal recurrent weight{_of_weights(order)}, or a gated cell (nn.LSTMCell, nn.GRUCell)."]
    return []


def _of_weights(order: dict[int, Any]) -> str:
    """What is known of the recurrent weight there is, where there is one."""
    weights = recurrent_weights(order)
    if len(weights) != 1 or not np.isfinite(weights[0].value).all():
        return ""
    values = np.linalg.svd(weights[0].value, compute_uv=False)
    return f" (all its singular values are 1; here they are {values[-1]:.2g} to {values[0]:.2g})"
