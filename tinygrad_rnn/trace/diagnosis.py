"""Vanishing, exploding or healthy: what the gradient does from step to step, in words, each with its number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine.sweep import tape
from ..engine.tensor import Tensor, seed_of
from .automaton import crosses
from .oversights import after_the_loop, is_running_sum, last_steps, warnings_about
from .reading import LOOP
from .scaled import Scaled, added, log10_of, sweep_scaled, unscaled
from .zeros import zeros

Array = npt.NDArray[Any]
Logs = dict[int, float]  # by step
MUCH = 2.0  # decades: over the whole sequence the gradient may change by a factor of 100 and still be called healthy


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What `diagnose` found.

    verdict: "vanishing", "exploding", "healthy", "zero", "not finite", "broken" (nothing crosses time) or "one step".
    factor: by how much the gradient that crosses a step boundary changes a step, back in time; nan if none does.
    log10_crossing: by step t, log10 of the norm of the gradient that flows into step t from later steps.
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

    Where there are losses at several steps, in a list or in a sum, it is that of the last: the others send gradient of
    their own into every step, which would hide how that of each fades. The verdict is about the whole way: "vanishing"
    where the norm of what crosses the step boundaries falls by more than a factor of 100 from the last boundary to the
    first, "exploding" where it grows by more, else "healthy".
    """
    losses = tuple(loss) if isinstance(loss, (list, tuple)) else (loss,)
    for one in losses:
        if not isinstance(one, Tensor):
            raise TypeError(f"diagnose takes a loss, which is a Tensor, or a list of them; got {type(one).__name__}")
        seed_of(one, None)
    order = tape(losses)
    steps = sorted({node.place.step for node in order.values() if node.place.step is not None})
    logs, by_name, others = _crossings(order, losses)
    if not logs:
        return Diagnosis(*_nothing_crosses(steps), {}, {}, (_why_nothing_crosses(steps),))
    if max(logs.values()) == -math.inf:
        born = zeros(losses, order)[:1]
        said = "The gradient that crosses time is exactly 0" + "".join(f": {zero}" for zero in born) + "."
        return Diagnosis("zero", math.nan, logs, by_name, (said,))
    if any(math.isnan(log) or log == math.inf for log in logs.values()):
        said = "The gradient is not finite: run the model inside `with tg.detect_anomaly():`, which says where from."
        return Diagnosis("not finite", math.nan, logs, by_name, (said,))
    verdict, factor, said = _trend(logs)
    gates = _gates(order)
    sentences = [said, *others, _by_name(logs, by_name), *_cut(steps), *map(str, gates), *_advice(verdict, gates)]
    sentences += [f"Warning: {sentence}" for sentence in warnings_about(order, losses)]
    return Diagnosis(verdict, factor, logs, by_name, tuple(sentences))


def _crossings(order: dict[int, Any], losses: tuple[Tensor, ...]) -> tuple[Logs, dict[str, Logs], list[str]]:
    """log10 of the norm of what flows into each step from another, altogether and by the name of what it flows into;
    and a sentence where there are losses that were left out."""
    ends = last_steps(order)
    last = max(ends.get(loss.index, -1) for loss in losses)
    seeds: dict[int, Array] = {}
    for loss in losses:
        if ends.get(loss.index, -1) == last:
            seeds[loss.index] = seeds.get(loss.index, 0.0) + np.ones((1, *loss.shape), loss.dtype)
    left_out = _from_other_losses(order, losses, last)

    arrived: dict[int, list[Scaled]] = {}  # by the state that is entered: what comes from other steps

    def cross(consumer: Any, slot: int, part: Scaled) -> Scaled:
        if (consumer.index, slot) in left_out:
            return np.zeros_like(part[0]), part[1]
        if crosses(consumer.inputs[slot], consumer):
            arrived.setdefault(consumer.inputs[slot].index, []).append(part)
        return part

    sweep_scaled(order, unscaled(seeds), cross)
    entered: dict[int, list[Scaled]] = {}
    by_name: dict[str, dict[int, list[Scaled]]] = {}
    for index, parts in sorted(arrived.items()):
        step, together = order[index].place.step, added(parts)
        entered.setdefault(step, []).append(together)
        by_name.setdefault(order[index].name or "_", {}).setdefault(step, []).append(together)
    several = left_out or len(seeds) < len({loss.index for loss in losses})
    said = f"That is the gradient of the last loss, at step {last}, alone: those of other steps would hide it."
    return _logs(entered), {name: _logs(at) for name, at in by_name.items()}, [said] if several else []


