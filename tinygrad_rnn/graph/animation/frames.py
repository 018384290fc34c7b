"""The backward sweep over a figure, cut into frames: after each, which gradients are known and what has just flowed.

The gradient of a tensor is known once all its consumers have sent their contribution; a use, an edge of the figure, is
lit in the frame in which its consumer sends it. A weight is drawn beside each step, and there stands what these uses
contribute, since its gradient is their sum.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...engine.sweep import sweep, tape
from ...engine.tensor import Tensor, seed_of
from ..looks.overlay import BLUE, FADED, FADED_STROKE, ORANGE, Overlay, Room, Sample, Stroke
from ..text.labels import Line, visible, width
from ..text.summary import norm, number
from ..views.figure import Figure, Key

NOW, BEFORE = Stroke(ORANGE, 5.0), Stroke(BLUE, 2.2)
INK = "#00507D"
SIZE = 15
STARTS = "it starts at the loss, whose gradient by itself is 1"


@dataclass(frozen=True, slots=True)
class Swept:
    """A backward sweep, as it went.

    order: the operations, by index, in the order in which they sent their contributions.
    sent: for each of them the uses (consumer, slot) by which it did. norms: of the gradients, by index.
    parts: by id of a node of the figure, the norm of what the uses of a leaf that is drawn there contribute.
    """

    order: tuple[int, ...]
    sent: Mapping[int, tuple[Key, ...]]
    norms: Mapping[int, float]
    parts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Frame:
    """words: what happens here. sent: all uses so far; now: those of this frame. known: tensors, by index."""

    words: str
    sent: frozenset[Key]
    now: frozenset[Key]
    known: frozenset[int]


def swept(losses: Sequence[Tensor], figure: Figure) -> Swept:
    """Sweep backward from the losses, without touching any `.grad`."""
    seeds: dict[int, Any] = {}
    for loss in losses:
        seeds[loss.index] = seeds.get(loss.index, 0) + seed_of(loss, None)
    order = tape(losses)
    drawn_at = {use: e.source for e in figure.edges for use in e.uses}
    stands_for = {n.id: n.index for n in figure.nodes}
    sent: dict[int, list[Key]] = defaultdict(list)
    at_leaves: dict[str, Any] = {}

    def watch(consumer: Any, slot: int, part: Any) -> Any:
        use = consumer.index, slot
        sent[consumer.index].append(use)
        leaf, at = consumer.inputs[slot], drawn_at.get(use)
        if leaf.primitive is None and at is not None and stands_for[at] == leaf.index:  # not folded into others
            at_leaves[at] = at_leaves.get(at, 0.0) + part
        return part

    operations = [index for index, node in order.items() if node.primitive is not None]
    cotangents = sweep(order, seeds, keep=order, at_edge=dict.fromkeys(operations, watch))
    return Swept(
        order=tuple(index for index in reversed(operations) if index in sent),
        sent={index: tuple(uses) for index, uses in sent.items()},
        norms={index: norm(g) for index, g in cotangents.items()},
        parts={v: norm(part) for v, part in at_leaves.items()},
    )


def hidden_in(figure: Figure) -> dict[int, str]:
    """Of each operation that is not drawn, by index, the gap that stands for it."""
    gaps = {n.id for n in figure.nodes if n.gap is not None}
    return {index: v for index, v in figure.home.items() if v in gaps}


def frames(
    losses: Sequence[Tensor], nodes: Mapping[int, Any], found: Swept, most: int, hidden: Mapping[int, str] | None = None
) -> list[Frame]:
    """The sweep in at most so many frames, by operation, else by landmark, scope or step: the finest that fits.

    nodes: the tape, by index. hidden: see `hidden_in`; over a gap the sweep goes in one frame.
    """
    waiting: dict[int, int] = defaultdict(int)
    for uses in found.sent.values():
        for consumer, slot in uses:
            waiting[nodes[consumer].inputs[slot].index] += 1
    known = {loss.index for loss in losses if not waiting[loss.index]}
    sent: set[Key] = set()
    made = [Frame(STARTS, frozenset(), frozenset(), frozenset(known))]
    for words, members in _groups([nodes[index] for index in found.order], max(1, most - 1), hidden or {}):
        now = {use for t in members for use in found.sent[t.index]}
        for consumer, slot in now:
            x = nodes[consumer].inputs[slot].index
            waiting[x] -= 1
            if not waiting[x]:
                known.add(x)
        sent |= now
        made.append(Frame(words, frozenset(sent), frozenset(now), frozenset(known)))
    return made


def visible_in(figure: Figure, made: Sequence[Frame]) -> list[Frame]:
    """The frames without those in which nothing flows on any drawn edge, but only inside what is folded into one."""
    drawn = {use for e in figure.edges for use in e.uses}
    kept = [frame for frame in made if frame.now & drawn or frame is made[0]]
    return [*kept[:-1], replace(kept[-1], sent=made[-1].sent, known=made[-1].known)]


def _groups(order: list[Any], most: int, hidden: Mapping[int, str]) -> list[tuple[str, list[Any]]]:
    """Neighbours in the sweep that make one frame, and what to call them."""
    finest: list[list[Any]] = []
    for same, words in ((_by_operation, _operation_words), (_by_landmark, _landmark_words), (_by_place, _place_words)):
        finest = _runs(order, _or_hidden(same, hidden))
        if len(finest) <= most:
            return [
                (f"{_span_words(group)}, not drawn" if group[0].index in hidden else words(group), group)
                for group in finest
            ]
    by_step = _runs(order, _or_hidden(lambda before, t: bool(before.place.step == t.place.step), hidden))
    finest = by_step if len(by_step) <= len(finest) else finest
    size = -(-len(finest) // most)
    merged = [[t for run in finest[k : k + size] for t in run] for k in range(0, len(finest), size)]
    return [(_span_words(group), group) for group in merged]


def _or_hidden(same: Callable[[Any, Any], bool], hidden: Mapping[int, str]) -> Callable[[Any, Any], bool]:
    """The same, but that what one gap hides is together."""

    def together(before: Any, t: Any) -> bool:
        gaps = hidden.get(before.index), hidden.get(t.index)
        return gaps[0] == gaps[1] if any(gaps) else same(before, t)

    return together


def _runs(order: list[Any], same: Callable[[Any, Any], bool]) -> list[list[Any]]:
    found: list[list[Any]] = []
    for t in order:
        if found and same(found[-1][-1], t):
            found[-1].append(t)
        else:
            found.append([t])
    return found


def _by_operation(before: Any, t: Any) -> bool:
    return False


def _by_landmark(before: Any, t: Any) -> bool:
    return t.name is None and before.place.step == t.place.step


def _by_place(before: Any, t: Any) -> bool:
    return bool(before.place == t.place)


def _operation_words(group: list[Any]) -> str:
    t = group[0]
    called = f"{visible(t.name)}, made by {t.primitive.name}" if t.name else t.primitive.name
    return f"through {called}{_at(t)}"


def _landmark_words(group: list[Any]) -> str:
    t = group[0]
    return f"through {visible(t.name) if t.name else t.primitive.name}{_at(t)}"


def _place_words(group: list[Any]) -> str:
    scope = group[0].place.scope
    return f"through {visible(scope) if scope else 'what has no scope'}{_at(group[0])}"


def _span_words(group: list[Any]) -> str:
    steps = sorted({t.place.step for t in group if t.place.step is not None})
    if not steps:
        return "outside any step"
    return f"through step {steps[0]}" if len(steps) == 1 else f"through steps {steps[-1]} to {steps[0]}"


def _at(t: Any) -> str:
    return "" if t.place.step is None else f" at step {t.place.step}"


def overlays(made: Sequence[Frame], figure: Figure, found: Swept) -> list[Overlay]:
    """How the figure is drawn in each frame; the nodes, and the pictures, are of the same size in all."""
    words = [
        f"The backward sweep, picture {k} of {len(made)}: {frame.words}. "
        f"{len(frame.known & found.norms.keys())} of {len(found.norms)} gradients are known."
        for k, frame in enumerate(made, start=1)
    ]
    longest = max(words, key=lambda text: width(Line(text, SIZE)))
    return [_overlay(frame, said, longest, figure, found) for frame, said in zip(made, words, strict=True)]


def _overlay(frame: Frame, words: str, longest: str, figure: Figure, found: Swept) -> Overlay:
    faded, inside = set(), {}
    copies: dict[int, int] = defaultdict(int)
    members: dict[str, list[int]] = defaultdict(list)
    for index, v in figure.home.items():
        if index in found.norms:
            members[v].append(index)
    for n in figure.nodes:
        copies[n.index] += 1
    leaves_sent: dict[str, list[bool]] = defaultdict(list)
    for e in figure.edges:
        leaves_sent[e.source] += [use in frame.sent for use in e.uses]
    for n in figure.nodes:
        if n.gap is not None:
            continue
        final = _final_text(n.id, n.index, n.kind != "operation", copies[n.index] > 1, found)
        is_leaf = n.kind != "operation"
        is_known = all(leaves_sent[n.id]) if is_leaf else _is_known(n.id, n.index, members, frame)
        if not (n.tracked and is_known and (final is not None or leaves_sent[n.id])):
            faded.add(n.id)
        if n.tracked and final is not None:
            inside[n.id] = (Line(final if is_known else "grad -", SIZE, bold=True, color=INK, room_for=final),)
    return Overlay(
        strokes=tuple(_stroke(e.uses, frame) for e in figure.edges),
        faded=frozenset(faded),
        inside=inside,
        samples=(Sample(NOW, "sends its part now"), Sample(BEFORE, "sent before"), Sample(FADED_STROKE, "not yet")),
        notes=(
            words,
            "Arrows show the way forward; gradient takes them the other way.",
            "|grad|: norm of a gradient, known once all its arrows have sent; |part|: of what these uses add to it.",
        ),
        room=Room(rows=4.0),
        longest_note=longest,
    )


def _is_known(v: str, index: int, members: Mapping[str, list[int]], frame: Frame) -> bool:
    """A folded node shows the gradient of its named result, and has all of them if there is none."""
    return index in frame.known if index >= 0 else all(member in frame.known for member in members[v])


def _final_text(v: str, index: int, is_leaf: bool, several: bool, found: Swept) -> str | None:
    """What stands in a node at the end; None where no gradient ever arrives."""
    if is_leaf and several:
        return f"|part| {number(found.parts[v])}" if v in found.parts else None
    return f"|grad| {number(found.norms[index])}" if index in found.norms else None


def _stroke(uses: tuple[Key, ...], frame: Frame) -> Stroke:
    if any(use in frame.now for use in uses):
        return NOW
    return BEFORE if any(use in frame.sent for use in uses) else Stroke(FADED, 1.0)
