"""What a model's author probably did not mean, in sentences: losses added up, steps counted twice, steps left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..engine.sweep import describe, sweep
from ..engine.tensor import Tensor
from .automaton import crosses
from .directions import Edge, directions_of, led_to_by, others_than

Array = npt.NDArray[Any]


def last_steps(order: dict[int, Any]) -> dict[int, int]:
    """For each node its own step; for one outside any step, the last of those that lead to it."""
    last: dict[int, int] = {}
    for index, node in order.items():
        if node.place.step is not None:
            last[index] = node.place.step
        elif earlier := [last[x.index] for x in node.inputs if x.index in last]:
            last[index] = max(earlier)
    return last


def warnings_about(order: dict[int, Any], losses: Sequence[Tensor]) -> list[str]:
    """Sentences on steps and losses that are probably not as they were meant."""
    return [
        *_no_steps(order),
        *_sums_of_losses(order, losses),
        *_bridges_outside_steps(order),
        *_names_met_twice(order),
        *_steps_counted_anew(order),
    ]


def warnings_about_lags(order: dict[int, Any], losses: Sequence[Tensor]) -> tuple[str, ...]:
    """The same, and sentences on lags that are not how far a gradient has come."""
    return (*warnings_about(order, losses), *lags_of_two_ends(order, losses))


def _no_steps(order: dict[int, Any]) -> list[str]:
    if any(node.place.step is not None for node in order.values()):
        return []
    return ["no operation is at a time step: put the loop into `for t, x in tg.steps(xs):`."]


def _sums_of_losses(order: dict[int, Any], losses: Sequence[Tensor]) -> list[str]:
    """One loss that reads many steps hides the lags: it has one step, they have many."""
    carried = bool(running_sums(order))
    several = losses if carried else reading_several(order, losses)
    directions = _led_to(order) if several and not carried else []
    for loss in several:
        if carried or adds_up_numbers(order, loss):
            return [
                f"{describe(loss)}, adds up the losses of several steps, and its lags are counted from the last of "
                "them. To count each from its own step, pass the list of losses: tg.trace_gradient(losses, to=...)."
            ]
        if not _reads_two_ends(order, loss, directions):
            last = max(steps_read(order, loss))
            return [
                f"{describe(loss)}, reads several steps, and all lags are counted from the last, step {last}. If it "
                "adds up losses, as attention and a mean over time do not, make each in its step, "
                "`for t, y in tg.steps(outputs): losses.append(...)`, and pass the list of losses: "
                "tg.trace_gradient(losses, to=...)."
            ]
    return []


def adds_up_numbers(order: dict[int, Any], loss: Tensor) -> bool:
    """Whether what a loss takes up from steps are single numbers, and so the losses of these steps."""
    taken = {
        x.index: x.size
        for node in after_the_loop(order, loss)
        for x in node.inputs
        if x.index in order and x.place.step is not None
    }
    return bool(taken) and set(taken.values()) == {1}


def _led_to(order: dict[int, Any]) -> list[set[int]]:
    """For each direction of time, what its states lead to."""
    directions = directions_of(order)
    return [led_to_by(order, edges, others_than(way, directions)) for way, edges in directions.items()]


def _reads_two_ends(order: dict[int, Any], loss: Tensor, directions: Sequence[set[int]]) -> bool:
    """Whether it reads one step of each direction of a bidirectional network, such as the last of each."""
    read = [{reading.step for reading in readings_of(order, loss, led)} for led in directions]
    return len(read) == 2 and all(len(steps) <= 1 for steps in read)


def lags_of_two_ends(order: dict[int, Any], losses: Sequence[Tensor]) -> list[str]:
    """A sentence on a loss that reads forward states and backward ones, each at their own end: it has one step."""
    several = reading_several(order, losses)
    directions = _led_to(order) if several else []
    for loss in several:
        steps = steps_read(order, loss)
        if _reads_two_ends(order, loss, directions):
            return [
                f"{describe(loss)}, reads states that go forward in time and states that go backward, at steps "
                f"{min(steps)} and {max(steps)}, and all lags are counted from step {max(steps)}: those of what goes "
                "backward are not how far it has come."
            ]
    return []


def running_sums(order: dict[int, Any]) -> set[Edge]:
    """The edges by which something goes from step to step that looks like a loss to which every step adds: a number,
    or what has no name, that nothing takes up at any step but the sum it goes into."""
    adding = [
        (node.index, slot, x.index)
        for node in order.values()
        if node.primitive is not None and node.primitive.name == "add"
        for slot, x in enumerate(node.inputs)
        if x.index in order and crosses(x, node) and x.shape == node.shape and (x.ndim == 0 or x.name is None)
    ]
    if not adding:
        return set()
    used = Counter(x.index for node in order.values() if node.place.step is not None for x in node.inputs)
    return {(index, slot) for index, slot, producer in adding if used[producer] == 1}


def reading_several(order: dict[int, Any], losses: Sequence[Tensor]) -> list[Tensor]:
    """The losses that are made of the results of several steps."""
    found = [loss for loss in losses if len(steps_read(order, loss)) > 1]
    unread = edges_unread(order, found) if found else set()
    return [loss for loss in found if len(steps_read(order, loss, unread)) > 1]


def steps_read(order: dict[int, Any], loss: Tensor, unread: Set[Edge] = frozenset()) -> set[int]:
    """The steps whose results a loss is made of directly, by nothing but operations outside any step.

    unread: edges that do not count.
    """
    if loss.place.step is not None:
        return {loss.place.step} if loss.index in order else set()
    read = {
        x.place.step
        for node in after_the_loop(order, loss)
        for slot, x in enumerate(node.inputs)
        if x.index in order and (node.index, slot) not in unread
    }
    return read - {None}


class Reading(NamedTuple):
    """Where a loss takes up the results of a step: by which edge; None for a loss that is itself at the step."""

    step: int
    edge: Edge | None


def readings_of(order: dict[int, Any], loss: Tensor, among: set[int]) -> list[Reading]:
    """Those of what is among these, and so of a direction: see `led_to_by`."""
    if loss.place.step is not None:
        return [Reading(loss.place.step, None)] if loss.index in among else []
    return [
        Reading(x.place.step, (node.index, slot))
        for node in after_the_loop(order, loss)
        for slot, x in enumerate(node.inputs)
        if x.index in among and x.place.step is not None
    ]


def after_the_loop(order: dict[int, Any], loss: Tensor) -> list[Any]:
    """The operations outside any step by which a loss is made of the results of steps."""
    found: dict[int, Any] = {}
    waiting: list[Any] = [loss]
    while waiting:
        node = waiting.pop()
        if node.index in order and node.index not in found and node.place.step is None:
            found[node.index] = node
            waiting.extend(node.inputs)
    return list(found.values())


def edges_unread(order: dict[int, Any], losses: Sequence[Tensor]) -> set[Edge]:
    """The edges by which losses take up steps of which they use nothing, such as those that a slice of all outputs
    leaves out; none, if they use nothing of any."""
    outside = {node.index: node for loss in losses for node in after_the_loop(order, loss)}
    taken_up = {x.index: x for node in outside.values() for x in node.inputs if x.index in order}
    read, unread = False, set()

    def note(consumer: Any, slot: int, part: Array) -> Array | None:
        nonlocal read
        if consumer.inputs[slot].index in outside:
            return part
        if part.any():
            read = True
        else:
            unread.add((consumer.index, slot))
        return None

    seeds = {loss.index: np.ones(loss.shape, loss.dtype) for loss in losses if loss.index in outside}
    sweep(dict(sorted((outside | taken_up).items())), seeds, (), dict.fromkeys(outside, note))
    return unread if read or len(seeds) < len({loss.index for loss in losses}) else set()


def _names_met_twice(order: dict[int, Any]) -> list[str]:
    """Two loops that both count from 0 put two states of one name at one step, and lags are then wrong."""
    seen: set[tuple[Any, ...]] = set()
    for node in order.values():
        key = (node.name, node.place.scope, node.place.step)
        if node.name is not None and node.primitive is not None and node.place.step is not None:
            if key in seen:
                return [
                    f"two tensors are called «{node.name}» at step {node.place.step} in the same scope. If a second "
                    "loop continues the first, number its steps on, tg.steps(xs, start=T); else give each a tg.scope."
                ]
            seen.add(key)
    return []


def _steps_counted_anew(order: dict[int, Any]) -> list[str]:
    """A state that goes from a late step of one part of the model to an early one of another, as from an encoder to a
    decoder whose loop counts from 0 again; not in a model some part of which runs backward in time itself."""
    back = [
        (x, node)
        for node in order.values()
        for x in node.inputs
        if x.index in order and crosses(x, node) and x.place.step > node.place.step
    ]
    if not back or any(_is_around(x.place.scope, node.place.scope) for x, node in back):
        return []
    x, node = back[0]
    return [
        f"{describe(x)}, goes on to step {node.place.step} ({node.place.scope}), which lags count as back in time. If "
        f"a second loop continues the first, number its steps on, as in tg.steps(ys, start={x.place.step + 1})."
    ]


def _is_around(scope: str, other: str) -> bool:
    """Whether one of two scopes is the other, or inside it."""
    short, long = sorted((scope, other), key=len)
    return not short or f"{long}/".startswith(f"{short}/")


def _bridges_outside_steps(order: dict[int, Any]) -> list[str]:
    """A path that goes from step to step through operations outside any step is probably an oversight."""
    before = last_steps(order)
    leads_to_step: set[int] = set()
    for index, node in reversed(order.items()):
        if index in leads_to_step or node.place.step is not None:
            leads_to_step.update(x.index for x in node.inputs if x.index in order)
    return [
        f"{describe(node)}, is computed outside any time step from step {before[index]}, and later steps use it: "
        "its paths have no step there. Compute it inside `with tg.step(t):` or the tg.steps loop."
        for index, node in order.items()
        if node.place.step is None and index in before and index in leads_to_step
    ]
