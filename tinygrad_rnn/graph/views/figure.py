"""A tape as plain data: the nodes and edges of a picture, without any layout or style.

The edge is one use of a tensor: consumer and slot. So `x * x` has two edges, and what is measured on edges elsewhere
(flow, contributions) is looked up by `Edge.uses`. Whatever would be one node with long arrows to every time step, a
parameter above all, is drawn beside each step that uses it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ..text.summary import Value, norm, summary
from .folding import common_scope, crosses, of_sweep
from .window import HIGH, Fitting, Gap, gaps_of

Kind = Literal["operation", "parameter", "leaf", "constant", "gap", "sink"]
Key = tuple[int, int]  # a drawn tensor: its index, and that of the first consumer it is drawn beside (-1: drawn once)

MOST_ARROWS = 6  # from a leaf to operations outside any step
COMMUTATIVE = frozenset({"add", "multiply", "maximum", "minimum", "equal", "not_equal"})


class Recorded(Protocol):
    """What a picture knows of a Tensor."""

    @property
    def index(self) -> int: ...
    @property
    def primitive(self) -> Any: ...
    @property
    def inputs(self) -> tuple[Any, ...]: ...
    @property
    def place(self) -> Any: ...
    @property
    def name(self) -> str | None: ...
    @property
    def tracked(self) -> bool: ...
    @property
    def value(self) -> Any: ...
    @property
    def _grad(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Node:
    """One drawn tensor, or a gap: what stands for the operations that are not drawn.

    kind: an operation's result; a parameter; another leaf that requires a gradient; a constant; a gap; the sink in
        which several losses end where flow is drawn.
    index: of the tensor on the tape, -1 for none. Nodes share it where a tensor is drawn at each of its uses.
    gradient: the norm of what backward kept here, None if nothing was kept.
    tracked: whether there can be a gradient.
    output: it is one of those that were asked for, mostly a loss.
    again: the operation that makes this tensor is drawn elsewhere.
    replaced: the data is not any more what the operations here were computed with.
    sweep: made by a backward sweep (create_graph=True), or drawn beside what it made.
    made_at: the step whose result it is, where it is drawn again at another.
    members: the indices of all tensors that it stands for, in a folded picture; there `index` is that of the one whose
        name and value are shown, -1 where none is.
    parts: what it is folded from: the names of operations, or of parameters.
    steps: how many time steps it stands for, in a rolled picture; `step` is then the first of this part of the model.
    """

    id: str
    kind: Kind
    index: int = -1
    name: str | None = None
    operation: str | None = None
    scope: str = ""
    step: int | None = None
    value: Value | None = None
    gradient: float | None = None
    tracked: bool = False
    output: bool = False
    again: bool = False
    replaced: bool = False
    sweep: bool = False
    made_at: int | None = None
    gap: Gap | None = None
    members: tuple[int, ...] = ()
    parts: tuple[str, ...] = ()
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Edge:
    """One use of a tensor, or, in a folded picture or at a gap, all uses of the one node by the other.

    uses: (index of the consumer, slot). No use is in two edges.
    slot: the number to print, where the order of the inputs matters.
    crossing: it leads from one time step to another.
    lag: how many steps ahead, in a rolled picture, where both ends are drawn once for all steps.
    times: at how many steps it is there, in a rolled picture.
    """

    source: str
    target: str
    uses: tuple[Key, ...]
    slot: int | None = None
    crossing: bool = False
    lag: int = 0
    times: int = 1


@dataclass(frozen=True, slots=True)
class Figure:
    """What a view shows. operations, steps, parameters and outputs are those of the tape, drawn or not.

    home: for every operation of the tape, by index, the id of the node that shows it, or that stands for it.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    operations: int
    steps: tuple[int, ...]
    parameters: int
    outputs: tuple[Node, ...]
    home: Mapping[int, str]
    view: str = "ops"


