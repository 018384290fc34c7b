"""The picture of a moment: what has been made by then, where gradient has passed, and how much has arrived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..engine.tensor import Tensor
from ..graph import BLUE, FADED_STROKE, ORANGE, VIEWS, Drawing, Line, Overlay, Sample, Stroke
from .account import headline
from .labels import norm
from .stop import Stop

MOST_STEPS = 8  # of more, those around the moment are drawn
AROUND = 2  # steps before it and after it

NOW, BEFORE, MADE = Stroke(ORANGE, 5.0), Stroke(BLUE, 2.2), Stroke("#404040", 1.2)
INK, SIZE = "#00507D", 10


def picture(stop: Stop) -> Drawing:
    """Of all that has happened before a stop. Raises ValueError where that is nothing."""
    ends = unused(stop)
    if not ends:
        raise ValueError("nothing has been made yet, so there is nothing to draw; step first")
    drawn = VIEWS["ops"](ends, _steps_around(stop))
    losses = stop.timeline.seeds.keys()  # else all that is not used yet would look like one
    drawn = replace(
        drawn,
        nodes=tuple(replace(n, output=n.output and n.index in losses) for n in drawn.nodes),
        outputs=tuple(n for n in drawn.outputs if n.index in losses),
    )
    samples, notes = [Sample(NOW, "what happens now")], [headline(stop)]
    if stop.kind != "forward":
        samples += [Sample(BEFORE, "gradient has passed here"), Sample(FADED_STROKE, "not yet")]
        notes.append("|grad|: norm of what has arrived by now, and k of n parts where more will; grad -: nothing yet.")
    overlay = Overlay(
        strokes=_strokes([e.uses for e in drawn.edges], stop),
        inside={n.id: _lines(n.index, stop) for n in drawn.nodes if n.gap is None},
        samples=tuple(samples),
        notes=tuple(notes),
    )
    return Drawing(drawn, overlay, ("shape", "value"))


def _strokes(edges: Sequence[Sequence[tuple[int, int]]], stop: Stop) -> tuple[Stroke, ...]:
    """One for each edge, given by its uses (consumer, slot)."""
    line, event = stop.timeline, stop.event
    passed = {(one.node, one.slot) for one in line[line.backward_start : stop.position]}
    slots = range(len(stop.operands)) if stop.kind == "forward" else [event.slot] if event is not None else []
    now = {(event.node, slot) for slot in slots} if event is not None else set()
    before, after = (MADE, MADE) if stop.kind == "forward" else (FADED_STROKE, BEFORE)
    return tuple(NOW if not now.isdisjoint(uses) else before if passed.isdisjoint(uses) else after for uses in edges)


def unused(stop: Stop) -> list[Tensor]:
    """What has been made by then, and is not used yet: from there all of it can be reached."""
    line = stop.timeline
    made = [line.order[index] for index in line.made[: min(stop.position, line.forward_end)]]
    used = {x.index for node in made for x in node.inputs}
    return [node for node in made if node.index not in used]


def _steps_around(stop: Stop) -> tuple[int, int] | None:
    """The steps to draw: those around this moment where there are many; None leaves the choice to the picture."""
    steps = {node.place.step for node in stop.timeline.order.values() if node.primitive is not None} - {None}
    at = stop.step if stop.step is not None or stop.target is None else stop.target.place.step
    return None if at is None or len(steps) <= MOST_STEPS else (at - AROUND, at + AROUND + 1)


def _lines(index: int, stop: Stop) -> tuple[Line, ...]:
    """In a node: how much gradient has arrived, and whether something happens here now."""
    line = stop.timeline
    lines = []
    if stop.kind != "forward" and (line.edges_into(index) or index in line.seeds):
        total, into = line.total(index, stop.position), line.edges_into(index)
        arrived = sum(k < stop.position for k in into)
        of = f", {arrived} of {len(into)}" if arrived < len(into) else ""
        lines.append(Line("grad -" if total is None else f"|grad| {norm(total):.3g}{of}", SIZE, color=INK))
    if stop.target is not None and stop.target.index == index:
        lines.append(Line(f"now: event {stop.position}", SIZE, bold=True, color="#805800"))
    return tuple(lines)
