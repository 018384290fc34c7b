"""What a model's author probably did not mean, in sentences: losses added up, steps counted twice, steps left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..engine.sweep import describe
from ..engine.tensor import Tensor
from .automaton import crosses
from .directions import directions_of, led_to_by, others_than
from .reads import adds_up_numbers, last_steps, reading_several, readings_of, running_sums, steps_read


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