def figure(outputs: Sequence[Recorded], steps: tuple[int, int] | None = None, fitting: Fitting = HIGH) -> Figure:
    """The operations that lead to the outputs, and what they use. For `steps`, `fitting` see `window.gaps_of`."""
    tape = ancestors(outputs)
    operations = [t for t in tape if t.primitive is not None]
    gaps, hidden = gaps_of(operations, steps, fitting)
    shown = [t for t in operations if t.index not in hidden]
    kinds = kinds_of(tape, operations)
    wanted = {t.index for t in outputs}
    source, beside = _drawn(shown, hidden)
    drawn = {(t.index, -1): t for t in shown}
    drawn |= {(t.index, -1): t for t in outputs if t.primitive is None and all(t.index != k[0] for k in beside)}
    drawn |= {key: next(x for x in users[0].inputs if x.index == key[0]) for key, users in beside.items()}
    ids = _ids(sorted(drawn))
    measured = {t.index: measured_of(t) for t in [*drawn.values(), *outputs]}  # once for a tensor drawn many times
    nodes = [
        _node(ids[key], drawn[key], kinds[key[0]], beside.get(key, []), key[0] in wanted, measured)
        for key in sorted(drawn)
    ]
    nodes += [Node(f"gap{k}", "gap", step=None if g.whole else g.first, gap=g) for k, g in enumerate(gaps)]
    nodes += _leaves_of_gaps(operations, hidden, gaps, kinds)
    named = {use: ids[key] for use, key in source.items()} | {(t.index, -1): ids[t.index, -1] for t in shown}
    return Figure(
        nodes=tuple(nodes),
        edges=tuple(_edges(shown, named) if not hidden else _edges_with_gaps(operations, hidden, named, kinds)),
        operations=len(operations),
        steps=tuple(sorted({t.place.step for t in operations if t.place.step is not None})),
        parameters=sum(kind == "parameter" for kind in kinds.values()),
        outputs=tuple(_node("", t, kinds[t.index], [], True, measured) for t in outputs),
        home={t.index: f"gap{hidden[t.index]}" if t.index in hidden else ids[t.index, -1] for t in operations},
    )


def ancestors(outputs: Iterable[Recorded]) -> list[Any]:
    """The outputs and all that they were computed from, in the order of creation."""
    found: dict[int, Any] = {}
    to_visit = list(outputs)
    while to_visit:
        t = to_visit.pop()
        if t.index not in found:
            found[t.index] = t
            to_visit.extend(t.inputs)
    return [found[index] for index in sorted(found)]


def kinds_of(tape: list[Any], operations: list[Any]) -> dict[int, Kind]:
    """What each tensor is drawn as."""
    steps: dict[int, set[int | None]] = defaultdict(set)  # at which a leaf is used
    for t in operations:
        if t.primitive.name != "slice":  # a sequence that each step takes its part of is not a weight
            for x in t.inputs:
                if x.primitive is None:
                    steps[x.index].add(t.place.step)
    shared = {index for index, used in steps.items() if len(used - {None}) > 1}
    return {t.index: _kind(t, t.index in shared) for t in tape}


def _kind(t: Any, is_shared: bool) -> Kind:
    if t.primitive is not None:
        return "operation"
    if not t.tracked:
        return "constant"
    # A plain tensor that is used at step after step is what its author means by a weight.
    is_parameter = is_shared or any(base.__name__ == "Parameter" for base in type(t).__mro__)
    return "parameter" if is_parameter else "leaf"


def _drawn(shown: list[Any], hidden: dict[int, int]) -> tuple[dict[Key, Key], dict[Key, list[Any]]]:
    """For every use by a shown operation which drawing of the source it leads from; and for each tensor that is drawn
    beside its uses, at each of its places the operations it is drawn beside."""
    fanned = used_by_several_steps(shown)
    uses_outside = Counter(x.index for t in shown if t.place.step is None for x in t.inputs)
    first: dict[tuple[int, Any], int] = {}
    source: dict[Key, Key] = {}
    beside: dict[Key, list[Any]] = defaultdict(list)
    for t in shown:
        for slot, x in enumerate(t.inputs):
            if x.index in hidden:
                continue
            shared = x.index in fanned and t.place.step is not None
            if x.primitive is not None and not shared and of_sweep(t) == of_sweep(x):
                source[t.index, slot] = x.index, -1
                continue
            # A number such as the 1 of 1 - z, and what is used all over the place, is drawn beside every use.
            apart = x.value.size == 1 and not x.tracked and not x.name
            apart = apart or (t.place.step is None and uses_outside[x.index] > MOST_ARROWS)
            place = ("use", t.index) if apart else ("step", t.place.step, of_sweep(t))
            key = x.index, first.setdefault((x.index, place), t.index)
            source[t.index, slot] = key
            beside[key].append(t)
    return source, beside


def used_by_several_steps(shown: list[Any]) -> set[int]:
    """Results of operations outside any step which would have an arrow to every step."""
    steps: dict[int, set[int]] = defaultdict(set)
    for t in shown:
        if t.place.step is not None:
            for x in t.inputs:
                if x.place.step is None:
                    steps[x.index].add(t.place.step)
    return {index for index, used_at in steps.items() if len(used_at) > 1}


