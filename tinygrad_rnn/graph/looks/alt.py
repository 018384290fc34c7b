"""A true sentence about a picture, made of its numbers, for those who cannot see it."""

from __future__ import annotations

import math
from collections.abc import Collection

from ..text.labels import visible
from ..text.summary import number
from ..views.figure import Figure, Node
from ..views.flow import Currents
from .flow_look import flow_text
from .legend import folded
from .style import SHOWN


def alt_text(figure: Figure, currents: Currents | None = None, show: Collection[str] = SHOWN) -> str:
    """What is drawn: how many operations and steps, the named results, the outputs, what is left out.

    show: which facts stand in the nodes.
    """
    text = f"Computation graph of {_count(figure.operations, 'operation')}{_in_time(figure)}."
    if backward := sum(n.sweep and n.kind == "operation" and not n.again for n in figure.nodes):
        text += f" A backward sweep made {backward:,} of those drawn."
    if figure.parameters:
        text += f" It has {_count(figure.parameters, 'parameter')}."
    names = [n.name for n in figure.nodes if n.kind == "operation" and n.name and not n.again and not n.output]
    if names:
        text += f" Named results: {', '.join(visible(name) for name in dict.fromkeys(names))}."
    for n in figure.outputs:
        text += f" {_output(n)}"
    if currents is not None:
        text += f" {flow_text(currents)}"
    elif "gradient" in show:
        text += _gradients(figure)
    if figure.view != "ops":
        text += f" {folded(figure)}"
    return text + _left_out(figure)


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"


def _in_time(figure: Figure) -> str:
    if not figure.steps:
        return ""
    if len(figure.steps) == 1:
        return f" and 1 time step, {figure.steps[0]}"
    return f" and {len(figure.steps):,} time steps, {figure.steps[0]} to {figure.steps[-1]} from left to right"


def _output(n: Node) -> str:
    called = visible(n.name) if n.name else f"The result of {n.operation}" if n.operation else f"The {n.kind}"
    value = n.value
    if value is None or value.low is None or value.high is None:
        return f"{called} holds no number."
    if value.low == value.high:
        return f"{called} is {number(value.low)}."
    return f"{called} lies between {number(value.low)} and {number(value.high)}."


def _gradients(figure: Figure) -> str:
    tracked = {n.index: n for n in figure.nodes if n.tracked}
    kept = {n.index: n for n in tracked.values() if n.gradient is not None}
    if not tracked:
        return " Nothing here requires a gradient."
    if not kept:
        return " No gradients are shown, since none was computed or kept."
    largest = max(kept.values(), key=lambda n: math.inf if math.isnan(n.gradient or 0.0) else n.gradient or 0.0)
    where = visible(largest.name) if largest.name else f"a result of {largest.operation}"
    place = "" if largest.step is None or largest.operation is None else f" at step {largest.step}"
    of_all = "" if len(kept) == len(tracked) else f" of {len(tracked):,}"
    norm = number(largest.gradient or 0.0)
    return (
        f" Gradients are shown at {len(kept):,}{of_all} drawn tensors; the largest norm is {norm}, at {where}{place}."
    )


def _left_out(figure: Figure) -> str:
    gaps = [n.gap for n in figure.nodes if n.gap is not None]
    if not gaps:
        return ""
    hidden = sum(g.operations for g in gaps)
    steps = sum(g.steps for g in gaps if g.whole)
    of_steps = f", all those of {_count(steps, 'step')} among them," if steps else ""
    return f" {_count(hidden, 'operation')}{of_steps} {'is' if hidden == 1 else 'are'} not drawn."