def _from_other_losses(order: dict[int, Any], losses: tuple[Tensor, ...], last: int) -> set[tuple[int, int]]:
    """The edges (consumer, slot) by which a sum of losses reads steps before the last."""
    outside = {node.index for loss in losses for node in after_the_loop(order, loss)}
    into_earlier, carried, states = set(), set(), False
    for node in order.values():
        for slot, x in enumerate(node.inputs):
            if x.index not in order:
                continue
            if node.index in outside and x.place.step is not None and x.place.step < last:
                into_earlier.add((node.index, slot))
            elif is_running_sum(x, node):
                carried.add((node.index, slot))
            else:
                states = states or crosses(x, node)
    return into_earlier | carried if states else into_earlier  # or what looks like a sum is the only state there is


def _logs(parts: dict[int, list[Scaled]]) -> Logs:
    return {step: float(log10_of(parts[step])[0]) for step in sorted(parts)}


def _nothing_crosses(steps: list[int]) -> tuple[str, float]:
    return ("one step" if steps in ([], [0]) else "broken"), math.nan


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


def _trend(logs: Logs) -> tuple[str, float, str]:
    known = [(step, log) for step, log in logs.items() if log > -math.inf]
    if len(known) < 2:
        return "healthy", math.nan, "The gradient crosses too few step boundaries to speak of a trend."
    steps, values = np.transpose(known)
    slope = float(np.polyfit(-steps, values, 1)[0])  # decades per step back in time
    factor, span = 10.0**slope, int(steps[-1] - steps[0])
    change = slope * span
    verdict = "vanishing" if change < -MUCH else "exploding" if change > MUCH else "healthy"
    words = {"vanishing": "vanishes", "exploding": "explodes", "healthy": "is healthy"}
    said = (
        f"The gradient {words[verdict]}: from step to step back in time its norm changes by a factor of {factor:.3g}, "
        f"over {span} steps by 10^{change:.1f}"
    )
    left = math.log(0.01) / math.log(factor) if factor < 1 else math.inf
    if verdict == "vanishing":
        said += f"; 1 % of it is left after {left:.1f} steps"
    elif left < 100:
        said += f"; at this rate 1 % of it would be left after {left:.1f} steps"
    return verdict, factor, said + "."


def _cut(steps: list[int]) -> list[str]:
    """What an author who detached the state once would like to be told."""
    if steps[0] == 0:
        return []
    return [f"No step before {steps[0]} leads to the loss: was the state detached there?"]


def _by_name(logs: Logs, by_name: dict[str, Logs]) -> str:
    """Along which states it goes: half-way, and over all step boundaries."""
    middle = sorted(logs)[len(logs) // 2]
    parts = [f"10^{at[middle]:.1f} in {name}" for name, at in sorted(by_name.items()) if middle in at]
    said = f"Half-way, into step {middle}, the norm of what crosses is {', '.join(parts)}."
    if len(by_name) < 2:
        return said
    most = {step: max(at.get(step, -math.inf) for at in by_name.values()) for step in logs}
    ahead = {name: sum(log >= most[step] for step, log in at.items()) for name, at in by_name.items()}
    route = max(ahead, key=lambda name: ahead[name])
    return (
        f"{said} It goes along {route} above all, into {ahead[route]} of {len(logs)} steps more than along any other."
    )


@dataclass(frozen=True)
class Gate:
    """A named tensor that multiplies a state on its way from one step to the next, such as f of an LSTM."""

    name: str
    state: str
    mean: float

    def __str__(self) -> str:
        life = math.log(2) / -math.log(self.mean) if 0 < self.mean < 1 else math.inf
        return (
            f"{self.name} multiplies {self.state} from step to step; it is {self.mean:.2f} on average, which alone "
            f"would halve a gradient in {life:.1f} steps."
        )


def _gates(order: dict[int, Any]) -> list[Gate]:
    """Found in the graph, whatever their name: the other factor of a product with a state of another step."""
    found: dict[tuple[str, str], list[Array]] = {}
    for node in order.values():
        if node.primitive is not None and node.primitive.name == "multiply":
            for state, gate in (node.inputs, node.inputs[::-1]):
                squashed = gate.primitive is not None and gate.primitive.name == "sigmoid"
                if state.name and gate.name and squashed and crosses(state, node):
                    found.setdefault((gate.name, state.name), []).append(gate.value.ravel())
    return [Gate(*names, float(np.mean(np.concatenate(values)))) for names, values in found.items()]


def _advice(verdict: str, gates: list[Gate]) -> list[str]:
    if verdict == "exploding":
        return ["Try nn.clip_grad_norm_, a smaller or an orthogonal recurrent weight, or a smaller learning rate."]
    if verdict == "vanishing" and gates:
        name = gates[0].name
        return [
            f"Try a larger bias of {name}, added to its rows of a bias parameter: where nothing else comes in, 1 gives "
            "a half-life of 2.2 steps, 3 of 14, 5 of 103."
        ]
    if verdict == "vanishing":
        return ["Try an orthogonal recurrent weight, or a gated cell (nn.LSTMCell, nn.GRUCell)."]
    return []
