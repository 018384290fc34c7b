"""The `cells` view: a box for each step and layer, with the landmarks in it.

What is drawn as one is for `folding` to say. Besides that, the parameters that one node uses are drawn as one, a number
such as the 1 of 1 - z belongs to its operation, and the steps that a window hides are one gap, with all that goes into
it and comes out of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from ..text.summary import number
from .figure import Edge, Figure, Kind, Node, ancestors, is_plain_number, kinds_of, measured_of, used_by_several_steps
from .folding import Folding, common_scope, crosses, fold, of_sweep
from .window import WIDE, Fitting, Gap, gaps_of

# How operations are written that are drawn as part of another.
SIGNS = {
    "multiply": "×",
    "add": "+",
    "subtract": "−",
    "divide": "÷",
    "negative": "−",
    "sigmoid": "σ",
    "square": "x²",
    "sqrt": "√",
    "abs": "|x|",
}

# What is drawn: ("op", index), ("gap", number), ("again", index, cell), ("parameters", key of the one node that uses
# them), ("leaf", index, cell), ("leaves", key of the gap that uses them).
Key: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Tape:
    """A tape with what its folding needs to know of it."""

    tensors: list[Any]
    operations: list[Any]
    kinds: dict[int, Kind]
    folding: Folding
    outputs: tuple[Any, ...]


def tape_of(outputs: Sequence[Any]) -> Tape:
    """All that the outputs were computed from, folded."""
    tensors = ancestors(outputs)
    operations = [t for t in tensors if t.primitive is not None]
    return Tape(tensors, operations, kinds_of(tensors, operations), fold(operations, outputs), tuple(outputs))


def cells(outputs: Sequence[Any], steps: tuple[int, int] | None = None, fitting: Fitting = WIDE) -> Figure:
    """What leads to the outputs, folded into cells. For `steps` and `fitting` see `window.gaps_of`,
    which counts folded nodes here.
    """
    tape = tape_of(outputs)
    visible = [t for t in tape.operations if tape.folding.drawn_as[t.index] == t.index]
    gaps, hidden = gaps_of(visible, steps, fitting)
    classes = classes_of(tape, hidden)
    ids = ids_of(classes.members)
    nodes = [node_of(key, ids[key], classes, tape, gaps) for key in ids]
    edges = [
        Edge(ids[u], ids[v], tuple(uses), None, (u, v) in classes.crossing) for (u, v), uses in classes.uses.items()
    ]
    shown = {key: ids[key] for key in classes.members if key[0] in ("op", "gap")}
    return folded(tape, classes, nodes, edges, shown, "cells")


def folded(
    tape: Tape, classes: Classes, nodes: Sequence[Node], edges: Sequence[Edge], shown: Mapping[Key, str], view: str
) -> Figure:
    """The figure of a folded tape. shown: the ids of the nodes that operations are drawn in."""
    return Figure(
        nodes=tuple(nodes),
        edges=tuple(edges),
        operations=len(tape.operations),
        steps=tuple(sorted({t.place.step for t in tape.operations if t.place.step is not None})),
        parameters=sum(kind == "parameter" for kind in tape.kinds.values()),
        outputs=tuple(output_node(t, tape.kinds[t.index]) for t in tape.outputs),
        home={t.index: at for key, at in shown.items() for t in classes.members[key]},
        view=view,
    )


@dataclass(frozen=True, slots=True)
class Classes:
    """members: the tensors that each drawn thing stands for. uses: those that each arrow stands for. crossing: arrows
    that lead to another step. exits: of each source of arrows the tensors that they lead from. beside: its targets.
    replaced: leaves whose data was replaced after they were used."""

    members: dict[Key, list[Any]]
    uses: dict[tuple[Key, Key], list[tuple[int, int]]]
    crossing: set[tuple[Key, Key]]
    exits: dict[Key, set[int]]
    beside: dict[Key, list[Key]]
    replaced: set[Key]


def classes_of(tape: Tape, hidden: Mapping[int, int]) -> Classes:
    """What is drawn. hidden: for each folded operation that is not, by index, the number of its gap."""
    found = Classes(defaultdict(list), defaultdict(list), set(), defaultdict(set), defaultdict(list), set())
    source_of = _sources(tape, hidden)
    for t in tape.operations:
        target = _key(tape.folding.drawn_as[t.index], hidden)
        found.members[target].append(t)
        for slot, x in enumerate(t.inputs):
            source = source_of(x, t, target)
            if source is None or source == target:
                continue
            if source[0] not in ("op", "gap") and x.index not in found.exits[source]:
                found.members[source].append(x)
            found.exits[source].add(x.index)
            if (source, target) not in found.uses:
                found.beside[source].append(target)
            found.uses[source, target].append((t.index, slot))
            if crosses(x, t) and of_sweep(x) == of_sweep(t):
                found.crossing.add((source, target))
            if x.index > t.index:
                found.replaced.add(source)
    used = {x.index for inside in found.members.values() for x in inside}
    for t in tape.outputs:
        if t.index not in used:
            found.members["leaf", t.index, None].append(t)
    return found


def _key(index: int, hidden: Mapping[int, int]) -> Key:
    return ("gap", hidden[index]) if index in hidden else ("op", index)


def _sources(tape: Tape, hidden: Mapping[int, int]) -> Callable[[Any, Any, Key], Key | None]:
    """A function that says from which drawn thing a use leads, or None for a number that is part of the operation."""
    drawn_as, cell = tape.folding.drawn_as, tape.folding.cell
    fanned = used_by_several_steps([t for t in tape.operations if drawn_as[t.index] not in hidden])

    def source(x: Any, t: Any, target: Key) -> Key | None:
        if x.primitive is not None:
            drawn = _key(drawn_as[x.index], hidden)
            is_shared = x.index in fanned and t.place.step is not None
            is_again = target[0] == drawn[0] == "op" and (is_shared or of_sweep(x) != of_sweep(t))
            return ("again", x.index, cell[target[1]]) if is_again else drawn
        if is_plain_number(x):
            return None
        if tape.kinds[x.index] == "parameter":
            return "parameters", target
        if target[0] == "gap":
            return "leaves", target
        place = cell[target[1]]
        return "leaf", x.index, place if place != (None, "") else target

    return source


def ids_of(members: Mapping[Key, list[Any]]) -> dict[Key, str]:
    """Names that follow the order of creation within the drawing, so that the same program gives the same text."""
    others = (key for key in members if key[0] != "gap")
    named = {key: f"n{k}" for k, key in enumerate(others)}
    return {key: named.get(key, f"gap{key[1]}") for key in members}


def node_of(key: Key, id: str, classes: Classes, tape: Tape, gaps: Sequence[Gap]) -> Node:
    """One drawn thing."""
    what, members = key[0], classes.members[key]
    indices = tuple(t.index for t in members)
    if what == "gap":
        gap = replace(gaps[key[1]], operations=len(members))
        return Node(id, "gap", step=None if gap.whole else gap.first, gap=gap, members=indices)
    shown = next((t for t in members if t.index == key[1]), members[0])
    # Several parameters drawn as one have no one value, neither have products that lead to several gates.
    has_value = len(members) == 1 or bool(shown.name) or (what == "op" and len(classes.exits[key]) < 2)
    has_value = has_value and (what == "op" or len(members) == 1)
    value, gradient = measured_of(shown) if has_value else (None, None)
    step, scope = _where(key, classes, tape)
    return Node(
        id=id,
        kind=tape.kinds[shown.index],
        index=shown.index if has_value else -1,
        name=(shown.name or None) if has_value else None,
        operation=shown.primitive.name if what in ("op", "again") else None,
        scope=scope,
        step=step,
        value=value,
        gradient=gradient,
        tracked=any(t.tracked for t in members),
        output=what in ("op", "leaf") and any(shown is t for t in tape.outputs),
        again=what == "again",
        sweep=of_sweep(shown if what == "op" else next((classes.members[k][0] for k in classes.beside[key]), shown)),
        made_at=shown.place.step if what == "again" and shown.place.step != step else None,
        replaced=key in classes.replaced,
        members=indices,
        parts=tuple(part(t) if what == "op" else t.name or "" for t in members),
    )


def _where(key: Key, classes: Classes, tape: Tape) -> tuple[int | None, str]:
    """The step and the scope of the cell that something is drawn in."""
    if key[0] == "op":
        return tape.folding.cell[key[1]]
    users = [tape.folding.cell[target[1]] for target in classes.beside[key] if target[0] == "op"]
    return (users[0].step if users else None), common_scope([c.scope for c in users])


def output_node(t: Any, kind: Kind) -> Node:
    """An output for those who speak of it, wherever it is drawn."""
    value, gradient = measured_of(t)
    operation = t.primitive.name if t.primitive is not None else None
    return Node("", kind, t.index, t.name or None, operation, t.place.scope, t.place.step, value, gradient, t.tracked)


def part(*same: Any) -> str:
    """What an operation is called within the node that it is drawn as part of: its name, or 1 − for 1.0 - z.

    same: the operation, or what stands at its place at several steps, with a number that may differ.
    """
    t = same[0]
    slots = {_slot_of_number(other) for other in same}
    (slot,) = slots if len(slots) == 1 else (None,)
    if slot is None or t.primitive.name not in SIGNS:
        return str(t.primitive.name)
    values = [float(other.inputs[slot].value.item()) for other in same]
    low, high, sign = number(min(values)), number(max(values)), SIGNS[t.primitive.name]
    text = low if low == high else f"({low} to {high})"
    if slot == 0:
        return f"{text} {sign}"
    return f"{sign} ({text})" if text.startswith("−") else f"{sign} {text}"


def _slot_of_number(t: Any) -> int | None:
    """Where an operation of two takes a number, and only there."""
    numbers = [k for k, x in enumerate(t.inputs) if is_plain_number(x) and x.value.dtype.kind in "biuf"]
    return numbers[0] if len(numbers) == 1 and len(t.inputs) == 2 else None