def _ids(keys: list[Key]) -> dict[Key, str]:
    """Names that follow the order of creation within the drawing, so that the same program gives the same text."""
    rank = {index: k for k, index in enumerate(sorted({index for index, _ in keys}))}
    copies: dict[int, int] = defaultdict(int)
    ids = {}
    for index, consumer in keys:
        ids[index, consumer] = f"n{rank[index]}" if consumer < 0 else f"n{rank[index]}_{copies[index]}"
        copies[index] += consumer >= 0
    return ids


def measured_of(t: Any) -> tuple[Value, float | None]:
    """A summary of the value, and the norm of the gradient if one was kept."""
    return summary(t.value), None if t._grad is None else norm(t._grad)


def _node(
    id: str,
    t: Any,
    kind: Kind,
    users: list[Any],
    output: bool,
    measured: Mapping[int, tuple[Value, float | None]],
) -> Node:
    value, gradient = measured[t.index]
    return Node(
        id=id,
        kind=kind,
        index=t.index,
        name=t.name or None,
        operation=t.primitive.name if t.primitive is not None else None,
        scope=common_scope([u.place.scope for u in users]) if users else t.place.scope,
        step=users[0].place.step if users else t.place.step,
        value=value,
        gradient=gradient,
        tracked=t.tracked,
        output=output,
        again=bool(users) and t.primitive is not None,
        replaced=any(t.index > u.index for u in users),
        sweep=of_sweep(users[0]) if users else of_sweep(t),
        made_at=t.place.step if users and t.primitive is not None and t.place.step != users[0].place.step else None,
    )


def _edges(shown: list[Any], named: dict[Key, str]) -> Iterable[Edge]:
    for t in shown:
        for slot, x in enumerate(t.inputs):
            yield _edge(t, slot, x, named)


def _edge(t: Any, slot: int, x: Any, named: dict[Key, str]) -> Edge:
    matters = len(t.inputs) > 1 and t.primitive.name not in COMMUTATIVE
    source, target = named[t.index, slot], named[t.index, -1]
    return Edge(
        source, target, ((t.index, slot),), slot if matters else None, crosses(x, t) and of_sweep(x) == of_sweep(t)
    )


def is_plain_number(x: Any) -> bool:
    """The 1 of 1 - z: it needs no name, and there is no gradient by it."""
    return x.primitive is None and not x.tracked and not x.name and x.value.size == 1


def _leaf_of_gap(x: Any, gap: int, kinds: Mapping[int, Kind]) -> str:
    return f"gap{gap}_{kinds[x.index]}"


def _leaves_of_gaps(
    operations: list[Any], hidden: dict[int, int], gaps: Sequence[Gap], kinds: Mapping[int, Kind]
) -> Iterable[Node]:
    """What hidden operations use: one node for all parameters, and one for all leaves, of each gap."""
    found: dict[str, tuple[int, dict[int, Any]]] = {}
    for t in operations:
        for x in t.inputs if t.index in hidden else ():
            if x.primitive is None and not is_plain_number(x):
                gap = hidden[t.index]
                found.setdefault(_leaf_of_gap(x, gap, kinds), (gap, {}))[1][x.index] = x
    for id, (gap, leaves) in sorted(found.items()):
        first = next(iter(leaves.values()))
        yield Node(
            id=id,
            kind=kinds[first.index],
            index=first.index if len(leaves) == 1 else -1,
            name=first.name or None if len(leaves) == 1 else None,
            step=None if gaps[gap].whole else gaps[gap].first,
            tracked=any(x.tracked for x in leaves.values()),
            members=tuple(leaves),
            parts=tuple(dict.fromkeys(x.name or "" for x in leaves.values())),
        )


def _edges_with_gaps(
    operations: list[Any], hidden: dict[int, int], named: dict[Key, str], kinds: Mapping[int, Kind]
) -> Iterable[Edge]:
    merged: dict[tuple[str, str], list[tuple[Key, bool]]] = defaultdict(list)
    for t in operations:
        into = hidden.get(t.index)
        for slot, x in enumerate(t.inputs):
            out_of = hidden.get(x.index)
            if into is None and out_of is None:
                yield _edge(t, slot, x, named)
            elif into != out_of and not is_plain_number(x):
                target = f"gap{into}" if into is not None else named[t.index, -1]
                if x.primitive is None and into is not None:
                    source = _leaf_of_gap(x, into, kinds)
                else:
                    source = f"gap{out_of}" if out_of is not None else named[x.index, -1]
                merged[source, target].append(((t.index, slot), crosses(x, t)))
    for (source, target), uses in merged.items():
        yield Edge(source, target, tuple(use for use, _ in uses), None, any(crosses for _, crosses in uses))
