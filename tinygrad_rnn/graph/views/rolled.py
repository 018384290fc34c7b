"""The `rolled` view: one cell for all steps, its states going round in loops.

It is the `cells` view folded once more, over time: what has the same place in the cell at different steps is one node,
and its value the range over all of them. So flow is conserved here too. An edge to another step keeps its lag.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..text.summary import Value, summary
from .cells import Classes, Key, Tape, classes_of, folded, ids_of, node_of, part, tape_of
from .figure import Edge, Figure, Node
from .window import REFUSED

AT_ONCE = 1024  # arrays that are looked at together


def rolled(outputs: Sequence[Any], steps: tuple[int, int] | None = None) -> Figure:
    """What leads to the outputs, folded into cells and over time. Raises ValueError if steps are asked for."""
    if steps is not None:
        raise ValueError("the view 'rolled' shows all steps as one: leave steps= out, or draw the view 'cells'")
    tape = tape_of(outputs)
    classes = classes_of(tape, {})
    role = _roles(tape, classes)
    members: dict[Key, list[Key]] = defaultdict(list)
    for key in classes.members:
        members[role[key]].append(key)
    if len(members) > REFUSED:
        raise ValueError(f"{len(members):,} nodes would be drawn, and no picture of more than {REFUSED:,} can be read")
    uses: dict[tuple[Key, Key, int], list[tuple[int, int]]] = defaultdict(list)
    times: Counter[tuple[Key, Key, int]] = Counter()
    for (source, target), inside in classes.uses.items():
        edge = role[source], role[target], _lag(source, target, tape)
        uses[edge] += inside
        times[edge] += 1
    ids = ids_of(members)
    began = _beginnings(members, tape)
    nodes = [_rolled_node(ids[r], r, keys, classes, tape, began) for r, keys in members.items()]
    edges = [
        Edge(ids[u], ids[v], tuple(inside), None, lag != 0, lag, times[u, v, lag])
        for (u, v, lag), inside in uses.items()
    ]
    shown = {key: ids[role[key]] for key in classes.members if key[0] == "op"}
    return folded(tape, classes, nodes, edges, shown, "rolled")


def _roles(tape: Tape, classes: Classes) -> dict[Key, Key]:
    """For everything that the `cells` view draws, what it is at every step."""
    cell, role = tape.folding.cell, tape.folding.role
    found: dict[Key, Key] = {
        key: key if cell[key[1]].step is None else ("role", role[key[1]]) for key in classes.members if key[0] == "op"
    }
    arrivals = {
        (role[consumer], slot)
        for (source, target), uses in classes.uses.items()
        if (source, target) in classes.crossing
        for consumer, slot in uses
    }
    for key in classes.members:
        if key[0] == "op":
            continue
        targets = classes.beside[key]
        if not targets or cell[targets[0][1]].step is None:
            found[key] = key
        elif key[0] == "parameters":
            found[key] = "parameters", found[targets[0]]
        else:
            consumer, slot = min(classes.uses[key, targets[0]])
            at = role[consumer], slot
            # What is there only where a state cannot come from another step yet is an initial state.
            found[key] = ("initial" if at in arrivals else "every", key[0], *at)
    return found


def _lag(source: Key, target: Key, tape: Tape) -> int:
    here, there = (tape.folding.cell[k[1]].step if k[0] == "op" else None for k in (source, target))
    return 0 if here is None or there is None else there - here


def _beginnings(members: Mapping[Key, Sequence[Key]], tape: Tape) -> dict[str, int]:
    """For each scope the first step of all scopes that share steps with it, also by way of others."""
    cell = tape.folding.cell
    steps: dict[str, set[int]] = defaultdict(set)
    for keys in members.values():
        for key in keys:
            if key[0] == "op" and (step := cell[key[1]].step) is not None:
                steps[cell[key[1]].scope].add(step)
    groups: list[tuple[set[str], set[int]]] = []
    for scope, own in steps.items():
        met = [g for g in groups if g[1] & own]
        groups = [g for g in groups if not g[1] & own]
        groups.append(({scope}.union(*(g[0] for g in met)), own.union(*(g[1] for g in met))))
    return {scope: min(at) for scopes, at in groups for scope in scopes}


def _rolled_node(
    id: str, role: Key, keys: Sequence[Key], classes: Classes, tape: Tape, began: Mapping[str, int]
) -> Node:
    first = node_of(keys[0], id, classes, tape, ())
    most = max(len(classes.members[k]) for k in keys)  # at the first step less may be recorded
    alike = [classes.members[k] for k in keys if len(classes.members[k]) == most]
    if first.step is None:
        return first
    drawn = [next((t for t in classes.members[k] if t.index == k[1]), classes.members[k][0]) for k in keys]
    members = tuple(dict.fromkeys(t.index for k in keys for t in classes.members[k]))
    return replace(
        first,
        index=members[0] if len(members) == 1 else -1,
        step=None if role[0] == "initial" else began.get(first.scope, first.step),
        value=over_time(t.value for t in drawn) if first.value is not None else None,
        gradient=None,
        parts=tuple(part(*same) for same in zip(*alike, strict=True)) if role[0] == "role" else first.parts,
        tracked=any(t.tracked for k in keys for t in classes.members[k]),
        output=any(t is output for t in drawn for output in tape.outputs),
        replaced=any(k in classes.replaced for k in keys),
        members=members,
        steps=0 if role[0] == "initial" else len(keys),
    )


def over_time(arrays: Iterable[Any]) -> Value:
    """The range and the mean of arrays, those of one shape looked at together."""
    by_shape: dict[tuple[int, ...], list[Any]] = defaultdict(list)
    for a in arrays:
        by_shape[a.shape].append(a)
    found = [
        summary(np.stack(same[k : k + AT_ONCE])) for same in by_shape.values() for k in range(0, len(same), AT_ONCE)
    ]
    numbers = [
        (v.low, v.high, v.mean, np.prod(v.shape) - v.nans)
        for v in found
        if v.low is not None and v.high is not None and v.mean is not None
    ]
    total = sum(n for *_, n in numbers)
    return Value(
        shape=next(iter(by_shape)),
        dtype=found[0].dtype,
        low=min((low for low, *_ in numbers), default=None),
        high=max((high for _, high, *_ in numbers), default=None),
        mean=float(sum(mean * (n / total) for *_, mean, n in numbers)) if numbers else None,
        nans=sum(v.nans for v in found),
    )
