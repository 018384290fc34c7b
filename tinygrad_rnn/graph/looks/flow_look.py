"""Flow as it is drawn: width and number by share, hue, dashes and sign by sign, and what the legend says of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ...trace import Boundary, magnitude, power_of_ten
from ..text.labels import Line, visible
from ..views.figure import Edge, Figure, Node
from ..views.flow import Current, Currents
from .overlay import (
    BLUE,
    DARK_BLUE,
    DARK_ORANGE,
    FADED_STROKE,
    ORANGE,
    Overlay,
    Room,
    Sample,
    Stroke,
    caption_size,
)

WIDEST = 8.0  # points, of 100 %
NARROWEST = 1.4
SMALL = 0.01  # shares below it are drawn as a dash; a merged edge prints both parts from it on
SIZE = 16  # of the numbers
ZERO = "#333333"  # neither adds nor takes away
ROOM = Room(rows=32.0, columns=44.0, lines=44.0, below=20.0, sideways=1.36)
ROOMS = {
    "cells": Room(columns=44.0, lines=116.0, below=20.0, sideways=1.4, lanes=WIDEST + 2.0),
    "rolled": Room(columns=44.0, lines=120.0, below=20.0, loops=0.0, sideways=1.15, lanes=WIDEST + 2.0),
}  # else ROOM
ENDS = 22.0  # of a line beyond its number: where it begins, and its arrow


def share_text(share: float, log10: float = -math.inf) -> str:
    """+57%, −2.3%; – below 1 % in size, which is not vanished; 0 only where it is exactly that.

    log10: of the size of a share that is 0 since it underflowed, which is written as a power of ten.
    """
    if share == 0:
        return "0" if log10 == -math.inf else power_of_ten(log10)
    if abs(share) < SMALL:
        return "–"
    sign = "+" if share > 0 else "−"
    size = 100 * abs(share)
    return f"{sign}{size:.1f}%" if size < 9.95 else f"{sign}{size:,.0f}%"


def _size_text(size: float, log10: float = -math.inf) -> str:
    return share_text(size, log10).removeprefix("+") if size == 0 or size >= SMALL else "under 1%"


def parts_text(current: Current) -> str:
    """What adds and what takes away, as in (+140 −40), where a flow is a difference of the two; else nothing."""
    if min(current.ahead, -current.against) < SMALL:
        return ""
    return f"({' '.join(share_text(part).removesuffix('%') for part in (current.ahead, current.against))})"


def current_text(current: Current) -> str:
    """The net share, with both parts where it is a difference: +100% (+140 −40)."""
    return f"{share_text(current.net, current.log10)} {parts_text(current)}".rstrip()


def stroke(current: Current | None, crossings: int = 0) -> Stroke:
    """How an edge with this flow is drawn. crossings: how many crossings from step to step are drawn as one here."""
    if current is None:
        return FADED_STROKE
    net = current.net
    if current.ahead == current.against == 0:
        return Stroke(ZERO, NARROWEST, caption=(Line(share_text(0.0, current.log10), SIZE, bold=True, color=ZERO),))
    pen = max(NARROWEST, WIDEST * min(1.0, abs(net)))
    caption = [Line(share_text(net), SIZE, bold=True, color=_ink(net))]
    if parts := parts_text(current):
        caption.append(Line(parts, 12, color=_ink(net)))
    if crossings > 1:
        caption.append(Line(_a_step(net, crossings), 12, color=_ink(net)))
    return Stroke(ORANGE if net < 0 else BLUE, pen, net < 0, tuple(caption))


def _a_step(net: float, crossings: int) -> str:
    """The mean of one crossing, with its digits also where it is small."""
    mean = net / crossings
    small = f"{100 * mean:+.1g}%".replace("-", "−")
    return f"{small if 0 < abs(mean) < SMALL else share_text(mean)} a step"


def _crossings(e: Edge) -> int:
    return e.times if e.crossing else 0


def _ink(share: float) -> str:
    return DARK_ORANGE if share < 0 else DARK_BLUE


def overlay(found: Currents) -> Overlay:
    """The flow as an overlay of its figure."""
    figure, flow = found.figure, found.flow
    met = {v for e, c in zip(figure.edges, found.edges, strict=True) if c is not None for v in (e.source, e.target)}
    met |= found.begins.keys()
    strokes = tuple(map(stroke, found.edges, map(_crossings, figure.edges)))
    return Overlay(
        strokes=strokes,
        faded=frozenset(n.id for n in figure.nodes if n.id not in met and n.index != flow.source_index),
        standing_out=_sources(found),
        inside={
            v: (Line(f"{current_text(c)} from {found.source}", 15, bold=True, color=_ink(c.net)),)
            for v, c in found.begins.items()
            if v in set(figure.home.values())
        },
        boundaries={b.after: _boundary(b) for b in flow.boundaries},
        samples=_samples(found),
        notes=_notes(found),
        room=_room(figure, strokes),
    )


def _room(figure: Figure, strokes: Sequence[Stroke]) -> Room:
    """Room for the largest of the numbers: between nodes of a cell beside each other and above each other, and between
    cells."""
    if figure.view not in ROOMS:
        return ROOM
    room, nodes = ROOMS[figure.view], {n.id: n for n in figure.nodes}
    sizes = {e: caption_size(s.caption) for e, s in zip(figure.edges, strokes, strict=True) if s.caption}
    inside = [(0.0, 0.0), *(at for e, at in sizes.items() if not e.crossing and nodes[e.source].kind == "operation")]
    wide, high = (max(along) + ENDS for along in zip(*inside, strict=True))
    return replace(
        room,
        within=(wide, high),
        numbers=max((wide for wide, _ in sizes.values()), default=0.0),
    )


def _sources(found: Currents) -> dict[str, str]:
    """Of the nodes that several leaves are drawn as, the source among them: its name."""
    return {
        n.id: visible(name)
        for n in found.figure.nodes
        if n.kind != "operation" and len(set(n.parts)) > 1
        for index, name in zip(n.members, n.parts, strict=True)
        if index == found.flow.source_index and name
    }


def _boundary(b: Boundary) -> tuple[Line, ...]:
    return (
        Line(f"net {share_text(b.net, b.log10_gross)}", SIZE, bold=True, color=_ink(b.net)),
        Line(f"gross {_size_text(b.gross, b.log10_gross)}", 13),
    )


def _samples(found: Currents) -> tuple[Sample, ...]:
    there = [c for c in found.edges if c is not None]
    nets = [c.net for c in there]
    samples = []
    if any(s >= SMALL for s in nets):
        samples.append(Sample(Stroke(BLUE, 5.0, caption=_number("+55%", DARK_BLUE)), "adds to the gradient"))
    if any(s <= -SMALL for s in nets):
        samples.append(Sample(Stroke(ORANGE, 5.0, True, _number("−55%", DARK_ORANGE)), "takes away from it"))
    if any(-SMALL < s < 0 for s in nets):
        samples.append(Sample(Stroke(ORANGE, NARROWEST, True, _number("–", DARK_ORANGE)), "takes away less than 1%"))
    if any(0 < s < SMALL for s in nets):
        samples.append(Sample(Stroke(BLUE, NARROWEST, caption=_number("–", DARK_BLUE)), "less than 1%, not vanished"))
    under = [c for c in there if c.log10 > -math.inf]
    if under:
        power = _number(share_text(0.0, under[0].log10), ZERO)
        samples.append(Sample(Stroke(ZERO, NARROWEST, caption=power), "underflowed: a share too small for a number"))
    if any(c.net == 0 and c.log10 == -math.inf for c in there):
        samples.append(Sample(Stroke(ZERO, NARROWEST, caption=_number("0", ZERO)), "a path that carries exactly 0"))
    if found.flow.shares and any(c is None for c in found.edges):  # else all is grey, and a note says why
        samples.append(Sample(FADED_STROKE, "not on the route" if found.flow.route else "on no path from the source"))
    return tuple(samples)


def _number(text: str, color: str) -> tuple[Line, ...]:
    return (Line(text, 13, bold=True, color=color),)


def _notes(found: Currents) -> tuple[str, ...]:
    flow, to = found.flow, found.source
    if not flow.shares:
        return (_nothing_flows(found, to),)
    on = (
        f" by the paths of {visible(flow.route)} only, {share_text(flow.total, flow.log10_total)} in all"
        if flow.route
        else ""
    )
    notes = [
        f"Flow: which share of the gradient by {to} (norm {magnitude(flow.norm)}) comes through each arrow{on}.",
        "What flows into a node flows out of it. Width: the size of the share, up to 100%; the number goes on above.",
    ]
    if any(min(c.ahead, -c.against) >= SMALL for c in found.edges if c is not None):
        notes.append("(+140 −40): several arrows drawn as one; what adds, and what takes away.")
    if found.figure.view == "rolled":
        notes.append("An arrow stands for all its uses over time: their shares are added up, and may exceed 100%.")
        if any(c is not None and _crossings(e) > 1 for e, c in zip(found.figure.edges, found.edges, strict=True)):
            notes.append("A step: the mean over the steps at which the arrow crosses from one to the next.")
    elif flow.boundaries:
        notes.append(
            "Below, between steps: net, the share that crosses from one to the other; gross, its parts' sizes added up."
        )
    return tuple(notes)


def _nothing_flows(found: Currents, to: str) -> str:
    flow = found.flow
    if flow.missing:
        return f"The gradient by {to} {flow.missing}. Nothing has a share of it, so there are no percentages."
    route = visible(flow.route or "")
    return f"No path of {route} leads from {to} to the loss; the norm of the whole gradient is {magnitude(flow.norm)}."


def flow_text(found: Currents) -> str:
    """Sentences for those who cannot see it: the largest flows, and what crosses from step to step."""
    figure, flow, to = found.figure, found.flow, found.source
    if not flow.shares:
        return _nothing_flows(found, to)
    text = f"Arrows show which share of the gradient by {to}, of norm {magnitude(flow.norm)}, comes through them"
    text += (
        f", by the paths of {visible(flow.route)} only, {share_text(flow.total, flow.log10_total)} in all."
        if flow.route
        else "."
    )
    nodes, rolled = {n.id: n for n in figure.nodes}, figure.view == "rolled"
    crossing = [(e, c.net) for e, c in zip(figure.edges, found.edges, strict=True) if c is not None and e.crossing]
    largest = sorted((item for item in crossing if item[1]), key=lambda item: -abs(item[1]))[:3]
    if largest:
        said = (
            f"{share_text(net)}{f' ({_a_step(net, e.times)})' if e.times > 1 else ''} "
            f"from {_said(nodes[e.source], rolled)} to {_said(nodes[e.target], rolled)}"
            for e, net in largest
        )
        over = ", added up over time" if rolled else ""
        text += f" The largest flows from step to step{over}: {', '.join(said)}."
    if flow.boundaries:
        shown = [*flow.boundaries[:3], *flow.boundaries[3:][-3:]]
        nets = (
            f"{b.after} to {b.after + 1} {share_text(b.net, b.log10_gross)}, gross {_size_text(b.gross, b.log10_gross)}"
            for b in shown
        )
        few = len(shown) < len(flow.boundaries)
        more = f" (the first and the last of {len(flow.boundaries):,})" if few else ""
        text += f" Net across the boundaries between steps{more}: {'; '.join(nets)}."
        if any(b.log10_gross > -math.inf for b in shown):
            text += " Powers of ten are shares that underflowed: too small for a number, and not 0."
    return text.replace("–", "less than 1%")


def _said(n: Node, rolled: bool) -> str:
    if n.gap is not None:
        return "the steps that are not drawn"
    what = visible(n.name) if n.name else n.operation or n.kind
    return f"{what} of step {n.step}" if n.step is not None and not rolled else what
